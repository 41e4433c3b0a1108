//! Both sides together: what the hub makes, devices verify.

use std::{collections::BTreeMap, num::NonZeroU64};

use proptest::prelude::*;

use super::*;
use crate::client::{Held, Offered, TrustError, Trusted, Versions, verify};

const NOW: WallTime = WallTime(1_790_000_000_000);
const DAY: i64 = 24 * 3600 * 1000;

fn model() -> ModelName {
    "digits".parse().expect("a name")
}

fn version(number: u32) -> ModelVersion {
    ModelVersion::new(number).expect("not 0")
}

fn bundle(number: u32) -> BlobRef {
    BlobRef::of(&number.to_be_bytes())
}

fn keys() -> Keys {
    Keys::development().expect("keys")
}

fn key() -> SigningKey {
    SigningKey::generate().expect("a key")
}

fn add(repository: &mut Repository, number: u32, keys: &Keys) {
    repository.add(&model(), version(number), bundle(number), keys, NOW);
}

/// A device that pinned the first root.
struct Device {
    dir: tempfile::TempDir,
    root: Vec<u8>,
    held: Option<Held>,
    seen: Versions,
}

impl Device {
    fn new(repository: &Repository) -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            root: repository.roots[0].bytes().to_vec(),
            held: None,
            seen: Versions::default(),
        }
    }

    fn hears(&mut self, repository: &Repository) -> Result<Trusted, TrustError> {
        let roots = repository.roots.iter();
        self.takes(&Offered {
            roots: roots.map(|r| (r.version(), r.bytes().to_vec())).collect(),
            timestamp: repository.timestamp.bytes().to_vec(),
            snapshot: repository.snapshot.bytes().to_vec(),
            targets: repository.targets.bytes().to_vec(),
        })
    }

    fn takes(&mut self, offered: &Offered) -> Result<Trusted, TrustError> {
        let scratch = self.dir.path().join("scratch");
        let trusted = verify(&scratch, &self.root, self.held.as_ref(), self.seen, offered)?;
        assert!(!scratch.exists(), "nothing is left of the work");
        self.root.clone_from(&trusted.held.root);
        self.held = Some(trusted.held.clone());
        self.seen = trusted.versions;
        Ok(trusted)
    }
}

fn listed(trusted: &Trusted, number: u32) -> Option<BlobRef> {
    let listed = trusted.listing.get(&(model(), version(number)));
    listed.map(|listed| listed.bundle)
}

#[test]
fn what_is_added_is_trusted_and_what_is_not_listed_is_not() {
    let keys = keys();
    let mut repository = Repository::create(&keys, NOW);
    let mut device = Device::new(&repository);
    assert!(
        device
            .hears(&repository)
            .expect("it verifies")
            .listing
            .is_empty()
    );
    add(&mut repository, 1, &keys);
    let trusted = device.hears(&repository).expect("it verifies");
    assert_eq!(listed(&trusted, 1), Some(bundle(1)));
    assert_eq!(listed(&trusted, 2), None);
    let again = device.hears(&repository).expect("the same again is fine");
    assert_eq!(again.held, trusted.held);
    let before = repository.clone();
    add(&mut repository, 1, &keys);
    assert_eq!(repository, before, "what is listed already changes nothing");
}

#[test]
fn nobody_turns_a_device_back() {
    let keys = keys();
    let mut repository = Repository::create(&keys, NOW);
    let old = repository.clone();
    add(&mut repository, 1, &keys);
    let mut device = Device::new(&repository);
    device.hears(&repository).expect("it verifies");
    device
        .hears(&old)
        .expect_err("it is older than what is held");
    // Its files are gone, the versions that it has seen are not.
    device.held = None;
    let refusal = device
        .hears(&old)
        .expect_err("it is older than what was seen");
    assert!(matches!(refusal, TrustError::Older { .. }), "{refusal}");
    // A timestamp that is newer but names the old snapshot.
    let mixed = Repository {
        timestamp: build::timestamp(
            &old.snapshot,
            NonZeroU64::new(9).expect("9"),
            &keys.online,
            NOW,
        ),
        ..old
    };
    device.hears(&mixed).expect_err("the snapshot is older");
}

