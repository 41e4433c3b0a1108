//! What the targets role lists: a bundle for each version, and which are revoked.

use std::collections::BTreeMap;

use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    id::{ModelName, ModelVersion},
};
use tough::schema::Targets;

/// Key of the reason in a revoked target's `custom` part.
pub(crate) const REVOKED: &str = "revoked";

/// A version that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its bundle: the blob of its manifest.
    pub bundle: BlobRef,
    /// Why it must not be loaded any more.
    pub revoked: Option<String>,
}

/// The versions that are signed.
pub type Listing = BTreeMap<(ModelName, ModelVersion), Listed>;

/// The name of a version as a target.
pub fn target(model: &ModelName, version: ModelVersion) -> String {
    format!("{model}/{version}")
}

/// What a targets role lists. Targets that are no versions of models, as another tool may add, are
/// left out.
pub(crate) fn listing(targets: &Targets) -> Listing {
    let entries = targets.targets.iter().filter_map(|(name, target)| {
        let (model, version) = name.raw().split_once('/')?;
        let digest = <[u8; 32]>::try_from(target.hashes.sha256.as_ref()).ok()?;
        let revoked = target.custom.get(REVOKED);
        let listed = Listed {
            bundle: BlobRef {
                digest: Digest::from_bytes(digest),
                len: target.length,
            },
            // Any value counts: a reason in a form that is not understood is still a revocation.
            revoked: revoked.map(|reason| reason.as_str().unwrap_or("revoked").to_owned()),
        };
        Some(((model.parse().ok()?, version.parse().ok()?), listed))
    });
    entries.collect()
}
