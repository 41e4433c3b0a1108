//! The same world, with something beside what serves.

use super::*;

/// For the log.
pub(super) fn word(due: &Do) -> String {
    match due {
        Do::Begin(kept) => format!("shadow {}", kept.version.version),
        Do::Pause => "pause".into(),
        Do::Resume => "resume".into(),
        Do::ReadManifest => "read shadow".into(),
        Do::Vet => "vet shadow".into(),
        Do::Run(permille) => format!("run {permille}"),
        Do::Pace(permille) => format!("pace {permille}"),
        Do::Refuse(reason, _) => format!("refuse shadow {reason}"),
        Do::End => "end".into(),
    }
}

impl World {
    pub(super) fn apply_shadow(&mut self, due: Do) {
        let now = self.now;
        let serves: BTreeSet<Digest> = needed_to_serve(&self.observed)
            .into_iter()
            .copied()
            .collect();
        let blobs = &mut self.observed.blobs;
        let slot = self.observed.slots.get_mut(&slot_name());
        let shadow = &mut slot.expect("it is there").shadow;
        match due {
            Do::Begin(kept) => {
                blobs.retain(|_, status| !matches!(status, BlobStatus::Mismatch(_)));
                let bundle = kept.bundle.digest;
                let known = shadow.holding.take().filter(|known| known.bundle == bundle);
                *shadow = ObservedShadow {
                    holding: Some(known.unwrap_or(Holding {
                        bundle,
                        blobs: Vec::new(),
                    })),
                    candidate: Some(Candidate {
                        kept,
                        step: Step::Manifest,
                        since: Uptime(now),
                    }),
                    ..ObservedShadow::default()
                };
            }
            Do::Pause => {
                shadow.paused = true;
                let candidate = shadow.candidate.as_ref().expect("there is one");
                for blob in candidate.parts().iter().chain([&candidate.kept.bundle]) {
                    if !serves.contains(&blob.digest)
                        && blobs.get(&blob.digest) == Some(&BlobStatus::Coming)
                    {
                        blobs.insert(blob.digest, BlobStatus::Absent);
                    }
                }
            }
            Do::Resume => shadow.paused = false,
            Do::ReadManifest => {
                let candidate = shadow.candidate.as_mut().expect("there is one");
                let n = candidate.kept.version.version.get();
                candidate.step = Step::Parts(parts(n));
                shadow.holding = Some(holding(n));
            }
            Do::Vet => {
                let candidate = shadow.candidate.as_mut().expect("there is one");
                candidate.step = Step::Vetting(candidate.parts().to_vec());
            }
            Do::Run(permille) => {
                let candidate = shadow.candidate.as_ref().expect("there is one");
                assert!(matches!(candidate.step, Step::Vetted(_)));
                shadow.running = Some(permille);
            }
            Do::Pace(permille) => shadow.running = Some(permille),
            Do::Refuse(reason, _) => {
                let bundle = shadow.candidate.as_ref().expect("there is one");
                let passes = matches!(reason, RejectReason::DigestMismatch | RejectReason::NoSpace);
                *shadow = ObservedShadow {
                    refused: Some(Refused {
                        bundle: bundle.kept.bundle.digest,
                        retry_at: passes.then_some(Uptime(now.saturating_add(600_000))),
                    }),
                    ..ObservedShadow::default()
                };
            }
            Do::End => *shadow = ObservedShadow::default(),
        }
    }

    /// What vetting gives; whether there was any.
    pub(super) fn vet_shadow(&mut self) -> bool {
        let bad_models = self.bad_models.clone();
        let candidate = self.slot().shadow.candidate.as_mut();
        let Some(candidate) = candidate else {
            return false;
        };
        let Step::Vetting(parts) = &candidate.step else {
            return false;
        };
        if bad_models.contains(&candidate.kept.version.version.get()) {
            let due = Do::Refuse(RejectReason::GoldenMismatch, "bad".into());
            self.apply(Action::Shadow(slot_name(), due));
        } else {
            candidate.step = Step::Vetted(parts.clone());
        }
        true
    }

    fn runs(&mut self) -> Option<u32> {
        let shadow = &self.slot().shadow;
        shadow.running?;
        let candidate = shadow.candidate.as_ref()?;
        Some(candidate.kept.version.version.get())
    }

