//! `/models/{model}`: its versions, what vetting found, and how each does in the field.

use maud::{Markup, html};
use tern_protocol::{
    id::ModelName,
    metric::{MetricKind, MetricSpec},
    rest::{Chart, DeltaState, DeltaView, LineageOf, ModelView, Transcoded, VersionView},
    tensor::TensorSpec,
};

use crate::{
    access::role::Permission,
    dashboard::{
        attention,
        chart::{self, Figure, Shape},
        format,
        layout::{self, Frame, Room},
        pages::lineage,
        parts,
        range::Range,
        scope::Scope,
    },
};

/// The charts of a model.
pub(in crate::dashboard) struct Charts {
    /// Accuracy, a series a version.
    pub(in crate::dashboard) accuracy: Chart,
    /// Latency quantiles.
    pub(in crate::dashboard) latency: Chart,
    /// Shares of the classes.
    pub(in crate::dashboard) prediction: Chart,
    /// Inferences a second, a series a version.
    pub(in crate::dashboard) traffic: Chart,
    /// Metrics that its bundles declare.
    pub(in crate::dashboard) own: Vec<(MetricSpec, Chart)>,
}

/// Metrics that are drawn: those of the newest version that declares any.
pub(in crate::dashboard) fn declared(model: &ModelView) -> &[MetricSpec] {
    let metrics = model.versions.iter().map(|version| &version.metrics[..]);
    metrics
        .into_iter()
        .find(|metrics| !metrics.is_empty())
        .unwrap_or_default()
}

/// Who holds the keys that sign models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dashboard) enum Keys {
    /// People, where the hub is not.
    Own,
    /// The hub itself.
    Development,
}

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    model: &ModelView,
    keys: Keys,
    charts: &Charts,
    range: Range,
) -> Markup {
    let scope = frame.scope;
    let path = scope.page(&format!("/models/{}", model.name));
    let serving: u64 = model
        .versions
        .iter()
        .map(|version| version.devices_serving)
        .sum();
    let below = html! {
        span #summary data-live {
            b { (format::count(model.versions.len() as u64)) } (if model.versions.len() == 1 { " version" } else { " versions" }) ", served by "
            b { (format::count(serving)) } " devices"
        }
    };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(scope.page("/models")) { "Models" } }
        (layout::heading(&html! { (model.name) }, &below, &doors(frame, &path, model)))
        @if keys == Keys::Development { (attention::development()) }
        section aria-labelledby="versions-title" {
            h2.apart #versions-title { "Versions" }
            div #versions.card.flush data-live {
                @if model.versions.is_empty() {
                    (parts::empty(&html! { "No version passed vetting yet." }))
                } @else { (versions(frame.scope, &model.versions)) }
            }
        }
        section aria-labelledby="charts-title" {
            div.apart.row { h2 #charts-title { "In the field" " " a.small href={ (path) "/health" } { "Health: drift and errors by site and version" } } (range.choice(&path)) }
            div.grid.two { (figures(scope, model, charts)) }
        }
        section aria-labelledby="vetting-title" {
            h2.apart #vetting-title { "Vetting results" }
            div #vetting data-live {
                @for version in &model.versions { (vetting(scope, &model.name, version)) }
            }
        }
    };
    layout::page(frame, Room::Models, model.name.as_str(), &main)
}

/// To what labels say, and to where people label.
fn doors(frame: Frame, path: &str, model: &ModelView) -> Markup {
    html! {
        @if !model.versions.is_empty() {
            div.buttons {
                a.button href=(format!("{path}/truth")) { "Accuracy" }
                a.button href=(frame.scope.page(&format!("/retraining/{}", model.name))) { "Retraining" }
                @if frame.may(Permission::Label) { a.button href=(format!("{path}/label")) { "Label captures" } }
            }
        }
    }
}

