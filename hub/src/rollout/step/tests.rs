use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    id::{ModelVersion, SlotName},
    rest::{Moved, Selector},
    time::WallTime,
};

use super::*;
use crate::fleet::facts::{DeviceFacts, Refused, Served, Target, Underway};

fn target(version: u32) -> Target {
    Target {
        model: "digits".parse().expect("a name"),
        version: ModelVersion::new(version).expect("over 0"),
        bundle: BlobRef {
            digest: Digest::of(format!("bundle {version}").as_bytes()),
            len: 100,
        },
        weights: Digest::of(format!("weights {version}").as_bytes()),
    }
}

fn rollout(id: u32, version: u32, percent: u8) -> Rollout {
    let slot: SlotName = "reader".parse().expect("a name");
    Rollout {
        workspace: "default".parse().expect("a name"),
        id: RolloutId(id),
        slot,
        target: target(version),
        selector: Selector::default(),
        percent,
        plan: None,
        precedence: 0,
        stage: None,
        bytes: 0,
        state: RolloutState::Running,
        moved: None,
        reason: String::new(),
        counts: RolloutCounts::default(),
        created: WallTime(0),
        updated: WallTime(0),
        actor: None,
    }
}

/// A fleet in memory that does what it is told.
#[derive(Debug, Clone)]
struct World {
    devices: Vec<DeviceFacts>,
    /// What each device had before it was moved, by rollout.
    before: BTreeMap<(RolloutId, DeviceId), Before>,
}

impl World {
    fn of(devices: usize) -> Self {
        let device = |n: usize| DeviceFacts {
            device: format!("d{n:03}").parse().expect("a name"),
            site: ["north", "south"][n % 2].parse().expect("a name"),
            labels: BTreeMap::from([("batch".into(), format!("b{}", n % 3))]),
            assigned: None,
            serving: None,
            underway: None,
            refused: None,
            stage: None,
            platform: "linux arm".into(),
            online: true,
            last_seen: WallTime(0),
            boot: 1,
            answered: true,
            shadow: crate::fleet::shadows::ShadowFacts::default(),
        };
        Self {
            devices: (0..devices).map(device).collect(),
            before: BTreeMap::new(),
        }
    }

    fn step(&self, rollout: &Rollout, newer: &[&Rollout]) -> (Progress, Vec<Action>) {
        let mut claimed = BTreeSet::new();
        for newer in newer {
            let candidates = self.candidates(newer, &claimed);
            let share = share(newer, &candidates);
            let members = candidates.iter().zip(share);
            let members = members.filter(|(_, member)| *member == Membership::InShare);
            let ids: Vec<_> = members.map(|(c, _)| c.facts.device.clone()).collect();
            claimed.extend(ids);
        }
        step(rollout, &self.candidates(rollout, &claimed))
    }

    fn candidates(&self, rollout: &Rollout, claimed: &BTreeSet<DeviceId>) -> Vec<Candidate<'_>> {
        let candidate = |facts: &'_ DeviceFacts| {
            let key = (rollout.id, facts.device.clone());
            (
                self.before.get(&key).cloned(),
                claimed.contains(&facts.device),
            )
        };
        self.devices
            .iter()
            .map(|facts| {
                let (before, claimed) = candidate(facts);
                Candidate {
                    facts,
                    before,
                    claimed,
                }
            })
            .collect()
    }

    /// Does what the core said, as the driver does.
    fn act(&mut self, rollout: &mut Rollout, newer: &[&Rollout]) -> usize {
        let (progress, actions) = self.step(rollout, newer);
        rollout.state = progress.state;
        rollout.reason = progress.reason;
        rollout.counts = progress.counts;
        let done = actions.len();
        for action in actions {
            match action {
                Action::Assign(id) => {
                    let before = self.device(&id).assigned.clone();
                    let key = (rollout.id, id.clone());
                    self.before.entry(key).or_insert(Before(before));
                    self.device(&id).assigned = Some(rollout.assignment());
                }
                Action::GiveBack(id, before) => self.device(&id).assigned = before,
            }
        }
        done
    }

    fn device(&mut self, id: &DeviceId) -> &mut DeviceFacts {
        let device = self.devices.iter_mut().find(|facts| facts.device == *id);
        device.expect("it is in the world")
    }

    /// Every device serves what is wanted of it.
    fn obey(&mut self) {
        for device in &mut self.devices {
            if let Some(assigned) = &device.assigned {
                device.serving = Some(Served {
                    bundle: assigned.target.bundle.digest,
                    weights: assigned.target.weights,
                });
            }
        }
    }

    fn with(&self, rollout: &Rollout) -> BTreeSet<DeviceId> {
        let with = self.devices.iter().filter(|device| {
            device
                .assigned
                .as_ref()
                .is_some_and(|assigned| assigned.rollout == rollout.id)
        });
        with.map(|device| device.device.clone()).collect()
    }
}

