//! Watching, end to end: what devices tell, what is kept of it, and what standard tools make of it.

mod distances;
mod labelling;
mod prometheus;
mod sums;
mod truth;
mod windows;
