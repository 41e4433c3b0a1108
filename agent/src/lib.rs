//! Tern on the device: fetches models, runs them, says what they do.
//!
//! Its promise: once a device has a working model it always has a working model.
//!
//! Two threads. One serves: HTTP, watched directories, standard input, and runs quick models where
//! they are asked. The other decides: link, state, reconciliation, outbox; it may wait for the disk
//! without holding up an answer. They share [`slots`], two channels and a board.

/// The target of spans that are for an OpenTelemetry collector: no line of the log shows them. That of `tern-otlp`, which
/// not every agent is built with.
pub const SPANS: &str = "tern::span";

pub mod config;

pub mod activation;
pub mod capture;
pub mod outbox;
pub mod reconcile;
pub mod report;
pub mod room;
pub mod shadow;
pub mod state;
pub mod telemetry;

pub mod engine;
pub mod fetch;
pub mod identity;
pub mod link;
pub mod node;
pub mod serve;
pub mod slots;
pub mod trust;
pub mod vetting;

pub mod chance;
pub mod clock;
pub mod durable;

use std::error::Error;

/// An error with what caused it, for one line of log or report.
pub fn chain(err: &dyn Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(err) = source {
        let cause = err.to_string();
        // Some libraries put the cause into their own text as well.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = err.source();
    }
    text
}
