//! `/`: what a person sees first.

use maud::{Markup, html};
use tern_protocol::rest::{Chart, Overview, ServingCount, SiteView};

use crate::dashboard::{
    attention,
    bar::{self, Empties, Part},
    chart::{self, Figure, Shape},
    format,
    layout::{self, Frame, Room},
    pages::rollouts,
    parts,
    range::Range,
    scope::Scope,
};

/// Sites in the table; the rest is counted. A fleet of thousands of sites is looked at by filter.
const SITES: usize = 50;

/// The charts of the overview.
pub(in crate::dashboard) struct Charts {
    /// Accuracy, a series a site.
    pub(in crate::dashboard) accuracy: Chart,
    /// Traffic, a series a site.
    pub(in crate::dashboard) traffic: Chart,
}

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    overview: &Overview,
    charts: &Charts,
    range: Range,
) -> Markup {
    let scope = frame.scope;
    let main = html! {
        (layout::heading(&html! { "Overview" }, &below(overview), &range.choice(&scope.page("/"))))
        section #attention data-live aria-label="Needs a person" { (attention::draw(scope, &overview.attention)) }
        div.grid.two {
            section.card #health data-live aria-label="Devices by health" {
                h2 { "Health" }
                (health(scope, overview))
            }
            section.card #serving data-live aria-label="Devices by version" {
                h2 { "Versions in service" }
                (serving(scope, overview))
                h3.apart.small.dim { "Desired version, by stage reached" }
                (parts::stages(&overview.stages))
            }
        }
        section aria-label="Charts" {
            h2.apart { "Trends" }
            div.grid.two { (figures(scope, charts)) }
        }
        div.grid.two {
            section.card aria-labelledby="sites-title" {
                h2 #sites-title { "Sites" }
                div #sites data-live { (sites(scope, &overview.sites)) }
            }
            section.card aria-labelledby="rollouts-title" {
                h2 #rollouts-title { "Rollouts" }
                div #rollouts data-live {
                    @if overview.rollouts.is_empty() {
                        (parts::empty(&html! { "None. Start one: " code { "tern rollout start" } }))
                    } @else {
                        (rollouts::list(scope, &overview.rollouts))
                    }
                }
            }
            section.card.across aria-labelledby="events-title" {
                h2 #events-title { "Newest events" }
                div #events.window data-live tabindex="0" role="region" aria-labelledby="events-title" {
                    (parts::events(scope, &overview.events))
                }
            }
        }
        section.card aria-labelledby="totals-title" {
            h2 #totals-title { "Totals of this hub" }
            div #totals data-live { (totals(overview)) }
        }
    };
    layout::page(frame, Room::Overview, "Overview", &main)
}

fn below(overview: &Overview) -> Markup {
    let online: u64 = overview.sites.iter().map(|site| site.online).sum();
    let traffic: f64 = overview
        .sites
        .iter()
        .map(|site| site.inferences_per_s)
        .sum();
    html! {
        span #summary data-live {
            b { (format::count(overview.devices)) } " devices, "
            b { (format::count(online)) } " connected, at "
            b { (format::count(overview.sites.len() as u64)) } " sites; "
            b { (format::rate(traffic)) } " inferences"
        }
    }
}

fn health(scope: &Scope, overview: &Overview) -> Markup {
    let part = |health| {
        let of = overview
            .health
            .iter()
            .filter(|count| count.health == health);
        let word = parts::health_word(health);
        let href = scope.page(&format!("/devices?health={word}"));
        Part {
            tone: parts::health_tone(health),
            name: word.into(),
            label: html! { a href=(href) { (word) } },
            count: of.map(|count| count.devices).sum(),
        }
    };
    bar::with_legend(
        "Devices by health",
        &parts::HEALTHS.map(part),
        Empties::Named,
    )
}

fn serving(scope: &Scope, overview: &Overview) -> Markup {
    if overview.serving.is_empty() {
        return html! {
            (bar::alone("Devices by version", &[]))
            (parts::no_devices())
        };
    }
    let part = |count: &ServingCount| match &count.version {
        Some(of) => Part {
            tone: parts::version_tone(of.version),
            name: format!("{} v{}", of.model, of.version),
            label: parts::version_ref(scope, of),
            count: count.devices,
        },
        None => Part {
            tone: "rest",
            name: "nothing".into(),
            label: html! { "nothing" },
            count: count.devices,
        },
    };
    let parts: Vec<Part> = overview.serving.iter().map(part).collect();
    bar::with_legend("Devices by version", &parts, Empties::LeftOut)
}

fn figures(scope: &Scope, charts: &Charts) -> Markup {
    let of = [("group", Some("site"))];
    let accuracy = Figure {
        id: "chart-accuracy",
        title: "Accuracy by site",
        hint: "Accuracy appears when labels arrive: from a file with `tern label import`, from people, or from devices.",
        shape: Shape::Lines,
        chart: &charts.accuracy,
        csv: chart::csv(scope, &charts.accuracy, &of),
        notes: &[],
    };
    let traffic = Figure {
        id: "chart-traffic",
        title: "Inferences per second by site",
        hint: "Traffic appears when a device that serves a model has answered requests for one telemetry window.",
        shape: Shape::Lines,
        chart: &charts.traffic,
        csv: chart::csv(scope, &charts.traffic, &of),
        notes: &[],
    };
    html! { (accuracy.draw()) (traffic.draw()) }
}

fn sites(scope: &Scope, sites: &[SiteView]) -> Markup {
    if sites.is_empty() {
        return parts::empty(&html! { "Sites appear with their first device." });
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Sites" {
            table.cards {
                thead { tr {
                    th scope="col" { "Site" }
                    th.end scope="col" { "Connected" }
                    th.end scope="col" { "Inferences" }
                    th.end scope="col" { "Accuracy" }
                } }
                tbody {
                    @for site in sites.iter().take(SITES) {
                        tr data-key=(site.site) {
                            th scope="row" { (parts::site(scope, &site.site)) }
                            td.end data-name="Connected" { span { (format::count(site.online)) span.dim { " / " (format::count(site.devices)) } } }
                            td.end data-name="Inferences" { (format::rate(site.inferences_per_s)) }
                            td.end data-name="Accuracy" { div { (accuracy(site)) } }
                        }
                    }
                }
            }
        }
        @if sites.len() > SITES {
            p.dim { "and " (format::count((sites.len() - SITES) as u64)) " more sites" }
        }
    }
}

fn accuracy(site: &SiteView) -> Markup {
    html! {
        @if let Some(accuracy) = site.accuracy {
            span.gauge {
                (format::percent(accuracy))
                svg.bar.thin viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
                    rect.plainfill width=((accuracy.clamp(0.0, 1.0) * 1000.0).round()) height="10" {}
                }
            }
            small.dim { "last " (format::count(site.labels)) " labels" }
        } @else {
            span.dim { "no labels" }
        }
    }
}

fn totals(overview: &Overview) -> Markup {
    let totals = &overview.totals;
    html! {
        dl.figures {
            (parts::fact("Inferences counted", &html! { (format::count(totals.inferences)) }))
            (parts::fact("Telemetry windows", &html! { (format::count(totals.windows)) }))
            (parts::fact("Captures", &html! { (format::count(totals.captures)) }))
            (parts::fact("Labels", &html! { (format::count(totals.labels)) }))
            (parts::fact("Model bytes published", &html! { (format::bytes(totals.egress_bytes)) }))
            (parts::fact("Unreadable messages", &html! { (format::count(totals.malformed)) }))
        }
    }
}
