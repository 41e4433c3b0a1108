//! Numbers for Prometheus.

use std::collections::BTreeMap;

use axum::{
    Extension,
    extract::{MatchedPath, Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tern_protocol::{
    exposition::{self, Text},
    id::WorkspaceId,
    metric::MetricKind,
    rest::Health,
};

use tern_otlp::SPANS;
use tracing::{Instrument as _, field};

use super::{policy::Asking, problem::ApiError};
use crate::{
    access::role::Permission,
    alerts,
    app::App,
    fleet,
    monitor::{self, MetricTotal},
    store::StoreError,
};

/// Anybody may invent a method; only those that HTTP names are told apart.
fn known(method: &Method) -> &'static str {
    let names = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    names
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or("other")
}

/// Counts each answer, and says how long it took to whoever collects spans.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let method = known(request.method());
    // The route and not the path: what people name things is theirs, and a query may hold a secret.
    let span = tracing::info_span!(
        target: SPANS, "http", otel.kind = "server", otel.name = format!("{method} {route}"),
        http.request.method = method, http.route = route, http.response.status_code = field::Empty,
        otel.status_code = field::Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    app.answers.count((route, method, status.as_u16()));
    response
}

/// Numbers for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "hub",
    responses((
        status = 200, description = "Prometheus text format",
        body = String, content_type = "text/plain",
    )),
)]
pub(super) async fn metrics(
    State(app): State<App>,
    Extension(principal): Asking,
) -> Result<Response, ApiError> {
    let may = |workspace: &WorkspaceId| principal.may(Permission::View, workspace);
    let text = text(&app, may).await?;
    let kind = [(header::CONTENT_TYPE, exposition::CONTENT_TYPE)];
    Ok((kind, text).into_response())
}

/// The numbers of the hub, and of the workspaces that whoever asks `may` see.
pub(crate) async fn text(
    app: &App,
    may: impl Fn(&WorkspaceId) -> bool,
) -> Result<String, StoreError> {
    let mut text = Text::default();
    for (name, help, value) in app.counters.all() {
        text.family(name, "counter", help);
        text.sample(name, &[], value);
    }
    let mut workspaces = fleet::workspaces(&app.store).await?;
    workspaces.retain(may);
    devices(app, &workspaces, &mut text).await?;
    alerting(app, &workspaces, &mut text).await?;
    own_metrics(app, &workspaces, &mut text).await?;
    blobs(app, &mut text);
    let waiting = app
        .counters
        .batches_offered
        .get()
        .saturating_sub(app.counters.batches_gathered.get());
    text.family(
        "tern_ingest_queue",
        "gauge",
        "Batches that wait to be stored.",
    );
    text.sample("tern_ingest_queue", &[], waiting);
    let ready = u64::from(app.ready.borrow().all());
    text.family(
        "tern_ready",
        "gauge",
        "1 when the database, the broker and the link are up.",
    );
    text.sample("tern_ready", &[], ready);
    text.family(
        "tern_http_requests_total",
        "counter",
        "HTTP requests answered.",
    );
    for ((route, method, status), count) in app.answers.all() {
        let status = status.to_string();
        let labels = [
            ("route", route.as_str()),
            ("method", method),
            ("status", &status),
        ];
        text.sample("tern_http_requests_total", &labels, count);
    }
    Ok(text.finish())
}

fn blobs(app: &App, text: &mut Text) {
    let help = "Blobs that were found damaged on the disk and put aside.";
    text.family("tern_blobs_damaged_total", "counter", help);
    text.sample("tern_blobs_damaged_total", &[], app.blobs.damaged());
    let help = "Blobs that something refers to and the hub lacks.";
    text.family("tern_blobs_lacking", "gauge", help);
    let lacking = app.blobs.lacking().len() as u64;
    text.sample("tern_blobs_lacking", &[], lacking);
}

/// Alerts that are not over.
async fn alerting(
    app: &App,
    workspaces: &[WorkspaceId],
    text: &mut Text,
) -> Result<(), StoreError> {
    let help = "Alerts that are not over, by state and severity.";
    text.family("tern_alerts", "gauge", help);
    for workspace in workspaces {
        for counted in alerts::counts(&app.store, workspace).await? {
            let labels = [
                ("workspace", workspace.as_str()),
                ("state", counted.state.word()),
                ("severity", counted.severity.word()),
            ];
            text.sample("tern_alerts", &labels, counted.alerts);
        }
    }
    Ok(())
}

/// Metrics that bundles declare, over all devices, since each version was published. Of a gauge sum and count, whose rates have the mean.
async fn own_metrics(
    app: &App,
    workspaces: &[WorkspaceId],
    text: &mut Text,
) -> Result<(), StoreError> {
    let mut totals: BTreeMap<String, Vec<(WorkspaceId, MetricTotal)>> = BTreeMap::new();
    for workspace in workspaces {
        for total in monitor::metric_totals(app.store.read(), workspace).await? {
            let family = exposition::family_of("tern", &total.counts);
            let of = totals.entry(family).or_default();
            of.push((workspace.clone(), total));
        }
    }
    for (name, totals) in &totals {
        let help = totals
            .first()
            .map_or("", |(_, total)| total.spec.help.as_str());
        let kind = match totals.first().map(|(_, total)| total.spec.kind) {
            Some(MetricKind::Counter) | None => "counter",
            // One without quantiles.
            Some(MetricKind::Gauge) => "summary",
            Some(MetricKind::Histogram) => "histogram",
        };
        text.family(
            name,
            kind,
            if help.is_empty() {
                "Declared by the bundle."
            } else {
                help
            },
        );
        for (workspace, total) in totals {
            let version = total.version.to_string();
            let labels = [
                ("workspace", workspace.as_str()),
                ("model", total.model.as_str()),
                ("model_version", &version),
            ];
            let counts = &total.counts;
            match counts.kind {
                MetricKind::Counter => text.sample(name, &labels, counts.sum.value()),
                MetricKind::Gauge => {
                    text.sample(&format!("{name}_sum"), &labels, counts.sum.value());
                    text.sample(&format!("{name}_count"), &labels, counts.count);
                }
                MetricKind::Histogram => text.bins(name, &labels, &total.spec, counts),
            }
        }
    }
    Ok(())
}

/// Devices by health, and what they answered.
async fn devices(app: &App, workspaces: &[WorkspaceId], text: &mut Text) -> Result<(), StoreError> {
    text.family("tern_devices", "gauge", "Devices by health.");
    for workspace in workspaces {
        for count in fleet::health_counts(&app.store, workspace).await? {
            let health = match count.health {
                Health::Healthy => "healthy",
                Health::Updating => "updating",
                Health::Failing => "failing",
                Health::Offline => "offline",
            };
            let labels = [("workspace", workspace.as_str()), ("health", health)];
            text.sample("tern_devices", &labels, count.devices);
        }
    }
    let help = "Inferences in stored windows, since the hub was made.";
    text.family("tern_inferences_total", "counter", help);
    for workspace in workspaces {
        let totals = crate::monitor::totals(app, workspace).await?;
        let labels = [("workspace", workspace.as_str())];
        text.sample("tern_inferences_total", &labels, totals.inferences);
    }
    Ok(())
}
