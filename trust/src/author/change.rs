//! How a draft comes about, and when it takes effect.

use tern_protocol::time::WallTime;
use tough::schema::{RoleType, Root, Targets};

use super::{Keys, ROOT_LIFE, Repository, SNAPSHOT_LIFE, TARGETS_LIFE, TIMESTAMP_LIFE, build};
use crate::{ROOT_MAX, ROOTS_MAX, TARGETS_MAX, document::Document, listing::listing};

/// Most keys of one role.
const KEYS_MAX: usize = 16;

/// Why a document that was handed in is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// It does not follow what is in effect.
    #[error(
        "the {role} has version {found}, the next one is {next}; get what is pending and sign again"
    )]
    Version {
        /// Of which role.
        role: RoleType,
        /// What it has.
        found: u64,
        /// What it would have to have.
        next: u64,
    },
    /// It lists other versions of models than those that are published.
    #[error("the targets list other versions than the hub has; get what is pending and sign again")]
    Listing,
    /// No signature on it counts.
    #[error("no signature of the {0} is by one of its keys")]
    Unsigned(RoleType),
    /// Another root waits for signatures.
    #[error("another change of keys waits for signatures; sign or withdraw it first")]
    Pending,
    /// The hub could not go on.
    #[error("the hub does not hold the key for {0}, so nothing could be published any more")]
    Online(RoleType),
    /// A role has no keys, more than may be, the same one twice, or fewer than have to sign.
    #[error("the {0} has {1} keys, {2} of which have to sign")]
    Keys(RoleType, usize, u64),
    /// It is larger than any may be.
    #[error("the {0} is too large")]
    TooLarge(RoleType),
    /// Not in the form that agents of this project read.
    #[error("consistent snapshots are off")]
    Form,
    /// There is no next key of the hub.
    #[error("the hub has made no next key")]
    NoNext,
}

pub(super) fn offer(
    repository: &mut Repository,
    root: Option<Document<Root>>,
    targets: Option<Document<Targets>>,
    keys: &Keys,
    now: WallTime,
) -> Result<(), OfferError> {
    let mut next = repository.clone();
    if let Some(root) = root {
        take_root(&mut next, &root, keys)?;
    }
    if let Some(targets) = targets {
        take_targets(&mut next, &targets)?;
    }
    settle(&mut next, keys, now);
    *repository = next;
    Ok(())
}

pub(super) fn plan(
    repository: &mut Repository,
    mut root: Document<Root>,
    keys: &Keys,
    now: WallTime,
) -> Result<(), OfferError> {
    if repository.draft.root.is_some() {
        return Err(OfferError::Pending);
    }
    check_root(repository, &root, keys)?;
    if let Some(key) = &keys.root {
        root.sign(key);
    }
    let mut next = repository.clone();
    next.draft.root = Some(root);
    settle(&mut next, keys, now);
    *repository = next;
    Ok(())
}

/// Puts targets into the draft, signed as far as the hub can.
pub(super) fn draft_targets(
    repository: &mut Repository,
    mut targets: Targets,
    keys: &Keys,
    now: WallTime,
) {
    targets.version = build::next(repository.targets.role().version);
    targets.expires = build::after(now, TARGETS_LIFE);
    repository.draft.targets = Some(Document::unsigned(targets));
    settle(repository, keys, now);
}

