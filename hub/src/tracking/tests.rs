mod registered;
mod searched;

use std::convert::Infallible;

use bytes::Bytes;
use futures::stream;
use sea_orm_migration::{MigrationTrait as _, SchemaManager};
use tern_protocol::id::WorkspaceId;

use super::{
    input::Dataset,
    logged::NewLogged,
    page::{Page, Window},
    run::{NewRun, Run},
    search::Asked,
    sql::SQL,
    version::NewVersion,
    *,
};
use crate::{access::audit::Actor, app::App, registry::fixture};

fn name(text: &str) -> WorkspaceId {
    text.parse().expect("a name")
}

/// An app with workspace `default`, which has its first experiment.
async fn begun() -> (tempfile::TempDir, App, WorkspaceId) {
    let (dir, app) = crate::app::fresh().await;
    let workspace = name("default");
    app.tracking.begin(&app, &workspace).await.expect("begins");
    (dir, app, workspace)
}

fn by() -> Actor {
    Actor::machine()
}

async fn new_run(app: &App, workspace: &WorkspaceId, experiment: i64, start: i64) -> Run {
    let new = NewRun {
        experiment,
        start_time: Some(start),
        ..NewRun::default()
    };
    run::create(app, workspace, new).await.expect("begins")
}

fn point(key: &str, step: i64, value: f64) -> Point {
    Point {
        key: key.into(),
        value,
        at: 1_000 + step,
        step,
    }
}

fn metrics(metrics: Vec<Point>) -> Batch {
    Batch {
        metrics,
        ..Batch::default()
    }
}

fn params(params: &[(&str, &str)]) -> Batch {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Batch {
        params: params.iter().map(pair).collect(),
        ..Batch::default()
    }
}

async fn found(app: &App, workspace: &WorkspaceId, filter: &str, order: &str) -> Vec<String> {
    let asked = Asked {
        experiments: vec![0],
        filter: filter.into(),
        order_by: vec![order.into()],
        ..Asked::default()
    };
    let mut ids = Vec::new();
    let mut token = String::new();
    loop {
        let window = Window::new(Some(7), 7, 7, &token).expect("a window");
        let Page { items, next } = search::runs(&app.store, workspace, &asked, window)
            .await
            .expect(filter);
        ids.extend(items.into_iter().map(|run| run.info.run_id));
        match next {
            Some(next) => token = next,
            None => return ids,
        }
    }
}

/// A logged model with these files, and its id.
async fn logged_with(
    app: &App,
    workspace: &WorkspaceId,
    run: &str,
    files: &[(&str, &[u8])],
) -> String {
    let new = NewLogged {
        name: "model".into(),
        source_run: run.into(),
        ..NewLogged::default()
    };
    let made = logged::create(app, workspace, new).await.expect("makes");
    let path = artifact::path_of(&made.artifact_uri)
        .expect("the hub's own")
        .to_owned();
    for (file, bytes) in files {
        put(app, workspace, &format!("{path}/{file}"), bytes)
            .await
            .expect("stores");
    }
    logged::finish(app, workspace, &made.model_id, logged::Status::Ready)
        .await
        .expect("finishes");
    made.model_id
}

#[tokio::test]
async fn what_is_sent_again_is_there_once_and_what_is_refused_leaves_nothing() {
    let (_dir, app, workspace) = begun().await;
    let id = new_run(&app, &workspace, 0, 1).await.info.run_id;
    let points = vec![
        point("loss", 1, 0.5),
        point("loss", 0, 0.9),
        point("loss", 2, f64::NAN),
        point("acc", 0, f64::INFINITY),
    ];
    for _ in 0..2 {
        log(&app, &workspace, &id, metrics(points.clone()))
            .await
            .expect("logs");
    }
    let window = || Window::new(None, 100, 100, "").expect("a window");
    let loss = history::history(&app.store, &workspace, &id, "loss", window())
        .await
        .expect("reads");
    let steps: Vec<i64> = loss.items.iter().map(|point| point.step).collect();
    assert_eq!(steps, [0, 1, 2]);
    let read = run::get(app.store.read(), &workspace, &id)
        .await
        .expect("reads");
    let latest = |key: &str| {
        let found = read.metrics.iter().find(|point| point.key == key);
        found.expect("it was logged").value
    };
    assert!(latest("loss").is_nan());
    assert!(latest("acc") >= f64::MAX);
    // An older value does not take the place of a newer one.
    log(&app, &workspace, &id, metrics(vec![point("acc", -1, 0.1)]))
        .await
        .expect("logs");
    let read = run::get(app.store.read(), &workspace, &id)
        .await
        .expect("reads");
    assert!(
        read.metrics
            .iter()
            .any(|point| point.key == "acc" && point.value > 1.0)
    );

    log(&app, &workspace, &id, params(&[("depth", "3")]))
        .await
        .expect("logs");
    log(&app, &workspace, &id, params(&[("depth", "3")]))
        .await
        .expect("it is the same");
    let both = Batch {
        metrics: vec![point("late", 0, 1.0)],
        ..params(&[("new", "1"), ("depth", "4")])
    };
    let err = log(&app, &workspace, &id, both)
        .await
        .expect_err("it is another");
    assert!(matches!(err, TrackingError::Invalid(_)), "{err}");
    let read = run::get(app.store.read(), &workspace, &id)
        .await
        .expect("reads");
    assert_eq!(read.params, Texts::from([("depth".into(), "3".into())]));
    assert!(read.metrics.iter().all(|point| point.key != "late"));
}

