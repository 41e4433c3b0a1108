//! Watching, end to end: what devices tell, what is kept of it, and what standard tools make of it.

mod captures;
mod distances;
mod prometheus;
mod sums;
mod windows;