    fn said(&mut self) -> String {
        std::mem::take(&mut self.log).join(", ")
    }
}

fn beside(live: u32, shadow: u32) -> Desired {
    let mut desired = desire(live);
    desired.shadows = vec![DesiredShadow {
        slot: slot_name(),
        model: "digits".parse().expect("a name"),
        version: ModelVersion::new(shadow).expect("from 1"),
        bundle: kept(shadow).bundle,
        offers: Vec::new(),
        cpu_permille: 50,
    }];
    desired
}

#[test]
fn a_shadow_is_fetched_vetted_and_runs_after_what_serves() {
    let mut world = World::new();
    world.settle(&beside(1, 2), Uptime(0));
    insta::assert_snapshot!(world.said(), @"begin 1, fetch, read, fetch, fetch, vet, activate, shadow 2, fetch, read shadow, fetch, vet shadow, run 50");
    assert_eq!((world.serving(), world.runs()), (Some(1), Some(2)));
    let mut more = beside(1, 2);
    more.shadows[0].cpu_permille = 100;
    world.settle(&more, Uptime(1));
    assert_eq!(world.said(), "pace 100");
    world.settle(&desire(1), Uptime(2));
    // Its manifest and ONNX file are its own; the third part is shared with what serves.
    assert_eq!(world.said(), "end, drop, drop");
    assert_eq!(world.serving(), Some(1));
}

#[test]
fn a_shadow_without_anything_to_run_beside_waits() {
    let mut world = World::new();
    let mut desired = beside(1, 2);
    desired.slots.clear();
    world.settle(&desired, Uptime(0));
    assert_eq!(world.said(), "");
}

#[test]
fn what_is_to_serve_overtakes_a_shadow_that_is_fetched() {
    let mut world = World::new();
    world.settle(&desire(1), Uptime(0));
    for _ in 0..2 {
        for action in reconcile(&beside(1, 2), &world.observed.clone(), Uptime(0)) {
            world.apply(action);
        }
    }
    world.said();
    let bundle = kept(2).bundle.digest;
    assert_eq!(world.observed.blobs.get(&bundle), Some(&BlobStatus::Coming));
    let mut live = Vec::new();
    for _ in 0..3 {
        for action in reconcile(&beside(3, 2), &world.observed.clone(), Uptime(0)) {
            live.push(action.clone());
            world.apply(action);
        }
    }
    assert_eq!(world.said(), "begin 3, fetch, pause");
    assert_ne!(world.observed.blobs.get(&bundle), Some(&BlobStatus::Coming));
    world.settle(&beside(3, 2), Uptime(0));
    insta::assert_snapshot!(world.said(), @"read, fetch, vet, activate, resume, fetch, read shadow, fetch, vet shadow, run 50");
    assert_eq!((world.serving(), world.runs()), (Some(3), Some(2)));
}

#[test]
fn a_shadow_that_begins_to_serve_ends_as_one_and_is_not_fetched_again() {
    let mut world = World::new();
    world.settle(&beside(1, 2), Uptime(0));
    world.said();
    world.settle(&beside(2, 2), Uptime(1));
    insta::assert_snapshot!(world.said(), @"begin 2, read, vet, activate, end");
    assert_eq!((world.serving(), world.runs()), (Some(2), None));
}

#[test]
fn a_bad_shadow_is_refused_and_what_serves_serves_on() {
    let mut world = World::new();
    world.bad_models.insert(2);
    world.wrong_bytes.insert(3);
    world.settle(&beside(1, 2), Uptime(0));
    let said = world.said();
    assert!(said.contains("refuse shadow golden-mismatch"), "{said}");
    world.settle(&beside(1, 2), Uptime(u64::MAX));
    assert_eq!(world.said(), "", "it is not tried again");
    world.settle(&beside(1, 3), Uptime(0));
    let said = world.said();
    assert!(said.contains("refuse shadow digest-mismatch"), "{said}");
    world.wrong_bytes.clear();
    world.settle(&beside(1, 3), Uptime(599_999));
    assert_eq!(world.said(), "");
    world.settle(&beside(1, 3), Uptime(600_000));
    assert_eq!((world.serving(), world.runs()), (Some(1), Some(3)));
}

