//! Rollouts that decide by evidence over a real store, with a fleet that does what a test says.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::rest::{Abort, Change, Deed, Moved, Part, Plan, RolloutState, RolloutView};

use crate::{
    access::audit::Actor,
    app::App,
    fleet::kept::Kept,
    rollout::{
        self,
        driver::{
            Did, pass,
            tests::{fleet_of, settle, to, wanted, workspace},
        },
        freeze, planned, start,
    },
};

const PLAN: &str = r#"{"slot":"reader","model":"digits","version":2,"control":"20%",
    "stages":[{"to":"25%","soak":"5m","cap":"4h"},{"to":"100%","soak":"5m","cap":"4h"}],
    "gates":[{"serve-failure":{"limit":"10%"}},{"errors":{"margin":"2%"}},
             {"silence":{"after":"5m","margin":"10%"}},{"restarts":{"after":"5m","margin":"10%"}}]}"#;

/// A fleet on version 1 with a hub that may be killed between any two looks.
struct Field {
    _dir: tempfile::TempDir,
    app: App,
    id: tern_protocol::id::RolloutId,
    windows: i64,
}

fn plan(json: &str) -> Plan {
    serde_json::from_str(json).expect("a plan")
}

impl Field {
    async fn of(devices: usize, json: &str) -> Self {
        let (dir, app) = fleet_of(devices).await;
        start(&app, &Actor::machine(), &workspace(), to(1, 100))
            .await
            .expect("starts");
        settle(&app).await;
        let mut field = Self {
            _dir: dir,
            app,
            id: tern_protocol::id::RolloutId(0),
            windows: 0,
        };
        field.answer(1, "").await;
        settle(&field.app).await;
        let view = planned::start(&field.app, &Actor::machine(), &workspace(), &plan(json)).await;
        field.id = view.expect("starts").id;
        // Nobody computes deltas here; devices wait a minute for them.
        field.minutes(2).await;
        field
    }

    async fn sql(&self, sql: &str) {
        let statement = Statement::from_string(self.app.store.backend(), sql);
        self.app
            .store
            .write()
            .execute_raw(statement)
            .await
            .expect(sql);
    }

    /// Every device to which a version was assigned serves it, but for those of which `but` holds.
    async fn answer(&self, version: u32, but: &str) {
        let but = if but.is_empty() {
            String::new()
        } else {
            format!(" AND NOT ({but})")
        };
        self.sql(&format!(
            "UPDATE slot SET serving_bundle = assigned_bundle, serving_weights = assigned_weights, \
             serving_confirmed = TRUE WHERE assigned_version = {version}{but}"
        ))
        .await;
        self.sql("UPDATE device SET reported_revision = desired_revision, online = TRUE, last_seen = 9e15")
            .await;
    }

    /// Devices refuse what was assigned.
    async fn refuse(&self, which: &str) {
        self.sql(&format!(
            "UPDATE slot SET rejected_bundle = assigned_bundle, rejected_text = 'golden-mismatch: 0.3' \
             WHERE assigned_version = 2 AND {which}"
        ))
        .await;
    }

    /// Every device closes a window: one error in so many requests, by version.
    async fn window(&mut self, errors_1: i64, errors_2: i64) {
        self.windows += 1;
        let now = self.app.clock.now().0;
        for (version, errors) in [(1, errors_1), (2, errors_2)] {
            self.sql(&format!(
                "INSERT INTO telemetry_window (workspace, device, outbox, sequence, slot, model, version, \
                 site, opened, closed, inferences, errors, body) \
                 SELECT 'default', s.device, 1, {}, 'reader', 'digits', {version}, 'north', {}, {now}, \
                 {}, {errors}, substr(s.serving_weights, 1, 0) FROM slot s WHERE s.serving_weights = (SELECT v.assigned_weights FROM slot v \
                 WHERE v.assigned_version = {version} LIMIT 1)",
                self.windows,
                now - 1,
                1_000 - errors,
            ))
            .await;
        }
    }

    async fn minutes(&self, minutes: u64) {
        self.app.clock.advance(Duration::from_secs(60 * minutes));
        settle(&self.app).await;
    }

    /// As after a kill: what was in memory is gone.
    async fn forget(&self) {
        self.app.engines.lock().await.clear();
    }

    async fn view(&self) -> RolloutView {
        let view = rollout::show(&self.app, &workspace(), self.id).await;
        view.expect("reads").expect("it is there")
    }

