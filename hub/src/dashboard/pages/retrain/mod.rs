//! `/proposals` and `/retraining`: what rounds ask people, how they stand, what they taught, and by which policies.

pub(in crate::dashboard) mod lessons;
pub(in crate::dashboard) mod model;
pub(in crate::dashboard) mod proposal;
pub(in crate::dashboard) mod proposals;
pub(in crate::dashboard) mod rounds;
pub(in crate::dashboard) mod written;

use maud::{Markup, html};
use tern_protocol::rest::{ProposalState, RoundOutcome};

use crate::dashboard::{
    form,
    icon::Icon,
    layout::{self, Frame, Room},
    parts,
};

/// The pages of retraining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Proposals,
    Rounds,
    Lessons,
    Written,
}

impl Tab {
    const ALL: [Self; 4] = [Self::Proposals, Self::Rounds, Self::Lessons, Self::Written];

    const fn path(self) -> &'static str {
        match self {
            Self::Proposals => "/proposals",
            Self::Rounds => "/retraining",
            Self::Lessons => "/retraining/lessons",
            Self::Written => "/retraining/policies",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Proposals => "Proposals",
            Self::Rounds => "Rounds",
            Self::Lessons => "Results",
            Self::Written => "Policies",
        }
    }
}

/// One of the pages, with the way to the others.
fn page(frame: Frame, tab: Tab, below: &Markup, content: &Markup) -> Markup {
    let tabs = Tab::ALL.map(|one| (frame.scope.page(one.path()), one.name(), one == tab));
    let main = html! {
        (layout::heading(&html! { "Retraining" }, below, &html! {}))
        (layout::tabs("Retraining", tabs))
        (form::answer("answer"))
        (content)
    };
    layout::page(
        frame,
        Room::Retraining,
        &format!("{} of retraining", tab.name()),
        &main,
    )
}

/// How a question stands, as a badge.
fn state(one: ProposalState) -> Markup {
    match one {
        ProposalState::Open => parts::badge("warn", Icon::Pause, "open"),
        ProposalState::Told => parts::badge("off", Icon::Dot, "for information"),
        ProposalState::Agreed => parts::badge("ok", Icon::Check, "agreed"),
        ProposalState::Declined => parts::badge("bad", Icon::Cross, "declined"),
        ProposalState::Over => parts::badge("off", Icon::Slash, "closed"),
    }
}

/// How a round ended, as a badge.
fn outcome(one: RoundOutcome) -> Markup {
    let (tone, icon) = match one {
        RoundOutcome::Recovered => ("ok", Icon::Check),
        RoundOutcome::Rejected
        | RoundOutcome::NotRecovered
        | RoundOutcome::Failed
        | RoundOutcome::RolloutStopped => ("bad", Icon::Cross),
        RoundOutcome::Declined | RoundOutcome::Cancelled => ("warn", Icon::Slash),
        RoundOutcome::Expired | RoundOutcome::Superseded => ("off", Icon::Forward),
    };
    parts::badge(tone, icon, one.word())
}
