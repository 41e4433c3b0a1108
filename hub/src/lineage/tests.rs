//! The chain from a prediction to what it was made by, and on to where that went, over a real database.

use tern_protocol::rest::{LineageEdge, LineageOf, LineageView, LineageWay};

use super::{LineageError, lineage};
use crate::{
    access::audit::Actor,
    monitor::fixture::{Device, World, name},
    registry::{self, fixture::package},
    store::raw,
};

/// What other domains would have stored of a version that was trained from the field.
const ROWS: [&str; 17] = [
    "INSERT INTO dataset (id, workspace, name, number, state, actor, at, asked) \
     VALUES (7, 'default', 'digits', 1, 1, 'user ben', 10, '{}')",
    "INSERT INTO dataset (id, workspace, name, number, state, actor, at, asked, base) \
     VALUES (8, 'default', 'digits', 2, 1, 'hub', 20, '{}', 7)",
    "INSERT INTO dataset_capture (dataset, workspace, device, boot, number) VALUES (8, 'default', 'meter-01', 1, 1)",
    "INSERT INTO verdict (workspace, model, device, boot, number, labeller, decides, truth, at) \
     VALUES ('default', 'digits', 'meter-01', 1, 1, 'anna', 1, 0, 15)",
    "INSERT INTO version_dataset (workspace, model, version, dataset) VALUES ('default', 'digits', 2, 8)",
    "INSERT INTO job (id, workspace, name, person, actor, state, created, cancelled, compute, priority, cpu_millis, \
     memory, gpus, retry_most, retry_wait, core_millis, asked, spec, project, mark) VALUES (5, 'default', 'train', 'hub', \
     'hub', 'succeeded', 30, FALSE, 'local', 4, 1000, 0, 0, 0, 0, 61000, \
     '{\"dataset\":\"digits@2\",\"project\":{\"archive\":\"ab12\"}}', '{}', '', 'm')",
    "INSERT INTO tracking_run (id, run_id, workspace, experiment, name, user_id, status, start_time, stage, \
     deleted_with, artifact_uri) VALUES (3, 'abcd', 'default', 0, 'brisk-tern', 'anna', 'FINISHED', 31, 'active', FALSE, '')",
    "INSERT INTO tracking_tag (run, key, value) VALUES (3, 'tern.code', 'sha256:ab12')",
    "INSERT INTO tracking_tag (run, key, value) VALUES (3, 'tern.dataset', '8')",
    "INSERT INTO job_attempt (job, number, compute, given, phase, taken, gpus, core_millis, peak_memory, log, log_bytes, \
     log_head, left_out, trouble, run, experiment, run_open) VALUES (5, 1, 'local', 30, 'over', TRUE, '', 61000, 0, '', \
     0, 0, FALSE, '', 'abcd', 0, FALSE)",
    "INSERT INTO retrain_work (workspace, model, round, step, attempt, at, state, settled, number, reason, again) \
     VALUES ('default', 'digits', 1, 'build', 1, 19, 'done', TRUE, 8, '', FALSE)",
    "INSERT INTO retrain_work (workspace, model, round, step, attempt, at, state, settled, number, reason, again) \
     VALUES ('default', 'digits', 1, 'train', 1, 29, 'done', TRUE, 5, '', FALSE)",
    "INSERT INTO retrain_work (workspace, model, round, step, attempt, at, state, settled, number, reason, again) \
     VALUES ('default', 'digits', 1, 'register', 1, 40, 'done', TRUE, 2, '', FALSE)",
    "INSERT INTO retrain_word (workspace, model, round, step, attempt, person, at, say, note) \
     VALUES ('default', 'digits', 1, 'propose', 1, 'cem', 18, 'agree', '')",
    "INSERT INTO rollout_device (workspace, rollout, device) VALUES ('default', 9, 'meter-01')",
    "INSERT INTO account (name, hub_admin, enabled, login, factor_step, created_at) VALUES ('anna', FALSE, TRUE, 'password', 0, 1)",
    "INSERT INTO membership (\"user\", workspace, role) VALUES ('anna', 'default', 'viewer')",
];

const ROLLOUT: &str = "INSERT INTO rollout (workspace, id, slot, model, version, bundle, bundle_len, weights, selector, \
    percent, state, reason, counts, created, updated) VALUES ('default', 9, 'main', 'digits', 2, $1, 1, $1, '{}', 100, \
    'done', '', '{}', 50, 50)";

/// Two versions of `digits`, the second trained on what the first saw.
async fn world() -> World {
    let world = World::new().await;
    let app = &world.app;
    for weight in [1.0, 2.0] {
        let new = package(weight).upload(&app.blobs).await;
        let model = name("digits");
        let by = Actor::hub();
        let published = registry::publish(app, &by, &world.workspace, &model, new).await;
        published.expect("it is vetted");
    }
    let mut device = Device::new("meter-01");
    let bodies = vec![device.capture(1, 1, 1.0), device.label(1, 1, 0)];
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    for row in ROWS {
        raw::exec(app.store.write(), "preparing", row, [])
            .await
            .expect(row);
    }
    let bytes = vec![0_u8; 32];
    let rollout = raw::exec(app.store.write(), "preparing", ROLLOUT, [bytes.into()]).await;
    rollout.expect("a rollout");
    world
}

async fn of(world: &World, text: &str, way: LineageWay) -> LineageView {
    let of: LineageOf = text.parse().expect("a name");
    let view = lineage(&world.app.store, &world.workspace, &of, way).await;
    view.expect(text)
}

