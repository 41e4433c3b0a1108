//! Calls about who may join, speak, change and see.

use serde::Serialize;
use tern_protocol::{
    id::{IdentityId, InvitationId, TokenId, UserName, WorkspaceId},
    rest::{
        AuditEntry, AuditVerdict, AuthorityView, Because, IdentityView, InvitationView, Invited,
        LoginForToken, Me, MemberView, Minted, NewInvitation, NewToken, NewUser, NewWorkspace,
        Role, SetRole, Setup, SetupLink, TokenView, UserView, WorkspaceView,
    },
};

use super::{Client, ClientError, Pages, http::Patience};

/// Largest bundle of authorities, in bytes: a certificate is about one kilobyte.
const BUNDLE: u64 = 1024 * 1024;

/// What is done with an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may speak.
    Accept,
    /// It never may.
    Reject,
    /// It no longer may.
    Revoke,
}

/// Nothing to say.
#[derive(Serialize)]
struct Nothing {}

impl Client {
    /// `POST /login/token`.
    pub fn log_in(&self, login: &LoginForToken) -> Result<Minted, ClientError> {
        self.ask("/api/v1/login/token", login)
    }

    /// `POST /setup`.
    pub fn set_up(&self, setup: &Setup) -> Result<Me, ClientError> {
        self.ask("/api/v1/setup", setup)
    }

    /// `GET /me`.
    pub fn me(&self) -> Result<Me, ClientError> {
        self.http.get("/api/v1/me", &[])
    }

    /// `POST /invitations`.
    pub fn invite(&self, new: &NewInvitation) -> Result<Invited, ClientError> {
        self.ask(&self.path("/invitations"), new)
    }

    /// `GET /invitations`.
    pub fn invitations(&self) -> Pages<InvitationView> {
        self.pages("/invitations", Vec::new())
    }

    /// `POST /invitations/{id}/revoke`.
    pub fn uninvite(&self, id: InvitationId) -> Result<(), ClientError> {
        self.tell(
            &self.path(&format!("/invitations/{id}/revoke")),
            &Nothing {},
        )
    }

    /// `GET /identities`, with query parameters.
    pub fn identities(&self, parameters: Vec<(&'static str, String)>) -> Pages<IdentityView> {
        self.pages("/identities", parameters)
    }

    /// `POST /identities/{id}/accept|reject|revoke`.
    pub fn judge(
        &self,
        id: IdentityId,
        verdict: Verdict,
        because: &Because,
    ) -> Result<IdentityView, ClientError> {
        let verb = match verdict {
            Verdict::Accept => "accept",
            Verdict::Reject => "reject",
            Verdict::Revoke => "revoke",
        };
        self.ask(&self.path(&format!("/identities/{id}/{verb}")), because)
    }

    /// `GET /members`.
    pub fn members(&self) -> Pages<MemberView> {
        self.pages("/members", Vec::new())
    }

    /// `PUT /members/{user}`.
    pub fn set_member(&self, user: &UserName, role: Role) -> Result<(), ClientError> {
        let path = self.path(&format!("/members/{user}"));
        self.http.put_json(&path, &SetRole { role })
    }

    /// `DELETE /members/{user}`.
    pub fn remove_member(&self, user: &UserName) -> Result<(), ClientError> {
        self.http.delete(&self.path(&format!("/members/{user}")))
    }

    /// `GET /tokens`.
    pub fn tokens(&self) -> Pages<TokenView> {
        self.pages("/tokens", Vec::new())
    }

    /// `POST /tokens`.
    pub fn mint(&self, new: &NewToken) -> Result<Minted, ClientError> {
        self.ask(&self.path("/tokens"), new)
    }

    /// `POST /tokens/{id}/revoke`.
    pub fn revoke_token(&self, id: TokenId) -> Result<(), ClientError> {
        self.tell(&self.path(&format!("/tokens/{id}/revoke")), &Nothing {})
    }

    /// `GET /users`.
    pub fn users(&self) -> Pages<UserView> {
        Pages::new(self.http.clone(), "/api/v1/users".into(), Vec::new())
    }

    /// `POST /users`.
    pub fn create_user(&self, new: &NewUser) -> Result<SetupLink, ClientError> {
        self.ask("/api/v1/users", new)
    }

    /// `POST /users/{user}/link`.
    pub fn link(&self, user: &UserName) -> Result<SetupLink, ClientError> {
        self.ask(&format!("/api/v1/users/{user}/link"), &Nothing {})
    }

    /// `POST /users/{user}/enable|disable`.
    pub fn let_log_in(&self, user: &UserName, may: bool) -> Result<(), ClientError> {
        let verb = if may { "enable" } else { "disable" };
        self.tell(&format!("/api/v1/users/{user}/{verb}"), &Nothing {})
    }

    /// `GET /workspaces`.
    pub fn workspaces(&self) -> Pages<WorkspaceView> {
        Pages::new(self.http.clone(), "/api/v1/workspaces".into(), Vec::new())
    }

    /// `POST /workspaces`.
    pub fn create_workspace(&self, id: &WorkspaceId) -> Result<(), ClientError> {
        self.tell("/api/v1/workspaces", &NewWorkspace { id: id.clone() })
    }

    /// `GET /audit`: newest first, only entries before the one with this number.
    pub fn audit(
        &self,
        parameters: Vec<(&'static str, String)>,
        before: Option<u64>,
    ) -> Pages<AuditEntry> {
        self.pages("/audit", parameters).after(before)
    }

    /// `GET /audit/all`: the same of the whole hub.
    pub fn audit_all(
        &self,
        parameters: Vec<(&'static str, String)>,
        before: Option<u64>,
    ) -> Pages<AuditEntry> {
        let path = "/api/v1/audit/all".into();
        Pages::new(self.http.clone(), path, parameters).after(before)
    }

    /// `GET /audit/verify`.
    pub fn verify_audit(&self) -> Result<AuditVerdict, ClientError> {
        self.http.get("/api/v1/audit/verify", &[])
    }

    /// `GET /authorities`.
    pub fn authorities(&self) -> Pages<AuthorityView> {
        Pages::new(self.http.clone(), "/api/v1/authorities".into(), Vec::new())
    }

    /// `GET /ca`: the authorities that vouch for the hub, as PEM.
    pub fn ca(&self) -> Result<Vec<u8>, ClientError> {
        self.http.bytes("/api/v1/ca", BUNDLE)
    }

    fn ask<B: Serialize, T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        Ok(self.http.post(path, body, Patience::Answer)?.1)
    }

    fn tell<B: Serialize>(&self, path: &str, body: &B) -> Result<(), ClientError> {
        self.http.tell(path, body)
    }
}