pub(super) fn refresh(repository: &mut Repository, keys: &Keys, now: WallTime) -> bool {
    let before = repository.clone();
    let due = |expires: jiff::Timestamp, life: std::time::Duration, part: i64| {
        let left = expires.as_millisecond() - now.0;
        let life = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        left < life - life / part
    };
    // A role whose keys are elsewhere is not touched: people sign it.
    let root = repository.root().role();
    if let Some(key) = &keys.root
        && repository.draft.root.is_none()
        && build::has_key(root, RoleType::Root, &key.public())
        && due(root.expires, ROOT_LIFE, 2)
    {
        let plan = super::RootPlan::default();
        let root = build::next_root(root, &plan, keys, now);
        // What was refused now is tried again at the next look.
        let _ = self::plan(repository, Document::unsigned(root), keys, now);
    }
    if let Some(key) = &keys.release
        && repository.draft.targets.is_none()
        && build::has_key(repository.root().role(), RoleType::Targets, &key.public())
        && due(repository.targets.role().expires, TARGETS_LIFE, 2)
    {
        let targets = repository.targets.role().clone();
        draft_targets(repository, targets, keys, now);
    }
    if due(repository.snapshot.role().expires, SNAPSHOT_LIFE, 2) {
        renew(repository, keys, now);
    } else if due(repository.timestamp.role().expires, TIMESTAMP_LIFE, 7) {
        stamp(repository, keys, now);
    }
    *repository != before
}

fn take_root(
    repository: &mut Repository,
    offered: &Document<Root>,
    keys: &Keys,
) -> Result<(), OfferError> {
    check_root(repository, offered, keys)?;
    let current = repository.root().role().clone();
    let roots = [&current, offered.role()];
    let signed = offered.pruned(&roots);
    if signed.signers().next().is_none() {
        return Err(OfferError::Unsigned(RoleType::Root));
    }
    match &mut repository.draft.root {
        None => repository.draft.root = Some(signed),
        Some(draft) if draft.role() == offered.role() => {
            draft.merge(&signed, &current);
            draft.merge(&signed, offered.role());
        }
        Some(_) => return Err(OfferError::Pending),
    }
    // In development the hub's own signature belongs to every root.
    if let (Some(draft), Some(key)) = (&mut repository.draft.root, &keys.root)
        && build::has_key(&current, RoleType::Root, &key.public())
    {
        draft.sign(key);
    }
    Ok(())
}

fn check_root(
    repository: &Repository,
    offered: &Document<Root>,
    keys: &Keys,
) -> Result<(), OfferError> {
    let (root, next) = (offered.role(), repository.root().version() + 1);
    if offered.version() != next || next > ROOTS_MAX {
        return Err(OfferError::Version {
            role: RoleType::Root,
            found: offered.version(),
            next,
        });
    }
    if offered.bytes().len() as u64 > ROOT_MAX / 2 {
        return Err(OfferError::TooLarge(RoleType::Root));
    }
    if !root.consistent_snapshot {
        return Err(OfferError::Form);
    }
    let roles = [
        RoleType::Root,
        RoleType::Targets,
        RoleType::Snapshot,
        RoleType::Timestamp,
    ];
    for role in roles {
        let (mut ids, threshold) = root.roles.get(&role).map_or_else(
            || (Vec::new(), 0),
            |keys| (keys.keyids.clone(), keys.threshold.get()),
        );
        let count = ids.len();
        ids.sort();
        ids.dedup();
        let known = ids.iter().all(|id| root.keys.contains_key(id));
        if !(1..=KEYS_MAX).contains(&count)
            || ids.len() != count
            || !known
            || threshold == 0
            || threshold > count as u64
        {
            return Err(OfferError::Keys(role, count, threshold));
        }
    }
    for role in [RoleType::Snapshot, RoleType::Timestamp] {
        let one = root
            .roles
            .get(&role)
            .is_some_and(|r| r.threshold.get() == 1);
        if !one || online(root, role, keys).is_none() {
            return Err(OfferError::Online(role));
        }
    }
    Ok(())
}

/// The hub's key that signs for a role by this root.
fn online<'a>(root: &Root, role: RoleType, keys: &'a Keys) -> Option<&'a crate::key::SigningKey> {
    [Some(&keys.online), keys.next_online.as_ref()]
        .into_iter()
        .flatten()
        .find(|key| build::has_key(root, role, &key.public()))
}

