//! `/account`: a person's own password, second factor, API tokens, workspaces.

use maud::{Markup, html};
use tern_protocol::rest::{Me, Page, TokenView, WorkspaceView};

use crate::{
    access::role::role_name,
    dashboard::{
        form::{self, Input},
        layout::{self, Frame, Room},
        pages::access::tokens,
        parts,
        scope::Scope,
    },
};

/// What the page shows.
#[derive(Debug, Clone)]
pub(in crate::dashboard) struct Own {
    /// The account.
    pub(in crate::dashboard) me: Me,
    /// Whether it has a password here; accounts of an OpenID provider do not.
    pub(in crate::dashboard) password: bool,
    /// Where it may look.
    pub(in crate::dashboard) workspaces: Vec<WorkspaceView>,
    /// Its API tokens in the workspace.
    pub(in crate::dashboard) tokens: Page<TokenView>,
}

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, own: &Own) -> Markup {
    let name = own
        .me
        .user
        .as_ref()
        .map_or("Somebody on this machine", |user| user.as_str());
    let below = html! { @if own.me.hub_admin { "Runs this hub" } @else { "Account of this hub" } };
    let leave = html! {
        @if own.me.user.is_some() { button type="button" data-logout="/api/v1/logout" { "Log out" } }
    };
    let main = html! {
        (layout::heading(&html! { (name) }, &below, &leave))
        @if own.password {
            div.grid.two {
                section.card aria-labelledby="password-title" {
                    h2 #password-title { "Password" }
                    form.form method="post" data-send="/api/v1/me/password" data-done="Changed. Other sessions were ended." data-wrong="old" data-reset {
                        (hidden_user(name))
                        (form::password("old", "old", "Password until now"))
                        (form::new_password("new", "new"))
                        div.buttons { button type="submit" { "Change password" } }
                        (form::answer("password-answer"))
                    }
                }
                (second_factor(name, own.me.second_factor))
            }
        }
        section aria-labelledby="workspaces-title" {
            h2.apart #workspaces-title { "Workspaces" }
            div #workspaces.card data-live {
                @if own.workspaces.is_empty() { (parts::empty(&html! { "None yet. An admin of a workspace makes you a member of it." })) }
                ul.places {
                    @for one in &own.workspaces {
                        li data-key=(one.id) {
                            a href=(Scope::prefixed(one.id.clone()).page("/")) { (one.id) } " " span.dim { (role_name(one.role)) }
                            @if one.id == *frame.scope.workspace() { " " span.chip { "here" } }
                        }
                    }
                }
            }
        }
        section.stack aria-labelledby="tokens-title" {
            h2 #tokens-title { "Your API tokens in workspace " (frame.scope.workspace()) }
            (tokens::list(frame, &own.tokens))
        }
    };
    layout::page(frame, Room::Account, "Account", &main)
}

/// Tells password stores whose password it is.
fn hidden_user(name: &str) -> Markup {
    html! { input type="text" autocomplete="username" value=(name) hidden readonly; }
}

fn second_factor(name: &str, set: bool) -> Markup {
    html! {
        section.card aria-labelledby="factor-title" data-factor {
            h2 #factor-title { "Second factor" }
            @if set {
                p { "Logging in takes a code of your authenticator, or a recovery code." }
                form.form method="post" data-send="/api/v1/me/second-factor/remove" data-done="Removed." data-then="reload" data-wrong="factor-password" {
                    (hidden_user(name))
                    (form::password("factor-password", "password", "Password"))
                    div.buttons { button.danger type="submit" { "Remove second factor" } }
                    (form::answer("factor-answer"))
                }
            } @else {
                p.dim { "A code from an authenticator beside the password: who learns the password alone does not get in." }
                form.form method="post" data-send="/api/v1/me/second-factor" data-factor-begin data-wrong="factor-password" {
                    (hidden_user(name))
                    (form::password("factor-password", "password", "Password"))
                    div.buttons { button type="submit" { "Set up" } }
                    (form::answer("factor-answer"))
                }
                form.form #factor-confirm method="post" data-send="/api/v1/me/second-factor/confirm" data-factor-confirm data-wrong="factor-code" hidden {
                    p { "Scan this with an authenticator, or type the secret." }
                    img #factor-qr.qr alt="The secret as a QR code" width="200" height="200";
                    div.copy { code #factor-secret {} button type="button" data-copy="factor-secret" { "Copy" } }
                    (code("factor-code", "Code that it shows"))
                    div.buttons { button.primary type="submit" { "Confirm" } }
                    (form::answer("confirm-answer"))
                }
                div #factor-codes.once tabindex="-1" hidden {
                    h3 { "Recovery codes" }
                    p { "The second factor is set. Each of these stands in for it once; they are not shown again." }
                    pre #factor-recovery {}
                    div.buttons { button type="button" data-copy="factor-recovery" { "Copy" } a href="" { "Done" } }
                }
            }
        }
    }
}

/// A field for a code of a second factor.
pub(in crate::dashboard) fn code(id: &str, label: &str) -> Markup {
    Input {
        id,
        name: "code",
        label,
        autocomplete: "one-time-code",
        digits: true,
        required: true,
        ..Input::default()
    }
    .draw()
}
