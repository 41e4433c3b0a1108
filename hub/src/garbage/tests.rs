use std::{fs::File, path::Path};

use bytes::Bytes;
use tern_protocol::id::ModelName;

use super::*;
use crate::{
    access::audit::Actor,
    monitor::fixture::{World, name},
    registry::{self, PublishError, Published, fixture::package},
};

const HOUR: Duration = Duration::from_hours(1);

fn ago(time: Duration) -> SystemTime {
    SystemTime::now() - time
}

/// Makes the files of blobs as old as if nobody had asked for them for two hours.
fn age(blobs: &Path) {
    for shelf in std::fs::read_dir(blobs.join("sha256")).expect("there are blobs") {
        for file in std::fs::read_dir(shelf.expect("a shelf").path()).expect("a shelf") {
            // It may have been collected a moment ago.
            if let Ok(file) = File::open(file.expect("a file").path()) {
                file.set_modified(ago(2 * HOUR)).expect("the file is ours");
            }
        }
    }
}

async fn stored(world: &World, bytes: &'static [u8]) -> Digest {
    let put = world.app.blobs.put_bytes(Bytes::from_static(bytes)).await;
    put.expect("stores").digest
}

async fn has(world: &World, digest: Digest) -> bool {
    world.app.blobs.head(digest).await.expect("looks").is_some()
}

async fn collected(world: &World, mode: Mode) -> Vec<Digest> {
    let gone = collect(&world.app.store, &world.app.blobs, ago(HOUR), mode).await;
    let gone = gone.expect("collects").into_iter();
    gone.filter_map(|blob| blob.digest).collect()
}

async fn publish(world: &World, scale: f32) -> Result<Published, PublishError> {
    let new = package(scale).facts();
    let model: ModelName = name("digits");
    registry::publish(&world.app, &Actor::machine(), &world.workspace, &model, new).await
}

#[tokio::test]
async fn what_nothing_refers_to_goes_after_its_grace() {
    let world = World::new().await;
    package(1.0).upload(&world.app.blobs).await;
    let Ok(Published::New(version)) = publish(&world, 1.0).await else {
        panic!("not published")
    };
    let old = stored(&world, b"nobody wants this").await;
    age(&world.blobs());
    let fresh = stored(&world, b"uploaded just now").await;
    let half = world.blobs().join("sha256/ab");
    std::fs::create_dir_all(&half).expect("a shelf");
    let half = half.join(format!("{}#1", Digest::of(b"half")));
    let file = File::create(&half).expect("a staged file");
    file.set_modified(ago(2 * HOUR)).expect("the file is ours");

    assert_eq!(collected(&world, Mode::DryRun).await, [old]);
    assert!(has(&world, old).await && half.exists(), "only looked");
    assert_eq!(collected(&world, Mode::Remove).await, [old]);
    assert!(!has(&world, old).await && !half.exists());
    assert!(has(&world, fresh).await);
    assert!(has(&world, version.bundle.digest).await);
    let new = package(1.0).facts();
    for part in [Some(new.onnx), Some(new.golden), new.reference] {
        assert!(has(&world, part.expect("a package has three parts")).await);
    }
    assert_eq!(collected(&world, Mode::Remove).await, []);
}

#[tokio::test]
async fn a_claim_lasts_for_a_grace() {
    let world = World::new().await;
    let claimed = stored(&world, b"claimed").await;
    let again = stored(&world, b"uploaded again").await;
    let left = stored(&world, b"left alone").await;
    age(&world.blobs());
    let found = world.app.blobs.claim(claimed).await.expect("looks");
    assert_eq!(found.map(|blob| blob.len), Some(7));
    assert_eq!(stored(&world, b"uploaded again").await, again);
    assert_eq!(collected(&world, Mode::Remove).await, [left]);
    let gone = world.app.blobs.claim(left).await.expect("looks");
    assert_eq!(gone, None, "what is gone cannot be claimed");
}