/// Whether one thing is said to have led to another.
fn led(view: &LineageView, from: &str, to: &str) -> bool {
    let is = |edge: &LineageEdge| edge.from.to_string() == from && edge.to.to_string() == to;
    view.edges.iter().any(is)
}

#[tokio::test]
async fn a_version_knows_run_code_data_captures_labels_and_people_it_comes_from() {
    let world = world().await;
    let view = of(&world, "version:digits/2", LineageWay::Back).await;
    for (from, to) in [
        ("run:abcd", "version:digits/2"),
        ("job:5", "run:abcd"),
        ("code:sha256:ab12", "run:abcd"),
        ("dataset:digits@2", "version:digits/2"),
        ("dataset:digits@2", "job:5"),
        ("dataset:digits@1", "dataset:digits@2"),
        ("captures:digits@2", "dataset:digits@2"),
        ("labels:digits@2", "dataset:digits@2"),
        ("version:digits/1", "captures:digits@2"),
        ("device:meter-01", "captures:digits@2"),
        ("person:anna", "labels:digits@2"),
        ("person:ben", "dataset:digits@1"),
        ("round:digits/1", "version:digits/2"),
        ("round:digits/1", "job:5"),
        ("person:cem", "round:digits/1"),
    ] {
        assert!(led(&view, from, to), "{from} to {to}: {:#?}", view.edges);
    }
    assert!(view.nodes.iter().all(|node| node.step <= 0), "{view:#?}");
    let people = view.nodes.iter().map(|node| node.of.to_string());
    let hub = people.filter(|of| of == "person:hub").count();
    assert_eq!(hub, 0, "{view:#?}");
    assert!(!view.cut);
    let facts = |text: &str| {
        let node = view.nodes.iter().find(|node| node.of.to_string() == text);
        node.expect(text).facts.join("; ")
    };
    assert_eq!(facts("captures:digits@2"), "1 captures of 1 devices");
    assert_eq!(facts("labels:digits@2"), "1 by devices");
    assert!(facts("job:5").contains("61 core-seconds"));
}

#[tokio::test]
async fn a_prediction_leads_back_to_its_version_and_on_to_devices() {
    let world = world().await;
    let view = of(&world, "prediction:meter-01/1-1", LineageWay::Both).await;
    for (from, to) in [
        ("version:digits/1", "prediction:meter-01/1-1"),
        ("device:meter-01", "prediction:meter-01/1-1"),
        ("prediction:meter-01/1-1", "dataset:digits@2"),
        ("dataset:digits@2", "version:digits/2"),
        ("dataset:digits@2", "run:abcd"),
        ("version:digits/2", "rollout:9"),
        ("rollout:9", "device:meter-01"),
    ] {
        assert!(led(&view, from, to), "{from} to {to}: {:#?}", view.edges);
    }
    assert_eq!(view.nodes[0].of.to_string(), "prediction:meter-01/1-1");
}

#[tokio::test]
async fn what_is_not_listed_is_counted_exactly() {
    let world = world().await;
    for number in 2..60 {
        let sql = format!(
            "INSERT INTO rollout_device (workspace, rollout, device) VALUES ('default', 9, 'meter-{number:02}')"
        );
        let done = raw::exec(world.app.store.write(), "preparing", &sql, []).await;
        done.expect("a device");
        let sql = format!(
            "INSERT INTO dataset (id, workspace, name, number, state, actor, at, asked, base) \
             VALUES ({}, 'default', 'others', {number}, 1, 'hub', 20, '{{}}', 8)",
            number + 100
        );
        let done = raw::exec(world.app.store.write(), "preparing", &sql, []).await;
        done.expect("a dataset");
    }
    for (text, listed, more) in [("rollout:9", 5, 54), ("dataset:digits@2", 20, 40)] {
        let view = of(&world, text, LineageWay::Forward).await;
        let beside = view
            .edges
            .iter()
            .filter(|edge| edge.from.to_string() == text);
        let known = (beside.count(), view.nodes[0].more);
        assert_eq!(known, (listed, more), "{text}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_so_and_nothing_of_another_workspace_is_told() {
    let world = world().await;
    let (store, mine) = (&world.app.store, &world.workspace);
    for text in [
        "version:digits/9",
        "dataset:digits@3",
        "run:ffff",
        "job:6",
        "rollout:1",
        "round:digits/2",
        "device:meter-02",
        "prediction:meter-01/1-2",
        "code:sha256:ff",
        "person:nobody",
        "captures:other@1",
    ] {
        let of: LineageOf = text.parse().expect("a name");
        let err = lineage(store, mine, &of, LineageWay::Both)
            .await
            .expect_err(text);
        assert!(matches!(err, LineageError::NotFound(..)), "{text}: {err}");
        let told = err.to_string();
        assert!(told.contains(text), "{told}");
        assert_eq!(
            told.contains("version:MODEL/N"),
            text.starts_with("prediction"),
            "{told}"
        );
    }
    assert_eq!(
        of(&world, "person:anna", LineageWay::Both)
            .await
            .nodes
            .len(),
        1
    );
    let other = name("other");
    for text in [
        "person:anna",
        "version:digits/2",
        "dataset:digits@2",
        "run:abcd",
        "job:5",
        "rollout:9",
        "code:sha256:ab12",
    ] {
        let of: LineageOf = text.parse().expect("a name");
        let err = lineage(store, &other, &of, LineageWay::Both).await;
        assert!(matches!(err, Err(LineageError::NotFound(..))), "{text}");
    }
}
