//! Watching, end to end: what devices tell, what is kept of it, and what standard tools make of it.

mod alerts;
mod captures;
mod custom;
mod distances;
mod findings;
mod labelling;
mod otlp;
mod postgres;
mod prometheus;
mod sums;
mod truth;
mod windows;
