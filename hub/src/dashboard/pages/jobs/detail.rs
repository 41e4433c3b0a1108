//! `/jobs/{job}`: what was asked for, how its attempts went, what they made, and what it says while it says it.

use maud::{Markup, html};
use tern_protocol::rest::{JobAttemptView, JobDetail, JobLog, JobProject, LineageOf};

use super::{cost, note, resources, span, state, took};
use crate::{
    access::role::Permission,
    dashboard::{
        form, format,
        icon::Icon,
        layout::{self, Frame, Room},
        pages::lineage,
        parts,
        scope::query,
    },
};

/// Artifacts that are listed.
const ARTIFACTS: usize = 200;

/// The page. Of the log the end is shown; the API has the rest.
pub(in crate::dashboard) fn page(frame: Frame, job: &JobDetail, log: &JobLog) -> Markup {
    let one = &job.view;
    let main = html! {
        (layout::heading(&html! { (one.name) }, &html! {
            span #state data-live {
                (state(one.state)) " " (parts::ago(one.created)) ", took " (took(one, frame.now)) ", " (cost(one.core_millis))
            }
        }, &html! { a href=(frame.scope.page("/jobs")) { "All jobs" } }))
        div #note data-live {
            @if let Some(text) = note(one) { p.text { (text) } }
        }
        (buttons(frame, job))
        (asked(frame, job))
        section #log.card data-live {
            h2 { "Log" @if one.attempts > 1 { " of attempt " (log.attempt) } }
            (said(log))
        }
        section #artifacts.card.flush data-live {
            h2 { "Artifacts" }
            (artifacts(frame, job))
        }
        section #attempts.card.flush data-live {
            h2 { "Attempts" }
            (attempts(frame, &job.all_attempts))
        }
    };
    let title = format!("Job {}", one.id);
    layout::page(frame, Room::Jobs, &title, &main)
}

fn buttons(frame: Frame, job: &JobDetail) -> Markup {
    let one = &job.view;
    let api = |verb: &str| frame.scope.api(&format!("/jobs/{}/{verb}", one.id));
    html! {
        @if frame.may(Permission::RunJobs) {
            div #buttons.buttons data-live {
                @if one.state.is_over() {
                    button type="button" data-post=(api("retry")) data-done="Started again as a new job." { "Run again" }
                } @else {
                    button type="button" data-post=(api("cancel")) data-done="Cancelling." disabled[one.cancelled] { "Cancel" }
                }
            }
            (form::answer("answer"))
        }
    }
}

fn asked(frame: Frame, job: &JobDetail) -> Markup {
    let one = &job.view;
    let of = &job.asked;
    html! {
        section #asked.card data-live {
            h2 { "Details" }
            dl.facts {
                (parts::fact("Job", &html! { (one.id) }))
                (lineage::fact(frame.scope, &LineageOf::Job(one.id.0)))
                (parts::fact("Started by", &html! { (one.by) }))
                (parts::fact("Compute", &html! { (one.compute) }))
                @if let Some(entry) = &of.entry {
                    (parts::fact("Entry point", &html! { (entry.point) }))
                }
                (parts::fact("Command", &html! { code { (job.command.join(" ")) } }))
                @match &of.project {
                    Some(JobProject::Archive { archive }) => (parts::fact("Project", &html! { "SHA-256 " code { (archive.to_string()[..16]) "…" } })),
                    Some(JobProject::At(place)) => (parts::fact("Project", &html! { code { (place) } })),
                    None => {}
                }
                @if let Some(dataset) = &of.dataset { (parts::fact("Dataset", &html! {
                    // It may be a path on the machine where the job runs.
                    @if dataset.starts_with('/') { code { (dataset) } }
                    @else { a href=(frame.scope.page(&format!("/datasets/{dataset}"))) { (dataset) } }
                })) }
                (parts::fact("Resources", &resources(of.resources)))
                (parts::fact("Time limit", &html! { (span(of.time_limit)) }))
                (parts::fact("Priority", &html! { (one.priority) }))
                @if of.retries.most > 0 { (parts::fact("Retries", &html! { (of.retries.most) })) }
                @for (name, value) in &of.variables {
                    (parts::fact(name, &html! { @match value {
                        tern_protocol::rest::JobVariable::Plain(text) => code { (text) },
                        tern_protocol::rest::JobVariable::Secret { secret } => span.dim { (secret) },
                    } }))
                }
                @if let Some(run) = &one.run {
                    (parts::fact("Run", &html! { a href=(frame.scope.page(&format!("/runs/{}", run.run))) { code { (run.run) } } }))
                }
                @if let Some(id) = one.again_of {
                    (parts::fact("Retry of", &html! { a href=(frame.scope.page(&format!("/jobs/{id}"))) { "job " (id) } }))
                }
            }
        }
    }
}

