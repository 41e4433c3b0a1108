//! How the metadata are shown. Pure.

use serde::{Serialize, de::DeserializeOwned};
use tern_protocol::rest::{Draft, SignedVersion, TrustKey, TrustRole, TrustView};
use tern_trust::{
    document::Document,
    schema::{Role, RoleType},
};

use super::{stored::Stored, text};

/// All of it.
pub(super) fn view(Stored { repository, keys }: &Stored) -> TrustView {
    let held: Vec<String> = [
        Some(&keys.online),
        keys.next_online.as_ref(),
        keys.release.as_ref(),
        keys.root.as_ref(),
    ]
    .into_iter()
    .flatten()
    .map(|key| key.public().id())
    .collect();
    let role = |role: RoleType| {
        let facts = repository.facts(role);
        let keys = facts.keys.into_iter().map(|id| TrustKey {
            held_by_hub: held.contains(&id),
            id,
        });
        TrustRole {
            role: role.to_string(),
            keys: keys.collect(),
            threshold: facts.threshold,
            version: facts.version,
            expires: facts.expires,
        }
    };
    let roles = [
        RoleType::Root,
        RoleType::Targets,
        RoleType::Snapshot,
        RoleType::Timestamp,
    ];
    let signed = repository.listing();
    let versions = repository.drafted().into_iter().map(|(key, drafted)| {
        let in_effect = signed.get(&key).filter(|s| s.bundle == drafted.bundle);
        let (model, version) = key;
        SignedVersion {
            model,
            version,
            bundle: drafted.bundle,
            signed: in_effect.is_some(),
            revocation_signed: in_effect.is_some_and(|s| s.revoked.is_some()),
            revoked: drafted.revoked,
        }
    });
    TrustView {
        development: keys.release.is_some() || keys.root.is_some(),
        roles: roles.map(role).into(),
        versions: versions.collect(),
        root: text(repository.root().bytes()),
        targets: text(repository.targets.bytes()),
        draft_root: repository.draft.root.as_ref().map(draft),
        draft_targets: repository.draft.targets.as_ref().map(draft),
    }
}

fn draft<T>(document: &Document<T>) -> Draft
where
    T: Role + Serialize + DeserializeOwned + Clone + PartialEq,
{
    Draft {
        document: text(document.bytes()),
        signed_by: document.signers().collect(),
    }
}
