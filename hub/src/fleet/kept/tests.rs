use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::rest::Change;

use super::*;
use crate::app::fresh;

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn reader() -> SlotName {
    "reader".parse().expect("a name")
}

async fn sql(app: &App, sql: &str) {
    let statement = Statement::from_string(app.store.backend(), sql);
    let done = app.store.write().execute_raw(statement).await;
    done.expect("valid SQL");
}

async fn device(app: &App, id: &str) {
    let columns = "site, labels, online, boot, health, health_reason, first_seen, last_seen, \
         reported_revision, desired_revision, inferences, windows";
    let values = "'north', '{}', TRUE, 1, 'healthy', '', 1, 1, 0, 0, 0, 0";
    let device = format!(
        "INSERT INTO device (workspace, id, {columns}) VALUES ('default', '{id}', {values})"
    );
    sql(app, &device).await;
    sql(
        app,
        &format!("INSERT INTO slot (workspace, device, slot) VALUES ('default', '{id}', 'reader')"),
    )
    .await;
}

fn announce(app: &App, id: &str) {
    let device = id.parse().expect("a name");
    app.changes.send(&workspace(), Change::Device { device });
}

/// Devices as they are known, with whether they are connected.
async fn known(app: &App, kept: &mut Kept) -> Vec<(String, bool)> {
    let refreshed = kept.refresh(app, &workspace(), [reader()].iter()).await;
    refreshed.expect("reads");
    let facts = kept.facts(&workspace(), &reader());
    let known = facts
        .iter()
        .map(|facts| (facts.device.to_string(), facts.online));
    known.collect()
}

fn all(devices: &[(&str, bool)]) -> Vec<(String, bool)> {
    devices
        .iter()
        .map(|(id, online)| ((*id).to_owned(), *online))
        .collect()
}

#[tokio::test]
async fn what_was_announced_is_read_and_nothing_else() {
    let (_dir, app) = fresh().await;
    for id in ["a", "b", "d"] {
        device(&app, id).await;
    }
    let mut kept = Kept::new(Duration::from_hours(1));
    let before = all(&[("a", true), ("b", true), ("d", true)]);
    assert_eq!(known(&app, &mut kept).await, before);

    sql(
        &app,
        "UPDATE device SET online = FALSE WHERE id IN ('a', 'b')",
    )
    .await;
    announce(&app, "b");
    let after = all(&[("a", true), ("b", false), ("d", true)]);
    assert_eq!(known(&app, &mut kept).await, after);

    // One that is new, one that has the slot no more, one that never had it.
    device(&app, "c").await;
    sql(&app, "DELETE FROM slot WHERE device = 'd'").await;
    for id in ["c", "d", "nobody"] {
        announce(&app, id);
    }
    let after = all(&[("a", true), ("b", false), ("c", true)]);
    assert_eq!(known(&app, &mut kept).await, after);
}

#[tokio::test]
async fn all_are_read_in_time_and_what_nobody_announced_is_noticed() {
    let (_dir, app) = fresh().await;
    device(&app, "a").await;
    device(&app, "b").await;
    let mut kept = Kept::new(Duration::ZERO);
    known(&app, &mut kept).await;
    sql(&app, "UPDATE device SET online = FALSE").await;
    sql(&app, "UPDATE device SET last_seen = 9").await;
    announce(&app, "b");
    let now = all(&[("a", false), ("b", false)]);
    assert_eq!(known(&app, &mut kept).await, now);
    let slot = &kept.workspaces[&workspace()][&reader()];
    assert_eq!(slot.unannounced, ["a".parse().expect("a name")]);
}

#[tokio::test]
async fn too_many_to_count_are_all_and_slots_without_a_rollout_are_forgotten() {
    let (_dir, app) = fresh().await;
    device(&app, "a").await;
    let mut kept = Kept::new(Duration::from_hours(1));
    known(&app, &mut kept).await;
    sql(&app, "UPDATE device SET online = FALSE").await;
    for n in 0..=10_000 {
        announce(&app, &format!("other-{n}"));
    }
    assert_eq!(known(&app, &mut kept).await, all(&[("a", false)]));

    let refreshed = kept.refresh(&app, &workspace(), [].iter()).await;
    refreshed.expect("reads nothing");
    assert!(kept.workspaces.is_empty());
    assert_eq!(app.changes.take_touched(&workspace()), Touched::default());
}
