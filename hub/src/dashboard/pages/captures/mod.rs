//! `/captures`: what is kept of inputs, why, what devices spent of their budgets; asking for more, and deleting.

mod acts;
pub(in crate::dashboard) mod receipt;

use maud::{Markup, html};
use tern_protocol::{
    id::{ModelName, SiteName},
    rest::{
        CaptureRequestView, CaptureView, CapturesKept, DeletionView, InputView, KeptCount,
        KeptDevice, KeptOf,
    },
};

use crate::{
    access::role::Permission,
    dashboard::{
        form, format,
        layout::{self, Frame, Room},
        parts,
        scope::{self, Scope},
    },
};

/// What the page is narrowed to.
#[derive(Debug, Clone, Default)]
pub(in crate::dashboard) struct Which {
    /// This model.
    pub(in crate::dashboard) model: Option<ModelName>,
    /// This site.
    pub(in crate::dashboard) site: Option<SiteName>,
}

/// A capture, and how it is drawn.
pub(in crate::dashboard) struct Thumb {
    /// It.
    pub(in crate::dashboard) capture: CaptureView,
    /// How.
    pub(in crate::dashboard) view: InputView,
}

/// What the page shows.
pub(in crate::dashboard) struct Held {
    /// Counts.
    pub(in crate::dashboard) kept: CapturesKept,
    /// The newest captures.
    pub(in crate::dashboard) newest: Vec<Thumb>,
    /// The newest requests.
    pub(in crate::dashboard) requests: Vec<CaptureRequestView>,
    /// The newest deletions.
    pub(in crate::dashboard) deletions: Vec<DeletionView>,
    /// Models that may be chosen.
    pub(in crate::dashboard) models: Vec<ModelName>,
    /// Sites that may be chosen.
    pub(in crate::dashboard) sites: Vec<SiteName>,
}

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, which: &Which, held: &Held) -> Markup {
    let scope = frame.scope;
    let kept = &held.kept;
    let below = html! {
        span #kept-all data-live {
            b { (format::count(kept.all.captures)) } " captures, " (format::bytes(kept.all.bytes))
            ", " (format::count(kept.all.labelled)) " labelled"
            @if kept.all.without_input > 0 { ", " (format::count(kept.all.without_input)) " without their input" }
            @if kept.more { "; older ones are not counted" }
        }
    };
    let label = which
        .model
        .as_ref()
        .filter(|_| frame.may(Permission::Label));
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href=(scope.page("/models")) { "Models" }
            @if let Some(model) = &which.model { " / " a href=(scope.page(&format!("/models/{model}"))) { (model) } }
        }
        (layout::heading(&html! { "Captures" }, &below, &html! {
            @if let Some(model) = label {
                a.button href=(scope.page(&format!("/models/{model}/label"))) { "Label captures" }
            }
        }))
        (choice(&scope.page("/captures"), which, held))
        (form::answer("answer"))
        section aria-labelledby="newest-title" {
            h2.apart #newest-title { "Newest captures" }
            (newest(scope, &held.newest))
        }
        section aria-labelledby="kept-title" {
            h2.apart #kept-title { "Stored captures" }
            div #kept.grid.two data-live {
                (counts("By version", "Version", &kept.versions))
                (counts("By site", "Site", &kept.sites))
                (counts("By reason", "Reason", &kept.reasons))
                (days(kept))
            }
        }
        section aria-labelledby="budgets-title" {
            h2.apart #budgets-title { "Budgets, over the last 24 hours" }
            div #budgets.card.flush data-live { (budgets(scope, &kept.devices)) }
        }
        (acts::requests(frame, which, held))
        (acts::deletions(frame, &held.deletions))
    };
    layout::page(frame, Room::Models, "Captures", &main)
}

fn choice(path: &str, which: &Which, held: &Held) -> Markup {
    html! {
        form.filter action=(path) method="get" data-filter {
            label { "Model" select name="model" {
                option value="" { "all" }
                @for model in &held.models { option value=(model) selected[which.model.as_ref() == Some(model)] { (model) } }
            } }
            label { "Site" select name="site" {
                option value="" { "all" }
                @for site in &held.sites { option value=(site) selected[which.site.as_ref() == Some(site)] { (site) } }
            } }
            noscript { button type="submit" { "Show" } }
        }
    }
}