#[test]
fn all_at_once() {
    let mut world = World::of(12);
    let mut v1 = rollout(1, 1, 100);
    assert_eq!(world.act(&mut v1, &[]), 12);
    assert_eq!(world.act(&mut v1, &[]), 0, "what is done is not done again");
    assert_eq!((v1.state, v1.counts.assigned), (RolloutState::Running, 12));
    world.obey();
    assert_eq!(world.act(&mut v1, &[]), 0);
    assert_eq!((v1.state, v1.counts.serving), (RolloutState::Complete, 12));
    assert_eq!(v1.reason, "12 of 12 devices serve it");
}

#[test]
fn each_device_counts_once_by_where_it_is() {
    let mut world = World::of(6);
    let mut v1 = rollout(1, 1, 100);
    world.act(&mut v1, &[]);
    let Target {
        bundle, weights, ..
    } = target(1);
    let bundle = bundle.digest;
    let refused = Refused {
        bundle,
        reason: None,
        text: "no space".into(),
    };
    world.devices[0].serving = Some(Served { bundle, weights });
    // Refused once, and serves now: it serves.
    world.devices[0].refused = Some(refused.clone());
    world.devices[1].underway = Some(Underway {
        bundle,
        bytes: 50,
        total: 200,
    });
    world.devices[2].refused = Some(refused);
    // Other weights under the right name are no proof.
    world.devices[3].serving = Some(Served {
        bundle,
        weights: Digest::of(b"forged"),
    });
    // What happened with another bundle says nothing about this one.
    let other = target(9).bundle.digest;
    world.devices[4].refused = Some(Refused {
        bundle: other,
        reason: None,
        text: "old".into(),
    });
    world.act(&mut v1, &[]);
    let counts = v1.counts;
    assert_eq!((counts.selected, counts.targeted), (6, 6));
    assert_eq!(
        (counts.serving, counts.in_progress, counts.failed),
        (1, 1, 2)
    );
    assert_eq!(counts.assigned, 2);
    let claimed = BTreeSet::new();
    let candidates = world.candidates(&v1, &claimed);
    let place_of = |n: usize| place(&v1, &candidates[n], Membership::InShare);
    assert_eq!(place_of(1).progress, Some(0.25));
    assert_eq!(place_of(2).reason, "no space");
    assert!(place_of(3).reason.contains("other weights"));
}

#[test]
fn a_selector_needs_every_part() {
    let mut world = World::of(12);
    let mut v1 = rollout(1, 1, 100);
    v1.selector.sites = vec!["north".parse().expect("a name")];
    v1.selector.labels = BTreeMap::from([("batch".into(), "b0".into())]);
    assert_eq!(world.act(&mut v1, &[]), 2, "of d000, d006 and none else");
    let mut nobody = rollout(2, 1, 100);
    nobody.selector.devices = vec!["x".parse().expect("a name")];
    assert_eq!(world.act(&mut nobody, &[]), 0);
    assert_eq!(nobody.state, RolloutState::Running);
    assert!(
        nobody.reason.contains("no device matches"),
        "{}",
        nobody.reason
    );
}

#[test]
fn a_share_is_exact_in_a_small_fleet_and_late_joiners_push_nobody_out() {
    let mut world = World::of(12);
    let mut v1 = rollout(1, 1, 25);
    assert_eq!(world.act(&mut v1, &[]), 3);
    let first = world.with(&v1);
    world
        .devices
        .extend(World::of(40).devices.into_iter().skip(12));
    assert_eq!(world.act(&mut v1, &[]), 7, "a quarter of 40 is 10");
    assert!(world.with(&v1).is_superset(&first));
}

