//! `/proposals/{id}`: one question with its evidence, what it would cost, what people said, and buttons that need no
//! script.

use maud::{Markup, html};
use tern_protocol::rest::{ProposalFacts, ProposalView, ProposalWord};

use super::state;
use crate::dashboard::{
    format,
    layout::{self, Frame, Room},
    parts,
};

/// The page. `may`: whether whoever looks may answer.
pub(in crate::dashboard) fn page(frame: Frame, one: &ProposalView, may: bool) -> Markup {
    let scope = frame.scope;
    let below = html! { span #state data-live { (state(one.state)) } " round " (one.round) " of "
    a href=(scope.page(&format!("/retraining/{}", one.model))) { (one.model) } };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(scope.page("/proposals")) { "Proposals" } " / " (one.id) }
        (layout::heading(&html! { span.text { (one.subject) } }, &below, &html! {}))
        div.grid.wide-narrow {
            section.card aria-labelledby="evidence-title" {
                h2 #evidence-title { "Evidence" }
                @if let Some(facts) = &one.facts { (numbers(frame, facts)) }
                div.sentences { @for sentence in &one.sentences { p.text { (sentence) } } }
            }
            section.card aria-labelledby="answer-title" {
                h2 #answer-title { "Answer" }
                div #words data-live { (words(one)) }
                @if one.choices.is_empty() { p.dim { "This proposal is closed." } }
                @else if may { (buttons(frame, one)) }
                @else { p.dim { "You may not answer this: " (one.needs) "." } }
            }
        }
    };
    layout::page(
        frame,
        Room::Retraining,
        &format!("Proposal {}", one.id),
        &main,
    )
}

fn numbers(frame: Frame, facts: &ProposalFacts) -> Markup {
    html! {
        dl.facts {
            (parts::fact("Current version", &html! { "version " (facts.champion) }))
            (parts::fact("Since", &parts::ago(facts.since)))
            @if let Some(share) = facts.share_of_devices {
                (parts::fact("Devices affected", &html! { (format::percent(share)) }))
            }
            @if !facts.sites.is_empty() {
                (parts::fact("Sites", &html! { @for site in facts.sites.iter().take(12) { span.chip { (site) } " " }
                    @if facts.sites.len() > 12 { span.dim { "and " (facts.sites.len() - 12) " more" } } }))
            }
            (parts::fact("Labels", &html! { (format::count(facts.labels)) span.dim { ", " (format::count(facts.new_labels)) " of them new" } }))
            @if let Some(took) = facts.core_seconds {
                (parts::fact("Usual training cost", &html! { (format::count(took)) " core-seconds" }))
            }
            @if let Some(left) = facts.core_seconds_left {
                (parts::fact("Budget left", &html! { (format::count(left)) " core-seconds" }))
            }
        }
        p.small { a href=(frame.scope.page("/retraining/lessons")) { "Results of earlier rounds" } }
    }
}

fn words(one: &ProposalView) -> Markup {
    html! {
        @if !one.needs.is_empty() { p.small { "Needs agreement of " (one.needs) "." } }
        @if !one.words.is_empty() {
            ul.plain {
                @for word in &one.words {
                    li { b { (word.by) } " " (said(word.say)) " " (parts::ago(word.at))
                        @if !word.note.is_empty() { span.dim.text { " · " (word.note) } } }
                }
            }
        }
    }
}

fn said(word: ProposalWord) -> &'static str {
    match word {
        ProposalWord::Agree => "agreed",
        ProposalWord::Decline => "declined",
        ProposalWord::Again => "asked for another comparison",
        ProposalWord::Cancel => "ended the round",
    }
}

fn buttons(frame: Frame, one: &ProposalView) -> Markup {
    html! {
        form.form method="post" action=(frame.scope.page(&format!("/proposals/{}", one.id))) {
            div.field {
                label for="note" { "Comment (optional, kept with the answer)" }
                input id="note" name="note" type="text" autocomplete="off" maxlength="1000";
            }
            div.buttons {
                @for choice in &one.choices {
                    @let (class, text) = button(*choice);
                    button class=(class) type="submit" name="say" value=(choice.word()) { (text) }
                }
            }
        }
    }
}

fn button(choice: ProposalWord) -> (&'static str, &'static str) {
    match choice {
        ProposalWord::Agree => ("primary", "Agree"),
        ProposalWord::Decline => ("", "Decline"),
        ProposalWord::Again => ("", "Compare again"),
        ProposalWord::Cancel => ("danger", "End the round"),
    }
}
