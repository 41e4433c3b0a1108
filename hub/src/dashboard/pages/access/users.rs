//! `/access/users`: accounts of the hub, for those who run it.

use maud::{Markup, html};
use tern_protocol::rest::{LoginKind, Page, UserView};

use crate::{
    access::role::role_name,
    dashboard::{
        form::{self, Ask, Input, Once, Reason},
        format,
        icon::Icon,
        layout::Frame,
        pages::access::{self, Desk},
        parts,
    },
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, users: &Page<UserView>) -> Markup {
    let below = html! {
        span #count data-live { b { (format::count(users.items.len() as u64)) } (if users.items.len() == 1 { " account" } else { " accounts" }) " of this hub" }
    };
    let content = html! {
        (form::once("fresh", "Link to set a password", form::HASH_ONLY, &[
            Once { key: "link", label: "Hand it to the person whose account it is. It works once.", fill: "link", before: "" },
        ]))
        (create())
        (form::answer("answer"))
        div #users.card.flush data-live {
            @if users.items.is_empty() {
                (parts::empty(&html! { "No accounts yet." }))
            } @else { (table(frame, &users.items)) }
        }
        (Ask {
            id: "relink",
            question: "Make a new password link for",
            text: "Whoever opens the link sets the password. The second factor of the account is removed.",
            act: "Make link",
            done: "Made. Copy the link now.",
            reason: Reason::None,
            show: Some("fresh"),
        }.draw())
        (Ask {
            id: "disable",
            question: "Disable",
            text: "Its sessions end at once, its API tokens are refused, and it cannot log in until it is enabled again.",
            act: "Disable",
            done: "Disabled.",
            reason: Reason::None,
            show: None,
        }.draw())
    };
    access::page(frame, Desk::Users, &below, &content)
}

fn create() -> Markup {
    html! {
        details.card {
            summary { "Make an account" }
            form.form.inline method="post" data-send="/api/v1/users" data-show="fresh" data-done="Made. Copy the link now." data-wrong="new-user" data-reset {
                (Input { id: "new-user", name: "name", label: "Name", hint: "Letters, digits and . _ - @.", required: true, ..Input::default() }.draw())
                (form::check("new-admin", "hub_admin", "Runs the hub: accounts, workspaces, all audit"))
                div.buttons { button.primary type="submit" { "Create account" } }
                (form::answer("create-answer"))
            }
        }
    }
}

fn table(frame: Frame, users: &[UserView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Account" }
                th scope="col" { "State" }
                th scope="col" { "Logs in by" }
                th scope="col" { "Workspaces" }
                th scope="col" { "Last login" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody {
                @for user in users {
                    @let call = |verb: &str| format!("/api/v1/users/{}/{verb}", user.name);
                    @let own = frame.asker.user() == Some(&user.name);
                    tr data-key=(user.name) {
                        th scope="row" { (user.name) @if user.hub_admin { " " span.chip { "runs the hub" } } }
                        td data-name="State" {
                            @if user.enabled { (parts::badge("ok", Icon::Check, "enabled")) } @else { (parts::badge("bad", Icon::Slash, "disabled")) }
                        }
                        td data-name="Logs in by" { (login(user)) }
                        td data-name="Workspaces" { div {
                            @if user.memberships.is_empty() { span.dim { @if user.hub_admin { "all" } @else { "none" } } }
                            @for one in &user.memberships { span.chip { (one.workspace) " " b { (role_name(one.role)) } } }
                        } }
                        td data-name="Last login" {
                            @match user.last_login_at { Some(at) => { (parts::ago(at)) } None => { span.dim { "never" } } }
                        }
                        td.end data-name="" { div.buttons.end {
                            @if user.login != LoginKind::Oidc {
                                button.small type="button" data-ask="relink" data-send=(call("link")) data-what=(user.name)
                                    aria-label={ "New password link for " (user.name) } { "New link …" }
                            }
                            @if user.enabled && !own {
                                button.danger.small type="button" data-ask="disable" data-send=(call("disable")) data-what=(user.name)
                                    aria-label={ "Disable " (user.name) } { "Disable …" }
                            }
                            @if !user.enabled {
                                button.small type="button" data-post=(call("enable")) data-done={ (user.name) " may log in again." }
                                    aria-label={ "Enable " (user.name) } { "Enable" }
                            }
                        } }
                    }
                }
            }
        }
    }
}

fn login(user: &UserView) -> Markup {
    let kind = match user.login {
        LoginKind::Invited => "link not used yet",
        LoginKind::Password => "password",
        LoginKind::Oidc => "OpenID provider",
    };
    html! { span { (kind) @if user.second_factor { span.dim { ", second factor" } } } }
}
