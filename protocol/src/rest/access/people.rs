//! Accounts, sessions, tokens, members and workspaces.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    id::{TokenId, UserName, WorkspaceId},
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