fn versions(scope: &Scope, versions: &[VersionView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Version" }
                th scope="col" { "Note" }
                th.end scope="col" { "Validation accuracy" }
                th.end scope="col" { "Latency on hub" }
                th.end scope="col" { "Size" }
                th.end scope="col" { "Devices serving" }
                th scope="col" { "Stage reached" }
                th.end scope="col" { "Published" }
            } }
            tbody {
                @for version in versions {
                    tr id={ "v" (version.version) } data-key=(version.version) {
                        th scope="row" {
                            span.swatch.(parts::version_tone(version.version)) {} "v" (version.version)
                            (parts::signature(version))
                        }
                        td data-name="Note" { span.text {
                            @if version.note.is_empty() { span.dim { "no note" } } @else { (version.note) }
                            @if let Some(dataset) = &version.dataset {
                                div.small { "trained on " a href=(scope.page(&format!("/datasets/{dataset}"))) { (dataset) } }
                            }
                        } }
                        td.end data-name="Validation accuracy" {
                            (version.validation_accuracy.map_or_else(|| format::NOTHING.into(), format::percent))
                        }
                        td.end data-name="Latency on hub" { (format::microseconds(version.vetting.latency_us)) }
                        td.end data-name="Size" {
                            (format::bytes(version.total_bytes))
                            @if let Some(delta) = version.deltas.first() { div.dim { (short(delta)) } }
                        }
                        td.end data-name="Devices serving" { (format::count(version.devices_serving)) }
                        td data-name="Stage reached" { (parts::stages(&version.stages)) }
                        td.end data-name="Published" { (parts::ago(version.created)) }
                    }
                }
            }
        }
    }
}

fn vetting(scope: &Scope, model: &ModelName, version: &VersionView) -> Markup {
    let vetting = &version.vetting;
    html! {
        details.card data-key=(version.version) {
            summary {
                b { "v" (version.version) } " "
                span.dim { (format::count(vetting.golden_samples)) " golden samples reproduced, "
                    (format::count(vetting.operators.len() as u64)) " operators" }
            }
            dl.facts {
                (lineage::fact(scope, &LineageOf::Version(model.clone(), version.version)))
                (parts::fact("Golden samples", &html! {
                    (format::count(vetting.golden_samples)) span.dim { " reproduced, largest difference " (format::difference(vetting.golden_difference)) }
                }))
                (parts::fact("Load and optimise", &html! { (format::microseconds(vetting.load_ms * 1000.0)) }))
                (parts::fact("Median latency", &html! { (format::microseconds(vetting.latency_us)) span.dim { " one sample, on the hub" } }))
                @for measured in &version.measured { (parts::fact("Memory", &html! {
                    @match measured.peak_rss { Some(peak) => { (format::bytes(peak)) } None => { "not known" } }
                    span.dim { " peak, while it loads and runs on " (measured.target) }
                })) }
                @if let Some(min) = version.min_agent { (parts::fact("Agent", &html! { (min) " or newer" })) }
                (parts::fact("Operators", &html! { @for operator in &vetting.operators { span.chip { (operator) } } }))
                (parts::fact("Inputs", &tensors(&version.inputs)))
                (parts::fact("Outputs", &tensors(&version.outputs)))
                @if !version.pre.is_empty() || !version.post.is_empty() { (parts::fact("Steps", &steps(version))) }
                (parts::fact("Classes", &html! {
                    @if version.classes.is_empty() { span.dim { "none" } }
                    @for class in &version.classes { span.chip { (class) } }
                }))
                @if !version.metrics.is_empty() { (parts::fact("Metrics", &metrics(&version.metrics))) }
                (parts::fact("Bundle", &html! { code.digest { (version.bundle.digest) } }))
                @if let Some(cost) = &version.transcoded { (parts::fact("Transcoded", &transcoded(cost))) }
                @if !version.deltas.is_empty() { (parts::fact("Deltas", &html! {
                    @for delta in &version.deltas { div { (told(delta)) } }
                })) }
                (parts::fact("ONNX file", &html! { code.digest { (version.onnx.digest) } span.dim { " " (format::bytes(version.onnx.len)) } }))
            }
        }
    }
}

/// What a device that has the version before fetches instead of the ONNX file.
fn short(delta: &DeltaView) -> Markup {
    html! {
        @match (delta.state, delta.ratio) {
            (DeltaState::Ready, Some(ratio)) => { "delta " (format::percent(ratio)) }
            (DeltaState::Pending, _) => { "delta being computed" }
            _ => { "no delta" }
        }
    }
}

/// What a version is another form of, and what that cost.
fn transcoded(cost: &Transcoded) -> Markup {
    html! {
        "from v" (cost.from) " to " (cost.to)
        span.dim { " from " (format::bytes(cost.onnx_bytes_before)) ", " (format::count(cost.tensors)) " tensors" }
        div {
            "golden samples differ by at most " (format::difference(cost.largest_difference))
            @if let Some(same) = cost.same_class {
                span.dim { ", " (format::count(same)) " of " (format::count(cost.golden_samples)) " have the same class" }
            }
        }
        @if let (Some(before), Some(after)) = (cost.right_before, cost.right_after) {
            div {
                "labelled captures right: " (format::percent(before)) " before, " (format::percent(after)) " now"
                span.dim { " of " (format::count(cost.labelled)) }
            }
        }
    }
}

