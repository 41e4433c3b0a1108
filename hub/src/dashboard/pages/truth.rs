//! `/models/{model}/truth`: how right a version is, from labels, and how right it probably is while there are none.

use maud::{Markup, html};
use tern_protocol::{
    id::SiteName,
    rest::{
        CalibrationView, ClassTruth, EstimateBasis, EstimateView, Estimated, EstimatedQuantity,
        ModelView, NumberTruth, Part, TruthView,
    },
};

use super::health::ARMS;
use crate::{
    access::role::Permission,
    dashboard::{
        format,
        layout::{self, Frame, Room},
        parts, scope,
    },
};

/// Classes up to which the matrix is drawn: a larger one is read by nobody.
const MATRIX: usize = 24;

/// Mistakes that are listed.
const MISTAKES: usize = 15;

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    model: &ModelView,
    sites: &[SiteName],
    view: &TruthView,
) -> Markup {
    let scope = frame.scope;
    let path = scope.page(&format!("/models/{}", model.name));
    let below = html! {
        span #counted data-live {
            b { (format::count(view.labels)) } " labels"
            @for source in &view.sources { ", " (format::count(source.labels)) " by " (source.source.word()) }
            @if let Some(delay) = view.delay_ms { ", " (late(delay)) " after the prediction (median)" }
            @if view.more { "; older labels are not counted" }
        }
    };
    let right = html! {
        div.buttons {
            @if frame.may(Permission::Label) { a.button href=(format!("{path}/label")) { "Label captures" } }
            a.button href=(table(frame, view)) download { "CSV" }
        }
    };
    let title = html! { "Accuracy of " (model.name) " v" (view.version) };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href=(scope.page("/models")) { "Models" } " / " a href=(path) { (model.name) }
        }
        (layout::heading(&title, &below, &right))
        (choice(&format!("{path}/truth"), model, sites, view))
        div #figures.stack data-live {
            @if view.left_out > 0 {
                p.dim { (format::count(view.left_out)) " more labels are not counted: their inputs were picked for training, not at random, so they would bias the result." }
            }
            @match (&view.classes, &view.numbers) {
                (Some(classes), _) => { (self::classes(classes)) }
                (None, Some(numbers)) => { (self::numbers(numbers)) }
                (None, None) => { div.card { (parts::empty(&html! {
                    "No labels yet. They come from devices (" code { "POST /feedback" } "), from files ("
                    code { "tern label import" } "), and from the labelling page."
                })) } }
            }
            (estimate(&view.estimate))
        }
    };
    layout::page(frame, Room::Models, "Accuracy", &main)
}

/// Address of the same figures as a table.
fn table(frame: Frame, view: &TruthView) -> String {
    let site = view.site.as_ref().map(SiteName::as_str);
    let arm = view.arm.map(Part::word);
    let query = scope::query(&[("site", site), ("arm", arm), ("format", Some("csv"))]);
    frame.scope.api(&format!(
        "/models/{}/versions/{}/truth{query}",
        view.model, view.version
    ))
}

fn choice(path: &str, model: &ModelView, sites: &[SiteName], view: &TruthView) -> Markup {
    html! {
        form.filter action=(path) method="get" data-filter {
            label { "Version" select name="version" {
                @for version in &model.versions {
                    option value=(version.version) selected[version.version == view.version] { "v" (version.version) }
                }
            } }
            label { "Site" select name="site" {
                option value="" { "all sites" }
                @for site in sites {
                    option value=(site) selected[view.site.as_ref() == Some(site)] { (site) }
                }
            } }
            label { "Role in a rollout" select name="arm" {
                option value="" { "all" }
                @for arm in ARMS {
                    option value=(arm.word()) selected[view.arm == Some(arm)] { (arm.word()) }
                }
            } }
            noscript { button type="submit" { "Show" } }
        }
    }
}

fn late(ms: u64) -> String {
    const MINUTE: u64 = 60_000;
    match ms {
        ms if ms < MINUTE => format!("{} s", ms / 1000),
        ms if ms < 120 * MINUTE => format!("{} min", ms / MINUTE),
        ms if ms < 48 * 60 * MINUTE => format!("{} h", ms / (60 * MINUTE)),
        ms => format!("{} days", ms / (24 * 60 * MINUTE)),
    }
}

/// A share with its interval.
fn share(one: &Estimated) -> Markup {
    html! { span.text { (format::percent(one.value)) " " span.dim.small { (format::percent(one.low)) " to " (format::percent(one.high)) } } }
}

fn number(one: &Estimated) -> Markup {
    let figure = |value| format::in_unit(value, "");
    html! { span.text { (figure(one.value)) " " span.dim.small { (figure(one.low)) " to " (figure(one.high)) } } }
}