#[tokio::test]
async fn batches_that_come_together_are_each_kept_or_refused_by_themselves() {
    let (_dir, app, workspace) = begun().await;
    let mut ids = Vec::new();
    for start in 0..4 {
        ids.push(new_run(&app, &workspace, 0, start).await.info.run_id);
    }
    let (app, workspace) = (&app, &workspace);
    let all = (0..80_i64).map(|i| {
        let id = ids[i as usize % 4].clone();
        async move {
            // Every tenth names a run that is not there, or says another value of a param.
            match i % 10 {
                3 => log(app, workspace, "nobody", metrics(vec![point("x", i, 1.0)])).await,
                7 => {
                    let batch = Batch {
                        metrics: vec![point("refused", i, 1.0)],
                        ..params(&[("same", if i < 40 { "a" } else { "b" })])
                    };
                    log(app, workspace, &id, batch).await
                }
                _ => log(app, workspace, &id, metrics(vec![point("x", i, 1.0)])).await,
            }
        }
    });
    log(app, workspace, &ids[3], params(&[("same", "c")]))
        .await
        .expect("logs");
    log(app, workspace, &ids[1], params(&[("same", "c")]))
        .await
        .expect("logs");
    let done = futures::future::join_all(all).await;
    let refused = done.iter().filter(|result| result.is_err()).count();
    assert_eq!(refused, 16, "{done:?}");
    let mut kept = 0;
    for id in &ids {
        let window = Window::new(None, 1_000, 1_000, "").expect("a window");
        let points = history::history(&app.store, workspace, id, "x", window)
            .await
            .expect("reads");
        kept += points.items.len();
        let read = run::get(app.store.read(), workspace, id)
            .await
            .expect("reads");
        assert!(
            read.metrics.iter().all(|point| point.key != "refused"),
            "{read:?}"
        );
    }
    assert_eq!(kept, 64);
}

#[tokio::test]
async fn a_deleted_experiment_takes_its_runs_with_it_and_brings_those_back() {
    let (_dir, app, workspace) = begun().await;
    let id = experiment::create(&app, &by(), &workspace, "digits", "", &Texts::new())
        .await
        .expect("makes");
    let kept = new_run(&app, &workspace, id, 1).await.info.run_id;
    let gone = new_run(&app, &workspace, id, 2).await.info.run_id;
    run::delete(&app, &by(), &workspace, &gone)
        .await
        .expect("deletes");
    experiment::delete(&app, &by(), &workspace, id)
        .await
        .expect("deletes");
    let stage = async |id: &str| {
        run::info(app.store.read(), &workspace, id)
            .await
            .expect("reads")
            .stage
    };
    assert_eq!(stage(&kept).await, Stage::Deleted);
    let taken = experiment::create(&app, &by(), &workspace, "digits", "", &Texts::new()).await;
    assert!(matches!(taken, Err(TrackingError::Exists(_))), "{taken:?}");
    let refused = log(&app, &workspace, &kept, params(&[("a", "b")])).await;
    assert!(matches!(refused, Err(TrackingError::Invalid(_))));
    experiment::restore(&app, &by(), &workspace, id)
        .await
        .expect("restores");
    assert_eq!(stage(&kept).await, Stage::Active);
    assert_eq!(stage(&gone).await, Stage::Deleted);
    // Numbers are not given again, and the first experiment stays.
    let next = experiment::create(&app, &by(), &workspace, "other", "", &Texts::new()).await;
    assert_eq!(next.expect("makes"), id + 1);
    assert!(
        experiment::delete(&app, &by(), &workspace, 0)
            .await
            .is_err()
    );
}

