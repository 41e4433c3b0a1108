//! Sends blobs to many devices over one topic each, and to one device by HTTPS where MQTT does not serve.
//!
//! Devices say which chunks they lack (`link` hands their wants in); the [`carousel`] gathers wants,
//! and each wanted chunk is published once, for everyone who listens; the [`driver`] reads the bytes
//! and waits while the link is busy. The API hands out ranges of blobs under the same [`egress`] limit.
//!
//! What moves is counted in the [`ledger`], and kept for good by [`history`]: what left the hub beside what
//! devices took.
//!
//! What it holds in memory does not grow with a model or with the fleet: three bits a chunk of at most
//! [`carousel::Limits::blobs`] blobs (3 MiB), a fixed table of devices ([`wanters`], less than 1 MiB), and
//! the chunks between disk and broker (3 MiB). What waits at the broker is bounded there.
//!
//! Must never break:
//! - egress grows with the size of a blob, not with the number of devices;
//! - a want is never an obligation: what is lost or refused here is wanted again by its device;
//! - only blobs that a version of the workspace names leave, whoever knows their digest;
//! - one blob does not starve another, and one slow device does not slow down the others;
//! - all together stay under the egress limit.

pub mod carousel;
mod chunks;
pub mod driver;
pub mod egress;
pub mod flow;
pub mod history;
pub mod ledger;
pub mod pace;
mod rate;
mod rows;
pub mod schema;
#[cfg(test)]
mod tests;
mod told;
mod view;
pub mod wanters;

pub use self::{
    driver::{Chunks, Wanted, queue, run},
    view::view,
};
