//! A small world that carries out actions by the letter, so that `reconcile` can be asked until it
//! is content.

use proptest::prelude::*;
use tern_protocol::{
    desired::DesiredShadow,
    id::{ModelVersion, Revision},
};
use tern_trust::listing::{Listed, Listing};

use super::{
    shadow::{Do, ObservedShadow},
    *,
};

mod shadow;

const SLOT: &str = "reader";

fn slot_name() -> SlotName {
    SLOT.parse().expect("a name")
}

/// Version `n`: a manifest and two parts, the second shared by all versions.
fn kept(n: u32) -> Kept {
    let bundle = BlobRef::of(format!("bundle {n}").as_bytes());
    Kept {
        version: SlotVersion {
            model: "digits".parse().expect("a name"),
            version: ModelVersion::new(n).expect("from 1"),
            bundle: bundle.digest,
        },
        bundle,
    }
}

fn parts(n: u32) -> Vec<BlobRef> {
    vec![
        BlobRef::of(format!("onnx {n}").as_bytes()),
        BlobRef::of(b"reference"),
    ]
}

fn holding(n: u32) -> Holding {
    Holding {
        bundle: kept(n).bundle.digest,
        blobs: parts(n).iter().map(|blob| blob.digest).collect(),
    }
}

fn desire(n: u32) -> Desired {
    Desired {
        revision: Revision(u64::from(n)),
        slots: vec![DesiredSlot {
            slot: slot_name(),
            model: "digits".parse().expect("a name"),
            version: ModelVersion::new(n).expect("from 1"),
            bundle: kept(n).bundle,
            offers: Vec::new(),
        }],
        shadows: Vec::new(),
        requests: Vec::new(),
        erasures: Vec::new(),
    }
}

