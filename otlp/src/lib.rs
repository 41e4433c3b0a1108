//! Numbers and spans of hub and agent for an OpenTelemetry collector, by OTLP over HTTP.
//!
//! Called by the composition roots of hub and agent: [`Export::start`] once, [`Export::tell`] with the very text that
//! Prometheus scrapes whenever that should be sent anew, [`Export::layer`] for the spans. The opentelemetry crates do
//! the rest in threads of their own.
//!
//! Must never break:
//! - nothing waits for a collector: what it does not take in time is dropped, queues are bounded, and threads that send
//!   are none of ours;
//! - nothing is counted twice: instruments read what was told, and what was told is what `/metrics` says;
//! - attributes are what whoever calls names: no header, no query, no body.

mod client;
mod endpoint;
mod families;

pub use self::endpoint::{Endpoint, EndpointError};

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{Meter, MeterProvider as _},
    trace::TracerProvider as _,
};
use opentelemetry_otlp::{
    MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use rustls::ClientConfig;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer,
    filter::{FilterExt as _, LevelFilter, Targets, filter_fn},
    registry::LookupSpan,
};

use self::{
    client::Client,
    families::{Kind, Snapshot},
};

/// The target of spans that are sent, and of nothing else: logs leave it out.
pub const SPANS: &str = "tern::span";

/// Spans that wait to be sent. More are dropped: 2 MiB at most.
const QUEUE: usize = 2_048;

/// Spans of one request to the collector.
const BATCH: usize = 256;

/// How long a span waits for others.
const GATHER: Duration = Duration::from_secs(5);

/// How long a collector may take for one request.
const REQUEST: Duration = Duration::from_secs(5);

/// How long what is left may take when the program ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// What to send where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The collector.
    pub endpoint: Endpoint,
    /// Between two times that numbers are sent.
    pub interval: Duration,
    /// Share of traces that are sent, 0 to 1.
    pub sampled: f64,
    /// Which program this is.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What tells it from others of its kind.
    pub instance: String,
    /// What else is said of it, as names and values.
    pub attributes: Vec<(&'static str, String)>,
    /// Whom to trust, for a collector by `https`.
    pub tls: Option<Arc<ClientConfig>>,
}

/// Why nothing is exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Nobody says whom to trust.
    #[error(
        "an OpenTelemetry collector by https is not reached from here; run one beside this program, by http"
    )]
    Tls,
    /// The exporter cannot be made.
    #[error("making the exporter of {0}")]
    Build(
        &'static str,
        #[source] opentelemetry_otlp::ExporterBuildError,
    ),
    /// There is no thread to send with.
    #[error("starting what sends to the collector")]
    Start(#[source] std::io::Error),
}

/// What is sent, and what sends it.
pub struct Export {
    meters: SdkMeterProvider,
    meter: Meter,
    tracers: SdkTracerProvider,
    snapshot: Arc<Mutex<Snapshot>>,
    known: Mutex<BTreeSet<String>>,
    interval: Duration,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").finish_non_exhaustive()
    }
}

impl Export {
    /// Starts what sends. Nothing is sent until something is told.
    pub fn start(settings: Settings) -> Result<Self, ExportError> {
        let Settings {
            endpoint,
            interval,
            sampled,
            service,
            version,
            instance,
            attributes,
            tls,
        } = settings;
        let client = Arc::new(Client::new(&endpoint, tls, REQUEST)?);
        let numbers = MetricExporter::builder()
            .with_http()
            .with_shared_http_client(Arc::clone(&client) as _)
            .with_endpoint(endpoint.path("v1/metrics"))
            .with_timeout(REQUEST)
            .build()
            .map_err(|err| ExportError::Build("metrics", err))?;
        let spans = SpanExporter::builder()
            .with_http()
            .with_shared_http_client(client as _)
            .with_endpoint(endpoint.path("v1/traces"))
            .with_timeout(REQUEST)
            .build()
            .map_err(|err| ExportError::Build("traces", err))?;
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.namespace", "tern"))
            .with_attribute(KeyValue::new("service.version", version))
            .with_attribute(KeyValue::new("service.instance.id", instance))
            .with_attributes(
                attributes
                    .into_iter()
                    .map(|(name, value)| KeyValue::new(name, value)),
            )
            .build();
        let reader = PeriodicReader::builder(numbers)
            .with_interval(interval)
            .build();
        let meters = SdkMeterProvider::builder()
            .with_reader(reader)
            .with_resource(resource.clone())
            .build();
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(GATHER.min(interval))
            .build();
        let batches = BatchSpanProcessor::builder(spans)
            .with_batch_config(batches)
            .build();
        let tracers = SdkTracerProvider::builder()
            .with_span_processor(batches)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                sampled,
            ))))
            .with_resource(resource)
            .build();
        Ok(Self {
            meter: meters.meter("tern"),
            meters,
            tracers,
            snapshot: Arc::default(),
            known: Mutex::default(),
            interval,
        })
    }

    /// Between two times that numbers are sent.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// What is sent from now on: a text for Prometheus.
    pub fn tell(&self, text: &str) {
        let snapshot = Snapshot::read(text);
        let mut known = lock(&self.known);
        for (name, family) in snapshot.families() {
            if !known.contains(name) {
                known.insert(name.to_owned());
                self.instrument(name, family.kind, &family.help);
            }
        }
        *lock(&self.snapshot) = snapshot;
    }

    fn instrument(&self, name: &str, kind: Kind, help: &str) {
        let snapshot = Arc::clone(&self.snapshot);
        let own = name.to_owned();
        let read = move |observe: &mut dyn FnMut(f64, &[KeyValue])| {
            for (labels, value) in lock(&snapshot).samples(&own) {
                observe(*value, labels);
            }
        };
        // The provider keeps them.
        match kind {
            Kind::Counter => drop(
                self.meter
                    .f64_observable_counter(name.to_owned())
                    .with_description(help.to_owned())
                    .with_callback(move |observer| {
                        read(&mut |value, labels| observer.observe(value, labels));
                    })
                    .build(),
            ),
            Kind::Gauge => drop(
                self.meter
                    .f64_observable_gauge(name.to_owned())
                    .with_description(help.to_owned())
                    .with_callback(move |observer| {
                        read(&mut |value, labels| observer.observe(value, labels));
                    })
                    .build(),
            ),
        }
    }

    /// What takes spans of [`SPANS`].
    #[allow(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone is not general enough over lifetimes"
    )]
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.tracers.tracer("tern"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(
                Targets::new()
                    .with_target(SPANS, LevelFilter::INFO)
                    .and(filter_fn(|metadata| metadata.is_span())),
            )
    }

    /// Sends what is left, if that takes no time. To be called where it may block for four seconds.
    pub fn end(&self) {
        for ended in [
            self.tracers.shutdown_with_timeout(GOODBYE),
            self.meters.shutdown_with_timeout(GOODBYE),
        ] {
            if let Err(err) = ended {
                tracing::debug!("the collector did not take what was left: {err}");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
