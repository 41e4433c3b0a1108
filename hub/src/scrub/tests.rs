use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::rest::{AttentionKind, BlobPart, DeltaState, VersionView};

use super::*;
use crate::{
    access::audit::Actor,
    app::fresh,
    deltas, monitor,
    registry::{
        self, Published,
        fixture::{Package, package},
    },
    trust,
};

const FAST: Pace = Pace::PerSecond(1 << 40);

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn model() -> ModelName {
    "digits".parse().expect("a name")
}

async fn publish(app: &App, package: &Package) -> VersionView {
    let new = package.upload(&app.blobs).await;
    let published = registry::publish(app, &Actor::machine(), &workspace(), &model(), new).await;
    match published.expect("passes vetting") {
        Published::New(version) | Published::Known(version) => version,
    }
}

fn damage(dir: &tempfile::TempDir, digest: Digest) {
    let hex = digest.to_string();
    let path = dir.path().join("blobs/sha256").join(&hex[..2]).join(&hex);
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[0] ^= 0x10;
    std::fs::write(&path, bytes).expect("writes");
}

/// What a person is told.
async fn told(app: &App) -> Vec<(AttentionKind, String)> {
    let overview = monitor::overview(app, &workspace()).await.expect("reads");
    let all = overview.attention.into_iter();
    all.filter(|one| one.kind != AttentionKind::DevelopmentKeys)
        .map(|one| (one.kind, one.text + "; " + &one.command.unwrap_or_default()))
        .collect()
}

async fn lacks(app: &App) -> Vec<(u32, Vec<BlobPart>)> {
    let versions = lacking::versions(app, &workspace()).await.expect("reads");
    let each = versions.into_iter();
    each.map(|(of, lacks)| (of.version.get(), lacks.parts))
        .collect()
}

async fn look_once(app: &App) {
    look(app, &mut Models::new()).await.expect("looks");
}

#[tokio::test]
async fn files_that_only_their_publisher_has_are_told_until_they_are_published_again() {
    let (dir, app) = fresh().await;
    let package = package(1.0);
    let version = publish(&app, &package).await;
    publish(&app, &crate::registry::fixture::package(2.0)).await;
    let golden = package.facts().golden;
    damage(&dir, version.onnx.digest);
    damage(&dir, golden);
    scrub(&app, FAST).await.expect("reads all");
    look_once(&app).await;
    // The golden samples of both versions may be one blob.
    let lacking = lacks(&app).await;
    assert_eq!(lacking[0], (1, vec![BlobPart::Model, BlobPart::Golden]));
    let (kind, text) = told(&app).await.swap_remove(0);
    assert_eq!(kind, AttentionKind::DamagedBlobs);
    for word in [
        "digits v1",
        "model file",
        "golden samples",
        "tern model publish digits DIR",
    ] {
        assert!(text.contains(word), "{text}");
    }
    let mut view = version.clone();
    lacking::mark(&app, &workspace(), [&mut view])
        .await
        .expect("reads");
    assert_eq!(view.lacks, [BlobPart::Model, BlobPart::Golden]);

    // Without its files it is not published again, and who does is told what to upload.
    let new = package.facts();
    let refused = registry::publish(&app, &Actor::machine(), &workspace(), &model(), new).await;
    let refused = refused.expect_err("files are missing").to_string();
    assert!(refused.contains("was not uploaded"), "{refused}");
    let again = publish(&app, &package).await;
    assert_eq!(
        (again.version, again.bundle),
        (version.version, version.bundle)
    );
    assert_eq!(lacks(&app).await, []);
    assert_eq!(told(&app).await, []);
}

