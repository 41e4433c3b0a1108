//! The hub's side: a workspace's repository of metadata, and how it changes. Pure: time and keys are
//! arguments.
//!
//! What needs a key that the hub does not hold becomes a **draft**: everything but the signatures. Who
//! has the key signs a copy of it and hands it in; when enough have, the draft takes effect, and the hub
//! makes the snapshot and the timestamp that say so.
//!
//! Must never break:
//! - what is in effect verifies from its first root on; versions only rise, by one each;
//! - a draft takes effect only if that stays so, and only if the hub can go on signing snapshot and
//!   timestamp.

mod build;
mod change;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tern_protocol::{
    blob::BlobRef,
    id::{ModelName, ModelVersion},
    time::WallTime,
};
use tough::schema::{RoleType, Root, Snapshot, Targets, Timestamp};

pub use self::{build::RootPlan, change::OfferError};
use crate::{
    document::{Document, DocumentError},
    key::{PublicKey, SigningKey},
    listing::{Listing, listing},
};

/// How long metadata of each role count, unless they are made anew before.
pub const ROOT_LIFE: Duration = Duration::from_hours(2 * 365 * 24);
/// Of targets.
pub const TARGETS_LIFE: Duration = Duration::from_hours(365 * 24);
/// Of snapshots.
pub const SNAPSHOT_LIFE: Duration = Duration::from_hours(30 * 24);
/// Of timestamps: what a hub that somebody took over can withhold is older than this.
pub const TIMESTAMP_LIFE: Duration = Duration::from_hours(7 * 24);

/// Keys that the hub holds for a repository.
#[derive(Debug)]
pub struct Keys {
    /// For snapshot and timestamp.
    pub online: SigningKey,
    /// The one that takes its place when a root names it.
    pub next_online: Option<SigningKey>,
    /// For targets, in development.
    pub release: Option<SigningKey>,
    /// For roots, in development.
    pub root: Option<SigningKey>,
}

impl Keys {
    /// Keys for a repository in development: the hub holds all.
    pub fn development() -> Result<Self, crate::key::KeyError> {
        Ok(Self {
            online: SigningKey::generate()?,
            next_online: None,
            release: Some(SigningKey::generate()?),
            root: Some(SigningKey::generate()?),
        })
    }
}

/// What waits for signatures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// A root that is to follow.
    pub root: Option<Document<Root>>,
    /// Targets that are to follow.
    pub targets: Option<Document<Targets>>,
}

/// A repository of metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Repository {
    /// All roots, oldest first; the first has version 1.
    pub roots: Vec<Document<Root>>,
    /// What is signed.
    pub targets: Document<Targets>,
    /// Which targets are the newest.
    pub snapshot: Document<Snapshot>,
    /// Which snapshot is the newest.
    pub timestamp: Document<Timestamp>,
    /// What waits for signatures.
    pub draft: Draft,
}

/// A role as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleFacts {
    /// Names of its keys.
    pub keys: Vec<String>,
    /// How many of them have to sign.
    pub threshold: u64,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires: WallTime,
}

impl Repository {
    /// A new one, of a hub that holds all keys.
    pub fn create(keys: &Keys, now: WallTime) -> Self {
        build::first(keys, now)
    }

    /// The root in effect.
    pub fn root(&self) -> &Document<Root> {
        self.roots.last().expect("a repository has a root")
    }

    /// The versions that are signed.
    pub fn listing(&self) -> Listing {
        listing(self.targets.role())
    }

    /// The versions that are signed or wait for it.
    pub fn drafted(&self) -> Listing {
        listing(self.newest_targets().role())
    }

    /// A bundle is to be signed.
    pub fn add(
        &mut self,
        model: &ModelName,
        version: ModelVersion,
        bundle: BlobRef,
        keys: &Keys,
        now: WallTime,
    ) {
        self.change_targets(keys, now, |targets| {
            build::list(targets, model, version, bundle);
        });
    }

