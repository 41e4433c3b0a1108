//! A fleet of voices on one version, others published, and a plan for tests.

use std::{collections::BTreeSet, time::Duration};

use tern_protocol::{
    id::RolloutId,
    rest::{Deed, Plan, RolloutState, RolloutView, Verdict, VersionView},
};
use tern_tests::{
    agent::SLOT,
    fleet::{Fleet, MODEL},
    package,
    played::{Conduct, Played},
    wait,
};

/// Devices that are played unless a test says otherwise.
pub(crate) const DEVICES: usize = 60;

/// Of those, the devices of the first stage of [`plan`]: half of those that are not control.
pub(crate) const FIRST: usize = 18;

/// How long evidence may take to come together: some need hundreds of windows.
pub(crate) const EVIDENCE: Duration = Duration::from_mins(4);

/// A fleet of voices on version 1, and more versions published.
pub(crate) struct Field {
    // Before the hub, so that it ends first.
    pub(crate) played: Played,
    pub(crate) fleet: Fleet,
    pub(crate) versions: Vec<VersionView>,
}

/// A plan for tests: as fast as what it stands on can be seen.
pub(crate) fn plan(gates: &str) -> Plan {
    plan_of(&format!(
        r#""control":"40%","stages":[{{"to":"50%","soak":"2s","cap":"1h"}},{{"to":"100%","soak":"2s","cap":"1h"}}],
        "gates":[{gates}]"#
    ))
}

