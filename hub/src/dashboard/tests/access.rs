//! The area of access and the pages around login, drawn for everybody who may look.

use maud::Markup;
use tern_protocol::rest::{IdentityState, Page, Role};

use super::{Drawn, check};
use crate::{
    access::{
        principal::Principal,
        role::{Permission, ROLES},
    },
    dashboard::{
        fixtures::{
            HOSTILE, NOW,
            access::{self as made, LOOPBACK},
            page_of,
        },
        layout::Frame,
        pages::{
            access::{
                Desk, audit, authorities, identities, invitations, members,
                notifications::{self, Mail},
                tokens, users, waiting,
            },
            account,
            door::{self, Provider},
        },
        scope::Scope,
    },
};

fn all<T>(items: Vec<T>) -> Page<T> {
    page_of(items, None)
}

pub(super) fn desks(frame: Frame) -> Vec<Drawn> {
    let hub = audit::Filter {
        reach: audit::Reach::Hub,
        action: Some("rollout.".into()),
        from: Some("2026-11-01".into()),
        before: Some(40),
        ..Default::default()
    };
    let filter = identities::Filter {
        state: Some(IdentityState::Active),
        device: Some("meter-01".into()),
    };
    vec![
        ("access", waiting::page(frame, &made::waiting())),
        (
            "access/identities",
            identities::page(
                frame,
                &identities::Filter::default(),
                &all(made::identities()),
            ),
        ),
        (
            "access/identities-filtered",
            identities::page(frame, &filter, &page_of(made::identities(), Some("8"))),
        ),
        (
            "access/invitations",
            invitations::page(frame, &all(made::invitations())),
        ),
        (
            "access/members",
            members::page(frame, &all(made::members())),
        ),
        ("access/tokens", tokens::page(frame, &all(made::tokens()))),
        (
            "access/notifications",
            notifications::page(
                frame,
                Mail::Configured,
                &all(made::subscriptions()),
                &all(made::notices()),
            ),
        ),
        ("access/users", users::page(frame, &all(made::users()))),
        (
            "access/authorities",
            authorities::page(frame, &all(made::authorities())),
        ),
        (
            "access/audit",
            audit::page(
                frame,
                &audit::Filter::default(),
                &page_of(made::entries(12), Some("1")),
            ),
        ),
        (
            "access/audit-hub",
            audit::page(frame, &hub, &page_of(made::entries(12), Some("1"))),
        ),
        ("account", account::page(frame, &made::own(frame.asker))),
    ]
}

pub(super) fn empty(frame: Frame) -> Vec<Drawn> {
    vec![
        ("access", waiting::page(frame, &[])),
        (
            "access/identities",
            identities::page(frame, &identities::Filter::default(), &all(vec![])),
        ),
        ("access/invitations", invitations::page(frame, &all(vec![]))),
        ("access/members", members::page(frame, &all(vec![]))),
        ("access/tokens", tokens::page(frame, &all(vec![]))),
        (
            "access/notifications",
            notifications::page(frame, Mail::None, &all(vec![]), &all(vec![])),
        ),
        ("access/users", users::page(frame, &all(vec![]))),
        ("access/authorities", authorities::page(frame, &all(vec![]))),
        (
            "access/audit",
            audit::page(frame, &audit::Filter::default(), &all(vec![])),
        ),
    ]
}

pub(super) fn doors() -> Vec<Drawn> {
    vec![
        (
            "login",
            door::login(Provider::Configured, "/devices?site=mill"),
        ),
        ("login-alone", door::login(Provider::None, "/")),
        (
            "login-refused",
            door::not_logged_in("None of your groups has a role here.", "/devices"),
        ),
        ("setup", door::setup()),
    ]
}

fn everybody() -> Vec<Principal> {
    let mut all: Vec<_> = ROLES.into_iter().map(made::member).collect();
    all.extend([made::hub_admin(), LOOPBACK]);
    all
}

fn drawn(asker: &Principal, desks: fn(Frame) -> Vec<Drawn>) -> Vec<Drawn> {
    let scope = Scope::unprefixed();
    desks(Frame {
        scope: &scope,
        now: NOW,
        asker,
    })
}

#[track_caller]
fn labelled(path: &str, page: &Markup) {
    for tag in page.0.split('<').skip(1) {
        let field = ["input ", "select "]
            .iter()
            .any(|kind| tag.starts_with(kind));
        if !field || tag.contains(" hidden") || tag.contains("type=\"radio\"") {
            continue;
        }
        let id = tag
            .split(" id=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let by_label = id.is_some_and(|id| page.0.contains(&format!("<label for=\"{id}\"")));
        let within = page.0.split("<label>").skip(1).any(|label| {
            let label = label.split("</label>").next().unwrap_or_default();
            label.contains(&format!("<{}", tag.split('>').next().unwrap_or_default()))
        });
        assert!(
            by_label || within || tag.contains("aria-label="),
            "{path}: no label: <{tag}"
        );
    }
    for form in page.0.split("<form ").skip(1) {
        let tag = form.split('>').next().unwrap_or_default();
        let form = form.split("</form>").next().unwrap_or_default();
        assert!(tag.contains("method="), "{path}: <form {tag}>");
        // Without its script a form must not write what was typed into an address.
        let secret = form.contains("type=\"password\"") || form.contains("one-time-code");
        assert!(
            !secret || tag.contains("method=\"post\""),
            "{path}: <form {tag}>"
        );
        assert!(
            form.contains("type=\"submit\""),
            "{path}: no way to send <form {tag}>"
        );
        if tag.contains("data-send") {
            assert!(
                form.contains("aria-live") || tag.contains("data-answer"),
                "{path}: <form {tag}>"
            );
        }
    }
}