#[derive(Default)]
struct World {
    observed: Observed,
    /// Versions whose parts come with wrong bytes, or that fail vetting.
    wrong_bytes: BTreeSet<u32>,
    bad_models: BTreeSet<u32>,
    now: u64,
    log: Vec<String>,
    listing: Listing,
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        world
            .observed
            .slots
            .insert(slot_name(), ObservedSlot::default());
        world.observed.metadata.online = true;
        // A disk without room for what nobody needs.
        world.observed.shortfall = u64::MAX;
        world.sign(1..100);
        world
    }

    /// Only these versions are signed.
    fn sign(&mut self, versions: impl IntoIterator<Item = u32>) {
        self.listing = versions
            .into_iter()
            .map(|n| {
                let kept = kept(n);
                let listed = Listed {
                    bundle: kept.bundle,
                    revoked: None,
                };
                ((kept.version.model, kept.version.version), listed)
            })
            .collect();
        self.observed.metadata.signed = Signed::of(self.listing.clone());
    }

    fn revoke(&mut self, n: u32) {
        let version = kept(n).version;
        let listed = self.listing.get_mut(&(version.model, version.version));
        listed.expect("it is listed").revoked = Some("it lies".into());
        self.observed.metadata.signed = Signed::of(self.listing.clone());
    }

    fn slot(&mut self) -> &mut ObservedSlot {
        self.observed
            .slots
            .get_mut(&slot_name())
            .expect("it is there")
    }

    fn number(digest: Digest) -> u32 {
        (1..100)
            .find(|n| kept(*n).bundle.digest == digest)
            .expect("one of ours")
    }

    /// Acts until there is nothing to do; chunks arrive as soon as they are wanted.
    fn settle(&mut self, desired: &Desired, now: Uptime) {
        self.now = now.0;
        for _ in 0..100 {
            let whole = self.observed.blobs.iter();
            let whole = whole.filter(|(_, status)| **status == BlobStatus::Whole);
            let stock = whole.map(|(digest, _)| Stocked {
                digest: *digest,
                bytes: 1,
            });
            self.observed.stock = stock.collect();
            let actions = reconcile(desired, &self.observed, now);
            if actions.is_empty() && !self.arrivals() {
                return;
            }
            let served = self.slot().current.is_some();
            for action in actions {
                self.apply(action);
            }
            assert!(
                !served || self.slot().current.is_some(),
                "it lost what served: {:?}",
                self.log
            );
            self.assert_kept();
        }
        panic!("it does not come to rest: {:?}", self.log);
    }

    fn arrivals(&mut self) -> bool {
        let wrong: Vec<_> = self
            .wrong_bytes
            .iter()
            .map(|n| parts(*n)[0].digest)
            .collect();
        let mut any = false;
        for (digest, status) in &mut self.observed.blobs {
            if *status == BlobStatus::Coming {
                any = true;
                if wrong.contains(digest) {
                    *status = BlobStatus::Mismatch("wrong bytes".into());
                } else {
                    *status = BlobStatus::Whole;
                }
            }
        }
        let bad_models = self.bad_models.clone();
        any |= self.vet_shadow();
        if let Some(candidate) = &mut self.slot().candidate
            && let Step::Vetting(parts) = &candidate.step
        {
            any = true;
            if bad_models.contains(&candidate.kept.version.version.get()) {
                let name = slot_name();
                self.apply(Action::Reject(
                    name,
                    RejectReason::GoldenMismatch,
                    "bad".into(),
                ));
            } else {
                candidate.step = Step::Vetted(parts.clone());
            }
        }
        any
    }

    fn apply(&mut self, action: Action) {
        self.log.push(match &action {
            Action::Begin(_, kept) => format!("begin {}", kept.version.version),
            Action::Reject(_, reason, _) => format!("reject {reason}"),
            Action::Fetch(_) => "fetch".into(),
            Action::Drop(_) => "drop".into(),
            Action::Forget(_) => "forget".into(),
            Action::Abandon(_) => "abandon".into(),
            Action::Forgive(_) => "forgive".into(),
            Action::ReadManifest(_) => "read".into(),
            Action::Vet(_) => "vet".into(),
            Action::Activate(_) => "activate".into(),
            Action::SwapBack(_, reason, _) => format!("swap back {reason}"),
            Action::VerifyMetadata => "verify metadata".into(),
            Action::RefuseMetadata(_) => "refuse metadata".into(),
            Action::Shadow(_, due) => shadow::word(due),
        });
        let slot = self
            .observed
            .slots
            .get_mut(&slot_name())
            .expect("it is there");
        match action {
            Action::Begin(_, kept) => {
                slot.refused = None;
                let failed = |status: &BlobStatus| matches!(status, BlobStatus::Mismatch(_));
                self.observed.blobs.retain(|_, status| !failed(status));
                slot.candidate = Some(Candidate {
                    kept,
                    step: Step::Manifest,
                    since: Uptime(self.now),
                });
            }
            Action::Shadow(_, due) => self.apply_shadow(due),
            Action::Abandon(_) => slot.candidate = None,
            Action::Forgive(_) => slot.refused = None,
            Action::Fetch(blob) => {
                self.observed.blobs.insert(blob.digest, BlobStatus::Coming);
            }
            Action::ReadManifest(_) => {
                let candidate = slot.candidate.as_mut().expect("there is one");
                candidate.step = Step::Parts(parts(candidate.kept.version.version.get()));
            }
            Action::Vet(_) => {
                let candidate = slot.candidate.as_mut().expect("there is one");
                candidate.step = Step::Vetting(candidate.parts().to_vec());
            }
            Action::Activate(_) => {
                let candidate = slot.candidate.take().expect("there is one");
                assert!(matches!(candidate.step, Step::Vetted(_)));
                slot.previous = slot.current.take();
                slot.current = Some(holding(candidate.kept.version.version.get()));
                slot.refused = None;
            }
            Action::Reject(_, reason, _) => {
                let candidate = slot.candidate.take().expect("there is one");
                let retry_at = Uptime(self.now.saturating_add(600_000));
                let retry_at = (reason == RejectReason::DigestMismatch).then_some(retry_at);
                let bundle = candidate.kept.bundle.digest;
                slot.refused = Some(Refused { bundle, retry_at });
            }
            Action::VerifyMetadata => self.observed.metadata.needs = None,
            Action::RefuseMetadata(_) => {
                self.observed.metadata.needs = None;
                self.observed.metadata.refusal = None;
            }
            Action::SwapBack(..) => {
                slot.failing = false;
                let failed = slot.current.take().expect("something serves");
                slot.refused = Some(Refused {
                    bundle: failed.bundle,
                    retry_at: None,
                });
                slot.current = slot.previous.take();
            }
            Action::Drop(digest) => {
                self.observed.blobs.remove(&digest);
                self.observed.stock.retain(|blob| blob.digest != digest);
            }
            Action::Forget(digest) => {
                self.observed.blobs.remove(&digest);
            }
        }
    }

    /// What serves and what a swap back needs is on disk.
    fn assert_kept(&mut self) {
        let blobs = self.observed.blobs.clone();
        let slot = self.slot();
        for holding in slot.current.iter().chain(&slot.previous) {
            for blob in holding.blobs.iter().chain([&holding.bundle]) {
                assert_eq!(blobs.get(blob), Some(&BlobStatus::Whole));
            }
        }
    }

    fn serving(&mut self) -> Option<u32> {
        let bundle = self.slot().current.as_ref()?.bundle;
        Some(Self::number(bundle))
    }
}