async fn put(
    app: &App,
    workspace: &WorkspaceId,
    path: &str,
    bytes: &[u8],
) -> Result<(), TrackingError> {
    let pieces: Vec<Result<Bytes, Infallible>> = bytes
        .chunks(1 << 16)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    artifact::put(app, workspace, path, stream::iter(pieces))
        .await
        .map(drop)
}

#[tokio::test]
async fn files_lie_where_they_were_put_in_their_own_workspace() {
    let (_dir, mut app, workspace) = begun().await;
    // Larger than what is kept in memory until its digest is known.
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    put(&app, &workspace, "0/r/artifacts/model/weights.bin", &large)
        .await
        .expect("stores");
    put(&app, &workspace, "0/r/artifacts/model/empty", b"")
        .await
        .expect("stores");
    put(&app, &workspace, "0/r/artifacts/readme", b"one")
        .await
        .expect("stores");
    put(&app, &workspace, "0/r/artifacts/readme", b"two")
        .await
        .expect("stores");
    let file = artifact::file(
        app.store.read(),
        &workspace,
        "0/r/artifacts/model/weights.bin",
    )
    .await
    .expect("it is there");
    assert_eq!(
        app.blobs
            .read_all(file.digest, 1 << 30)
            .await
            .expect("reads"),
        large
    );
    let listed = async |dir: &str| -> Vec<(String, Option<u64>)> {
        let entries = artifact::list(app.store.read(), &workspace, dir)
            .await
            .expect("lists");
        entries
            .into_iter()
            .map(|entry| (entry.path, entry.file.map(|file| file.len)))
            .collect()
    };
    assert_eq!(
        listed("0/r/artifacts").await,
        [
            ("0/r/artifacts/model".into(), None),
            ("0/r/artifacts/readme".into(), Some(3))
        ]
    );
    assert_eq!(listed("").await, [("0".into(), None)]);
    assert_eq!(listed("0/r/artifacts/readme").await, []);
    for (path, why) in [
        ("0/r/artifacts/model", "a directory"),
        ("0/r/artifacts/readme/below", "a file above"),
        ("../secret", "upwards"),
    ] {
        let refused = put(&app, &workspace, path, b"x").await;
        assert!(
            matches!(refused, Err(TrackingError::Invalid(_))),
            "{why}: {refused:?}"
        );
    }
    let other = artifact::file(app.store.read(), &name("other"), "0/r/artifacts/readme").await;
    assert!(matches!(other, Err(TrackingError::NotFound(_))));

    // What rows name is no garbage, whatever its age.
    let old = std::time::SystemTime::now() + std::time::Duration::from_hours(1);
    let gone = crate::garbage::collect(&app.store, &app.blobs, old, crate::garbage::Mode::Remove)
        .await
        .expect("collects");
    assert_eq!(
        gone.len(),
        2,
        "the bytes that were replaced, and those that were refused: {gone:?}"
    );
    artifact::delete(&app, &by(), &workspace, "0/r")
        .await
        .expect("deletes");
    assert_eq!(listed("0").await, []);
    let gone = crate::garbage::collect(&app.store, &app.blobs, old, crate::garbage::Mode::Remove)
        .await
        .expect("collects");
    assert_eq!(gone.len(), 3, "{gone:?}");

    app.tracking = Desk::new(1_000);
    put(&app, &workspace, "a", &[0; 600])
        .await
        .expect("there is room");
    let refused = put(&app, &workspace, "b", &[0; 600])
        .await
        .expect_err("there is none");
    assert!(
        refused.to_string().contains("--artifact-quota"),
        "{refused}"
    );
    put(&app, &workspace, "a", &[1; 900])
        .await
        .expect("in place of the other");
}

/// What artifacts of a workspace take: by the row that is kept, and by adding up theirs.
async fn taken_and_added_up(app: &App, workspace: &WorkspaceId) -> (taken::Taken, taken::Taken) {
    let db = app.store.read();
    let kept = taken::read(db, workspace).await.expect("reads");
    let sql = "SELECT bytes FROM tracking_artifact WHERE workspace = $1";
    let rows = SQL.rows(db, sql, [workspace.as_str().into()]).await;
    let rows = rows.expect("reads");
    let bytes = rows.iter().map(|row| SQL.at::<i64>(row, 0).expect("bytes"));
    let added_up = taken::Taken {
        bytes: bytes.sum(),
        entries: rows.len() as i64,
    };
    (kept, added_up)
}