#[test]
fn a_revoked_version_is_said_to_be() {
    let keys = keys();
    let mut repository = Repository::create(&keys, NOW);
    add(&mut repository, 1, &keys);
    repository.revoke(&model(), version(1), "leaks", &keys, NOW);
    let before = repository.clone();
    repository.revoke(&model(), version(2), "was never there", &keys, NOW);
    assert_eq!(repository, before);
    let trusted = Device::new(&repository)
        .hears(&repository)
        .expect("it verifies");
    let listed = &trusted.listing[&(model(), version(1))];
    assert_eq!(listed.revoked.as_deref(), Some("leaks"));
}

/// Roots by two of three people, targets by one release key.
fn offline(repository: &mut Repository, keys: &Keys) -> (Vec<SigningKey>, SigningKey) {
    let (people, release) = (vec![key(), key(), key()], key());
    let plan = RootPlan {
        root: Some((people.iter().map(SigningKey::public).collect(), two())),
        release: Some((vec![release.public()], NonZeroU64::MIN)),
        online: false,
    };
    repository.plan(&plan, keys, NOW).expect("it is a root");
    (people, release)
}

fn two() -> NonZeroU64 {
    NonZeroU64::new(2).expect("2")
}

fn sign_root(repository: &Repository, key: &SigningKey) -> Document<Root> {
    let mut root = repository.draft.root.clone().expect("one waits");
    root.sign(key);
    root
}

/// Targets that follow those in effect or in the draft, signed.
fn sign_targets(repository: &Repository, key: &SigningKey) -> Document<Targets> {
    let mut targets = repository.newest_targets().role().clone();
    targets.version = build::next(repository.targets.role().version);
    let mut targets = Document::unsigned(targets);
    targets.sign(key);
    targets
}

#[test]
fn keys_go_offline_while_devices_listen() {
    let mut keys = keys();
    let mut repository = Repository::create(&keys, NOW);
    add(&mut repository, 1, &keys);
    let mut device = Device::new(&repository);
    device.hears(&repository).expect("it verifies");

    let (people, release) = offline(&mut repository, &keys);
    assert_eq!(repository.roots.len(), 1, "nobody but the hub has signed");
    let offer = |repository: &mut Repository, keys: &Keys, root, targets| {
        repository.offer(root, targets, keys, NOW)
    };
    let root = sign_root(&repository, &people[0]);
    let targets = sign_targets(&repository, &release);
    offer(&mut repository, &keys, Some(root), Some(targets)).expect("it is taken");
    assert_eq!(repository.roots.len(), 1, "one of two has signed");
    let root = sign_root(&repository, &people[2]);
    offer(&mut repository, &keys, Some(root), None).expect("it is taken");
    assert_eq!(repository.roots.len(), 2, "two of three have signed");
    assert_eq!(repository.draft, Draft::default());
    let trusted = device.hears(&repository).expect("it follows the roots");
    assert_eq!(
        (trusted.versions.root, listed(&trusted, 1)),
        (2, Some(bundle(1)))
    );

    // From here on the hub's own keys count for nothing but snapshot and timestamp.
    add(&mut repository, 2, &keys);
    assert!(!repository.listing().contains_key(&(model(), version(2))));
    assert!(repository.drafted().contains_key(&(model(), version(2))));
    let forged = sign_targets(&repository, keys.release.as_ref().expect("the old one"));
    let refusal = offer(&mut repository, &keys, None, Some(forged)).expect_err("it does not count");
    assert_eq!(refusal, OfferError::Unsigned(RoleType::Targets));
    keys.root = None;
    keys.release = None;
    let targets = sign_targets(&repository, &release);
    offer(&mut repository, &keys, None, Some(targets)).expect("it is taken");
    let trusted = device.hears(&repository).expect("it verifies");
    assert_eq!(listed(&trusted, 2), Some(bundle(2)));

    // A device that was away all the time follows too.
    let late = Device::new(&repository)
        .hears(&repository)
        .expect("it verifies");
    assert_eq!(late.listing, trusted.listing);
}