    /// A version is to be revoked. Nothing if it was never listed.
    pub fn revoke(
        &mut self,
        model: &ModelName,
        version: ModelVersion,
        reason: &str,
        keys: &Keys,
        now: WallTime,
    ) {
        self.change_targets(keys, now, |targets| {
            build::revoke(targets, model, version, reason);
        });
    }

    /// Takes documents that somebody signed into the draft, and lets it take effect if it is complete.
    pub fn offer(
        &mut self,
        root: Option<Document<Root>>,
        targets: Option<Document<Targets>>,
        keys: &Keys,
        now: WallTime,
    ) -> Result<(), OfferError> {
        change::offer(self, root, targets, keys, now)
    }

    /// Takes a plan for a new root, signed by nobody yet, into the draft, with the hub's signatures.
    pub fn plan(&mut self, plan: &RootPlan, keys: &Keys, now: WallTime) -> Result<(), OfferError> {
        let root = build::next_root(self.root().role(), plan, keys, now);
        change::plan(self, Document::unsigned(root), keys, now)
    }

    /// Makes anew what expires soon, as far as the hub's keys reach; whether anything changed.
    pub fn refresh(&mut self, keys: &Keys, now: WallTime) -> bool {
        change::refresh(self, keys, now)
    }

    /// A role as it is in effect.
    pub fn facts(&self, role: RoleType) -> RoleFacts {
        let root = self.root().role();
        let keys = root.roles.get(&role);
        let (version, expires) = match role {
            RoleType::Root => (self.root().version(), root.expires),
            RoleType::Snapshot => (self.snapshot.version(), self.snapshot.role().expires),
            RoleType::Timestamp => (self.timestamp.version(), self.timestamp.role().expires),
            RoleType::Targets | RoleType::DelegatedTargets => {
                (self.targets.version(), self.targets.role().expires)
            }
        };
        RoleFacts {
            keys: keys.map_or_else(Vec::new, |keys| {
                keys.keyids.iter().map(crate::key::id).collect()
            }),
            threshold: keys.map_or(0, |keys| keys.threshold.get()),
            version,
            expires: WallTime(expires.as_millisecond()),
        }
    }

    /// Whether a key signs for a role in effect.
    pub fn counts(&self, role: RoleType, key: &PublicKey) -> bool {
        build::has_key(self.root().role(), role, key)
    }

    fn newest_targets(&self) -> &Document<Targets> {
        self.draft.targets.as_ref().unwrap_or(&self.targets)
    }

    fn change_targets(&mut self, keys: &Keys, now: WallTime, change: impl FnOnce(&mut Targets)) {
        let mut targets = self.newest_targets().role().clone();
        change(&mut targets);
        if targets == *self.newest_targets().role() {
            return;
        }
        change::draft_targets(self, targets, keys, now);
    }
}

/// Whether a key signs for a role by a root.
pub fn signs(root: &Root, role: RoleType, key: &PublicKey) -> bool {
    build::has_key(root, role, key)
}

/// Targets that list the same as these and follow them, for people to sign: before they expire, or with
/// other keys.
pub fn following(targets: &Document<Targets>, now: WallTime) -> Document<Targets> {
    let mut next = targets.role().clone();
    next.version = build::next(next.version);
    next.expires = build::after(now, TARGETS_LIFE);
    Document::unsigned(next)
}

/// Reads what was stored of a repository.
pub fn read(
    roots: &[Vec<u8>],
    targets: &[u8],
    snapshot: &[u8],
    timestamp: &[u8],
    draft_root: Option<&[u8]>,
    draft_targets: Option<&[u8]>,
) -> Result<Repository, DocumentError> {
    let roots: Result<_, _> = roots.iter().map(|bytes| Document::read(bytes)).collect();
    Ok(Repository {
        roots: roots?,
        targets: Document::read(targets)?,
        snapshot: Document::read(snapshot)?,
        timestamp: Document::read(timestamp)?,
        draft: Draft {
            root: draft_root.map(Document::read).transpose()?,
            targets: draft_targets.map(Document::read).transpose()?,
        },
    })
}