fn said(log: &JobLog) -> Markup {
    html! {
        @if log.text.is_empty() {
            (parts::empty(&html! { @if log.over { "The log is empty." } @else { "Nothing was logged yet." } }))
        } @else {
            @if log.from > 0 { p.small.dim { "The last " (format::bytes(log.next - log.from)) " of " (format::bytes(log.total)) "." } }
            div.log tabindex="0" role="region" aria-label="Log" { pre { (log.text) } }
        }
    }
}

fn artifacts(frame: Frame, job: &JobDetail) -> Markup {
    let many = job.all_attempts.len() > 1;
    html! {
        @if job.artifacts.is_empty() {
            (parts::empty(&html! {
                @if job.asked.artifacts.is_empty() { "None were requested. Name them with " code { "tern job run --artifact PATH" } "." }
                @else if job.view.state.is_over() { "The job made none of the requested files." }
                @else { "They appear here when an attempt has ended." }
            }))
        } @else {
            table.cards {
                thead { tr {
                    th scope="col" { "File" }
                    th.end scope="col" { "Size" }
                    @if many { th.end scope="col" { "Attempt" } }
                } }
                tbody { @for one in job.artifacts.iter().take(ARTIFACTS) {
                    tr data-key={ (one.attempt) "/" (one.path) } {
                        th scope="row" { a href=(address(frame, job, one.attempt, &one.path)) download { (one.path) } }
                        td.end data-name="Size" { (format::bytes(one.bytes)) }
                        @if many { td.end data-name="Attempt" { (one.attempt) } }
                    }
                } }
            }
            @if job.artifacts.len() > ARTIFACTS {
                p.small.dim { (format::count((job.artifacts.len() - ARTIFACTS) as u64)) " more: " code { "tern job get " (job.view.id) } }
            }
        }
    }
}

fn address(frame: Frame, job: &JobDetail, attempt: u32, path: &str) -> String {
    let attempt = attempt.to_string();
    let which = query(&[("path", Some(path)), ("attempt", Some(&attempt))]);
    let one = format!("/jobs/{}/artifact", job.view.id);
    format!("{}{which}", frame.scope.api(&one))
}

fn attempts(frame: Frame, all: &[JobAttemptView]) -> Markup {
    html! {
        @if all.is_empty() { (parts::empty(&html! { "None yet." })) }
        @else { div.scroll tabindex="0" role="region" aria-label="Attempts" { table.cards {
            thead { tr {
                th.end scope="col" { "Attempt" }
                th scope="col" { "State" }
                th scope="col" { "Compute" }
                th.end scope="col" { "Started" }
                th.end scope="col" { "CPU time" }
                th.end scope="col" { "Peak memory" }
                th scope="col" { "Run" }
            } }
            tbody { @for one in all {
                tr data-key=(one.number) {
                    td.end data-name="Attempt" { (one.number) }
                    th scope="row" {
                        @match &one.ended {
                            Some(end) if end.kind == "success" => (parts::badge("ok", Icon::Check, &end.text)),
                            Some(end) => (parts::badge("bad", Icon::Cross, &end.text)),
                            None => (parts::badge("busy", Icon::Arrows, &one.phase)),
                        }
                        @if !one.trouble.is_empty() { small.text { (one.trouble) } }
                        @if one.artifacts_left_out { small.dim { "some artifacts were not kept: too many or too large" } }
                    }
                    td data-name="Compute" { (one.compute) }
                    td.end data-name="Started" { (parts::ago(one.given)) }
                    td.end data-name="CPU time" { (cost(one.core_millis)) }
                    td.end data-name="Peak memory" { @if one.peak_memory > 0 { (format::bytes(one.peak_memory)) } @else { (format::NOTHING) } }
                    td data-name="Run" {
                        @if let Some(run) = &one.run { a href=(frame.scope.page(&format!("/runs/{}", run.run))) { code { (run.run.get(..8).unwrap_or_default()) } } }
                    }
                }
            } }
        } } }
    }
}