#[test]
fn every_desk_stands_for_everybody() {
    for asker in everybody() {
        for (path, page) in drawn(&asker, desks).iter().chain(&drawn(&asker, empty)) {
            check(path, page);
            labelled(path, page);
        }
    }
}

#[test]
fn the_doors_show_nothing_of_the_hub() {
    for (path, page) in doors() {
        let html = &page.0;
        labelled(path, &page);
        assert_eq!(html.matches("<h1>").count(), 1, "{path}");
        for inside in [
            "data-stream",
            "class=\"rooms\"",
            "Workspace",
            "openapi.json",
            " style=",
            "<script>",
        ] {
            assert!(!html.contains(inside), "{path} has {inside}");
        }
    }
    let [login, alone, _refused, setup] = doors()
        .try_into()
        .map(|doors: [Drawn; 4]| doors.map(|(_, page)| page.0))
        .unwrap();
    assert!(login.contains("href=\"/login/oidc?next=%2Fdevices%3Fsite%3Dmill\""));
    assert!(!alone.contains("/login/oidc"));
    for (page, words) in [
        (&login, ["username", "current-password", "one-time-code"]),
        (&setup, ["username", "new-password", "new-password"]),
    ] {
        for word in words {
            assert!(page.contains(&format!("autocomplete=\"{word}\"")), "{word}");
        }
    }
}

#[test]
fn what_a_role_does_not_permit_is_not_shown() {
    for asker in everybody() {
        let may = |permission| asker.may(permission, &"default".parse().unwrap());
        for (path, page) in drawn(&asker, desks) {
            let shows = |text: &str| page.0.contains(text);
            for (desk, permitted) in [
                (Desk::Audit, may(Permission::Administer)),
                (Desk::Users, asker.is_hub_admin()),
                (Desk::Authorities, asker.is_hub_admin()),
            ] {
                let tab = format!("<a href=\"{}\"", desk.path());
                if path.starts_with("access") && !page.0.contains("action=\"/access/audit\"") {
                    assert_eq!(shows(&tab), permitted, "{asker} at {path}: {tab}");
                }
            }
            let operates = [
                "data-ask=\"reject\"",
                "/accept\"",
                "/invitations\" data-show",
            ];
            if !may(Permission::Operate) {
                assert!(!operates.into_iter().any(shows), "{asker} at {path}");
            }
            if path == "access" {
                assert_eq!(
                    shows("data-ask=\"reject\""),
                    may(Permission::Operate),
                    "{asker}"
                );
            }
            if path == "access/members" {
                assert_eq!(
                    shows("data-ask=\"remove\""),
                    may(Permission::Administer),
                    "{asker}"
                );
            }
        }
    }
}

#[test]
fn a_hub_without_login_says_so_and_offers_none() {
    for (path, page) in drawn(&LOOPBACK, desks) {
        assert!(page.0.contains("--insecure-loopback"), "{path}");
        assert!(!page.0.contains("data-logout"), "{path}");
    }
    for (path, page) in drawn(&made::member(Role::Viewer), desks) {
        assert!(!page.0.contains("--insecure-loopback"), "{path}");
        assert!(page.0.contains("data-logout"), "{path}");
    }
}

#[test]
fn nobody_hands_out_a_role_above_their_own() {
    let page = |role| drawn(&made::member(role), desks).swap_remove(5).1.0;
    assert!(page(Role::Operator).contains("<option value=\"labeler\""));
    for above in ["scientist", "admin"] {
        assert!(!page(Role::Operator).contains(&format!("<option value=\"{above}\"")));
    }
    assert!(page(Role::Admin).contains("<option value=\"scientist\""));
}

#[test]
fn text_of_others_is_never_markup_here_either() {
    let scope = Scope::unprefixed();
    let frame = Frame {
        scope: &scope,
        now: NOW,
        asker: &LOOPBACK,
    };
    let mut identity = made::identity(1, IdentityState::Pending, 1);
    identity.reason = HOSTILE.into();
    identity.hardware_id = Some(HOSTILE.into());
    identity.joined_from = HOSTILE.into();
    identity.labels.insert(HOSTILE.into(), HOSTILE.into());
    let mut entries = made::entries(3);
    for entry in &mut entries {
        entry.actor = HOSTILE.into();
        entry.subject = HOSTILE.into();
        entry.detail = HOSTILE.into();
        entry.from = Some(HOSTILE.into());
    }
    let filter = audit::Filter {
        actor: Some(HOSTILE.into()),
        ..Default::default()
    };
    let mut token = made::tokens();
    token[0].name = HOSTILE.into();
    let mut invitation = made::invitations();
    invitation[0].hardware_id = Some(HOSTILE.into());
    let one = waiting::Waiting {
        pending: identity.clone(),
        active: Some(identity.clone()),
    };
    for (path, page) in [
        ("waiting", waiting::page(frame, &[one])),
        (
            "identities",
            identities::page(frame, &identities::Filter::default(), &all(vec![identity])),
        ),
        (
            "audit",
            audit::page(frame, &filter, &page_of(entries, Some(HOSTILE))),
        ),
        ("tokens", tokens::page(frame, &all(token))),
        ("invitations", invitations::page(frame, &all(invitation))),
        ("login", door::login(Provider::Configured, HOSTILE)),
        ("login-refused", door::not_logged_in(HOSTILE, HOSTILE)),
    ] {
        assert!(!page.0.contains("<script>alert"), "{path}");
        assert!(!page.0.contains("<img src=x"), "{path}");
        assert!(!page.0.contains("alert(\"x\")"), "{path}");
        assert!(
            page.0.contains("&lt;script&gt;"),
            "{path} does not show the text at all"
        );
    }
}
