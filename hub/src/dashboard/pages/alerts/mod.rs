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
    const ALL: [Self; 3] = [Self::Alerts, Self::Rules, Self::Silences];

    const fn path(self) -> &'static str {
        match self {
            Self::Alerts => "/alerts",
            Self::Rules => "/alerts/rules",
            Self::Silences => "/alerts/silences",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Alerts => "Alerts",
            Self::Rules => "Rules",
            Self::Silences => "Silences",
        }
    }
}

/// One of the pages, with the way to the others.
fn page(frame: Frame, tab: Tab, below: &Markup, content: &Markup) -> Markup {
    let tabs = Tab::ALL.map(|one| (frame.scope.page(one.path()), one.name(), one == tab));
    let main = html! {
        (layout::heading(&html! { "Alerts" }, below, &html! {}))
        (layout::tabs("Alerts", tabs))
        (form::answer("answer"))
        (content)
    };
    let title = if tab == Tab::Alerts {
        "Alerts".into()
    } else {
        format!("{} of alerts", tab.name())
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
