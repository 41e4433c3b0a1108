//! A version runs beside the one that serves, on some of the same inputs: the hub has what came of it, and
//! nobody else notices.
//!
//! No address of the API wants anything beside what serves yet, so the stopped hub's database is written by
//! the hub's own code; all that follows is what it says and hears.

use sea_orm::TransactionTrait as _;
use tern_hub::{
    fleet::{
        assign::{Cause, shadow::assign_shadow},
        facts::Target,
        shadows::{AssignedShadow, ShadowAssignment},
    },
    monitor::follow::{self, Followed},
    store::{Place, Store},
};
use tern_protocol::{
    digest::Digest,
    id::{RolloutId, WorkspaceId},
    reported::{RejectReason, ShadowPhase},
    rest::{ShadowView, VersionView},
    shadow::ShadowWindow,
    time::WallTime,
};
use tern_tests::{
    agent::SLOT,
    cli::tern,
    fleet::{Fleet, MODEL},
    oip::Input,
    package::{self, Package, assert_same},
    wait,
};

use crate::counter;

const DEVICE: &str = "meter-01";

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

/// Runs `work` on the database of the hub, which is stopped for it.
fn with_store<T>(fleet: &mut Fleet, work: impl AsyncFnOnce(&Store) -> T) -> T {
    assert!(fleet.hub.terminate().success());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has room for a runtime");
    let data = fleet.hub.data();
    let did = runtime.block_on(async {
        let store = Store::open(Place::in_dir(&data)).await.expect("it opens");
        let did = work(&store).await;
        store.close().await;
        did
    });
    fleet.run_hub();
    did
}

/// Wants a version beside what serves, or nothing any more.
fn want(fleet: &mut Fleet, wanted: Option<(&Package, &VersionView)>, cpu_permille: u16) {
    let wanted = wanted.map(|(package, version)| AssignedShadow {
        target: Target {
            model: MODEL.parse().expect("a name"),
            version: version.version,
            bundle: version.bundle,
            weights: Digest::of(&package.onnx),
        },
        rollout: RolloutId(1),
        cpu_permille,
    });
    let assignments = [ShadowAssignment {
        device: DEVICE.parse().expect("a name"),
        wanted,
        cause: Cause {
            at: WallTime(1),
            actor: None,
            text: String::new(),
        },
    }];
    with_store(fleet, async |store: &Store| {
        let txn = store.write().begin().await.expect("it begins");
        let slot = SLOT.parse().expect("a name");
        let done = assign_shadow(&txn, &workspace(), &slot, &assignments).await;
        assert_eq!(done.expect("it writes").len(), 1);
        txn.commit().await.expect("it commits");
    });
}

fn stored(fleet: &mut Fleet) -> Vec<Followed<ShadowWindow>> {
    with_store(fleet, async |store: &Store| {
        let windows = follow::shadow_windows(store.read(), &workspace(), 0, 1_000).await;
        windows.expect("it reads")
    })
}

/// Waits until the hub knows a shadow that is as it should be.
#[track_caller]
fn known(fleet: &Fleet, what: &str, is: impl Fn(&ShadowView) -> bool) -> ShadowView {
    wait::until(what, || {
        let view = fleet.try_device(DEVICE)?;
        let shadow = view.slots[0].shadow.clone();
        let shadow = shadow.ok_or_else(|| format!("{view:?}"))?;
        wait::that(is(&shadow), || format!("{shadow:?}"))?;
        Ok(shadow)
    })
}

/// Asks all samples once, and looks whether what serves answered.
#[track_caller]
fn ask_all(fleet: &Fleet, live: &Package, samples: &[Input]) {
    let bare = live.bare();
    for input in samples {
        assert_same(&fleet.agents[0].infer(input), &bare, input);
    }
}

