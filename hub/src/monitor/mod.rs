//! What the fleet says about itself: windows, captures, labels, and what follows from them.
//!
//! Called by the link (ingest), the API and the dashboard (charts, accuracy, overview). Calls
//! `fleet` for sites, events and time, `registry` for names of classes, and the store.
//!
//! Must never break:
//! - an entry of a device's outbox counts exactly once, whatever is lost, repeated or reordered on
//!   the way ([`mod@accept`]);
//! - an acknowledgement is sent only after the commit that holds what it acknowledges;
//! - a chart reads a bounded number of rows and gives a bounded number of points.

pub mod accept;
mod accuracy;
pub mod alert;
mod attention;
mod captures;
mod charts;
mod distances;
pub mod drift;
mod findings;
#[cfg(test)]
pub(crate) mod fixture;
pub mod follow;
pub mod ingest;
pub mod labelling;
pub mod labels;
mod metrics;
mod overview;
pub mod quarantine;
mod repair;
mod requests;
pub mod rollup;
pub(crate) mod rows;
pub mod schema;
pub(crate) mod sql;
#[cfg(test)]
mod tests;
pub mod truth;
mod turns;
mod value;

pub(crate) use self::rows::prediction;
pub use self::{
    accuracy::{AccuracyQuery, accuracy},
    captures::{CaptureQuery, captures},
    charts::{ChartError, ChartQuery, chart},
    distances::{DistancesError, DistancesQuery, distances},
    findings::{AcceptError, FindingQuery, accept, finding, findings},
    metrics::{MetricTotal, metric_totals},
    overview::{overview, totals},
    quarantine::quarantine,
    requests::{RequestQuery, Requests, requests},
    rows::last_place,
    truth::{TruthError, TruthQuery, truth},
    value::{Value, ValueQuery, value},
};