/// A plan of version 2 with control, stages and gates of its own.
pub(crate) fn plan_of(json: &str) -> Plan {
    let json =
        format!(r#"{{"slot":"{SLOT}","model":"{MODEL}","version":2,"deadline":"1h",{json}}}"#);
    let plan: Plan = serde_json::from_str(&json).expect("a plan");
    assert_eq!(plan.problems(), []);
    plan
}

/// What every version is asked, quickly.
pub(crate) const USUAL: &str = r#"{"serve-failure":{"limit":"10%"}},{"errors":{"margin":"2%"}},
    {"silence":{"after":"2s","margin":"15%"}},{"restarts":{"after":"2s","margin":"15%"}}"#;

impl Field {
    /// Each device does well with version 1, and with version 2 as `conduct` says of its number and platform.
    #[track_caller]
    pub(crate) fn of(conduct: impl Fn(usize, &str) -> Conduct + Send + Sync + 'static) -> Self {
        Self::playing(DEVICES, 2, move |number, platform, version| {
            if version == 2 {
                conduct(number, platform)
            } else {
                Conduct::GOOD
            }
        })
    }

    /// So many devices on the first of so many versions, which do with each as `conduct` says of their number,
    /// platform and version.
    #[track_caller]
    pub(crate) fn playing(
        devices: usize,
        versions: u64,
        conduct: impl Fn(usize, &str, u32) -> Conduct + Send + Sync + 'static,
    ) -> Self {
        let fleet = Fleet::empty();
        let publish = |seed| fleet.publish(&package::random(fleet.dir(), seed, 16));
        let versions: Vec<VersionView> = (1..=versions).map(publish).collect();
        Self::playing_these(fleet, devices, versions, conduct)
    }

    /// The same on versions that are published already.
    #[track_caller]
    pub(crate) fn playing_these(
        fleet: Fleet,
        devices: usize,
        versions: Vec<VersionView>,
        conduct: impl Fn(usize, &str, u32) -> Conduct + Send + Sync + 'static,
    ) -> Self {
        let played = Played::start(fleet.link.address(), devices, &versions, conduct);
        wait::until("the devices to be known", || {
            let known = fleet.devices().len();
            wait::that(known == devices, || format!("{known}"))
        });
        let rollout = fleet.roll_out(versions[0].version);
        fleet.rollout_until(rollout.id, "to be served by all", |view| {
            view.counts.serving == devices as u64
        });
        Self {
            played,
            fleet,
            versions,
        }
    }

    #[track_caller]
    pub(crate) fn start(&self, plan: &Plan) -> RolloutId {
        match self.fleet.client().start_plan(plan) {
            Ok(view) => view.id,
            Err(err) => panic!("starting a plan: {err}: {:?}", err.problem()),
        }
    }

    /// Waits until it is over and has decided what it did by itself.
    #[track_caller]
    pub(crate) fn over(&self, id: RolloutId, why: &str) -> RolloutView {
        let client = self.fleet.client();
        wait::until_within(EVIDENCE, &format!("rollout {id} to be over: {why}"), || {
            let view = client.rollout(id).map_err(|err| err.to_string())?;
            let asks = view.state == RolloutState::Waiting;
            assert!(!asks, "{why}: it asks a person: {}", view.reason);
            let over = view.state.is_over() || view.state == RolloutState::Complete;
            wait::that(over, || view.reason.clone())?;
            Ok(view)
        })
    }

    /// Waits until it was stopped in its first stage by this gate and every device is to serve version 1 again; the
    /// devices that were touched.
    #[track_caller]
    pub(crate) fn stops(&self, id: RolloutId, gate: &str) -> BTreeSet<String> {
        let view = self.over(id, gate);
        let sentence = &view.reason;
        let evidence = view.evidence.as_ref().expect("it has a plan");
        assert_eq!(
            view.state,
            RolloutState::Stopped,
            "{gate}: {sentence}: {:#?}",
            evidence.decisions
        );
        let stop = evidence.decisions.iter().find(|one| one.what == Deed::Stop);
        let stop = stop.unwrap_or_else(|| panic!("{gate}: it does not say that it stopped"));
        assert_eq!(stop.stage, 1, "{gate}: in the first stage: {sentence}");
        let failed = stop.gates.iter().filter(|one| one.verdict == Verdict::Fail);
        let failed: BTreeSet<&str> = failed.map(|one| one.gate.as_str()).collect();
        assert_eq!(failed, [gate].into(), "which gate failed: {sentence}");
        assert!(sentence.contains(gate), "{gate}: {sentence}");
        let touched: BTreeSet<String> = view
            .devices
            .iter()
            .filter(|one| one.admitted.is_some())
            .map(|one| one.device.to_string())
            .collect();
        assert_eq!(
            stop.devices.admitted,
            touched.len() as u64,
            "{gate}: none is moved after it was stopped"
        );
        eprintln!(
            "{gate}: {} of {} devices touched: {sentence}",
            touched.len(),
            view.devices.len()
        );
        self.fleet.rollout_until(id, "to be taken back", |view| {
            view.counts.stages.assigned == 0
        });
        for device in self.fleet.devices() {
            let assigned = device.slots[0].assigned.as_ref();
            let version = assigned.map(|one| one.version.get());
            assert_eq!(version, Some(1), "{gate}: {device:?}");
        }
        self.replays(id);
        touched
    }

    #[track_caller]
    pub(crate) fn replays(&self, id: RolloutId) {
        let replay = self.fleet.client().replay(id).expect("it replays");
        assert!(replay.same, "{:#?}", replay.difference);
        assert!(replay.events > 0 && !replay.decisions.is_empty());
    }

    /// Waits until every device serves this version.
    #[track_caller]
    pub(crate) fn all_serve(&self, version: u32, but: &BTreeSet<String>) {
        wait::until(&format!("all to serve version {version}"), || {
            let serving = self.played.serving();
            let other = serving
                .iter()
                .find(|(device, serves)| **serves != version && !but.contains(*device));
            wait::that(other.is_none(), || format!("{other:?}"))
        });
    }

    /// Waits until the hub has counted so many windows of each device more: it has looked again and again.
    #[track_caller]
    pub(crate) fn goes_on_for(&self, windows: u64) {
        let counted = || self.fleet.overview().totals.inferences;
        let each = windows * Conduct::REQUESTS * self.played.serving().len() as u64;
        let wanted = counted() + each;
        wait::until("devices to go on", || {
            let now = counted();
            wait::that(now >= wanted, || format!("{now} of {wanted}"))
        });
    }
}

pub(crate) fn deeds(view: &RolloutView) -> Vec<Deed> {
    let evidence = view.evidence.as_ref().expect("it has a plan");
    evidence.decisions.iter().map(|one| one.what).collect()
}

/// What became of a version that does no harm, and of nothing else.
pub(crate) const THROUGH: [Deed; 4] = [Deed::Start, Deed::Advance, Deed::Release, Deed::Complete];