#[test]
fn a_hub_that_was_taken_over_cannot_make_devices_trust_its_own() {
    let mut keys = keys();
    let mut repository = Repository::create(&keys, NOW);
    let (people, release) = offline(&mut repository, &keys);
    let targets = sign_targets(&repository, &release);
    for person in &people[..2] {
        let root = sign_root(&repository, person);
        let targets = Some(targets.clone()).filter(|_| repository.draft.targets.is_none());
        let targets = targets.filter(|t| t.version() == repository.targets.version() + 1);
        repository
            .offer(Some(root), targets, &keys, NOW)
            .expect("it is taken");
    }
    assert_eq!(repository.roots.len(), 2);
    let mut device = Device::new(&repository);
    device.hears(&repository).expect("it verifies");
    keys.root = None;
    keys.release = None;
    add(&mut repository, 1, &keys);
    let mut targets = repository.draft.targets.clone().expect("it waits");
    targets.sign(&keys.online);
    let mut forged = Repository {
        targets,
        ..repository.clone()
    };
    forged.snapshot = build::snapshot(&forged.targets, two(), &keys.online, NOW);
    forged.timestamp = build::timestamp(
        &forged.snapshot,
        NonZeroU64::new(9).expect("9"),
        &keys.online,
        NOW,
    );
    let refusal = device
        .hears(&forged)
        .expect_err("the release key did not sign");
    assert!(matches!(refusal, TrustError::Refused(_)), "{refusal}");

    let plan = RootPlan {
        release: Some((vec![keys.online.public()], NonZeroU64::MIN)),
        ..RootPlan::default()
    };
    let mut root = Document::unsigned(build::next_root(
        repository.root().role(),
        &plan,
        &keys,
        NOW,
    ));
    root.sign(&keys.online);
    root.sign(&people[0]);
    let refusal = repository.offer(Some(root.clone()), None, &keys, NOW);
    assert_eq!(refusal, Ok(()), "one person of two has signed it");
    assert_eq!(repository.roots.len(), 2, "which is not enough");
    forged.roots.push(root);
    device
        .hears(&forged)
        .expect_err("one of two people signed that root");
}

#[test]
fn the_hubs_own_key_is_replaced() {
    let mut keys = keys();
    let mut repository = Repository::create(&keys, NOW);
    add(&mut repository, 1, &keys);
    let mut device = Device::new(&repository);
    device.hears(&repository).expect("it verifies");
    let (old, plan) = (
        repository.clone(),
        RootPlan {
            online: true,
            ..RootPlan::default()
        },
    );
    keys.next_online = Some(key());
    repository.plan(&plan, &keys, NOW).expect("it is a root");
    assert_eq!(repository.roots.len(), 2);
    let next = keys.next_online.take().expect("it was made");
    assert!(repository.counts(RoleType::Timestamp, &next.public()));
    assert!(!repository.counts(RoleType::Timestamp, &keys.online.public()));
    let trusted = device.hears(&repository).expect("it verifies");
    assert_eq!(listed(&trusted, 1), Some(bundle(1)));
    // Whoever has the old key can do nothing with it.
    let thief = std::mem::replace(&mut keys.online, next);
    let forged = Repository {
        timestamp: build::timestamp(&old.snapshot, NonZeroU64::new(99).expect("99"), &thief, NOW),
        ..repository.clone()
    };
    device
        .hears(&forged)
        .expect_err("that key does not count any more");
    // A root without a key that the hub has is not taken.
    keys.online = key();
    let refusal = repository.plan(&RootPlan::default(), &keys, NOW);
    assert_eq!(refusal, Err(OfferError::Online(RoleType::Snapshot)));
}

