//! How the documents are put together.

use std::{collections::HashMap, num::NonZeroU64, time::Duration};

use jiff::Timestamp as Time;
use serde_json::Value;
use tern_protocol::{
    blob::BlobRef,
    id::{ModelName, ModelVersion},
    time::WallTime,
};
use tough::{
    TargetName,
    schema::{Hashes, Metafile, RoleKeys, RoleType, Root, Snapshot, Target, Targets, Timestamp},
};

use super::{Draft, Keys, ROOT_LIFE, Repository, SNAPSHOT_LIFE, TARGETS_LIFE, TIMESTAMP_LIFE};
use crate::{
    document::Document,
    key::{PublicKey, SigningKey},
    listing::{REVOKED, target},
};

/// The version of the specification that the documents follow.
const SPECIFICATION: &str = "1.0.33";

/// What a new root is to say. What is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct RootPlan {
    /// Keys for roots, and how many have to sign.
    pub root: Option<(Vec<PublicKey>, NonZeroU64)>,
    /// Keys for targets, and how many have to sign.
    pub release: Option<(Vec<PublicKey>, NonZeroU64)>,
    /// Whether the hub's next key is to sign snapshot and timestamp.
    pub online: bool,
}

pub(super) fn first(keys: &Keys, now: WallTime) -> Repository {
    let release = keys.release.as_ref().unwrap_or(&keys.online).public();
    let anchor = keys.root.as_ref().unwrap_or(&keys.online).public();
    let online = keys.online.public();
    let mut root = Root {
        spec_version: SPECIFICATION.into(),
        consistent_snapshot: true,
        version: NonZeroU64::MIN,
        expires: after(now, ROOT_LIFE),
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    let one = NonZeroU64::MIN;
    give(&mut root, RoleType::Root, &[anchor], one);
    give(&mut root, RoleType::Targets, &[release], one);
    give(
        &mut root,
        RoleType::Snapshot,
        std::slice::from_ref(&online),
        one,
    );
    give(&mut root, RoleType::Timestamp, &[online], one);
    let mut root = Document::unsigned(root);
    root.sign(keys.root.as_ref().unwrap_or(&keys.online));

    let mut targets = Targets::new(SPECIFICATION.into(), one, after(now, TARGETS_LIFE));
    targets.delegations = None;
    let mut targets = Document::unsigned(targets);
    targets.sign(keys.release.as_ref().unwrap_or(&keys.online));
    let snapshot = snapshot(&targets, one, &keys.online, now);
    let timestamp = timestamp(&snapshot, one, &keys.online, now);
    Repository {
        roots: vec![root],
        targets,
        snapshot,
        timestamp,
        draft: Draft::default(),
    }
}

/// The root after this one, by a plan.
pub(super) fn next_root(current: &Root, plan: &RootPlan, keys: &Keys, now: WallTime) -> Root {
    let mut root = current.clone();
    root.version = next(current.version);
    root.expires = after(now, ROOT_LIFE);
    if let Some((keys, threshold)) = &plan.root {
        give(&mut root, RoleType::Root, keys, *threshold);
    }
    if let Some((keys, threshold)) = &plan.release {
        give(&mut root, RoleType::Targets, keys, *threshold);
    }
    if plan.online
        && let Some(next) = &keys.next_online
    {
        let next = [next.public()];
        give(&mut root, RoleType::Snapshot, &next, NonZeroU64::MIN);
        give(&mut root, RoleType::Timestamp, &next, NonZeroU64::MIN);
    }
    // Keys that no role has any more are not carried on.
    let used: Vec<_> = root.roles.values().flat_map(|r| r.keyids.clone()).collect();
    root.keys.retain(|id, _| used.contains(id));
    root
}

pub(super) fn snapshot(
    targets: &Document<Targets>,
    version: NonZeroU64,
    key: &SigningKey,
    now: WallTime,
) -> Document<Snapshot> {
    let mut snapshot = Snapshot::new(SPECIFICATION.into(), version, after(now, SNAPSHOT_LIFE));
    snapshot.meta.insert(
        "targets.json".into(),
        named(targets.blob(), targets.role().version),
    );
    let mut snapshot = Document::unsigned(snapshot);
    snapshot.sign(key);
    snapshot
}

pub(super) fn timestamp(
    snapshot: &Document<Snapshot>,
    version: NonZeroU64,
    key: &SigningKey,
    now: WallTime,
) -> Document<Timestamp> {
    let mut timestamp = Timestamp::new(SPECIFICATION.into(), version, after(now, TIMESTAMP_LIFE));
    timestamp.meta.insert(
        "snapshot.json".into(),
        named(snapshot.blob(), snapshot.role().version),
    );
    let mut timestamp = Document::unsigned(timestamp);
    timestamp.sign(key);
    timestamp
}

/// Lists a bundle.
pub(super) fn list(
    targets: &mut Targets,
    model: &ModelName,
    version: ModelVersion,
    bundle: BlobRef,
) {
    let entry = Target {
        length: bundle.len,
        hashes: hashes(bundle),
        custom: HashMap::new(),
        _extra: HashMap::new(),
    };
    // A version never changes, and stays revoked.
    targets.targets.entry(name(model, version)).or_insert(entry);
}

/// Marks a bundle as revoked.
pub(super) fn revoke(
    targets: &mut Targets,
    model: &ModelName,
    version: ModelVersion,
    reason: &str,
) {
    if let Some(target) = targets.targets.get_mut(&name(model, version)) {
        let reason = Value::String(reason.to_owned());
        target.custom.insert(REVOKED.into(), reason);
    }
}

/// Whether a key is one of a role's.
pub(super) fn has_key(root: &Root, role: RoleType, key: &PublicKey) -> bool {
    let keys = root.roles.get(&role);
    keys.is_some_and(|keys| keys.keyids.contains(&key.key_id()))
}

pub(super) fn next(version: NonZeroU64) -> NonZeroU64 {
    version.saturating_add(1)
}

/// That much later, in whole seconds, as the specification writes times.
pub(super) fn after(now: WallTime, life: Duration) -> Time {
    let at = (now.0 / 1000).saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
    Time::from_second(at).unwrap_or(Time::MAX)
}

fn name(model: &ModelName, version: ModelVersion) -> TargetName {
    TargetName::new(target(model, version)).expect("names of models are plain")
}

fn give(root: &mut Root, role: RoleType, keys: &[PublicKey], threshold: NonZeroU64) {
    for key in keys {
        root.keys.insert(key.key_id(), key.key());
    }
    let keys = RoleKeys {
        keyids: keys.iter().map(PublicKey::key_id).collect(),
        threshold,
        _extra: HashMap::new(),
    };
    root.roles.insert(role, keys);
}

fn named(blob: BlobRef, version: NonZeroU64) -> Metafile {
    Metafile {
        length: Some(blob.len),
        hashes: Some(hashes(blob)),
        version,
        _extra: HashMap::new(),
    }
}

fn hashes(blob: BlobRef) -> Hashes {
    Hashes {
        sha256: blob.digest.as_bytes().to_vec().into(),
        _extra: HashMap::new(),
    }
}
