//! `/access/tokens`: API tokens of the workspace; everybody sees their own, admins see all.

use maud::{Markup, html};
use tern_protocol::{
    rest::{Page, Role, TokenView},
    time::WallTime,
};

use crate::{
    access::role::{Permission, role_name},
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
pub(in crate::dashboard) fn page(frame: Frame, tokens: &Page<TokenView>) -> Markup {
    let whose = if frame.may(Permission::Administer) {
        "of all members"
    } else {
        "of yours"
    };
    let below = html! {
        span #count data-live { b { (format::count(tokens.items.len() as u64)) } " " (whose) " in workspace " b { (frame.scope.workspace()) } }
    };
    access::page(frame, Desk::Tokens, &below, &list(frame, tokens))
}

/// The list with its form, as the account page shows it too.
pub(in crate::dashboard) fn list(frame: Frame, tokens: &Page<TokenView>) -> Markup {
    html! {
        @if frame.asker.user().is_some() {
            (form::once("fresh", "New API token", form::HASH_ONLY, &[
                Once { key: "token", label: "The token:", fill: "token", before: "" },
                Once { key: "header", label: "As a header:", fill: "token", before: "Authorization: Bearer " },
            ]))
            (create(frame))
        }
        (form::answer("answer"))
        div #tokens.card.flush data-live {
            @if tokens.items.is_empty() {
                (parts::empty(&html! { "No tokens yet. A program shows one instead of logging in; " code { "tern login" } " makes its own." }))
            } @else { (table(frame, &tokens.items)) }
        }
        (Ask {
            id: "revoke-token",
            question: "Revoke",
            text: "Programs that use it are refused from then on.",
            act: "Revoke",
            done: "Revoked.",
            reason: Reason::None,
            show: None,
        }.draw())
    }
}

fn create(frame: Frame) -> Markup {
    const LIVES: [(&str, &str); 4] = [
        ("7776000", "90 days"),
        ("86400", "a day"),
        ("2592000", "30 days"),
        ("31536000", "a year"),
    ];
    let own = frame.asker.role_in(frame.scope.workspace());
    html! {
        details.card {
            summary { "Make an API token" }
            form.form.columns method="post" data-send=(frame.scope.api("/tokens")) data-show="fresh" data-done="Made. Copy the token now." data-reset {
                (Input { id: "token-name", name: "name", label: "What it is for", required: true, ..Input::default() }.draw())
                @if let Some(own) = own {
                    (form::field("token-role", "Role", "Never more than your own.", &html! {
                        select #token-role name="role" aria-describedby=(form::described("token-role", "hint")) { (form::roles(own, Role::Viewer)) }
                    }))
                }
                (form::select("token-life", "expires_in_s", "Good for", Some("number"), &LIVES))
                div.buttons { button.primary type="submit" { "Create token" } }
                (form::answer("create-answer"))
            }
        }
    }
}

fn table(frame: Frame, tokens: &[TokenView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "For" }
                th scope="col" { "Whose" }
                th scope="col" { "Role" }
                th scope="col" { "State" }
                th scope="col" { "Last used" }
                th scope="col" { "Expires" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody {
                @for token in tokens {
                    tr data-key=(token.id) {
                        th scope="row" { (token.name) }
                        td data-name="Whose" { span.text { (token.user) } }
                        td data-name="Role" { (role_name(token.role)) }
                        td data-name="State" { (state(token, frame.now)) }
                        td data-name="Last used" {
                            @match token.last_used_at { Some(at) => { (parts::ago(at)) } None => { span.dim { "never" } } }
                        }
                        td data-name="Expires" { (parts::until(token.expires_at)) }
                        td.end data-name="" {
                            @if token.revoked_at.is_none() && token.expires_at > frame.now {
                                button.danger.small type="button" data-ask="revoke-token" data-what=(token.name)
                                    data-send=(frame.scope.api(&format!("/tokens/{}/revoke", token.id)))
                                    aria-label={ "Revoke token " (token.id) ", " (token.name) } { "Revoke …" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn state(token: &TokenView, now: WallTime) -> Markup {
    if token.revoked_at.is_some() {
        parts::badge("bad", Icon::Slash, "revoked")
    } else if token.expires_at <= now {
        parts::badge("off", Icon::Cross, "expired")
    } else {
        parts::badge("ok", Icon::Check, "good")
    }
}
