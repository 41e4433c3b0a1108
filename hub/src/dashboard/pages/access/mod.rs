//! `/access` and below: who may join, speak, change, see.

use maud::{Markup, html};
use tern_protocol::{
    rest::{IdentityState, IdentityView},
    time::WallTime,
};

use crate::{
    access::role::{Permission, Policy},
    dashboard::{
        icon::Icon,
        layout::{self, Frame, Room},
        parts,
    },
};

pub(in crate::dashboard) mod audit;
pub(in crate::dashboard) mod authorities;
pub(in crate::dashboard) mod identities;
pub(in crate::dashboard) mod invitations;
pub(in crate::dashboard) mod members;
pub(in crate::dashboard) mod notifications;
pub(in crate::dashboard) mod tokens;
pub(in crate::dashboard) mod users;
pub(in crate::dashboard) mod waiting;

/// A page of this area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dashboard) enum Desk {
    /// Devices that wait.
    Waiting,
    /// Keys of devices.
    Identities,
    /// Join tokens.
    Invitations,
    /// People of the workspace.
    Members,
    /// API tokens.
    Tokens,
    /// Webhooks and mail.
    Notifications,
    /// What was done.
    Audit,
    /// Accounts.
    Users,
    /// Certificate authorities.
    Authorities,
}

impl Desk {
    /// All of them, in the order of the tabs.
    pub(in crate::dashboard) const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Identities,
        Self::Invitations,
        Self::Members,
        Self::Tokens,
        Self::Notifications,
        Self::Audit,
        Self::Users,
        Self::Authorities,
    ];

    /// Its address.
    pub(in crate::dashboard) const fn path(self) -> &'static str {
        match self {
            Self::Waiting => "/access",
            Self::Identities => "/access/identities",
            Self::Invitations => "/access/invitations",
            Self::Members => "/access/members",
            Self::Tokens => "/access/tokens",
            Self::Notifications => "/access/notifications",
            Self::Audit => "/access/audit",
            Self::Users => "/access/users",
            Self::Authorities => "/access/authorities",
        }
    }

    /// Its name.
    pub(in crate::dashboard) const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "Pending devices",
            Self::Identities => "Identities",
            Self::Invitations => "Invitations",
            Self::Members => "Members",
            Self::Tokens => "API tokens",
            Self::Notifications => "Notifications",
            Self::Audit => "Audit",
            Self::Users => "Users",
            Self::Authorities => "Authorities",
        }
    }

    /// Who may see it: the policy of the routes in the API that it is drawn from.
    pub(in crate::dashboard) const fn policy(self) -> Policy {
        match self {
            Self::Waiting
            | Self::Identities
            | Self::Invitations
            | Self::Members
            | Self::Tokens
            | Self::Notifications => Policy::Workspace(Permission::View),
            Self::Audit => Policy::Workspace(Permission::Administer),
            Self::Users | Self::Authorities => Policy::HubAdmin,
        }
    }
}

/// A page of this area: tabs, title, content.
fn page(frame: Frame, desk: Desk, below: &Markup, content: &Markup) -> Markup {
    let granted = Desk::ALL.into_iter();
    let granted = granted.filter(|tab| frame.grants(tab.policy()));
    let tabs = granted.map(|tab| (frame.scope.page(tab.path()), tab.name(), tab == desk));
    let main = html! {
        (layout::tabs("Access", tabs))
        (layout::heading(&html! { (desk.name()) }, below, &html! {}))
        (content)
    };
    layout::page(frame, Room::Access, desk.name(), &main)
}

/// State of an identity as a badge.
pub(in crate::dashboard) fn state(state: IdentityState) -> Markup {
    match state {
        IdentityState::Pending => parts::badge("warn", Icon::Pause, "pending"),
        IdentityState::Active => parts::badge("ok", Icon::Check, "active"),
        IdentityState::Superseded => parts::badge("off", Icon::Forward, "superseded"),
        IdentityState::Rejected => parts::badge("bad", Icon::Cross, "rejected"),
        IdentityState::Revoked => parts::badge("bad", Icon::Slash, "revoked"),
    }
}

/// How the newest certificate of an identity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dashboard) enum Standing {
    /// None was issued.
    None,
    /// Good.
    Valid,
    /// Past half of its life: the device asks for the next one about now.
    Renewing,
    /// Past three quarters of its life, and the device has not come for the next one.
    Overdue,
    /// Past its end; the device comes back with its key.
    Expired,
    /// Its identity may not speak any more.
    Revoked,
}

/// How it stands at `now`.
pub(in crate::dashboard) fn standing(identity: &IdentityView, now: WallTime) -> Standing {
    let Some(certificate) = &identity.certificate else {
        return Standing::None;
    };
    if !matches!(
        identity.state,
        IdentityState::Active | IdentityState::Pending
    ) {
        return Standing::Revoked;
    }
    let life = certificate
        .not_after
        .0
        .saturating_sub(certificate.not_before.0);
    let age = now.0.saturating_sub(certificate.not_before.0);
    match age {
        age if age > life => Standing::Expired,
        age if age > life / 4 * 3 => Standing::Overdue,
        age if age > life / 2 => Standing::Renewing,
        _ => Standing::Valid,
    }
}

/// The same as a badge.
pub(in crate::dashboard) fn certificate(identity: &IdentityView, now: WallTime) -> Markup {
    match standing(identity, now) {
        Standing::None => html! { span.dim { "none yet" } },
        Standing::Valid => parts::badge("ok", Icon::Check, "valid"),
        Standing::Renewing => parts::badge("busy", Icon::Arrows, "renewing soon"),
        Standing::Overdue => parts::badge("warn", Icon::Pause, "renewal overdue"),
        Standing::Expired => parts::badge("bad", Icon::Cross, "expired"),
        Standing::Revoked => parts::badge("off", Icon::Slash, "revoked"),
    }
}

/// Site and labels that something binds devices to.
fn bound(
    site: Option<&tern_protocol::id::SiteName>,
    labels: &std::collections::BTreeMap<String, String>,
) -> Markup {
    html! {
        @if let Some(site) = site { span.chip { "site=" b { (site) } } }
        @for (key, value) in labels { span.chip { (key) "=" b { (value) } } }
        @if site.is_none() && labels.is_empty() { span.dim { "nothing" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::fixtures::{self, NOW};

    #[test]
    fn a_certificate_is_renewed_between_half_of_its_life_and_its_end() {
        const DAY: i64 = 86_400_000;
        for (age, expected) in [
            (1, Standing::Valid),
            (14, Standing::Valid),
            (16, Standing::Renewing),
            (23, Standing::Overdue),
            (31, Standing::Expired),
        ] {
            let identity = fixtures::identity(1, IdentityState::Active, age * DAY / 1000);
            assert_eq!(standing(&identity, NOW), expected, "{age} days");
        }
        let gone = fixtures::identity(1, IdentityState::Revoked, 1);
        assert_eq!(standing(&gone, NOW), Standing::Revoked);
        // A clock may say anything.
        let identity = fixtures::identity(1, IdentityState::Active, 1);
        assert_eq!(standing(&identity, WallTime(i64::MIN)), Standing::Valid);
        assert_eq!(standing(&identity, WallTime(i64::MAX)), Standing::Expired);
    }
}