#[tokio::test]
async fn a_manifest_is_written_again_as_soon_as_its_files_are_there() {
    let (dir, app) = fresh().await;
    let package = package(1.0);
    let version = publish(&app, &package).await;
    damage(&dir, version.bundle.digest);
    app.blobs
        .scrub(version.bundle.digest, FAST)
        .await
        .expect("reads");
    look_once(&app).await;
    assert_eq!(app.blobs.lacking(), BTreeSet::new());
    let blob = app.blobs.find(version.bundle.digest).await;
    assert_eq!(blob.expect("it is back"), version.bundle);

    // Together with its files: by publishing them.
    damage(&dir, version.bundle.digest);
    damage(&dir, package.facts().golden);
    scrub(&app, FAST).await.expect("reads all");
    look_once(&app).await;
    assert_eq!(
        lacks(&app).await,
        [(1, vec![BlobPart::Manifest, BlobPart::Golden])]
    );
    publish(&app, &package).await;
    assert_eq!(app.blobs.lacking(), BTreeSet::new());
}

#[tokio::test]
async fn signed_metadata_and_deltas_are_made_again() {
    let (dir, app) = fresh().await;
    publish(&app, &package(1.0)).await;
    publish(&app, &package(2.0)).await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(deltas::worker::run(app.clone(), 1 << 30, stop.clone()));
    let ready = async || loop {
        let views = deltas::views(app.store.read(), &workspace(), None)
            .await
            .expect("reads");
        if let Some(delta) = views.values().flatten().next()
            && delta.state != DeltaState::Pending
        {
            assert_eq!(delta.state, DeltaState::Ready, "{delta:?}");
            break;
        }
        tokio::task::yield_now().await;
    };
    ready().await;
    let before = garbage::references(app.store.read()).await.expect("reads");
    for digest in &before {
        damage(&dir, *digest);
    }
    scrub(&app, FAST).await.expect("reads all");
    assert_eq!(app.blobs.damaged(), before.len() as u64);
    // What only its publisher has.
    for number in [1.0, 2.0] {
        package(number).upload(&app.blobs).await;
    }
    look_once(&app).await;
    ready().await;
    look_once(&app).await;
    for digest in before {
        assert!(app.blobs.find(digest).await.is_ok(), "{digest} is back");
    }
    assert_eq!(
        trust::announcements(&app, &workspace())
            .await
            .expect("reads")
            .len(),
        2
    );
    stop.cancel();
    worker.await.expect("ends");
}

#[tokio::test]
async fn a_revoked_version_that_lacks_files_asks_for_nobody() {
    let (dir, app) = fresh().await;
    let version = publish(&app, &package(1.0)).await;
    let revoke = tern_protocol::rest::Revoke {
        reason: "it leaks".into(),
        replacement: None,
    };
    let (by, workspace, number) = (Actor::machine(), workspace(), version.version);
    let revoked = trust::revoke(&app, &by, &workspace, &model(), number, revoke).await;
    revoked.expect("it is revoked");
    damage(&dir, version.onnx.digest);
    scrub(&app, FAST).await.expect("reads all");
    assert_eq!(app.blobs.lacking().len(), 1);
    assert_eq!(told(&app).await, []);
}

#[tokio::test]
async fn a_damaged_database_is_told_and_the_hub_goes_on() {
    if crate::store::testing::on_server() {
        // Its pages are not ours to damage.
        return;
    }
    let ((dir, damaged), (_other, app)) = (fresh().await, fresh().await);
    // A page that nothing reads at the start: that of a table in which nobody has written.
    let root = "SELECT rootpage FROM sqlite_master WHERE name = 'rollout_order'";
    let root = Statement::from_string(damaged.store.backend(), root);
    let root = damaged.store.read().query_one_raw(root).await;
    let root: i64 = root
        .expect("reads")
        .expect("the table is there")
        .try_get_by_index(0)
        .expect("a number");
    damaged.store.close().await;
    let path = dir.path().join("tern.sqlite");
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[usize::try_from(root - 1).expect("a page") * 4096] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
    let store = crate::store::Store::open(dir.path())
        .await
        .expect("its first pages are whole");
    let app = App { store, ..app };
    database(&app).await.expect("it is looked at");
    assert!(app.verdict.damage().is_some());
}
