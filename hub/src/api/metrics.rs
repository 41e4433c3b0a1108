//! Numbers for Prometheus.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension,
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tern_protocol::{
    exposition::{self, Text},
    id::WorkspaceId,
    metric::MetricKind,
    rest::Health,
};

use super::{policy::Asking, problem::ApiError};
use crate::{
    access::{principal::Principal, role::Permission},
    app::App,
    fleet,
    monitor::{self, MetricTotal},
};

/// Answers by route, method and status. Routes are those of the router and methods are few, so the
/// number of keys is bounded.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<Mutex<BTreeMap<Answered, u64>>>);

/// Route, method, status.
type Answered = (String, &'static str, u16);

impl Requests {
    fn count(&self, route: &str, method: &Method, status: StatusCode) {
        let key = (route.to_owned(), known(method), status.as_u16());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(key).or_default() += 1;
    }
}

/// Anybody may invent a method; only those that HTTP names are told apart.
fn known(method: &Method) -> &'static str {
    let names = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    names
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or("other")
}

/// Counts each answer.
pub(super) async fn count(
    Extension(requests): Extension<Requests>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let response = next.run(request).await;
    requests.count(&route, &method, response.status());
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
    Extension(requests): Extension<Requests>,
) -> Result<Response, ApiError> {
    let mut text = Text::default();
    for (name, help, value) in app.counters.all() {
        text.family(name, "counter", help);
        text.sample(name, &[], value);
    }
    devices(&app, &principal, &mut text).await?;
    own_metrics(&app, &principal, &mut text).await?;
    blobs(&app, &mut text);
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
    let counts = requests
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    for ((route, method, status), count) in counts {
        let status = status.to_string();
        let labels = [
            ("route", route.as_str()),
            ("method", method),
            ("status", &status),
        ];
        text.sample("tern_http_requests_total", &labels, count);
    }
    let kind = [(header::CONTENT_TYPE, exposition::CONTENT_TYPE)];
    Ok((kind, text.finish()).into_response())
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

/// Metrics that bundles declare, of the workspaces that whoever asks may see: over all devices, since each version was
/// published. Of a gauge sum and count, whose rates have the mean.
async fn own_metrics(app: &App, principal: &Principal, text: &mut Text) -> Result<(), ApiError> {
    let mut totals: BTreeMap<String, Vec<(WorkspaceId, MetricTotal)>> = BTreeMap::new();
    for workspace in fleet::workspaces(&app.store).await? {
        if !principal.may(Permission::View, &workspace) {
            continue;
        }
        for total in monitor::metric_totals(app.store.read(), &workspace).await? {
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

/// Of the workspaces that whoever asks may see.
async fn devices(app: &App, principal: &Principal, text: &mut Text) -> Result<(), ApiError> {
    let mut workspaces = fleet::workspaces(&app.store).await?;
    workspaces.retain(|workspace| principal.may(Permission::View, workspace));
    text.family("tern_devices", "gauge", "Devices by health.");
    for workspace in &workspaces {
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
    for workspace in &workspaces {
        let totals = crate::monitor::totals(app, workspace).await?;
        let labels = [("workspace", workspace.as_str())];
        text.sample("tern_inferences_total", &labels, totals.inferences);
    }
    Ok(())
}
