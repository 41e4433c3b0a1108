//! `/retraining/{model}`: the round of a model stage by stage, its evidence and its work, and what rounds before taught.

use std::cmp::Ordering;

use maud::{Markup, html};
use tern_protocol::rest::{LessonView, RetrainView, RoundStage, RoundView, RoundWork};

use super::lessons;
use crate::{
    access::role::Permission,
    dashboard::{
        form::{self, Input},
        format,
        icon::Icon,
        layout::{self, Frame, Room},
        parts,
    },
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, one: &RetrainView, taught: &[LessonView]) -> Markup {
    let scope = frame.scope;
    let model = &one.model;
    let below = html! { span #below data-live {
        @match &one.round { Some(round) => { "Round " (round.number) ": " (round.stage.words()) }, None => { "No round is open; " (one.rounds) " so far" } }
    } };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(scope.page("/retraining")) { "Retraining" } " / " (model) }
        (layout::heading(&html! { "Retraining of " (model) }, &below, &html! {
            a href=(scope.page(&format!("/models/{model}"))) { "Versions" } " · "
            a href=(scope.page(&format!("/models/{model}/health"))) { "Health" }
        }))
        (form::answer("answer"))
        div #round.grid data-live { (round(frame, one)) }
        @if one.round.is_none() && one.policy.is_some() && frame.may(Permission::Publish) { (now(frame, one)) }
        section aria-labelledby="lessons-title" {
            h2.apart #lessons-title { "Results of rounds" }
            div #lessons.card.flush data-live { (lessons::table(frame, taught)) }
        }
    };
    layout::page(
        frame,
        Room::Retraining,
        &format!("Retraining of {model}"),
        &main,
    )
}

fn round(frame: Frame, one: &RetrainView) -> Markup {
    html! {
        section.card aria-label="Where it stands" {
            @if let Some(round) = &one.round { (stages(round.stage)) }
            dl.facts {
                @if !one.waits.is_empty() && one.cooling_until.is_none() { (parts::fact("Waits for", &html! { span.text { (one.waits) } })) }
                @if let Some(until) = one.cooling_until { (parts::fact("Cool-down ends", &parts::until(until))) }
                @match &one.policy {
                    Some(policy) => {
                        (parts::fact("Policy", &html! { (policy.mode) ", training " code { (policy.training) } ", rollout plan " code { (policy.rollout) }
                            " · " a href=(frame.scope.page("/retraining/policies")) { "edit" } }))
                    }
                    None => { (parts::fact("Policy", &html! { span.dim { "none" } })) }
                }
                (parts::fact("Training cost", &html! { (format::count(one.core_seconds_day)) " core-seconds in 24 hours, " (format::count(one.core_seconds_month)) " in 30 days" }))
                @if let Some(round) = &one.round { (of_round(frame, one, round)) }
            }
        }
        @if let Some(round) = &one.round {
            div.grid.wide-narrow {
                section.card aria-label="Evidence" {
                    h2 { "Reason" }
                    ul.plain { @for evidence in &round.evidence {
                        li { span.text { (evidence.text) } " " span.dim { "since " (parts::ago(evidence.since)) } }
                    } }
                    @if !round.comparison.is_empty() {
                        h2 { "Comparison" }
                        @for line in &round.comparison { p.text { (line) } }
                    }
                }
                section.card aria-label="Work" {
                    h2 { "Steps" }
                    @if round.work.is_empty() { p.dim { "No step has begun yet." } }
                    @else { ul.plain { @for work in &round.work { li { (ordered(frame, work)) } } } }
                    @if !round.agreed.is_empty() {
                        h2 { "Agreed by" }
                        ul.plain { @for who in &round.agreed { li { (who) } } }
                    }
                }
            }
        }
    }
}

fn of_round(frame: Frame, one: &RetrainView, round: &RoundView) -> Markup {
    html! {
        (parts::fact("Opened", &parts::ago(round.opened)))
        (parts::fact("Current version", &html! { "version " (round.champion) }))
        @if let Some(dataset) = round.dataset { (parts::fact("Dataset", &html! { a href=(frame.scope.page(&format!("/datasets/{dataset}"))) { (dataset) } })) }
        @if let Some(run) = &round.run {
            (parts::fact("Run", &html! { a href=(frame.scope.page(&format!("/runs/{run}"))) { (run) } }))
        }
        @if let Some(version) = round.version {
            (parts::fact("New version", &html! { a href=(frame.scope.page(&format!("/models/{}#v{version}", one.model))) { "version " (version) } }))
        }
        @if let Some(id) = round.asks {
            (parts::fact("Waits for an answer to", &html! { a href=(frame.scope.page(&format!("/proposals/{id}"))) { "proposal " (id) } }))
        }
    }
}

/// All stages in their order, with those that were passed.
fn stages(at: RoundStage) -> Markup {
    html! {
        ol.steps {
            @for one in RoundStage::ALL {
                li aria-current=[(one == at).then_some("step")] class=(place(one, at)) { (short(one)) }
            }
        }
    }
}

/// Where a stage is beside the one that a round is in, as a class of the style.
fn place(one: RoundStage, at: RoundStage) -> &'static str {
    match one.cmp(&at) {
        Ordering::Less => "passed",
        Ordering::Equal => "at",
        Ordering::Greater => "",
    }
}

/// A stage in a word or two.
fn short(stage: RoundStage) -> &'static str {
    match stage {
        RoundStage::Labels => "labels",
        RoundStage::Proposed => "proposal",
        RoundStage::Dataset => "dataset",
        RoundStage::Training => "training",
        RoundStage::Comparison => "comparison",
        RoundStage::Unclear => "undecided",
        RoundStage::AskedRegistration => "registration approval",
        RoundStage::AskedRollout => "rollout approval",
        RoundStage::Registration => "registration",
        RoundStage::Rollout => "rollout",
        RoundStage::Watching => "recovery",
    }
}

fn ordered(frame: Frame, work: &RoundWork) -> Markup {
    let (tone, icon) = match work.state.as_str() {
        "done" => ("ok", Icon::Check),
        "failed" | "stopped" => ("bad", Icon::Cross),
        "running" => ("busy", Icon::Arrows),
        _ => ("off", Icon::Dot),
    };
    let leads = work.number.and_then(|number| match work.step.as_str() {
        "train" => Some((format!("/jobs/{number}"), format!("job {number}"))),
        "roll-out" => Some((format!("/rollouts/{number}"), format!("rollout {number}"))),
        _ => None,
    });
    html! {
        (parts::badge(tone, icon, &work.state)) " " (work.step)
        @if work.attempt > 1 { span.dim { ", try " (work.attempt) } }
        @if let Some((path, text)) = leads { " " a href=(frame.scope.page(&path)) { (text) } }
        " " span.dim { (parts::ago(work.at)) }
        @if !work.reason.is_empty() { p.small.text { (work.reason) } }
    }
}

/// Asks for a round.
fn now(frame: Frame, one: &RetrainView) -> Markup {
    html! {
        section.card aria-labelledby="now-title" {
            h2 #now-title { "Retrain now" }
            form.form method="post" data-send=(frame.scope.api(&format!("/models/{}/retraining/rounds", one.model)))
                data-done="A round of retraining begins within seconds." data-answer="answer" data-reset {
                (Input { id: "now-note", name: "note", label: "Reason", ..Input::default() }.draw())
                div.buttons { button type="submit" { "Retrain now" } }
            }
        }
    }
}
