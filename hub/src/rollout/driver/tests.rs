use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::{
    id::{ModelVersion, Revision},
    rest::{Abort, Moved, NewRollout, RolloutState, Selector, Widen},
};

use super::*;
use crate::{
    access::audit::Actor,
    app::fresh,
    fleet::facts,
    registry::{self, fixture::package},
    rollout::{abort, list, pause, resume, start, widen},
};

pub(in crate::rollout) fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

/// An app with so many devices that have the slot, and two published versions.
pub(in crate::rollout) async fn fleet_of(devices: usize) -> (tempfile::TempDir, App) {
    let (dir, app) = fresh().await;
    for sql in [
        "INSERT INTO device (workspace, id, site, labels, online, boot, health, health_reason, \
         first_seen, last_seen, reported_revision, desired_revision, inferences, windows) \
         SELECT 'default', 'd' || substr(CAST(1000000 + n AS TEXT), 2), 'north', '{\"lens\":\"glass\"}', TRUE, 1, \
         'healthy', '', 1, 1, 0, 0, 0, 0 FROM numbers",
        "INSERT INTO slot (workspace, device, slot) \
         SELECT 'default', 'd' || substr(CAST(1000000 + n AS TEXT), 2), 'reader' FROM numbers",
    ] {
        let numbers = format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers \
             WHERE n + 1 < {devices}) {sql}"
        );
        let insert = Statement::from_string(app.store.backend(), numbers);
        app.store
            .write()
            .execute_raw(insert)
            .await
            .expect("inserts");
    }
    for scale in [1.0, 2.0] {
        let new = package(scale).upload(&app.blobs).await;
        let model = "digits".parse().expect("a name");
        registry::publish(&app, &Actor::machine(), &workspace(), &model, new)
            .await
            .expect("passes vetting");
    }
    (dir, app)
}

pub(in crate::rollout) fn to(version: u32, percent: u8) -> NewRollout {
    NewRollout {
        slot: "reader".parse().expect("a name"),
        model: "digits".parse().expect("a name"),
        version: ModelVersion::new(version).expect("over 0"),
        selector: Selector::default(),
        percent,
    }
}

/// Passes until nothing is left to do; gives what was told.
pub(in crate::rollout) async fn settle(app: &App) -> Vec<Tell> {
    let (tell, mut told) = mpsc::channel(1_000_000);
    // Tests change rows without a word to anybody.
    let mut kept = Kept::new(Duration::ZERO);
    for _ in 0..10 {
        if pass(app, &mut kept, &tell).await.expect("passes") == Did::Nothing {
            drop(tell);
            let mut all = Vec::new();
            while let Some(tell) = told.recv().await {
                all.push(tell);
            }
            return all;
        }
    }
    panic!("it never settles");
}

/// Devices by the version that is wanted on them.
pub(in crate::rollout) async fn wanted(app: &App, version: u32) -> usize {
    let slot = "reader".parse().expect("a name");
    let facts = facts::facts(app.store.read(), &workspace(), &slot)
        .await
        .expect("reads");
    let assigned = facts.iter().filter_map(|facts| facts.assigned.as_ref());
    assigned
        .filter(|assigned| assigned.target.version.get() == version)
        .count()
}

#[tokio::test]
async fn a_fleet_of_many_chunks_is_moved_once_and_given_back() {
    const DEVICES: usize = 2 * CHUNK + 200;
    let (_dir, app) = fleet_of(DEVICES).await;
    let first = start(&app, &Actor::machine(), &workspace(), to(1, 100))
        .await
        .expect("starts");
    assert_eq!(first.counts.selected, DEVICES as u64);
    let told = settle(&app).await;
    assert_eq!((told.len(), wanted(&app, 1).await), (DEVICES, DEVICES));
    assert!(told.iter().all(|tell| tell.desired.revision == Revision(1)));
    assert_eq!(settle(&app).await, vec![], "what is done is not done again");

    let second = start(&app, &Actor::machine(), &workspace(), to(2, 10))
        .await
        .expect("starts");
    settle(&app).await;
    assert_eq!(
        (wanted(&app, 1).await, wanted(&app, 2).await),
        (DEVICES - 120, 120)
    );

    // Paused: a wider share waits for the resumption.
    pause(&app, &Actor::machine(), &workspace(), second.id)
        .await
        .expect("pauses");
    widen(
        &app,
        &Actor::machine(),
        &workspace(),
        second.id,
        Widen { percent: 50 },
    )
    .await
    .expect("widens");
    assert_eq!(settle(&app).await, vec![]);
    resume(&app, &Actor::machine(), &workspace(), second.id)
        .await
        .expect("resumes");
    settle(&app).await;
    assert_eq!(wanted(&app, 2).await, DEVICES / 2);

    let back = Abort { moved: Moved::Back };
    abort(&app, &Actor::machine(), &workspace(), second.id, back)
        .await
        .expect("aborts");
    let told = settle(&app).await;
    assert_eq!((told.len(), wanted(&app, 1).await), (DEVICES / 2, DEVICES));
    assert!(told.iter().all(|tell| tell.desired.revision == Revision(3)));
    let states: Vec<_> = list(&app.store, &workspace(), 10).await.expect("reads");
    let states: Vec<_> = states.iter().map(|view| view.state).collect();
    assert_eq!(states, [RolloutState::Aborted, RolloutState::Running]);
}

#[tokio::test]
async fn a_newer_rollout_of_all_supersedes_the_older() {
    let (_dir, app) = fleet_of(30).await;
    let first = start(&app, &Actor::machine(), &workspace(), to(1, 100))
        .await
        .expect("starts");
    settle(&app).await;
    start(&app, &Actor::machine(), &workspace(), to(2, 100))
        .await
        .expect("starts");
    settle(&app).await;
    assert_eq!(wanted(&app, 2).await, 30);
    let views = list(&app.store, &workspace(), 10).await.expect("reads");
    let older = views
        .iter()
        .find(|view| view.id == first.id)
        .expect("it was started");
    assert_eq!(older.state, RolloutState::Superseded);
}