#[test]
fn what_is_not_signed_waits_for_its_signature_and_is_refused_in_the_end() {
    let mut world = World::new();
    world.sign([1]);
    world.settle(&desire(1), Uptime(0));
    world.settle(&desire(2), Uptime(1_000));
    assert_eq!(world.serving(), Some(1), "{:?}", world.log);
    assert!(!world.log.iter().any(|line| line.starts_with("reject")));
    world.sign([1, 2]);
    world.settle(&desire(2), Uptime(2_000));
    assert_eq!(world.serving(), Some(2), "its signature came");

    let patience = SIGNATURE_PATIENCE.as_millis() as u64;
    world.settle(&desire(3), Uptime(10_000));
    world.observed.metadata.online = false;
    world.settle(&desire(3), Uptime(10_000 + patience));
    assert!(
        world.slot().candidate.is_some(),
        "without a link nothing can come"
    );
    world.observed.metadata.online = true;
    world.observed.metadata.needs = Some(vec![BlobRef::of(b"targets")]);
    world.observed.metadata.verifying = true;
    world.settle(&desire(3), Uptime(10_000 + patience));
    assert!(world.slot().candidate.is_some(), "they are being verified");
    world.observed.metadata = Metadata {
        signed: world.observed.metadata.signed.clone(),
        online: true,
        ..Metadata::default()
    };
    world.settle(&desire(3), Uptime(10_000 + patience));
    assert_eq!(
        world.log.last().map(String::as_str),
        Some("reject unsigned")
    );
    assert_eq!(world.serving(), Some(2));
}

#[test]
fn another_bundle_under_a_signed_name_is_refused_at_once() {
    let mut world = World::new();
    let mut desired = desire(1);
    desired.slots[0].bundle = BlobRef::of(b"forged");
    world.settle(&desired, Uptime(0));
    assert_eq!(world.log, ["begin 1", "reject unsigned"]);
}

#[test]
fn a_revoked_version_gives_way_to_the_one_before_it() {
    let mut world = World::new();
    world.settle(&desire(1), Uptime(0));
    world.settle(&desire(2), Uptime(1));
    world.revoke(2);
    world.settle(&desire(2), Uptime(2));
    assert_eq!(world.serving(), Some(1), "{:?}", world.log);
    world.settle(&desire(2), Uptime(3));
    assert_eq!(world.serving(), Some(1), "and is not tried again");
}

#[test]
fn a_revoked_version_with_nothing_to_return_to_serves_until_another_is_here() {
    let mut world = World::new();
    world.settle(&desire(1), Uptime(0));
    world.revoke(1);
    world.settle(&desire(1), Uptime(1));
    assert_eq!(world.serving(), Some(1), "a working model stays");
    world.settle(&desire(2), Uptime(2));
    assert_eq!(world.serving(), Some(2));
    // Both are revoked: going back from one to the other helps nobody.
    world.revoke(2);
    world.settle(&desire(2), Uptime(3));
    assert_eq!(world.serving(), Some(2));
}

#[test]
fn a_revoked_version_serves_until_the_one_before_it_is_whole_again() {
    let mut world = World::new();
    world.settle(&desire(1), Uptime(0));
    world.settle(&desire(2), Uptime(1));
    world.revoke(2);
    let blob = parts(1)[0].digest;
    world.observed.blobs.insert(blob, BlobStatus::Coming);
    let actions = reconcile(&desire(2), &world.observed, Uptime(2));
    assert!(actions.is_empty(), "{actions:?}");
    world.settle(&desire(2), Uptime(3));
    assert_eq!(world.serving(), Some(1), "{:?}", world.log);
}

#[test]
fn the_lost_manifest_of_the_version_before_is_needed() {
    let mut world = World::new();
    world.settle(&desire(2), Uptime(0));
    let lost = kept(1).bundle.digest;
    world.slot().lost = Some(lost);
    world.observed.blobs.insert(lost, BlobStatus::Coming);
    let actions = reconcile(&desire(2), &world.observed, Uptime(1));
    assert!(actions.is_empty(), "it is not forgotten: {actions:?}");
}

#[test]
fn what_is_revoked_on_its_way_is_not_activated() {
    let mut world = World::new();
    world.settle(&desire(1), Uptime(0));
    world.revoke(2);
    world.settle(&desire(2), Uptime(1));
    assert_eq!(world.log.last().map(String::as_str), Some("reject revoked"));
    assert_eq!(world.serving(), Some(1));
}

#[test]
fn metadata_are_fetched_verified_and_let_go() {
    let mut world = World::new();
    let needed = BlobRef::of(b"snapshot");
    world.observed.metadata.needs = Some(vec![needed]);
    world.settle(&Desired::default(), Uptime(0));
    assert_eq!(world.log, ["fetch", "verify metadata", "drop"]);
    world.observed.metadata.needs = Some(Vec::new());
    world.settle(&Desired::default(), Uptime(0));
    assert_eq!(
        world.log.last().map(String::as_str),
        Some("verify metadata")
    );
}