#[tokio::test]
async fn a_version_whose_blobs_are_gone_is_not_written() {
    let world = World::new().await;
    package(1.0).upload(&world.app.blobs).await;
    let stop = CancellationToken::new();
    let collecting = async {
        while !stop.is_cancelled() {
            let gone = collect(&world.app.store, &world.app.blobs, ago(HOUR), Mode::Remove).await;
            gone.expect("collects");
            tokio::task::yield_now().await;
        }
    };
    let publishing = async {
        let mut rounds = 0;
        while rounds < 20 {
            package(1.0).upload(&world.app.blobs).await;
            // As if it had been left alone for long.
            age(&world.blobs());
            tokio::task::yield_now().await;
            match publish(&world, 1.0).await {
                Ok(_) => break,
                Err(PublishError::Refused(findings)) => {
                    assert!(findings[0].message.contains("not uploaded"), "{findings:?}");
                }
                // It went between being found and being read.
                // It went between being found and being read.
                Err(PublishError::Blob(BlobError::Missing(_))) => {}
                Err(err) => panic!("{err:?}"),
            }
            rounds += 1;
        }
        stop.cancel();
    };
    tokio::join!(collecting, publishing);
    whole(&world).await;
}

/// What a publisher does: asks for each file, uploads what is missing, publishes. Beside it garbage
/// is collected all the time, and every file is old garbage when the publisher begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_what_is_about_to_be_collected_works_every_time() {
    const ROUNDS: usize = 30;
    let world = World::new().await;
    let stop = CancellationToken::new();
    let collector = {
        let (app, stop) = (world.app.clone(), stop.clone());
        tokio::spawn(async move {
            let mut gone = 0;
            while !stop.is_cancelled() {
                let found = collect(&app.store, &app.blobs, ago(HOUR), Mode::Remove).await;
                gone += found.expect("collects").len();
                tokio::task::yield_now().await;
            }
            gone
        })
    };
    let blobs = &world.app.blobs;
    for round in 0..ROUNDS {
        let package = package(1.0 + round as f32);
        package.upload(blobs).await;
        age(&world.blobs());
        for bytes in package.parts() {
            if blobs
                .claim(Digest::of(&bytes))
                .await
                .expect("looks")
                .is_none()
            {
                blobs.put_bytes(bytes.into()).await.expect("stores");
            }
        }
        publish(&world, 1.0 + round as f32)
            .await
            .expect("publishes");
    }
    stop.cancel();
    let gone = collector.await.expect("collects");
    println!("{gone} blobs went in {ROUNDS} rounds");
    whole(&world).await;
    let models = registry::models(&world.app.store, &world.workspace).await;
    assert_eq!(models.expect("lists")[0].versions.len(), ROUNDS);
}

/// Every blob that a row names is there.
async fn whole(world: &World) {
    for digest in references(world.app.store.read()).await.expect("reads") {
        assert!(
            has(world, digest).await,
            "{digest} is gone, {}",
            what(world, digest).await
        );
    }
}

/// Which row names a blob, for the report of a failure.
async fn what(world: &World, digest: Digest) -> String {
    use sea_orm::{ConnectionTrait as _, Statement};
    let db = world.app.store.read();
    let sql = "SELECT role FROM trust_document WHERE digest = $1 \
               UNION SELECT 'manifest' FROM model_version WHERE bundle = $1 \
               UNION SELECT 'onnx' FROM model_version WHERE onnx = $1 \
               UNION SELECT 'golden' FROM model_version WHERE golden = $1 \
               UNION SELECT 'reference' FROM model_version WHERE reference = $1";
    let values = [digest.to_string().into()];
    let select = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(select).await.expect("reads");
    let roles = rows.iter().map(|row| row.try_get_by_index::<String>(0));
    roles
        .map(|role| role.expect("text"))
        .collect::<Vec<_>>()
        .join(", ")
}