    async fn deeds(&self) -> Vec<Deed> {
        let evidence = self.view().await.evidence.expect("it has a plan");
        evidence.decisions.iter().map(|one| one.what).collect()
    }

    async fn replays(&self) {
        let replay = planned::replayed(&self.app, &workspace(), self.id).await;
        let replay = replay.expect("replays");
        assert!(replay.same, "{:#?}", replay.difference);
    }
}

#[tokio::test]
async fn a_good_version_advances_to_all_also_if_the_hub_is_killed_at_each_look() {
    let mut field = Field::of(100, PLAN).await;
    let view = field.view().await;
    assert_eq!((view.counts.selected, view.counts.targeted), (100, 20));
    let control = view
        .devices
        .iter()
        .filter(|one| one.part == Some(Part::Control));
    assert_eq!(control.count(), 20);
    for _ in 0..60 {
        if field.view().await.state == RolloutState::Complete {
            break;
        }
        field.forget().await;
        field.answer(2, "").await;
        settle(&field.app).await;
        field.minutes(1).await;
        field.window(3, 3).await;
        field.forget().await;
        field.minutes(6).await;
        if !field.deeds().await.contains(&Deed::Release) {
            let control = field.view().await.devices;
            let control = control.iter().filter(|one| one.part == Some(Part::Control));
            assert!(
                control.into_iter().all(|one| one.before.is_none()),
                "control is left alone"
            );
        }
    }
    assert_eq!(
        field.deeds().await,
        [Deed::Start, Deed::Advance, Deed::Release, Deed::Complete],
        "{:#?}",
        field.view().await
    );
    assert_eq!(wanted(&field.app, 2).await, 100);
    field.replays().await;
}

#[tokio::test]
async fn errors_stop_it_and_devices_go_back_and_all_can_be_explained() {
    let mut field = Field::of(100, PLAN).await;
    field.answer(2, "").await;
    settle(&field.app).await;
    for _ in 0..4 {
        field.minutes(1).await;
        field.window(3, 300).await;
        settle(&field.app).await;
        field.forget().await;
    }
    let view = field.view().await;
    assert_eq!(
        (view.state, wanted(&field.app, 2).await),
        (RolloutState::Stopped, 0),
        "{view:#?}"
    );
    assert!(
        view.reason
            .contains("errors: fail: requests that failed 30 %"),
        "{}",
        view.reason
    );
    let evidence = view.evidence.expect("it has a plan");
    let stop = evidence.decisions.last().expect("it decided");
    assert_eq!(stop.devices.admitted, 20);
    let errors = stop
        .gates
        .iter()
        .find(|gate| gate.gate == "errors")
        .expect("a gate");
    assert!(
        errors.between.expect("an interval").low > 0.02,
        "{errors:?}"
    );
    assert!(!evidence.looks.is_empty());
    settle(&field.app).await;
    field.replays().await;
}

#[tokio::test]
async fn devices_that_refuse_it_stop_it_and_keep_what_they_had() {
    let field = Field::of(100, PLAN).await;
    field.refuse("device LIKE '%'").await;
    field.answer(9, "").await;
    settle(&field.app).await;
    field.minutes(1).await;
    let view = field.view().await;
    assert_eq!(view.state, RolloutState::Stopped, "{view:#?}");
    assert!(view.reason.contains("serve-failure"), "{}", view.reason);
    assert_eq!(
        (wanted(&field.app, 1).await, wanted(&field.app, 2).await),
        (100, 0)
    );
    field.replays().await;
}

#[tokio::test]
async fn silence_and_restarts_after_the_update_stop_it() {
    for (what, says) in [
        ("UPDATE device SET online = FALSE, last_seen = 0", "silence"),
        ("UPDATE device SET boot = boot + 1", "restarts"),
    ] {
        let field = Field::of(100, PLAN).await;
        field.answer(2, "").await;
        settle(&field.app).await;
        settle(&field.app).await;
        field
            .sql(&format!(
                "{what} WHERE id IN (SELECT device FROM slot WHERE assigned_version = 2)"
            ))
            .await;
        for _ in 0..3 {
            field.minutes(10).await;
        }
        let view = field.view().await;
        assert_eq!(view.state, RolloutState::Stopped, "{what}: {view:#?}");
        assert!(view.reason.contains(says), "{}", view.reason);
        field.replays().await;
    }
}

