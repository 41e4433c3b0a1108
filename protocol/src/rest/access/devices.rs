//! Invitations, identities of devices, and the authorities behind them.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    id::{DeviceId, IdentityId, InvitationId, SiteName, WorkspaceId},
    time::WallTime,
};

/// Asks for a token with which devices join.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewInvitation {
    /// Devices that join with it are at this site, whatever they say; unset, they say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// Devices that join with it have these labels, whatever they say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Only this device may join with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Only hardware with this id may join with it; the text is what the agent's `hardware_id` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
    /// Devices that may join with it, 1 to 100,000.
    #[serde(default = "one")]
    pub uses: u32,
    /// How long it is good for, in seconds; a day by default, at most a year.
    #[serde(default = "a_day")]
    pub expires_in_s: u64,
    /// Whether devices wait, once joined, until somebody accepts them.
    #[serde(default)]
    pub approval: bool,
}

const fn one() -> u32 {
    1
}

const fn a_day() -> u64 {
    24 * 60 * 60
}

/// A token with which devices join, as everybody may see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InvitationView {
    /// Its id, which is no secret.
    pub id: InvitationId,
    /// Site of devices that join with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// Labels of devices that join with it.
    pub labels: BTreeMap<String, String>,
    /// The only device that may join with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The only hardware that may join with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
    /// Devices that may join with it.
    pub uses: u32,
    /// Devices that have joined with it.
    pub used: u32,
    /// Whether devices wait until somebody accepts them.
    pub approval: bool,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: WallTime,
    /// Until when it is good.
    pub expires_at: WallTime,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<WallTime>,
}

/// A fresh invitation. Its token is shown this once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Invited {
    /// The invitation.
    #[serde(flatten)]
    pub invitation: InvitationView,
    /// The one string to paste after `tern-agent join`. Never stored.
    pub token: String,
}

/// State of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum IdentityState {
    /// It joined and waits until somebody accepts it.
    Pending,
    /// It speaks for its device.
    Active,
    /// Another key took its place.
    Superseded,
    /// It was refused before it was ever accepted.
    Rejected,
    /// Its right to speak was taken away.
    Revoked,
}

/// A key that speaks, or wants to speak, for a device, with its newest certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct IdentityView {
    /// Its id.
    pub id: IdentityId,
    /// The device.
    pub device: DeviceId,
    /// How it stands.
    pub state: IdentityState,
    /// Why it waits, or why it ended; empty if there is nothing to say.
    pub reason: String,
    /// SHA-256 of its public key (DER of the SubjectPublicKeyInfo).
    pub key: Digest,
    /// What the hardware says it is, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
    /// The site that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// The labels that it is bound to.
    pub labels: BTreeMap<String, String>,
    /// The invitation that it joined with.
    pub invitation: InvitationId,
    /// When it joined.
    pub joined_at: WallTime,
    /// From where it joined.
    pub joined_from: String,
    /// Its newest certificate; none while it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateView>,
    /// The active identity of the same device, if this one waits beside it: accepting this one
    /// takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<IdentityId>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CertificateView {
    /// Serial number, lower-case hex.
    pub serial: String,
    /// The authority that issued it: the first 16 hex digits of its certificate's SHA-256.
    pub authority: String,
    /// From when it is valid.
    pub not_before: WallTime,
    /// Until when it is valid.
    pub not_after: WallTime,
}

/// Why something is taken away or refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Because {
    /// In a person's words; kept in the audit log.
    #[serde(default)]
    pub reason: String,
}

/// A certificate authority of the hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuthorityView {
    /// The first 16 hex digits of its certificate's SHA-256.
    pub id: String,
    /// SHA-256 of its certificate.
    pub fingerprint: Digest,
    /// Whom it issues for; the hub's own if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// Whether new certificates come from it. One that issues no more is still trusted until it is
    /// retired.
    pub issues: bool,
    /// From when it is valid.
    pub not_before: WallTime,
    /// Until when it is valid.
    pub not_after: WallTime,
    /// Active identities whose newest certificate it issued.
    pub identities: u64,
}

// --- what devices say to join -------------------------------------------------------------------

/// A device asks to join, or asks again how its request stands: the same key is never counted
/// twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Join {
    /// The secret part of the join token.
    pub secret: String,
    /// The device that it wants to be.
    pub device: DeviceId,
    /// What its hardware says it is, if it says so; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
    /// Certificate signing request (PKCS #10, PEM), signed by the key that was made on the device.
    pub csr: String,
}

/// A device asks for a new certificate for its key, which its signing request proves that it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Renew {
    /// Certificate signing request (PKCS #10, PEM) of the key that it joined with.
    pub csr: String,
}

/// What becomes of a request to join or to renew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Joined {
    /// Somebody has to accept it; ask again later.
    Pending {
        /// The identity that waits.
        identity: IdentityId,
        /// Why it waits.
        reason: String,
        /// Ask again after so many seconds.
        again_in_s: u32,
    },
    /// It is in.
    Active(Box<Credentials>),
}

/// What a device needs to speak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Credentials {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub device: DeviceId,
    /// The site that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// The labels that it is bound to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its certificate, and those between it and the authority: PEM, leaf first.
    pub certificate: String,
    /// From when the certificate is valid.
    pub not_before: WallTime,
    /// Until when the certificate is valid.
    pub not_after: WallTime,
    /// The authorities that vouch for the hub: PEM, one or more.
    pub authorities: String,
    /// The authorities that vouch for the broker, if they are others: PEM, one or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_authorities: Option<String>,
    /// Where the broker is, as `HOST:PORT`, best first.
    pub mqtt: Vec<String>,
    /// Where the hub's HTTPS is, as `https://HOST:PORT`, best first.
    pub https: Vec<String>,
    /// The root of the signed metadata, as JSON text: what a device pins when it joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}
