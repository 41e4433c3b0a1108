//! `/models/{model}/health`: how a model does over hours, days and weeks: what it answers, what moved, where.

use maud::{Markup, html};
use tern_protocol::{
    id::{ModelVersion, SiteName},
    rest::{Chart, DistancesView, FindingView, ModelView, Part},
};

use super::findings;
use crate::dashboard::{
    chart::{
        self, Figure, Shape,
        notes::{self, Note},
    },
    heat,
    layout::{self, Frame, Room},
    parts,
    range::Range,
};

/// What the page is narrowed to.
#[derive(Debug, Clone, Default)]
pub(in crate::dashboard) struct Narrowed {
    /// How far back.
    pub(in crate::dashboard) range: Range,
    /// Devices of this site.
    pub(in crate::dashboard) site: Option<SiteName>,
    /// This version.
    pub(in crate::dashboard) version: Option<ModelVersion>,
    /// Devices that had this part in a rollout.
    pub(in crate::dashboard) arm: Option<Part>,
}

/// What the page shows.
pub(in crate::dashboard) struct Health {
    /// Inferences a second.
    pub(in crate::dashboard) traffic: Chart,
    /// Share of errors.
    pub(in crate::dashboard) errors: Chart,
    /// Latency quantiles.
    pub(in crate::dashboard) latency: Chart,
    /// Shares of the classes.
    pub(in crate::dashboard) prediction: Chart,
    /// Mean confidence.
    pub(in crate::dashboard) confidence: Chart,
    /// Share of right predictions; not known by part of a rollout.
    pub(in crate::dashboard) accuracy: Option<Chart>,
    /// How far inputs are from training, or why that is not known.
    pub(in crate::dashboard) distances: Result<DistancesView, String>,
    /// What moved and goes on, or went on in this time.
    pub(in crate::dashboard) findings: Vec<FindingView>,
    /// What happened in this time.
    pub(in crate::dashboard) notes: Vec<Note>,
    /// Sites that may be chosen.
    pub(in crate::dashboard) sites: Vec<SiteName>,
}

/// Parts in a rollout that charts tell apart.
pub(in crate::dashboard) const ARMS: [Part; 2] = [Part::Treatment, Part::Control];

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    model: &ModelView,
    narrowed: &Narrowed,
    health: &Health,
) -> Markup {
    let scope = frame.scope;
    let of_model = scope.page(&format!("/models/{}", model.name));
    let path = format!("{of_model}/health");
    let version = narrowed.version.map(|version| version.to_string());
    let site = narrowed.site.as_ref().map(SiteName::as_str);
    let others = [
        ("site", site),
        ("version", version.as_deref()),
        ("arm", narrowed.arm.map(Part::word)),
    ];
    let open = health.findings.iter().filter(|one| one.closed.is_none());
    let open = open.count();
    let below = html! {
        span #summary data-live {
            @if open == 0 { "no open finding" }
            @else { b { (open) } (if open == 1 { " finding is open" } else { " findings are open" }) }
        }
    };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href=(scope.page("/models")) { "Models" } " / " a href=(of_model) { (model.name) }
        }
        (layout::heading(&html! { "Health of " (model.name) }, &below, &html! {
            div.buttons {
                a.button href=(super::captures::of_model(scope, &model.name)) { "Captures" }
                a.button href=(scope.page(&format!("/retraining/{}", model.name))) { "Retraining" }
            }
        }))
        div.row { (filter(&path, model, narrowed, &health.sites)) (narrowed.range.choice_beside(&path, &others)) }
        section aria-labelledby="findings-title" {
            h2.apart #findings-title { "Drift findings" }
            (findings::cards(&frame, &health.findings, &html! {
                "No drift in this time. Gross changes are found within minutes; slow ones against what is usual, which takes a week to learn."
            }))
        }
        section aria-labelledby="charts-title" {
            h2.apart #charts-title { "Over time" }
            @if !health.notes.is_empty() { (notes::list(&health.notes)) }
            div.grid.two { (figures(&frame, model, narrowed, health)) }
        }
        section aria-labelledby="map-title" {
            h2.apart #map-title { "Distance from the training data, by feature and site" }
            div #map.card data-live {
                @match &health.distances {
                    Ok(view) if !view.places.is_empty() => {
                        p.small.dim {
                            "Version " (view.version) ": Jensen-Shannon distance, 0 (same distribution) to 1. A distance alone raises no alert. "
                            a href=(csv(&frame, narrowed, view)) download { "CSV" }
                        }
                        (heat::map(scope, view))
                    }
                    Ok(_) => { (parts::empty(&html! { "No telemetry of this version in that time. Choose a longer range above." })) }
                    Err(why) => { (parts::empty(&html! { (why) })) }
                }
            }
        }
    };
    layout::page(
        frame,
        Room::Models,
        &format!("Health of {}", model.name),
        &main,
    )
}