fn maybe(one: Option<&Estimated>, draw: fn(&Estimated) -> Markup) -> Markup {
    html! { @match one { Some(one) => { (draw(one)) } None => { span.dim { (format::NOTHING) } } } }
}

fn classes(classes: &ClassTruth) -> Markup {
    html! {
        section.card aria-labelledby="rates-title" {
            h2 #rates-title { "Overall" }
            dl.facts {
                (parts::fact("Accuracy", &share(&classes.accuracy)))
                (parts::fact("Macro F1", &html! { (format::percent(classes.macro_f1)) }))
                @if let Some(error) = classes.calibration.error {
                    (parts::fact("Calibration error", &html! {
                        (format::percent(error))
                        @if let Some(chance) = classes.calibration.by_chance {
                            span.dim { " · " (format::percent(chance)) " is expected by chance" }
                        }
                    }))
                }
                @if let Some(brier) = &classes.calibration.brier {
                    (parts::fact("Brier score", &number(brier)))
                }
            }
        }
        section aria-labelledby="classes-title" {
            h2.apart #classes-title { "By class" }
            div.card.flush { table.cards {
                thead { tr {
                    th scope="col" { "Class" }
                    th.end scope="col" { "Labels" }
                    th.end scope="col" { "Predicted" }
                    th.end scope="col" { "Precision" }
                    th.end scope="col" { "Recall" }
                    th.end scope="col" { "F1" }
                } }
                tbody { @for rates in &classes.rates { tr {
                    th scope="row" { (rates.class) }
                    td.end data-name="Labels" { (format::count(rates.labels)) }
                    td.end data-name="Predicted" { (format::count(rates.predicted)) }
                    td.end data-name="Precision" { (maybe(rates.precision.as_ref(), share)) }
                    td.end data-name="Recall" { (maybe(rates.recall.as_ref(), share)) }
                    td.end data-name="F1" { (maybe(rates.f1.as_ref(), share)) }
                } } }
            } }
        }
        div.grid.two.apart {
            section.card.flush aria-labelledby="confusion-title" {
                div.caption { h2 #confusion-title { "Confusion matrix" } }
                @if classes.rates.len() <= MATRIX { (matrix(classes)) } @else { (mistakes(classes)) }
            }
            section.card aria-labelledby="curve-title" {
                h2 #curve-title { "Calibration" }
                (curve(&classes.calibration))
            }
        }
    }
}

/// Rows are truths, columns predictions; a cell is the share of the predictions of its row.
fn matrix(classes: &ClassTruth) -> Markup {
    let names: Vec<&str> = classes
        .rates
        .iter()
        .map(|rates| rates.class.as_str())
        .collect();
    let cell = |truth: &str, predicted: &str| {
        let mut cells = classes.confusion.iter();
        cells.find(|cell| cell.truth == truth && cell.predicted == predicted)
    };
    html! {
        div.scroll { table.heat {
            thead {
                tr { th scope="col" { span.spoken { "True class" } } @for name in &names { th scope="col" { (name) } } }
            }
            tbody { @for truth in &names { tr {
                th scope="row" { (truth) }
                @for predicted in &names {
                    @let tone = if truth == predicted { "ok" } else { "bad" };
                    @match cell(truth, predicted) {
                        Some(cell) => {
                            td class=(format!("{tone} {}", heat(cell.share)))
                                title=(format!("{truth} taken for {predicted}: {} labels, {} of {truth}", cell.labels, format::percent(cell.share))) {
                                (whole(cell.share))
                            }
                        }
                        None => { td {} }
                    }
                }
            } } }
        } }
        p.note.dim.small { "Rows: true class. Columns: predicted class. Percent of the row." }
    }
}

/// A share in whole percent, as a cell has room for.
fn whole(share: f64) -> String {
    format!("{:.0}", 100.0 * share)
}

/// One of six shades.
fn heat(share: f64) -> &'static str {
    match share {
        share if share >= 0.8 => "h5",
        share if share >= 0.5 => "h4",
        share if share >= 0.2 => "h3",
        share if share >= 0.05 => "h2",
        share if share > 0.0 => "h1",
        _ => "",
    }
}

fn mistakes(classes: &ClassTruth) -> Markup {
    let wrong = classes.confusion.iter();
    let mut wrong: Vec<_> = wrong.filter(|cell| cell.truth != cell.predicted).collect();
    wrong.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    html! {
        table {
            thead { tr { th scope="col" { "True class" } th scope="col" { "Predicted" } th.end scope="col" { "Labels" } th.end scope="col" { "Share of the class" } } }
            tbody { @for cell in wrong.iter().take(MISTAKES) { tr {
                th scope="row" { (cell.truth) } td { (cell.predicted) }
                td.end { (format::count(cell.labels)) } td.end { (format::percent(cell.share)) }
            } } }
        }
    }
}