#[test]
fn a_first_model_is_fetched_vetted_and_serves() {
    let mut world = World::new();
    world.settle(&desire(1), Uptime(0));
    insta::assert_snapshot!(world.log.join(", "), @"begin 1, fetch, read, fetch, fetch, vet, activate");
    assert_eq!(world.serving(), Some(1));
}

#[test]
fn what_nobody_needs_any_more_is_dropped() {
    let mut world = World::new();
    (1..=3).for_each(|n| world.settle(&desire(n), Uptime(0)));
    assert_eq!(world.serving(), Some(3));
    // Version 1 had a manifest and an ONNX file of its own.
    assert_eq!(world.log.iter().filter(|line| *line == "drop").count(), 2);
    let shared = parts(1)[1].digest;
    assert!(world.observed.blobs.contains_key(&shared));
}

#[test]
fn what_nobody_needs_stays_while_there_is_room_and_is_there_when_it_is_needed_again() {
    let mut world = World::new();
    world.observed.shortfall = 0;
    (1..=3).for_each(|n| world.settle(&desire(n), Uptime(0)));
    assert!(!world.log.contains(&"drop".into()), "{:?}", world.log);
    world.log.clear();
    world.settle(&desire(1), Uptime(0));
    insta::assert_snapshot!(world.log.join(", "), @"begin 1, read, vet, activate");
    world.observed.shortfall = 1;
    world.log.clear();
    world.settle(&desire(1), Uptime(0));
    assert!(world.log.contains(&"drop".into()), "{:?}", world.log);
    assert_eq!(world.serving(), Some(1));
}

#[test]
fn wrong_bytes_leave_what_serves_and_are_tried_again_later() {
    let mut world = World::new();
    world.settle(&desire(1), Uptime(0));
    world.wrong_bytes.insert(2);
    world.log.clear();
    world.settle(&desire(2), Uptime(0));
    insta::assert_snapshot!(world.log.join(", "), @"begin 2, fetch, read, fetch, reject digest-mismatch, forget, drop");
    assert_eq!(world.serving(), Some(1));
    world.log.clear();
    world.settle(&desire(2), Uptime(599_999));
    assert_eq!(world.log.join(", "), "");
    world.wrong_bytes.clear();
    world.settle(&desire(2), Uptime(600_000));
    assert_eq!(world.serving(), Some(2));
}

#[test]
fn a_failing_model_gives_way_and_stays_refused_until_desired_changes() {
    let mut world = World::new();
    world.settle(&desire(1), Uptime(0));
    world.settle(&desire(2), Uptime(0));
    world.slot().failing = true;
    world.settle(&desire(2), Uptime(u64::MAX));
    assert_eq!(world.serving(), Some(1));
    world.settle(&desire(1), Uptime(u64::MAX));
    world.settle(&desire(2), Uptime(u64::MAX));
    assert_eq!(
        world.serving(),
        Some(2),
        "desired named another bundle in between"
    );
}

#[test]
fn a_newer_desire_overtakes_one_on_its_way() {
    let mut world = World::new();
    for action in reconcile(&desire(1), &world.observed.clone(), Uptime(0)) {
        world.apply(action);
    }
    world.settle(&desire(2), Uptime(0));
    assert_eq!(world.serving(), Some(2));
    world.settle(&Desired::default(), Uptime(0));
    assert_eq!(
        world.serving(),
        Some(2),
        "a slot that is not listed keeps what it has"
    );
}

proptest! {
    #[test]
    fn it_comes_to_rest_and_never_loses_what_serves(
        steps in prop::collection::vec((1u32..6, any::<bool>(), 0u64..2_000_000), 1..20),
        wrong_bytes in prop::collection::btree_set(1u32..6, 0..3),
        bad_models in prop::collection::btree_set(1u32..6, 0..3),
    ) {
        let mut world = World::new();
        let good = |n: &u32| !wrong_bytes.contains(n) && !bad_models.contains(n);
        world.wrong_bytes = wrong_bytes.clone();
        world.bad_models = bad_models.clone();
        let mut now = 0;
        for (n, fails, wait) in steps {
            now += wait;
            world.settle(&desire(n), Uptime(now));
            if good(&n) {
                let refused = world.slot().refused.as_ref().map(|r| World::number(r.bundle));
                prop_assert!(world.serving() == Some(n) || refused == Some(n));
            }
            if fails && world.slot().current.is_some() && world.slot().previous.is_some() {
                world.slot().failing = true;
                world.settle(&desire(n), Uptime(now));
                prop_assert!(world.slot().current.is_some());
            }
        }
    }
}