fn csv(frame: &Frame, narrowed: &Narrowed, view: &DistancesView) -> String {
    let (from, to) = (view.from.0.to_string(), view.to.0.to_string());
    let site = narrowed.site.as_ref().map(SiteName::as_str);
    let pairs = [
        ("site", site),
        ("from", Some(from.as_str())),
        ("to", Some(to.as_str())),
        ("format", Some("csv")),
    ];
    let path = format!("/models/{}/versions/{}/distances", view.model, view.version);
    let query = crate::dashboard::scope::query(&pairs);
    format!("{}{query}", frame.scope.api(&path))
}

fn filter(path: &str, model: &ModelView, narrowed: &Narrowed, sites: &[SiteName]) -> Markup {
    let any = narrowed.site.is_some() || narrowed.version.is_some() || narrowed.arm.is_some();
    html! {
        form.filter method="get" action=(path) data-filter {
            input type="hidden" name="range" value=(narrowed.range.key());
            label { "Site"
                select name="site" {
                    option value="" { "all" }
                    @if let Some(site) = narrowed.site.as_ref().filter(|site| !sites.contains(site)) {
                        option value=(site) selected { (site) }
                    }
                    @for site in sites {
                        option value=(site) selected[narrowed.site.as_ref() == Some(site)] { (site) }
                    }
                }
            }
            label { "Version"
                select name="version" {
                    option value="" { "all" }
                    @for version in &model.versions {
                        option value=(version.version) selected[narrowed.version == Some(version.version)] { "v" (version.version) }
                    }
                }
            }
            label { "Role in a rollout"
                select name="arm" {
                    option value="" { "all" }
                    @for arm in ARMS {
                        option value=(arm.word()) selected[narrowed.arm == Some(arm)] { (arm.word()) }
                    }
                }
            }
            button type="submit" { "Show" }
            @if any { a href={ (path) "?range=" (narrowed.range.key()) } { "Show all" } }
        }
    }
}

fn figures(frame: &Frame, model: &ModelView, narrowed: &Narrowed, health: &Health) -> Markup {
    const SERVED: &str = "Appears when a device has served this model for one telemetry window.";
    const LABELLED: &str = "Appears when labels arrive: from a file with `tern label import`, from people, or from devices.";
    let version = narrowed.version.map(|version| version.to_string());
    let by_version = narrowed.version.is_none();
    let lines = if by_version {
        Shape::VersionLines
    } else {
        Shape::Lines
    };
    let figure = |id, title, hint, shape, chart| {
        let group = (shape == Shape::VersionLines).then_some("version");
        let of = [
            ("model", Some(model.name.as_str())),
            ("version", version.as_deref()),
            ("site", narrowed.site.as_ref().map(SiteName::as_str)),
            ("arm", narrowed.arm.map(Part::word)),
            ("group", group),
        ];
        Figure {
            id,
            title,
            hint,
            shape,
            chart,
            csv: chart::csv(frame.scope, chart, &of),
            notes: &health.notes,
        }
        .draw()
    };
    html! {
        (figure("chart-traffic", "Inferences per second", SERVED, lines, &health.traffic))
        (figure("chart-errors", "Errors", SERVED, lines, &health.errors))
        (figure("chart-latency", "Latency", SERVED, Shape::Lines, &health.latency))
        (figure("chart-prediction", "Prediction mix", SERVED, Shape::Stack, &health.prediction))
        (figure("chart-confidence", "Mean confidence", SERVED, lines, &health.confidence))
        @match &health.accuracy {
            Some(accuracy) => { (figure("chart-accuracy", "Accuracy", LABELLED, lines, accuracy)) }
            None => {
                figure.chart #chart-accuracy {
                    figcaption.row { h3 { "Accuracy" } }
                    div.plot.blank { p.empty { "Not known by role; the page of a rollout compares its new version with its control." } }
                }
            }
        }
    }
}