#[test]
fn expired_metadata_still_say_what_was_signed() {
    let keys = keys();
    let long_ago = WallTime(NOW.0 - 900 * DAY);
    let mut repository = Repository::create(&keys, long_ago);
    repository.add(&model(), version(1), bundle(1), &keys, long_ago);
    let mut device = Device::new(&repository);
    let trusted = device.hears(&repository).expect("it verifies");
    assert!(trusted.expires < NOW);
    assert_eq!(listed(&trusted, 1), Some(bundle(1)));
    assert!(repository.refresh(&keys, NOW));
    let fresh = device.hears(&repository).expect("it verifies");
    assert!(
        fresh.expires > WallTime(NOW.0 + 6 * DAY),
        "{:?}",
        fresh.expires
    );
    assert!(!repository.refresh(&keys, NOW), "nothing is due");
    assert!(
        repository.refresh(&keys, WallTime(NOW.0 + 2 * DAY)),
        "a timestamp is, every day"
    );
    assert_eq!(repository.targets.version(), fresh.versions.targets);
}

#[test]
fn a_draft_that_leaves_out_what_was_published_is_not_taken() {
    let keys = keys();
    let mut repository = Repository::create(&keys, NOW);
    let stale = sign_targets(&repository, keys.release.as_ref().expect("a key"));
    add(&mut repository, 1, &keys);
    let refusal = repository.offer(None, Some(stale), &keys, NOW);
    assert!(
        matches!(refusal, Err(OfferError::Version { .. })),
        "{refusal:?}"
    );
    let mut targets = repository.targets.role().clone();
    targets.version = build::next(targets.version);
    targets.targets.clear();
    let mut targets = Document::unsigned(targets);
    targets.sign(keys.release.as_ref().expect("a key"));
    let refusal = repository.offer(None, Some(targets), &keys, NOW);
    assert_eq!(refusal, Err(OfferError::Listing));
}

#[test]
fn what_is_stored_reads_back() {
    let keys = keys();
    let mut repository = Repository::create(&keys, NOW);
    offline(&mut repository, &keys);
    add(&mut repository, 1, &keys);
    let roots: Vec<_> = repository
        .roots
        .iter()
        .map(|r| r.bytes().to_vec())
        .collect();
    let again = read(
        &roots,
        repository.targets.bytes(),
        repository.snapshot.bytes(),
        repository.timestamp.bytes(),
        repository.draft.root.as_ref().map(Document::bytes),
        repository.draft.targets.as_ref().map(Document::bytes),
    );
    assert_eq!(again.expect("it reads"), repository);
    read(&roots, b"{}", b"{}", b"{}", None, None).expect_err("these are no documents");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One changed byte anywhere: refused, or it changed nothing that is signed.
    #[test]
    fn a_changed_byte_is_never_believed(which in 0usize..4, at in 0usize..4096, bit in 0u8..8) {
        let keys = keys();
        let mut repository = Repository::create(&keys, NOW);
        let mut device = Device::new(&repository);
        device.root = repository.roots[0].bytes().to_vec();
        repository.plan(&RootPlan::default(), &keys, NOW).expect("a second root");
        add(&mut repository, 1, &keys);
        let mut offered = Offered {
            roots: BTreeMap::from([(2, repository.roots[1].bytes().to_vec())]),
            timestamp: repository.timestamp.bytes().to_vec(),
            snapshot: repository.snapshot.bytes().to_vec(),
            targets: repository.targets.bytes().to_vec(),
        };
        let file = match which {
            0 => offered.roots.get_mut(&2).expect("it is there"),
            1 => &mut offered.timestamp,
            2 => &mut offered.snapshot,
            _ => &mut offered.targets,
        };
        let at = at % file.len();
        file[at] ^= 1 << bit;
        if let Ok(trusted) = device.takes(&offered) {
            prop_assert_eq!(listed(&trusted, 1), Some(bundle(1)));
        }
    }
}