#[tokio::test]
async fn a_freeze_moves_nobody_and_harm_still_ends_it() {
    let mut field = Field::of(100, PLAN).await;
    field.answer(2, "").await;
    settle(&field.app).await;
    let by = Actor::machine();
    let frozen = freeze::freeze(&field.app, &by, &workspace(), "a storm").await;
    assert_eq!(frozen.expect("freezes").reason, "a storm");
    for _ in 0..4 {
        field.minutes(1).await;
        field.window(3, 300).await;
        settle(&field.app).await;
    }
    let view = field.view().await;
    assert_eq!(view.state, RolloutState::Stopped);
    assert_eq!(
        wanted(&field.app, 2).await,
        20,
        "nothing is moved, not even back"
    );
    assert!(
        freeze::thaw(&field.app, &by, &workspace())
            .await
            .expect("thaws")
    );
    settle(&field.app).await;
    assert_eq!(wanted(&field.app, 2).await, 0);
}

#[tokio::test]
async fn a_person_approves_pauses_and_aborts() {
    let mut asks = plan(PLAN);
    asks.stages[0].approval = true;
    asks.stages[0].soak = "0s".parse().expect("a span");
    asks.gates.truncate(2);
    let json = serde_json::to_string(&asks).expect("it is JSON");
    let mut field = Field::of(100, &json).await;
    let by = Actor::machine();
    field.answer(2, "").await;
    settle(&field.app).await;
    field.minutes(1).await;
    field.window(3, 3).await;
    settle(&field.app).await;
    field.minutes(1).await;
    let view = field.view().await;
    assert_eq!(view.state, RolloutState::Waiting, "{view:#?}");
    rollout::pause(&field.app, &by, &workspace(), field.id)
        .await
        .expect("pauses");
    settle(&field.app).await;
    assert_eq!(field.view().await.state, RolloutState::Paused);
    rollout::resume(&field.app, &by, &workspace(), field.id)
        .await
        .expect("resumes");
    planned::approve(&field.app, &by, &workspace(), field.id)
        .await
        .expect("approves");
    settle(&field.app).await;
    assert_eq!(wanted(&field.app, 2).await, 80);
    let abort = Abort { moved: Moved::Back };
    rollout::abort(&field.app, &by, &workspace(), field.id, abort)
        .await
        .expect("aborts");
    settle(&field.app).await;
    assert_eq!(
        (wanted(&field.app, 2).await, field.view().await.state),
        (0, RolloutState::Aborted)
    );
    assert_eq!(
        field.deeds().await,
        [
            Deed::Start,
            Deed::Ask,
            Deed::Pause,
            Deed::Resume,
            Deed::Approve,
            Deed::Abort
        ]
    );
    field.replays().await;
}

#[tokio::test]
async fn of_two_rollouts_the_one_with_precedence_has_the_device() {
    let mut first = plan(PLAN);
    first.control = "0".parse().expect("a size");
    first.precedence = 5;
    first.gates.truncate(1);
    let json = serde_json::to_string(&first).expect("it is JSON");
    let field = Field::of(40, &json).await;
    assert_eq!(wanted(&field.app, 2).await, 10);
    // A newer one by hand takes all but those.
    start(&field.app, &Actor::machine(), &workspace(), to(1, 100))
        .await
        .expect("starts");
    settle(&field.app).await;
    assert_eq!(wanted(&field.app, 2).await, 10);
}

/// Prints what looks cost; `TERN_LOOK_DEVICES` sets another fleet than one that a test can wait for.
#[tokio::test]
async fn a_look_at_a_fleet_in_which_nothing_is_due_does_nothing_whatever_was_announced() {
    let devices = std::env::var("TERN_LOOK_DEVICES").ok();
    let devices = devices.map_or(1_000, |devices| devices.parse().expect("a number"));
    let field = Field::of(devices, PLAN).await;
    field.minutes(10).await;
    let mut kept = Kept::new(Duration::from_hours(24));
    let (tell, mut told) = tokio::sync::mpsc::channel(1_000_000);
    for changed in [devices, 0, 10, devices / 100] {
        for n in 0..changed {
            let device = format!("d{n:06}").parse().expect("a name");
            field
                .app
                .changes
                .send(&workspace(), Change::Device { device });
        }
        let began = std::time::Instant::now();
        let did = pass(&field.app, &mut kept, &tell).await.expect("passes");
        println!(
            "{devices} devices, {changed} changed: {:.1?}",
            began.elapsed()
        );
        assert_eq!(
            (did, told.try_recv().is_ok()),
            (Did::Nothing, false),
            "{changed}"
        );
    }
}