/// What became of a delta.
fn told(delta: &DeltaView) -> Markup {
    html! {
        "from v" (delta.base) ": "
        @match (delta.state, delta.bytes, delta.ratio) {
            (DeltaState::Ready, Some(bytes), Some(ratio)) => {
                (format::bytes(bytes)) span.dim { " instead of " (format::bytes(delta.full_bytes)) ", " (format::percent(ratio)) }
            }
            _ => {
                (delta.state)
                @if !delta.reason.is_empty() { span.dim { ": " (delta.reason) } }
            }
        }
    }
}

/// What the bundle declares of itself.
fn metrics(metrics: &[MetricSpec]) -> Markup {
    html! {
        @for spec in metrics {
            div {
                code { (spec.name) }
                span.dim {
                    " " (spec.kind)
                    @if !spec.unit.is_empty() { " in " (spec.unit) }
                    @match &spec.from {
                        Some(from) => { ", " (from.reduce) " of " code { (from.output) } }
                        None => { ", told by programs on the device" }
                    }
                    @if !spec.help.is_empty() { ": " (spec.help) }
                }
            }
        }
    }
}

/// Each input and output with its steps, in order.
fn steps(version: &VersionView) -> Markup {
    html! {
        @for of in &version.pre {
            div { code { (of.input) } @for step in &of.steps { " " span.chip { (step) } } }
        }
        @for of in &version.post {
            div { code { (of.output) } @for step in &of.steps { " " span.chip { (step) } } }
        }
    }
}

fn tensors(tensors: &[TensorSpec]) -> Markup {
    html! {
        @for tensor in tensors {
            div {
                code { (tensor.name) }
                span.dim {
                    " " (tensor.dtype) " ["
                    @for (index, dim) in tensor.shape.iter().enumerate() {
                        @if index > 0 { " × " }
                        @if *dim == -1 { "batch" } @else { (dim) }
                    }
                    "]"
                }
            }
        }
    }
}

/// `belt_speed in m/s`.
fn title(spec: &MetricSpec, chart: &Chart) -> String {
    match (spec.kind, chart.unit.as_str()) {
        (MetricKind::Counter, "1/s") => format!("{} per second", spec.name),
        (_, "") => spec.name.to_string(),
        (_, unit) => format!("{} in {unit}", spec.name),
    }
}

/// The chart of a metric that a bundle declares.
fn own(scope: &Scope, model: &ModelView, spec: &MetricSpec, chart: &Chart) -> Markup {
    let of = [
        ("model", Some(model.name.as_str())),
        ("name", Some(spec.name.as_str())),
    ];
    Figure {
        id: &format!("chart-metric-{}", spec.name),
        title: &title(spec, chart),
        hint: "Appears when a device has told a value of it.",
        shape: Shape::Lines,
        chart,
        csv: chart::csv(scope, chart, &of),
        notes: &[],
    }
    .draw()
}

fn figures(scope: &Scope, model: &ModelView, charts: &Charts) -> Markup {
    const SERVED: &str = "Appears when a device has served this model for one telemetry window.";
    const LABELLED: &str = "Appears when labels arrive: from a file with `tern label import`, from people, or from devices.";
    let figure = |id, title, hint, shape, chart| {
        let group = (shape == Shape::VersionLines).then_some("version");
        let of = [("model", Some(model.name.as_str())), ("group", group)];
        Figure {
            id,
            title,
            hint,
            shape,
            chart,
            csv: chart::csv(scope, chart, &of),
            notes: &[],
        }
        .draw()
    };
    html! {
        (figure("chart-accuracy", "Accuracy by version", LABELLED, Shape::VersionLines, &charts.accuracy))
        (figure("chart-traffic", "Inferences per second by version", SERVED, Shape::VersionLines, &charts.traffic))
        (figure("chart-latency", "Latency", SERVED, Shape::Lines, &charts.latency))
        (figure("chart-prediction", "Prediction mix", SERVED, Shape::Stack, &charts.prediction))
        @for (spec, chart) in &charts.own {
            (own(scope, model, spec, chart))
        }
    }
}
