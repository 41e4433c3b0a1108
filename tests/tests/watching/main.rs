//! Watching, end to end: what devices tell, what is kept of it, and what standard tools make of it.

mod custom;
mod distances;
mod otlp;
mod prometheus;
mod sums;
mod windows;