#[test]
fn a_paused_rollout_assigns_nothing_and_goes_on_after() {
    let mut world = World::of(4);
    let mut v1 = rollout(1, 1, 50);
    world.act(&mut v1, &[]);
    v1.state = RolloutState::Paused;
    v1.percent = 100;
    assert_eq!(world.act(&mut v1, &[]), 0);
    assert_eq!(
        (v1.state, v1.counts.targeted, v1.counts.assigned),
        (RolloutState::Paused, 4, 2)
    );
    v1.state = RolloutState::Running;
    assert_eq!(world.act(&mut v1, &[]), 2);
}

#[test]
fn abort_gives_back_what_was_there_before() {
    let mut world = World::of(6);
    let mut v1 = rollout(1, 1, 100);
    world.act(&mut v1, &[]);
    let mut v2 = rollout(2, 2, 50);
    world.act(&mut v2, &[]);
    assert_eq!(world.with(&v2).len(), 3);
    v2.state = RolloutState::Aborted;
    v2.moved = Some(Moved::Back);
    assert_eq!(world.act(&mut v2, &[]), 3);
    assert_eq!(world.act(&mut v2, &[]), 0);
    assert_eq!(world.with(&v1).len(), 6);
    assert_eq!(
        world.act(&mut v1, &[]),
        0,
        "the older rollout has nothing to repair"
    );
}

#[test]
fn abort_of_two_in_a_row_leads_back_to_the_first() {
    let mut world = World::of(2);
    let mut v1 = rollout(1, 1, 100);
    let mut v2 = rollout(2, 2, 100);
    let mut v3 = rollout(3, 3, 100);
    world.act(&mut v1, &[]);
    world.act(&mut v2, &[]);
    world.act(&mut v3, &[]);
    for aborted in [&mut v2, &mut v3] {
        aborted.state = RolloutState::Aborted;
        aborted.moved = Some(Moved::Back);
    }
    assert_eq!(world.act(&mut v2, &[]), 0, "the third has the devices");
    assert_eq!(world.act(&mut v3, &[]), 2, "back to the second");
    assert_eq!(
        world.act(&mut v2, &[]),
        2,
        "which was aborted too: back to the first"
    );
    assert_eq!(world.with(&v1).len(), 2);
}

#[test]
fn devices_that_were_told_to_stay_are_not_taken_back_by_an_older_rollout() {
    let mut world = World::of(6);
    let mut v1 = rollout(1, 1, 100);
    world.act(&mut v1, &[]);
    let mut v2 = rollout(2, 2, 50);
    world.act(&mut v2, &[]);
    v2.state = RolloutState::Aborted;
    v2.moved = Some(Moved::Stay);
    assert_eq!(world.act(&mut v2, &[]), 0);
    assert_eq!(world.act(&mut v1, &[]), 0);
    assert_eq!(world.with(&v2).len(), 3);
    assert_eq!(v1.counts.targeted, 3);
}

#[test]
fn a_newer_rollout_takes_its_share_and_then_all() {
    let mut world = World::of(10);
    let mut v1 = rollout(1, 1, 100);
    world.act(&mut v1, &[]);
    world.obey();
    let mut v2 = rollout(2, 2, 30);
    assert_eq!(world.act(&mut v2, &[]), 3);
    assert_eq!(
        world.act(&mut v1, &[&v2]),
        0,
        "the older one does not fight"
    );
    assert_eq!((v1.state, v1.counts.targeted), (RolloutState::Complete, 7));
    v2.percent = 100;
    world.act(&mut v2, &[]);
    world.act(&mut v1, &[&v2]);
    assert_eq!(v1.state, RolloutState::Superseded);
    assert!(v1.reason.contains("10 devices"), "{}", v1.reason);
}

fn any_device() -> impl Strategy<Value = (u8, u8, bool)> {
    // What it serves, what it refused, whether it is in the middle of fetching.
    (0_u8..4, 0_u8..4, any::<bool>())
}

fn scattered(states: &[(u8, u8, bool)], world: &mut World) {
    for (device, (serves, refuses, fetching)) in world.devices.iter_mut().zip(states) {
        let of = |number: u8| (number > 0).then(|| target(u32::from(number)));
        device.serving = of(*serves).map(|target| Served {
            bundle: target.bundle.digest,
            weights: target.weights,
        });
        device.refused = of(*refuses).map(|target| Refused {
            bundle: target.bundle.digest,
            reason: None,
            text: "no".into(),
        });
        device.underway = fetching.then(|| Underway {
            bundle: target(2).bundle.digest,
            bytes: 1,
            total: 0,
        });
    }
}