fn take_targets(
    repository: &mut Repository,
    offered: &Document<Targets>,
) -> Result<(), OfferError> {
    let next = repository.targets.version() + 1;
    if offered.version() != next {
        return Err(OfferError::Version {
            role: RoleType::Targets,
            found: offered.version(),
            next,
        });
    }
    if offered.bytes().len() as u64 > TARGETS_MAX {
        return Err(OfferError::TooLarge(RoleType::Targets));
    }
    if offered.role().delegations.is_some() || listing(offered.role()) != repository.drafted() {
        return Err(OfferError::Listing);
    }
    let current = repository.root().role().clone();
    let planned = repository
        .draft
        .root
        .as_ref()
        .map(|root| root.role().clone());
    let roots: Vec<&Root> = [Some(&current), planned.as_ref()]
        .into_iter()
        .flatten()
        .collect();
    let signed = offered.pruned(&roots);
    if signed.signers().next().is_none() {
        return Err(OfferError::Unsigned(RoleType::Targets));
    }
    match &mut repository.draft.targets {
        Some(draft) if draft.role() == offered.role() => {
            for root in roots {
                draft.merge(&signed, root);
            }
        }
        // It says the same in other words (another expiry): its signers decide.
        draft => *draft = Some(signed),
    }
    Ok(())
}

/// Lets the draft take effect as far as it is complete.
fn settle(repository: &mut Repository, keys: &Keys, now: WallTime) {
    sign_targets(repository, keys, now);
    let mut changed = false;
    let current = repository.root().role().clone();
    if let Some(root) = &repository.draft.root
        && root.is_signed(&current)
        && root.is_signed(root.role())
    {
        let drafted = repository.draft.targets.as_ref();
        let drafted = drafted.filter(|targets| targets.is_signed(root.role()));
        if drafted.is_some() || repository.targets.is_signed(root.role()) {
            if let Some(targets) = drafted {
                repository.targets = targets.clone();
                repository.draft.targets = None;
            }
            repository.roots.extend(repository.draft.root.take());
            changed = true;
        }
    }
    let root = repository.root().role().clone();
    if let Some(targets) = &repository.draft.targets
        && targets.is_signed(&root)
    {
        repository.targets = targets.clone();
        repository.draft.targets = None;
        changed = true;
    }
    if changed {
        renew(repository, keys, now);
    }
}

/// Signs the drafted targets with the hub's key, where it counts; makes a draft where a root that waits
/// needs targets by the hub's key.
fn sign_targets(repository: &mut Repository, keys: &Keys, now: WallTime) {
    let Some(key) = &keys.release else { return };
    let root = repository.draft.root.as_ref().unwrap_or(repository.root());
    let counts_then = build::has_key(root.role(), RoleType::Targets, &key.public());
    let counts_now = build::has_key(repository.root().role(), RoleType::Targets, &key.public());
    if !(counts_then || counts_now) {
        return;
    }
    let lacking = !repository.targets.is_signed(root.role());
    if repository.draft.targets.is_none() && counts_then && lacking {
        repository.draft.targets = Some(super::following(&repository.targets, now));
    }
    if let Some(draft) = &mut repository.draft.targets {
        draft.sign(key);
    }
}

/// A new snapshot and a new timestamp for what is in effect.
fn renew(repository: &mut Repository, keys: &Keys, now: WallTime) {
    // A root that the hub cannot sign for is not taken, so there is a key; see `check_root`.
    if let Some(key) = online(repository.root().role(), RoleType::Snapshot, keys) {
        let version = build::next(repository.snapshot.role().version);
        repository.snapshot = build::snapshot(&repository.targets, version, key, now);
    }
    stamp(repository, keys, now);
}

/// A new timestamp for what is in effect.
fn stamp(repository: &mut Repository, keys: &Keys, now: WallTime) {
    if let Some(key) = online(repository.root().role(), RoleType::Timestamp, keys) {
        let version = build::next(repository.timestamp.role().version);
        repository.timestamp = build::timestamp(&repository.snapshot, version, key, now);
    }
}