#[test]
fn a_revoked_shadow_ends_and_an_unsigned_one_never_runs() {
    let mut world = World::new();
    world.settle(&beside(1, 2), Uptime(0));
    world.said();
    world.revoke(2);
    world.settle(&beside(1, 2), Uptime(1));
    assert_eq!(world.said(), "refuse shadow revoked, drop, drop");
    assert_eq!((world.serving(), world.runs()), (Some(1), None));
    world.sign([1]);
    world.settle(&beside(1, 3), Uptime(2));
    assert_eq!(world.said(), "end, shadow 3", "it waits for its signature");
    let patience = SIGNATURE_PATIENCE.as_millis() as u64;
    world.settle(&beside(1, 3), Uptime(2 + patience));
    assert_eq!(world.said(), "refuse shadow unsigned");
}

#[test]
fn a_shadow_that_runs_outlives_metadata_that_do_not_list_it_any_more() {
    let mut world = World::new();
    world.settle(&beside(1, 2), Uptime(0));
    world.sign([1]);
    world.settle(&beside(1, 2), Uptime(1_000_000));
    assert_eq!(world.runs(), Some(2), "as what serves does");
}

#[test]
fn a_full_disk_takes_the_shadow_and_nothing_else() {
    let mut world = World::new();
    world.settle(&beside(1, 2), Uptime(0));
    world.said();
    world.observed.is_short = true;
    world.settle(&beside(1, 2), Uptime(1));
    assert_eq!(world.said(), "refuse shadow no-space, drop, drop");
    world.settle(&beside(1, 2), Uptime(10_000_000));
    assert_eq!(world.said(), "", "it waits for room");
    world.observed.is_short = false;
    world.settle(&beside(1, 2), Uptime(10_000_000));
    assert_eq!((world.serving(), world.runs()), (Some(1), Some(2)));
}

#[test]
fn what_is_remembered_of_a_shadow_is_kept_until_it_begins_again() {
    let mut world = World::new();
    world.settle(&beside(1, 2), Uptime(0));
    // The agent starts again, offline: what serves is loaded, another is wanted and cannot come.
    let shadow = &mut world.slot().shadow;
    (shadow.candidate, shadow.running) = (None, None);
    world.sign([1, 2]);
    world.observed.metadata.online = false;
    world.said();
    world.settle(&beside(3, 2), Uptime(1));
    assert_eq!(world.said(), "begin 3", "nothing of the shadow is dropped");
    world.settle(&beside(1, 2), Uptime(2));
    insta::assert_snapshot!(world.said(), @"abandon, shadow 2, read shadow, vet shadow, run 50");
}

proptest! {
    #[test]
    fn shadows_change_nothing_about_what_serves(
        steps in prop::collection::vec(
            (1u32..6, prop::option::of(1u32..6), any::<bool>(), any::<bool>(), 0u64..2_000_000),
            1..20,
        ),
        wrong_bytes in prop::collection::btree_set(1u32..6, 0..3),
        bad_models in prop::collection::btree_set(1u32..6, 0..3),
    ) {
        // One world with shadows and one without are told the same.
        let (mut with, mut without) = (World::new(), World::new());
        for world in [&mut with, &mut without] {
            world.wrong_bytes = wrong_bytes.clone();
            world.bad_models = bad_models.clone();
        }
        let mut now = 0;
        for (live, shadow, is_short, fails, wait) in steps {
            now += wait;
            let wanted = shadow.map_or_else(|| desire(live), |shadow| beside(live, shadow));
            with.observed.is_short = is_short;
            for (world, wanted) in [(&mut with, &wanted), (&mut without, &desire(live))] {
                let slot = world.slot();
                slot.failing = fails && slot.current.is_some() && slot.previous.is_some();
                world.settle(wanted, Uptime(now));
            }
            prop_assert_eq!(with.serving(), without.serving());
            let previous = |world: &mut World| world.slot().previous.clone();
            prop_assert_eq!(previous(&mut with), previous(&mut without));
            let runs = with.runs();
            if let Some(runs) = runs {
                prop_assert!(!is_short && Some(runs) != with.serving());
                prop_assert!(!wrong_bytes.contains(&runs) && !bad_models.contains(&runs));
            }
            if shadow.is_none() {
                prop_assert_eq!(runs, None);
            }
        }
    }
}