proptest! {
    #[test]
    fn the_same_devices_stay_in_as_the_share_grows(
        devices in 0_usize..200, id in 1_u32..50, small in 1_u8..=100, large in 1_u8..=100,
    ) {
        let (small, large) = (small.min(large), small.max(large));
        let world = World::of(devices);
        let members = |percent| {
            let rollout = rollout(id, 1, percent);
            let claimed = BTreeSet::new();
            let candidates = world.candidates(&rollout, &claimed);
            let share = share(&rollout, &candidates);
            let members = share.iter().enumerate().filter(|(_, m)| **m == Membership::InShare);
            members.map(|(index, _)| index).collect::<BTreeSet<_>>()
        };
        let (few, many) = (members(small), members(large));
        prop_assert!(few.is_subset(&many));
        prop_assert_eq!(few.len(), (devices * usize::from(small)).div_ceil(100));
    }

    #[test]
    fn counts_are_of_distinct_devices_and_acting_reaches_a_fixed_point(
        states in prop::collection::vec(any_device(), 0..60),
        percents in (1_u8..=100, 1_u8..=100),
        end in 0_u8..4,
    ) {
        let mut world = World::of(states.len());
        scattered(&states, &mut world);
        let mut v1 = rollout(1, 1, percents.0);
        let mut v2 = rollout(2, 2, percents.1);
        world.act(&mut v1, &[]);
        world.act(&mut v2, &[]);
        match end {
            0 => {}
            1 => v2.state = RolloutState::Paused,
            2 => { v2.state = RolloutState::Aborted; v2.moved = Some(Moved::Back); }
            _ => { v2.state = RolloutState::Aborted; v2.moved = Some(Moved::Stay); }
        }
        for _ in 0..3 {
            world.act(&mut v2, &[]);
            let newer: &[&Rollout] = if v2.state.is_over() { &[] } else { &[&v2] };
            let newer = newer.to_vec();
            world.act(&mut v1, &newer);
        }
        let (progress, actions) = world.step(&v2, &[]);
        prop_assert_eq!(actions, vec![]);
        prop_assert_eq!(&progress.reason, &v2.reason);
        let c = progress.counts;
        prop_assert!(c.assigned + c.in_progress + c.serving + c.failed <= c.targeted);
        prop_assert!(c.targeted <= c.selected);
        prop_assert!(c.selected <= states.len() as u64);
        let newer: &[&Rollout] = if v2.state.is_over() { &[] } else { &[&v2] };
        let (_, actions) = world.step(&v1, newer);
        prop_assert_eq!(actions, vec![]);
        if end == 2 {
            prop_assert!(world.with(&v2).is_empty());
        }
    }

    #[test]
    fn a_paused_or_ended_rollout_assigns_nothing(
        states in prop::collection::vec(any_device(), 0..40),
        state in prop::sample::select(vec![
            RolloutState::Paused, RolloutState::Aborted, RolloutState::Superseded,
        ]),
    ) {
        let mut world = World::of(states.len());
        scattered(&states, &mut world);
        let mut v1 = rollout(1, 1, 100);
        v1.state = state;
        let (_, actions) = world.step(&v1, &[]);
        prop_assert_eq!(actions, vec![]);
    }
}

#[test]
fn only_devices_that_serve_a_base_wait_for_its_delta() {
    let mut world = World::of(3);
    let served = |version| Served {
        bundle: target(version).bundle.digest,
        weights: target(version).weights,
    };
    world.devices[0].serving = Some(served(1));
    world.devices[1].serving = Some(served(2));
    let rollout = rollout(1, 3, 100);
    let candidates = world.candidates(&rollout, &BTreeSet::new());
    let (progress, actions) = step(&rollout, &candidates);
    assert_eq!(actions.len(), 3);
    let (mut held, mut left) = (progress.clone(), actions.clone());
    hold(&mut held, &mut left, &world.devices, &BTreeSet::new());
    assert_eq!((&held, &left), (&progress, &actions), "nothing is awaited");

    let awaited = BTreeSet::from([target(1).weights]);
    hold(&mut held, &mut left, &world.devices, &awaited);
    let names = ["d001", "d002"].map(|name| Action::Assign(name.parse().expect("a name")));
    assert_eq!(left, names);
    assert!(
        held.reason
            .ends_with("; 1 wait, at most 60 s, for a delta that is being computed")
    );
    assert_eq!(held.counts, progress.counts);
}
