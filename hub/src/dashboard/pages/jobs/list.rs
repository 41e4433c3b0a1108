//! `/jobs`: what runs, what waits and why, what is over and what it cost.

use maud::{Markup, html};
use tern_protocol::rest::{JobState, JobView, Page};

use super::{cost, note, state, took};
use crate::dashboard::{
    format,
    layout::{self, Frame, Room},
    parts,
    scope::query,
};

/// What the page is asked for.
#[derive(Debug, Clone, Default)]
pub(in crate::dashboard) struct Asked {
    /// Only those in this state.
    pub(in crate::dashboard) state: Option<JobState>,
    /// After the page that ended with this.
    pub(in crate::dashboard) after: Option<String>,
}

/// The page: those that are not over, however many pages the rest has, and the newest of the rest.
pub(in crate::dashboard) fn page(
    frame: Frame,
    asked: &Asked,
    open: &[JobView],
    all: &Page<JobView>,
) -> Markup {
    let waiting = open
        .iter()
        .filter(|one| one.state == JobState::Queued)
        .count();
    let main = html! {
        (layout::heading(&html! { "Jobs" }, &html! {
            span #shown data-live {
                b { (format::count((open.len() - waiting) as u64)) } " running, " b { (format::count(waiting as u64)) } " waiting"
            }
        }, &html! { a href=(frame.scope.page("/computes")) { "Computes" } }))
        @if asked.after.is_none() && asked.state.is_none() {
            section aria-labelledby="open-title" {
                h2.apart #open-title { "Running and waiting" }
                div #open.card.flush data-live {
                    @if open.is_empty() {
                        (parts::empty(&html! { "No job is running or waiting." }))
                    } @else {
                        (table(frame, open, "Running and waiting jobs"))
                    }
                }
            }
        }
        (form(frame, asked))
        div #jobs.card.flush data-live {
            @if all.items.is_empty() {
                (parts::empty(&html! {
                    @if asked.state.is_some() { "No job in this state." }
                    @else if !open.is_empty() { "No job has finished yet." }
                    @else { "No jobs yet. Run one: " code { "tern job run --project . -- python train.py" } "." }
                }))
            } @else {
                (table(frame, &all.items, "Finished jobs"))
            }
        }
        @if let Some(next) = &all.next {
            p { a href={ (frame.scope.page("/jobs")) (query(&[("state", asked.state.map(JobState::word)), ("after", Some(next))])) } { "Older jobs" } }
        }
    };
    layout::page(frame, Room::Jobs, "Jobs", &main)
}

fn form(frame: Frame, asked: &Asked) -> Markup {
    html! {
        form.filter method="get" action=(frame.scope.page("/jobs")) data-filter {
            label { "State"
                select name="state" {
                    option value="" { "all" }
                    @for one in JobState::ALL {
                        option value=(one.word()) selected[asked.state == Some(one)] { (one.word()) }
                    }
                }
            }
            button type="submit" { "Filter" }
        }
    }
}

fn table(frame: Frame, jobs: &[JobView], name: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table.cards {
                thead { tr {
                    th.end scope="col" { "Job" }
                    th scope="col" { "Name" }
                    th scope="col" { "State" }
                    th scope="col" { "Compute" }
                    th scope="col" { "Started by" }
                    th.end scope="col" { "Priority" }
                    th.end scope="col" { "Created" }
                    th.end scope="col" { "Duration" }
                    th.end scope="col" { "CPU time" }
                } }
                tbody { @for one in jobs { (row(frame, one)) } }
            }
        }
    }
}

fn row(frame: Frame, one: &JobView) -> Markup {
    html! {
        tr data-key=(one.id) {
            td.end data-name="Job" { (one.id) }
            th scope="row" {
                a href=(frame.scope.page(&format!("/jobs/{}", one.id))) { (one.name) }
                @if let Some(text) = note(one) { small.dim.text { (text) } }
            }
            td data-name="State" { (state(one.state)) }
            td data-name="Compute" { (one.compute) }
            td data-name="Started by" { (one.by) }
            td.end data-name="Priority" { (one.priority) }
            td.end data-name="Created" { (parts::ago(one.created)) }
            td.end data-name="Duration" { (took(one, frame.now)) }
            td.end data-name="CPU time" { (cost(one.core_millis)) }
        }
    }
}