/// The reliability curve: what was said from left to right, what was right upwards.
fn curve(calibration: &CalibrationView) -> Markup {
    const SIZE: f64 = 260.0;
    const LEFT: f64 = 36.0;
    const TOP: f64 = 8.0;
    let x = |said: f64| format!("{:.1}", LEFT + said * (SIZE - LEFT - 16.0));
    let y = |right: f64| format!("{:.1}", SIZE - 28.0 - right * (SIZE - 28.0 - TOP));
    if calibration.points.is_empty() {
        return parts::empty(&html! { "No label tells how sure the model was." });
    }
    html! {
        svg.curve viewBox={ "0 0 " (SIZE) " " (SIZE) } role="img" aria-label="Reliability: share that was right by how sure the model was" {
            @for tick in [0.0, 0.5, 1.0] {
                line x1=(x(0.0)) x2=(x(1.0)) y1=(y(tick)) y2=(y(tick)) {}
                text.side x=(LEFT - 4.0) y=(y(tick - 0.015)) { (whole(tick)) }
                text x=(x(tick)) y=(SIZE - 12.0) { (whole(tick)) }
            }
            line.fair x1=(x(0.0)) y1=(y(0.0)) x2=(x(1.0)) y2=(y(1.0)) {}
            @for point in &calibration.points {
                line.range x1=(x(point.said)) x2=(x(point.said)) y1=(y(point.right.low)) y2=(y(point.right.high)) {}
                circle cx=(x(point.said)) cy=(y(point.right.value)) r="3.5" {
                    title { "said " (format::percent(point.said)) ", right " (format::percent(point.right.value)) " of " (format::count(point.right.n)) }
                }
            }
        }
        p.dim.small { "Across: confidence, in percent. Upwards: share of those predictions that were right, in percent, with its 95 % interval. On the dashed line the model is as right as it is confident." }
    }
}

fn numbers(numbers: &NumberTruth) -> Markup {
    html! {
        section.card aria-labelledby="numbers-title" {
            h2 #numbers-title { "Errors" }
            dl.facts {
                (parts::fact("Mean absolute error", &maybe(numbers.mae.as_ref(), number)))
                (parts::fact("Root mean squared error", &maybe(numbers.rmse.as_ref(), number)))
                (parts::fact("Bias", &maybe(numbers.bias.as_ref(), number)))
                @if let Some(coverage) = &numbers.coverage {
                    (parts::fact("Intervals that held the truth", &html! {
                        (share(&coverage.held))
                        @if let Some(promised) = coverage.promised { span.dim { " · promised " (format::percent(promised)) } }
                    }))
                }
            }
        }
    }
}

fn estimate(view: &EstimateView) -> Markup {
    let (what, draw): (_, fn(&Estimated) -> Markup) = match view.quantity {
        EstimatedQuantity::Accuracy => ("accuracy", share),
        EstimatedQuantity::MeanAbsoluteError => ("mean absolute error", number),
    };
    let off = |value: f64| match view.quantity {
        EstimatedQuantity::Accuracy => format::percent(value),
        EstimatedQuantity::MeanAbsoluteError => format::in_unit(value, ""),
    };
    html! {
        section aria-labelledby="estimate-title" {
            h2.apart #estimate-title { "Without labels: estimated " (what) }
            @if let Some(lacks) = &view.lacks {
                div.card { (parts::empty(&html! { "None: " (lacks) "." })) }
            } @else {
                p.dim {
                    "An estimate from the confidence of predictions, not a measurement: it assumes that a given confidence is as often right as it was before."
                    @if let Some(error) = view.mean_error {
                        " On " (format::count(view.compared)) " days with labels its mean error was " (off(error))
                        "; on " (format::count(view.agreed)) " of them the two intervals overlap."
                    }
                }
                div.card.flush { table.cards {
                    thead { tr {
                        th scope="col" { "Day (UTC)" }
                        th.end scope="col" { "Predictions" }
                        th.end scope="col" { "Estimate" }
                        th scope="col" { "Based on" }
                        th.end scope="col" { "From labels" }
                        th.end scope="col" { "Error" }
                    } }
                    tbody { @for day in view.days.iter().rev() { tr {
                        th scope="row" { (format::day_month(day.from)) }
                        td.end data-name="Predictions" { (format::count(day.predictions)) }
                        td.end data-name="Estimate" { (maybe(day.estimate.as_ref(), draw)) }
                        td data-name="Based on" { @match day.basis {
                            Some(EstimateBasis::Reference) => { "validation" }
                            Some(EstimateBasis::Labels) => { "earlier labels" }
                            None => { span.dim { "nothing" } }
                        } }
                        td.end data-name="From labels" { (maybe(day.truth.as_ref(), draw)) }
                        td.end data-name="Error" { @match day.off { Some(value) => { (off(value)) } None => { span.dim { (format::NOTHING) } } } }
                    } } }
                } }
            }
        }
    }
}
