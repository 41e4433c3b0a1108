//! `/access/audit`: what was done, by whom, when and from where.

use maud::{Markup, html};
use tern_protocol::rest::{AuditEntry, Page};

use crate::{
    access::role::Policy,
    dashboard::{
        form, format,
        layout::Frame,
        pages::access::{self, Desk},
        parts,
        scope::query,
    },
};

/// What the log is narrowed to, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::dashboard) struct Filter {
    /// By whom.
    pub(in crate::dashboard) actor: Option<String>,
    /// What.
    pub(in crate::dashboard) action: Option<String>,
    /// To what.
    pub(in crate::dashboard) subject: Option<String>,
    /// From this day on, as `2026-11-23`.
    pub(in crate::dashboard) from: Option<String>,
    /// Up to this day, and all of it.
    pub(in crate::dashboard) to: Option<String>,
    /// Entries before this one.
    pub(in crate::dashboard) before: Option<u64>,
    /// Over which part of the hub.
    pub(in crate::dashboard) reach: Reach,
}

/// How far the log goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::dashboard) enum Reach {
    /// The workspace.
    #[default]
    Workspace,
    /// The whole hub.
    Hub,
}

impl Filter {
    fn is_any(&self) -> bool {
        let texts = [
            &self.actor,
            &self.action,
            &self.subject,
            &self.from,
            &self.to,
        ];
        texts.into_iter().any(Option::is_some)
    }

    fn query(&self, before: Option<&str>) -> String {
        query(&[
            ("reach", (self.reach == Reach::Hub).then_some("hub")),
            ("actor", self.actor.as_deref()),
            ("action", self.action.as_deref()),
            ("subject", self.subject.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("before", before),
        ])
    }
}

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    filter: &Filter,
    entries: &Page<AuditEntry>,
) -> Markup {
    let path = frame.scope.page(Desk::Audit.path());
    let hub = frame.grants(Policy::HubAdmin);
    let below = html! {
        @match filter.reach {
            Reach::Workspace => { "Workspace " b { (frame.scope.workspace()) } ", newest first" }
            Reach::Hub => { "The whole hub, newest first" }
        }
    };
    let content = html! {
        (filters(&path, filter, hub))
        @if hub {
            div.row.verify {
                button type="button" data-verify="/api/v1/audit/verify" { "Verify the whole log" }
                (form::answer("answer"))
            }
        }
        div #entries.card.flush data-live {
            @if entries.items.is_empty() {
                @if filter.is_any() { (parts::empty(&html! { "Nothing matches. Loosen the filter above." })) }
                @else { (parts::empty(&html! { "Nothing has been done yet." })) }
            } @else { (table(filter, &entries.items)) }
        }
        nav.turn #turn data-live aria-label="Pages of the log" {
            @if filter.before.is_some() { a href={ (path) (filter.query(None)) } { "Newest" } }
            @if let Some(next) = &entries.next { a href={ (path) (filter.query(Some(next))) } { "Older" } }
        }
    };
    access::page(frame, Desk::Audit, &below, &content)
}

fn filters(path: &str, filter: &Filter, hub: bool) -> Markup {
    let text = |name, label, value: Option<&str>, example| {
        html! {
            label { (label)
                input name=(name) value=[value] placeholder=(example) autocomplete="off" autocapitalize="none" spellcheck="false";
            }
        }
    };
    html! {
        form.filter method="get" action=(path) data-filter {
            @if hub {
                label { "Where"
                    select name="reach" {
                        option value="" { "this workspace" }
                        option value="hub" selected[filter.reach == Reach::Hub] { "whole hub" }
                    }
                }
            }
            (text("actor", "Who", filter.actor.as_deref(), "user ada"))
            (text("action", "What", filter.action.as_deref(), "rollout.start"))
            (text("subject", "To what", filter.subject.as_deref(), "rollout 12"))
            label { "From" input name="from" type="date" value=[filter.from.as_deref()]; }
            label { "To" input name="to" type="date" value=[filter.to.as_deref()]; }
            button type="submit" { "Filter" }
            @if filter.is_any() { a href=(path) { "Show all" } }
        }
    }
}

fn table(filter: &Filter, entries: &[AuditEntry]) -> Markup {
    let wide = filter.reach == Reach::Hub;
    html! {
        table.cards.audit {
            thead { tr {
                th scope="col" { "No." }
                th scope="col" { "When" }
                th scope="col" { "Who" }
                @if wide { th scope="col" { "Where" } }
                th scope="col" { "What" }
                th scope="col" { "Detail" }
                th scope="col" { "Before → after" }
            } }
            tbody {
                @for entry in entries {
                    tr data-key=(entry.seq) {
                        th scope="row" title={ "hash " (entry.hash) } { (entry.seq) }
                        td data-name="When" { (parts::ago(entry.at)) }
                        td data-name="Who" { div { span.text { (entry.actor) } @if let Some(from) = &entry.from { small.dim { "from " (from) } } } }
                        @if wide { td data-name="Where" { @match &entry.workspace { Some(workspace) => { (workspace) } None => { span.dim { "hub" } } } } }
                        td data-name="What" { div { b { (entry.action) } small.text { (entry.subject) } } }
                        td data-name="Detail" { span.text { @if entry.detail.is_empty() { span.dim { (format::NOTHING) } } @else { (entry.detail) } } }
                        td data-name="Digests" { span.digest { (digest(entry.before)) " → " (digest(entry.after)) } }
                    }
                }
            }
        }
    }
}

fn digest(of: Option<tern_protocol::digest::Digest>) -> Markup {
    html! {
        @match of { Some(digest) => { code title=(digest) { (digest.short()) } } None => { span.dim { (format::NOTHING) } } }
    }
}