#[tokio::test]
async fn what_artifacts_take_is_what_their_rows_add_up_to() {
    let (_dir, mut app, workspace) = begun().await;
    let (mine, other) = (workspace, name("other"));
    app.tracking = Desk::new(1_000);
    let is = async |app: &App, bytes: i64, entries: i64| {
        let expected = taken::Taken { bytes, entries };
        assert_eq!(
            taken_and_added_up(app, &mine).await,
            (expected, expected),
            "after {bytes} bytes in {entries}"
        );
    };
    is(&app, 0, 0).await;
    for (path, len, bytes, entries) in [
        // With three directories, then one more, then none.
        ("0/r/model/weights.bin", 300, 300, 4),
        ("0/r/notes/a.txt", 10, 310, 6),
        ("0/r/notes/empty", 0, 310, 7),
        // In place of what was there: more, less, the same again.
        ("0/r/notes/a.txt", 40, 340, 7),
        ("0/r/model/weights.bin", 100, 140, 7),
        ("0/r/model/weights.bin", 100, 140, 7),
        ("readme", 60, 200, 8),
    ] {
        put(&app, &mine, path, &vec![7; len]).await.expect(path);
        is(&app, bytes, entries).await;
    }
    // What is refused changes nothing: a directory, a file above, no room.
    for (path, len) in [
        ("0/r/model", 1),
        ("new/readme", 5_000),
        ("readme/below/deeper", 1),
        ("readme", 900),
    ] {
        put(&app, &mine, path, &vec![7; len]).await.expect_err(path);
        is(&app, 200, 8).await;
    }
    // Nor does what others have.
    put(&app, &other, "0/r/notes/a.txt", &[7; 500])
        .await
        .expect("stores");
    is(&app, 200, 8).await;

    // Rows from before there was a total: it is made of them, also where the step was cut off and is done again.
    let step = schema::Taken;
    for _ in 0..2 {
        let manager = SchemaManager::new(app.store.write());
        let spoilt = "UPDATE tracking_taken SET bytes = 1, entries = 1";
        SQL.exec(app.store.write(), spoilt, [])
            .await
            .expect("spoils");
        step.up(&manager).await.expect("makes it");
        is(&app, 200, 8).await;
    }

    for (path, bytes, entries) in [
        ("0/r/notes/a.txt", 160, 7),
        ("0/r/model", 60, 5),
        ("0", 60, 1),
        ("readme", 0, 0),
    ] {
        artifact::delete(&app, &by(), &mine, path)
            .await
            .expect(path);
        is(&app, bytes, entries).await;
    }
    artifact::delete(&app, &by(), &mine, "readme")
        .await
        .expect_err("it is gone");
    is(&app, 0, 0).await;
    let (kept, added_up) = taken_and_added_up(&app, &other).await;
    assert_eq!((kept, kept.bytes), (added_up, 500));
    // And what was freed can be taken again.
    put(&app, &mine, "all", &[7; 990])
        .await
        .expect("there is room again");
}

#[tokio::test]
async fn data_sets_and_models_of_a_run_come_back_with_it() {
    let (_dir, app, workspace) = begun().await;
    let id = new_run(&app, &workspace, 0, 1).await.info.run_id;
    let set = Dataset {
        name: "digits".into(),
        digest: "abc".into(),
        source_type: "local".into(),
        source: "{}".into(),
        tags: Texts::from([("mlflow.data.context".into(), "train".into())]),
        ..Dataset::default()
    };
    let model = logged_with(&app, &workspace, &id, &[]).await;
    for _ in 0..2 {
        let sets = [set.clone(), set.clone()];
        input::log_inputs(&app, &workspace, &id, &sets, &[])
            .await
            .expect("logs");
        input::log_outputs(&app, &workspace, &id, &[(model.clone(), 3)])
            .await
            .expect("logs");
    }
    let read = run::get(app.store.read(), &workspace, &id)
        .await
        .expect("reads");
    assert_eq!(read.inputs.datasets, [set]);
    assert_eq!(read.inputs.outputs, [(model, 3)]);
    assert_eq!(
        found(
            &app,
            &workspace,
            "dataset.name = 'digits' and datasets.context = 'train'",
            ""
        )
        .await,
        [id]
    );
    let missing = input::log_outputs(&app, &workspace, "nobody", &[]).await;
    assert!(matches!(missing, Err(TrackingError::NotFound(_))));
}
