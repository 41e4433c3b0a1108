use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    blob::BlobRef,
    id::{ModelName, ModelVersion},
    time::WallTime,
};

/// Who signs what, and what waits for signatures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustView {
    /// Whether the hub itself holds a key for roots or for targets: whoever takes it over can then
    /// sign models.
    pub development: bool,
    /// The roles: root, targets, snapshot, timestamp.
    pub roles: Vec<TrustRole>,
    /// The versions of models that are signed or wait for it, by model and version.
    pub versions: Vec<SignedVersion>,
    /// The root in effect, as JSON text.
    pub root: String,
    /// The targets in effect, as JSON text.
    pub targets: String,
    /// A root that waits for signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_root: Option<Draft>,
    /// Targets that wait for signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_targets: Option<Draft>,
}

/// A role of the signed metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustRole {
    /// `root`, `targets`, `snapshot` or `timestamp`.
    pub role: String,
    /// Its keys.
    pub keys: Vec<TrustKey>,
    /// How many of them have to sign.
    pub threshold: u64,
    /// Version in effect.
    pub version: u64,
    /// When it expires.
    pub expires: WallTime,
}

/// A key of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustKey {
    /// Its name: SHA-256 of its canonical form, 64 hex digits.
    pub id: String,
    /// Whether the hub holds it.
    pub held_by_hub: bool,
}

/// A document that waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Draft {
    /// The document with its signatures so far, as JSON text.
    pub document: String,
    /// Names of the keys that signed it.
    pub signed_by: Vec<String>,
}

/// A version as the targets list it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignedVersion {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// Its bundle.
    pub bundle: BlobRef,
    /// Whether that is signed; otherwise it waits for it.
    pub signed: bool,
    /// Why it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
    /// Whether the revocation is signed; otherwise it waits for it.
    pub revocation_signed: bool,
}

/// `POST /trust/plan`: which keys are to sign from now on. Roles that are left out stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustPlan {
    /// Keys for roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RoleKeys>,
    /// Keys for targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<RoleKeys>,
    /// Whether the hub makes itself a new key for snapshot and timestamp.
    #[serde(default)]
    pub online: bool,
}

/// Keys of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RoleKeys {
    /// Public keys, 64 hex digits each.
    pub keys: Vec<String>,
    /// How many of them have to sign.
    pub threshold: u64,
}

/// `POST /trust/signatures`: drafts that somebody signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Signatures {
    /// The root, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The targets, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<String>,
}

/// `POST /models/{model}/versions/{version}/revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Revoke {
    /// Why, for people.
    pub reason: String,
    /// The version that devices get instead; by default the newest before it that is signed and not
    /// revoked, or else after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<ModelVersion>,
}
