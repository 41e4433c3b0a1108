//! Tokens, members, accounts and workspaces.

use tern_protocol::{
    rest::{LoginKind, MemberView, Role, TokenView, UserView, WorkspaceView},
    time::WallTime,
};

use super::{
    Look,
    table::{Cell, Table},
    words::{ago, date},
};

/// A role as a word.
pub(crate) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Labeler => "labeler",
        Role::Scientist => "scientist",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

/// API tokens; never their text.
pub(crate) fn tokens(all: &[TokenView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(look, &["ID", "NAME", "USER", "ROLE", "GOOD", "USED"]);
    for view in all {
        let good = if view.revoked_at.is_some() {
            "revoked".into()
        } else if view.expires_at <= now {
            "expired".into()
        } else {
            format!("until {}", date(view.expires_at))
        };
        table.row([
            Cell::number(view.id.to_string()),
            view.name.as_str().into(),
            view.user.to_string().into(),
            role_word(view.role).into(),
            good.into(),
            Cell::or_none(view.last_used_at.map(|at| ago(at, now))),
        ]);
    }
    table.text()
}

/// Members of a workspace.
pub(crate) fn members(all: &[MemberView], look: Look) -> String {
    let mut table = Table::new(look, &["USER", "ROLE", "HUB ADMIN"]);
    for view in all {
        table.row([
            view.user.to_string().into(),
            role_word(view.role).into(),
            if view.hub_admin { "yes" } else { "no" }.into(),
        ]);
    }
    table.text()
}

/// Accounts of the hub.
pub(crate) fn users(all: &[UserView], now: WallTime, look: Look) -> String {
    let headings = [
        "USER",
        "LOGIN",
        "2ND FACTOR",
        "HUB ADMIN",
        "ENABLED",
        "LAST LOGIN",
    ];
    let mut table = Table::new(look, &headings);
    let yes = |it| Cell::from(if it { "yes" } else { "no" });
    for view in all {
        let login = match view.login {
            LoginKind::Invited => "invited",
            LoginKind::Password => "password",
            LoginKind::Oidc => "OpenID",
        };
        table.row([
            view.name.to_string().into(),
            login.into(),
            yes(view.second_factor),
            yes(view.hub_admin),
            yes(view.enabled),
            Cell::or_none(view.last_login_at.map(|at| ago(at, now))),
        ]);
    }
    table.text()
}

/// Workspaces of whoever asks.
pub(crate) fn workspaces(all: &[WorkspaceView], look: Look) -> String {
    let mut table = Table::new(look, &["WORKSPACE", "ROLE"]);
    for view in all {
        table.row([view.id.to_string().into(), role_word(view.role).into()]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_token_stands() {
        let now = WallTime(1_800_000_000_000);
        for (rest, word) in [
            (r#""expires_at":1800086400000"#, "until "),
            (r#""expires_at":1"#, "expired"),
            (r#""expires_at":1800086400000,"revoked_at":2"#, "revoked"),
        ] {
            let text = format!(
                r#"{{"id":4,"name":"ci","user":"ada","workspace":"default","role":"scientist",
                "created_at":1,{rest}}}"#
            );
            let view: TokenView = serde_json::from_str(&text).expect("a token");
            let text = tokens(&[view], now, Look::PLAIN);
            assert!(text.contains(word) && text.contains("scientist"), "{text}");
        }
    }
}
