use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    id::{DeviceId, IdentityId, InvitationId, SiteName, TokenId, UserName, WorkspaceId},
    time::WallTime,
};

/// What a member may do in a workspace. What each role permits is a table of the hub's, shown in
/// the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Role {
    /// Sees everything but secrets, changes nothing.
    Viewer,
    /// Says what is true: labels.
    Labeler,
    /// Publishes models and labels.
    Scientist,
    /// Moves devices: rollouts, invitations, identities; labels too.
    Operator,
    /// All of that, and members and tokens.
    Admin,
}

// --- devices -----------------------------------------------------------------------------------

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
    Active(Credentials),
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
    /// Where the broker is, as `HOST:PORT`, best first.
    pub mqtt: Vec<String>,
    /// Where the hub's HTTPS is, as `https://HOST:PORT`, best first.
    pub https: Vec<String>,
}

// --- people -------------------------------------------------------------------------------------

/// The first admin sets up the hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Setup {
    /// The code of the link that the hub printed at its first start, or of a link that an admin
    /// handed out.
    pub code: String,
    /// Name of the account; a link for an existing account has it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Its password, at least 12 characters.
    pub password: String,
}

/// A person shows who they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Login {
    /// Name of the account.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The second factor, if the account has one: six digits, or a recovery code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A person shows who they are and wants an API token for a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LoginForToken {
    /// Name of the account.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The second factor, if the account has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The token that is wanted.
    pub token: NewToken,
    /// The workspace that it is for.
    pub workspace: WorkspaceId,
}

/// Asks for an API token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// What it is for, in a person's words.
    pub name: String,
    /// What it may do; never more than who made it. The maker's own role if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How long it is good for, in seconds; 90 days by default, at most a year.
    #[serde(default = "ninety_days")]
    pub expires_in_s: u64,
    /// Whether it may run the hub too, as far as its maker may: for the command line of an admin.
    #[serde(default)]
    pub hub: bool,
}

const fn ninety_days() -> u64 {
    90 * 24 * 60 * 60
}

/// An API token, as it may be seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TokenView {
    /// Its id, which is no secret.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// Whose it is.
    pub user: UserName,
    /// The workspace that it works in.
    pub workspace: WorkspaceId,
    /// What it may do.
    pub role: Role,
    /// Whether it may run the hub too, as far as its account may.
    #[serde(default)]
    pub hub: bool,
    /// When it was made.
    pub created_at: WallTime,
    /// Until when it is good.
    pub expires_at: WallTime,
    /// When it was last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<WallTime>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<WallTime>,
}

/// A fresh API token. Its text is shown this once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Minted {
    /// The token.
    #[serde(flatten)]
    pub view: TokenView,
    /// What goes after `Authorization: Bearer`. Never stored.
    pub token: String,
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Me {
    /// The account; none for a hub that was started with `--insecure-loopback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// The API token that is used, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// Whether the account runs the hub: accounts, workspaces, all audit.
    pub hub_admin: bool,
    /// Whether the account has a second factor.
    pub second_factor: bool,
    /// What it may do where.
    pub memberships: Vec<Membership>,
}

/// A role in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Membership {
    /// Where.
    pub workspace: WorkspaceId,
    /// As what.
    pub role: Role,
}

/// A member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MemberView {
    /// Who.
    pub user: UserName,
    /// As what.
    pub role: Role,
    /// Whether the account runs the hub, and so is an admin everywhere.
    pub hub_admin: bool,
}

/// Sets the role of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SetRole {
    /// The role from now on.
    pub role: Role,
}

/// Makes an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewUser {
    /// Its name.
    pub name: UserName,
    /// Whether it runs the hub.
    #[serde(default)]
    pub hub_admin: bool,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UserView {
    /// Its name.
    pub name: UserName,
    /// Whether it runs the hub.
    pub hub_admin: bool,
    /// How it shows who it is.
    pub login: LoginKind,
    /// Whether it has a second factor.
    pub second_factor: bool,
    /// What it may do where.
    pub memberships: Vec<Membership>,
    /// When it was made.
    pub created_at: WallTime,
    /// When it last logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<WallTime>,
    /// Whether it may log in.
    pub enabled: bool,
}

/// How an account shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum LoginKind {
    /// It has a link to set a password, and has not used it.
    Invited,
    /// By a password.
    Password,
    /// By the OpenID provider.
    Oidc,
}

/// A link with which somebody sets a password, once. It is shown this once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SetupLink {
    /// The account.
    pub user: UserName,
    /// The link. Its secret stands behind `#`, which browsers send to nobody.
    pub link: String,
    /// Until when it is good.
    pub expires_at: WallTime,
}

/// Changes the password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ChangePassword {
    /// The one that is good until now.
    pub old: String,
    /// The one from now on, at least 12 characters.
    pub new: String,
}

/// Shows the password again before something dangerous.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Confirm {
    /// The account's password.
    pub password: String,
}

/// A second factor that is being set up. It counts once a code was confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SecondFactor {
    /// The secret in Base32, to type.
    pub secret: String,
    /// The same as an `otpauth://` address, to scan.
    pub address: String,
    /// The address as a QR code: SVG.
    pub qr: String,
}

/// A code of the second factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Code {
    /// Six digits.
    pub code: String,
}

/// Codes that each stand in for the second factor once. They are shown this once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RecoveryCodes {
    /// The codes.
    pub codes: Vec<String>,
}

/// Makes a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewWorkspace {
    /// Its id.
    pub id: WorkspaceId,
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WorkspaceView {
    /// Its id.
    pub id: WorkspaceId,
    /// What whoever asks may do there.
    pub role: Role,
}

// --- audit --------------------------------------------------------------------------------------

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// 1, 2, 3 … without holes.
    pub seq: u64,
    /// When.
    pub at: WallTime,
    /// Where; none if it is about the hub itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// Who, as `user ada`, `token 12 of ada`, `device meter-01`, `hub`, `operator on the machine`.
    pub actor: String,
    /// From which address; none if it did not come over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What, as `rollout.start`.
    pub action: String,
    /// To what, as `rollout 12`.
    pub subject: String,
    /// Digest of the subject as it was before, over its JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// Digest of the subject as it is from then on, over its JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    /// What else is worth knowing, for people; never a secret.
    pub detail: String,
    /// Hash over this entry and the hash of the one before it.
    pub hash: Digest,
}

/// Whether the audit log is whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditVerdict {
    /// Whether every entry is there and as it was written.
    pub whole: bool,
    /// Entries that were looked at.
    pub entries: u64,
    /// Hash of the newest entry: who notes it down elsewhere can later prove that nothing before it
    /// was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Digest>,
    /// The first entry that is not as it should be, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<AuditBreak>,
}

/// Where the audit log is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditBreak {
    /// The entry.
    pub seq: u64,
    /// What is wrong with it.
    pub text: String,
}
