//! Tokens, members, accounts and workspaces.

use tern_protocol::{
    id::WorkspaceId,
    rest::{LoginKind, Me, MemberView, Role, TokenView, UserView, WorkspaceView},
    time::WallTime,
};

use super::{
    Look,
    table::{Cell, Facts, Table},
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

/// Who the hub says we are.
pub(crate) fn me(me: &Me, hub: &str, workspace: &WorkspaceId, look: Look) -> String {
    let Some(user) = &me.user else {
        return format!("nobody in particular: {hub} asks nobody to log in\n");
    };
    let mut facts = Facts::new(look);
    let mut own = me.memberships.iter();
    let role = own.find(|it| it.workspace == *workspace);
    let role = role.map_or("none: not a member", |it| role_word(it.role));
    facts.fact("workspace", workspace.as_str());
    facts.fact("role", role);
    if let Some(token) = me.token {
        facts.fact("by token", token.to_string());
    }
    facts.fact("runs the hub", yes_or_no(me.hub_admin));
    facts.fact("second factor", yes_or_no(me.second_factor));
    format!("{user} at {hub}\n{}", facts.text())
}

const fn yes_or_no(it: bool) -> &'static str {
    if it { "yes" } else { "no" }
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
            yes_or_no(view.hub_admin).into(),
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
    let yes = |it| Cell::from(yes_or_no(it));
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

    #[test]
    fn who_we_are() {
        let text = r#"{"user":"ada","token":4,"hub_admin":true,"second_factor":false,
            "memberships":[{"workspace":"default","role":"operator"}]}"#;
        let view: Me = serde_json::from_str(text).expect("somebody");
        let here = "default".parse().expect("a name");
        insta::assert_snapshot!(me(&view, "https://hub:8443", &here, Look::PLAIN), @r"
        ada at https://hub:8443
          workspace      default
          role           operator
          by token       4
          runs the hub   yes
          second factor  no
        ");
        let other = "plant-2".parse().expect("a name");
        assert!(me(&view, "https://hub", &other, Look::PLAIN).contains("not a member"));
        let nobody = Me { user: None, ..view };
        assert!(me(&nobody, "http://hub", &here, Look::PLAIN).starts_with("nobody"));
    }

    #[test]
    fn accounts_and_members_line_up() {
        let users: Vec<UserView> = serde_json::from_str(
            r#"[{"name":"ada","hub_admin":true,"login":"password","second_factor":true,
            "memberships":[],"created_at":1,"last_login_at":1799999940000,"enabled":true},
            {"name":"grace-hopper","hub_admin":false,"login":"invited","second_factor":false,
            "memberships":[],"created_at":1,"enabled":false}]"#,
        )
        .expect("accounts");
        let now = WallTime(1_800_000_000_000);
        insta::assert_snapshot!(super::users(&users, now, Look::PLAIN), @r"
        USER          LOGIN     2ND FACTOR  HUB ADMIN  ENABLED  LAST LOGIN
        ada           password  yes         yes        yes      1 min ago
        grace-hopper  invited   no          no         no       –
        ");
        let members: Vec<MemberView> = serde_json::from_str(
            r#"[{"user":"ada","role":"admin","hub_admin":true},
            {"user":"grace-hopper","role":"labeler","hub_admin":false}]"#,
        )
        .expect("members");
        insta::assert_snapshot!(super::members(&members, Look::PLAIN), @r"
        USER          ROLE     HUB ADMIN
        ada           admin    yes
        grace-hopper  labeler  no
        ");
    }
}
