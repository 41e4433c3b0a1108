//! What stands around every page: head, navigation, connection, footer.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use tern_protocol::time::WallTime;

use super::{assets, pages::access::Desk, parts, scope::Scope};
use crate::access::{
    principal::{Access, Principal, Who},
    role::{Permission, Policy},
};

/// Everything from this origin only, nothing inline, nothing embedded, embedded nowhere.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// The logo: a tern in flight.
const LOGO: PreEscaped<&str> = PreEscaped(include_str!("assets/logo.svg"));

/// Where a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// `/`
    Overview,
    /// `/devices` and below.
    Devices,
    /// `/models` and below.
    Models,
    /// `/experiments`, `/runs` and below.
    Experiments,
    /// `/jobs`, `/computes` and below.
    Jobs,
    /// `/datasets` and below.
    Datasets,
    /// `/rollouts` and below.
    Rollouts,
    /// `/delivery`
    Delivery,
    /// `/proposals`, `/retraining` and below.
    Retraining,
    /// `/alerts` and below.
    Alerts,
    /// `/access` and below.
    Access,
    /// `/account`, which is in nobody's way: it stands in the user's menu.
    Account,
    /// Nowhere: an error.
    None,
}

impl Room {
    const DOORS: [(Self, &'static str, &'static str); 11] = [
        (Self::Overview, "/", "Overview"),
        (Self::Devices, "/devices", "Devices"),
        (Self::Datasets, "/datasets", "Datasets"),
        (Self::Experiments, "/experiments", "Experiments"),
        (Self::Jobs, "/jobs", "Jobs"),
        (Self::Models, "/models", "Models"),
        (Self::Rollouts, "/rollouts", "Rollouts"),
        (Self::Retraining, "/proposals", "Retraining"),
        (Self::Delivery, "/delivery", "Delivery"),
        (Self::Alerts, "/alerts", "Alerts"),
        (Self::Access, Desk::Waiting.path(), "Access"),
    ];
}

/// What every page is drawn with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// The workspace.
    pub(super) scope: &'a Scope,
    /// When the page was drawn.
    pub(super) now: WallTime,
    /// Who looks at it: what they may not do is not shown. The API decides on its own.
    pub(super) asker: &'a Principal,
}

impl Frame<'_> {
    /// Whether whoever looks may do something in the workspace.
    pub(super) fn may(&self, permission: Permission) -> bool {
        self.asker.may(permission, self.scope.workspace())
    }

    /// Whether a policy lets through whoever looks.
    pub(super) fn grants(&self, policy: Policy) -> bool {
        self.asker.access(policy, Some(self.scope.workspace())) == Access::Granted
    }
}

/// A whole page.
pub(super) fn page(frame: Frame, room: Room, title: &str, main: &Markup) -> Markup {
    let scope = frame.scope;
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body data-stream=[frame.may(Permission::View).then(|| scope.api("/stream"))] {
                a.skip href="#main" { "Skip to content" }
                header.top {
                    div.wide {
                        div.brand {
                            a href=(scope.page("/")) aria-label="Tern, overview" { (LOGO) span { "Tern" } }
                            span.workspace title="Workspace" { (scope.workspace()) }
                        }
                        nav.rooms aria-label="Main" {
                            @if frame.may(Permission::View) {
                                @for (door, path, name) in Room::DOORS {
                                    @if door != Room::Jobs || frame.may(Permission::SeeJobs) {
                                    a href=(scope.page(path)) aria-current=[(door == room).then_some("page")] {
                                        (name)
                                    }
                                    }
                                }
                            }
                        }
                        div.tools {
                            span #link.link role="status" data-state="wait" { "Connecting" }
                            button #theme.quiet type="button" hidden { "Theme" }
                            (menu(frame, room))
                        }
                    }
                    @if frame.asker.who == Who::Loopback { (open_to_all()) }
                }
                main #main.wide tabindex="-1" { (main) }
                footer.foot { div.wide {
                    p #drawn data-live { "Workspace " (scope.workspace()) ", drawn " (parts::ago(frame.now)) ". Times are in your time zone." }
                    p { a href="/api/openapi.json" { "API" } " · " a href="/metrics" { "Metrics" } }
                    (scriptless())
                } }
            }
        }
    }
}

/// A page for somebody who is not known: it leads nowhere, and shows nothing of any workspace.
pub(super) fn outside(title: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body.outside {
                a.skip href="#main" { "Skip to content" }
                header.top { div.wide {
                    div.brand { span.mark { (LOGO) span { "Tern" } } }
                    div.tools { button #theme.quiet type="button" hidden { "Theme" } }
                } }
                main #main.wide tabindex="-1" { div.card.gate { (main) } }
                footer.foot { div.wide { (scriptless()) } }
            }
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · Tern" }
            link rel="icon" href=(assets::url("favicon.svg")) type="image/svg+xml";
            link rel="stylesheet" href=(assets::url("style.css"));
            // Not a module: it sets the theme before anything is painted.
            script src=(assets::url("theme.js")) {}
            script type="module" src=(assets::url("main.js")) {}
        }
    }
}

fn scriptless() -> Markup {
    html! {
        noscript { p { "Without scripts times are in UTC, this page is not live and its buttons do nothing; reload it to see newer values." } }
    }
}

/// Who is logged in, and what is theirs. `details`, so that it opens without a script.
fn menu(frame: Frame, room: Room) -> Markup {
    let scope = frame.scope;
    let Who::User(account) = &frame.asker.who else {
        return html! {};
    };
    html! {
        details.menu {
            summary { span.spoken { "Account of " } span.who { (account.user) } }
            div.sheet {
                a href=(scope.page("/account")) aria-current=[(room == Room::Account).then_some("page")] { "Account" }
                @for workspace in account.roles.keys() {
                    @if workspace != scope.workspace() {
                        a href=(Scope::prefixed(workspace.clone()).page("/")) { span.dim { "Workspace " } (workspace) }
                    }
                }
                button type="button" data-logout="/api/v1/logout" { "Log out" }
            }
        }
    }
}

/// Says that there is no login, quietly, on every page.
fn open_to_all() -> Markup {
    html! {
        p.unlocked role="note" { span.wide {
            "No login: this hub was started with " code { "--insecure-loopback" } ". Everybody on this machine may do everything."
        } }
    }
}

/// The way to pages that are beside each other: the address of each, its name, and whether it is this one.
pub(super) fn tabs<'a>(
    what: &str,
    all: impl IntoIterator<Item = (String, &'a str, bool)>,
) -> Markup {
    html! {
        nav.tabs aria-label=(what) {
            @for (path, name, is_here) in all {
                a href=(path) aria-current=[is_here.then_some("page")] { (name) }
            }
        }
    }
}

/// Title, a line below it, and what stands at its right.
pub(super) fn heading(title: &Markup, below: &Markup, right: &Markup) -> Markup {
    html! {
        div.heading {
            div { h1 { (title) } div.below { (below) } }
            div.right { (right) }
        }
    }
}
