//! `/login` and `/setup`: pages for somebody who is not known yet. They tell nothing about the hub.

use maud::{Markup, html};

use crate::dashboard::{
    form::{self, Input},
    layout,
};

/// Whether people may come by an OpenID provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dashboard) enum Provider {
    /// They may.
    Configured,
    /// There is none.
    None,
}

/// `/login`. `next` is where to go then: an address of this hub.
pub(in crate::dashboard) fn login(provider: Provider, next: &str) -> Markup {
    let main = html! {
        h1 { "Log in" }
        form.form method="post" data-send="/api/v1/login" data-next=(next) data-wrong="password" data-login {
            (form::user("user"))
            (form::password("password", "password", "Password"))
            div #second hidden {
                (Input {
                    id: "code",
                    name: "code",
                    label: "Code of your second factor",
                    hint: "Six digits of your authenticator, or a recovery code.",
                    autocomplete: "one-time-code",
                    ..Input::default()
                }.draw())
            }
            div.buttons { button.primary type="submit" { "Log in" } }
            (form::answer("answer"))
        }
        @if provider == Provider::Configured {
            p.or { span { "or" } }
            p { a.button href={ "/login/oidc" (crate::dashboard::scope::query(&[("next", Some(next))])) } { "Log in with your organisation" } }
        }
    };
    layout::outside("Log in", &main)
}

/// A login by the provider that came to nothing: what to do, and the way back to the door.
pub(in crate::dashboard) fn not_logged_in(what: &str, next: &str) -> Markup {
    let main = html! {
        h1 { "Not logged in" }
        p { (what) }
        p { a.button href={ "/login" (crate::dashboard::scope::query(&[("next", Some(next))])) } { "Back to the login" } }
    };
    layout::outside("Not logged in", &main)
}

/// `/setup`: whoever has a link sets a password. The code stands behind `#`, where only the script
/// sees it.
pub(in crate::dashboard) fn setup() -> Markup {
    let main = html! {
        h1 { "Set your password" }
        p.dim { "With the link that the hub printed at its first start, or that an admin gave you. It works once." }
        form.form method="post" data-send="/api/v1/setup" data-next="/" data-wrong="new-password" data-setup {
            (Input {
                id: "user",
                name: "user",
                label: "Name",
                hint: "For the first account of this hub. Leave it empty if an admin made your account.",
                autocomplete: "username",
                ..Input::default()
            }.draw())
            (form::new_password("new-password", "password"))
            (Input {
                id: "again",
                name: "",
                label: "The same again",
                kind: "password",
                autocomplete: "new-password",
                required: true,
                ..Input::default()
            }.draw())
            div.buttons { button.primary type="submit" { "Set password and log in" } }
            (form::answer("answer"))
        }
    };
    layout::outside("Set your password", &main)
}