#[test]
fn a_shadow_is_compared_with_what_serves_and_survives_kill_9() {
    let mut fleet = Fleet::of(1);
    let (live, next) = (package::digits(0), package::digits(1));
    let serves = fleet.serve(live);
    let other = fleet.publish(next);
    want(&mut fleet, Some((next, &other)), 1_000);
    known(&fleet, "the shadow to run", |shadow| {
        shadow.phase == Some(ShadowPhase::Running)
            && shadow.version == other.version
            && shadow.cpu_permille == Some(1_000)
    });
    let samples = live.samples();
    let before = fleet.device(DEVICE).inferences;
    ask_all(&fleet, live, &samples);
    fleet.agents[0].kill_9();
    fleet.agents[0].run();
    fleet.agents[0].serves(serves.version.get());
    wait::until("the shadow to run again", || {
        let status = fleet.agents[0].status();
        let shadow = status.slot().shadow.clone();
        let runs = shadow.is_some_and(|shadow| shadow.phase == ShadowPhase::Running);
        wait::that(runs, || format!("{status:?}"))
    });
    let since = fleet.device(DEVICE).inferences;
    ask_all(&fleet, live, &samples);
    let asked = samples.len() as u64;
    let status = wait::until("all of it to be counted", || {
        let status = fleet.agents[0].status();
        let shadow = status.slot().shadow.clone().expect("it runs");
        let rows = shadow.compared + shadow.errors + shadow.skipped;
        wait::that(rows == asked, || format!("{status:?}"))?;
        Ok(status)
    });
    assert_eq!((status.inferences, status.errors), (asked, 0), "{status:?}");
    wait::until("the hub to have it all", || {
        let view = fleet.device(DEVICE);
        let all =
            view.inferences == since + asked && counter(&fleet, "tern_shadow_windows_total") > 0;
        wait::that(all, || format!("{view:?}"))?;
        let status = fleet.agents[0].status();
        wait::that(status.outbox.entries == 0, || format!("{status:?}"))
    });
    assert!(
        since >= before,
        "what was open when it was killed is lost, and no more"
    );

    let shown = tern(&fleet, &["device", "show", DEVICE]);
    assert!(
        shown.out.contains("runs beside what serves"),
        "{}",
        shown.out
    );
    let told: Vec<_> = stored(&mut fleet).into_iter().map(|w| w.window).collect();
    let of_this_boot = told.iter().filter(|w| w.opened.boot.0 == status.boot);
    let rows: u64 = of_this_boot
        .clone()
        .map(|w| w.compared + w.errors + w.skipped)
        .sum();
    assert_eq!(rows, asked, "{told:?}");
    let (compared, agreed) =
        of_this_boot.fold((0, 0), |sum, w| (sum.0 + w.compared, sum.1 + w.agreed));
    assert!(compared > 0, "{told:?}");
    // Both read digits, and not all of them alike.
    assert!(
        agreed <= compared && agreed * 2 > compared,
        "{agreed} of {compared}"
    );
    for window in &told {
        assert_eq!(
            (window.version, window.live_version),
            (other.version, serves.version)
        );
        assert_eq!(window.live_bundle, serves.bundle.digest);
    }

    want(&mut fleet, None, 0);
    wait::until("nothing to run beside what serves", || {
        let view = fleet.try_device(DEVICE)?;
        wait::that(view.slots[0].shadow.is_none(), || format!("{view:?}"))
    });
    assert!(fleet.agents[0].status().slot().shadow.is_none());
    ask_all(&fleet, live, &samples);
}

#[test]
fn a_shadow_that_may_not_be_loaded_is_refused_and_what_serves_serves_on() {
    let mut fleet = Fleet::of(1);
    let (live, next) = (package::digits(0), package::digits(1));
    fleet.serve(live);
    let other = fleet.publish(next);
    // Vetting itself cannot be made to fail past the hub's own; another bundle under a signed name can.
    let forged = VersionView {
        bundle: tern_protocol::blob::BlobRef::of(b"of nobody"),
        ..other.clone()
    };
    want(&mut fleet, Some((next, &forged)), 100);
    let refused = known(&fleet, "the refusal", |shadow| {
        shadow.phase == Some(ShadowPhase::Rejected)
    });
    assert_eq!(refused.reason, Some(RejectReason::Unsigned), "{refused:?}");
    let shown = tern(&fleet, &["device", "show", DEVICE]);
    assert!(shown.out.contains("unsigned"), "{}", shown.out);
    ask_all(&fleet, live, &live.samples());
    let status = fleet.agents[0].status();
    assert!(status.slot().rejected.is_none(), "{status:?}");

    // A version that is revoked while it runs runs no more, and is not wanted any more.
    want(&mut fleet, Some((next, &other)), 100);
    known(&fleet, "the shadow to run", |shadow| {
        shadow.phase == Some(ShadowPhase::Running)
    });
    let version = other.version.to_string();
    let args = [
        "model",
        "revoke",
        MODEL,
        &version,
        "--reason",
        "reads 6 for 8",
    ];
    assert_eq!(tern(&fleet, &args).code, Some(0));
    wait::until("it to be taken back", || {
        let view = fleet.try_device(DEVICE)?;
        wait::that(view.slots[0].shadow.is_none(), || format!("{view:?}"))
    });
    ask_all(&fleet, live, &live.samples());
}
