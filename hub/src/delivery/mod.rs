//! Sends blobs to many devices over one topic each.
//!
//! Devices say which chunks they lack (`link` hands their wants in); the [`carousel`] gathers wants,
//! and each wanted chunk is published once, for everyone who listens; the [`driver`] reads the bytes
//! and waits while the link is busy.
//!
//! Must never break:
//! - egress grows with the size of a blob, not with the number of devices;
//! - a want is never an obligation: what is lost or refused here is wanted again by its device;
//! - one blob does not starve another, and all together stay under the egress limit.

pub mod carousel;
pub mod driver;

pub use self::driver::{Chunks, Wanted, queue, run};
