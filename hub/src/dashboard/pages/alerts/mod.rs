//! `/alerts` and below: what goes wrong now, by which rules, and what is held back.

pub(in crate::dashboard) mod detail;
pub(in crate::dashboard) mod list;
pub(in crate::dashboard) mod rules;
pub(in crate::dashboard) mod silences;

use maud::{Markup, html};
use tern_protocol::rest::{AlertSeverity, AlertState, AlertView};

use crate::dashboard::{
    form,
    icon::Icon,
    layout::{self, Frame, Room},
    parts,
};

/// The pages of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Alerts,
    Rules,
    Silences,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Alerts, "/alerts", "Alerts"),
        (Self::Rules, "/alerts/rules", "Rules"),
        (Self::Silences, "/alerts/silences", "Silences"),
    ];
}

/// One of the pages, with the way to the others.
fn page(frame: Frame, tab: Tab, below: &Markup, content: &Markup) -> Markup {
    let (_, _, name) = Tab::ALL[match tab {
        Tab::Alerts => 0,
        Tab::Rules => 1,
        Tab::Silences => 2,
    }];
    let main = html! {
        (layout::heading(&html! { "Alerts" }, below, &html! {}))
        nav.tabs aria-label="Alerts" {
            @for (one, path, name) in Tab::ALL {
                a href=(frame.scope.page(path)) aria-current=[(one == tab).then_some("page")] { (name) }
            }
        }
        (form::answer("answer"))
        (content)
    };
    let title = if tab == Tab::Alerts {
        "Alerts".into()
    } else {
        format!("{name} of alerts")
    };
    layout::page(frame, Room::Alerts, &title, &main)
}

/// How an alert stands, as a badge.
fn state(one: &AlertView) -> Markup {
    html! {
        @match one.state {
            AlertState::Firing => { (parts::badge("bad", Icon::Cross, "firing")) }
            AlertState::Pending => { (parts::badge("warn", Icon::Dot, "pending")) }
            AlertState::Resolved => { (parts::badge("ok", Icon::Check, "resolved")) }
        }
        @if one.silenced_by.is_some() { " " span.chip { "silenced" } }
        @else if one.acknowledged.is_some() && one.state != AlertState::Resolved { " " span.chip { "acknowledged" } }
    }
}

/// How much of a person's time it is worth, as a badge.
fn severity(one: AlertSeverity) -> Markup {
    match one {
        AlertSeverity::Page => parts::badge("bad", Icon::Cross, "page"),
        AlertSeverity::Ticket => parts::badge("warn", Icon::Dot, "ticket"),
        AlertSeverity::Info => parts::badge("off", Icon::Dot, "info"),
    }
}