/// Drawn by `captures.js`. Not live: what is drawn would be taken away.
fn newest(scope: &Scope, newest: &[Thumb]) -> Markup {
    html! {
        @if newest.is_empty() {
            div.card { (parts::empty(&html! {
                "No captures yet. Devices keep inputs by " code { "[captures]" } " in their agent.toml, and those that you request below."
            })) }
        }
        div.thumbs {
            @for Thumb { capture, view } in newest {
                figure.card.thumb {
                    div.drawn data-thumb=(json(&(&capture.input, capture.no_input))) data-view=(json(view)) {
                        noscript { "Drawing needs scripts." }
                    }
                    figcaption.small {
                        "predicted " b.text { (capture.class) }
                        @if capture.number.is_none() { " " span.dim { (format::percent(capture.confidence.into())) } }
                        @if let Some(truth) = &capture.truth { br; "label " b.text { (truth) } }
                        br;
                        (parts::device(scope, &capture.device)) " " code { (capture.prediction) } " " (parts::ago(capture.at))
                        br;
                        span.dim { (why(capture)) }
                    }
                }
            }
        }
    }
}

fn why(capture: &CaptureView) -> String {
    let words: Vec<_> = capture.reasons.iter().map(|reason| reason.word()).collect();
    match words[..] {
        [] => "no reason given".into(),
        _ => words.join(", "),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("REST types are always JSON")
}

fn cells(kept: &KeptCount) -> Markup {
    html! {
        td.end data-name="Captures" { (format::count(kept.captures)) }
        td.end data-name="Bytes" { (format::bytes(kept.bytes)) }
        td.end data-name="Labelled" { (format::count(kept.labelled)) }
    }
}

fn head(name: &str) -> Markup {
    html! { thead { tr {
        th scope="col" { (name) }
        th.end scope="col" { "Captures" }
        th.end scope="col" { "Bytes" }
        th.end scope="col" { "Labelled" }
    } } }
}

fn counts(title: &str, name: &str, all: &[KeptOf]) -> Markup {
    html! {
        div.card.flush {
            h3.caption { (title) }
            @if all.is_empty() { (parts::empty(&html! { "None." })) } @else {
                table.cards { (head(name)) tbody {
                    @for one in all { tr { th scope="row" { span.text { (one.name) } } (cells(&one.kept)) } }
                } }
            }
        }
    }
}

fn days(kept: &CapturesKept) -> Markup {
    html! {
        div.card.flush {
            h3.caption { "By day (UTC)" }
            @if kept.days.is_empty() { (parts::empty(&html! { "None." })) } @else {
                div.scroll.tall { table.cards { (head("Day")) tbody {
                    @for day in &kept.days { tr {
                        th scope="row" { (format::utc(day.from).chars().take(10).collect::<String>()) } (cells(&day.kept))
                    } }
                } } }
            }
        }
    }
}

fn budgets(scope: &Scope, devices: &[KeptDevice]) -> Markup {
    html! {
        @if devices.is_empty() { (parts::empty(&html! { "No device captured anything." })) } @else {
            table.cards {
                thead { tr {
                    th scope="col" { "Device" }
                    th.end scope="col" { "Captures" }
                    th.end scope="col" { "Limit" }
                    th.end scope="col" { "Bytes" }
                    th.end scope="col" { "Limit" }
                } }
                tbody { @for one in devices {
                    @let limits = one.limits.unwrap_or_default();
                    tr data-key=(one.device) {
                        th scope="row" { (parts::device(scope, &one.device)) }
                        td.end data-name="Captures" { (format::count(one.kept.captures)) }
                        td.end data-name="Limit" { (used(one.kept.captures, limits.per_day.map(u64::from), &format::count)) }
                        td.end data-name="Bytes" { (format::bytes(one.kept.bytes)) }
                        td.end data-name="Limit" { (used(one.kept.bytes, limits.bytes_per_day, &format::bytes)) }
                    }
                } }
            }
        }
    }
}

/// A limit, and how much of it is used.
fn used(used: u64, most: Option<u64>, text: &dyn Fn(u64) -> String) -> Markup {
    html! {
        @match most {
            None => { span.dim { "no limit" } }
            Some(most) => { span { (text(most)) " " span.dim { (format::percent(used as f64 / most.max(1) as f64)) } } }
        }
    }
}

/// The address of this page for a model.
pub(in crate::dashboard) fn of_model(scope: &Scope, model: &ModelName) -> String {
    let query = scope::query(&[("model", Some(model.as_str()))]);
    scope.page(&format!("/captures{query}"))
}
