//! What stands around every page: head, navigation, connection, footer.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use tern_protocol::time::WallTime;

use super::{assets, parts, scope::Scope};

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
    /// `/rollouts` and below.
    Rollouts,
    /// Nowhere: an error.
    None,
}

impl Room {
    const DOORS: [(Self, &'static str, &'static str); 4] = [
        (Self::Overview, "/", "Overview"),
        (Self::Devices, "/devices", "Devices"),
        (Self::Models, "/models", "Models"),
        (Self::Rollouts, "/rollouts", "Rollouts"),
    ];
}

/// What every page is drawn with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// The workspace.
    pub(super) scope: &'a Scope,
    /// When the page was drawn.
    pub(super) now: WallTime,
}

/// A whole page.
pub(super) fn page(frame: Frame, room: Room, title: &str, main: &Markup) -> Markup {
    let scope = frame.scope;
    html! {
        (DOCTYPE)
        html lang="en" {
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
            body data-stream=(scope.api("/stream")) {
                a.skip href="#main" { "Skip to content" }
                header.top { div.wide {
                    div.brand {
                        a href=(scope.page("/")) aria-label="Tern, overview" { (LOGO) span { "Tern" } }
                        span.workspace title="Workspace" { (scope.workspace()) }
                    }
                    nav.rooms aria-label="Main" {
                        @for (door, path, name) in Room::DOORS {
                            a href=(scope.page(path)) aria-current=[(door == room).then_some("page")] {
                                (name)
                            }
                        }
                    }
                    div.tools {
                        span #link.link role="status" data-state="wait" { "Connecting" }
                        button #theme.quiet type="button" hidden { "Theme" }
                    }
                } }
                main #main.wide tabindex="-1" { (main) }
                footer.foot { div.wide {
                    p #drawn data-live { "Workspace " (scope.workspace()) ", drawn " (parts::ago(frame.now)) }
                    p { a href="/api/openapi.json" { "API" } " · " a href="/metrics" { "Metrics" } }
                    noscript { p { "Without scripts this page is not live and its buttons do nothing; reload it to see newer values." } }
                } }
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
