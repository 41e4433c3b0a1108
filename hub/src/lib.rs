//! Tern, the cloud side: one process that keeps the models, speaks with the devices, moves them from
//! version to version, stores what they tell, and shows it to people.
//!
//! Dependencies point inward: [`api`] and [`dashboard`] call the domain ([`fleet`], [`registry`],
//! [`deltas`], [`rollout`], [`delivery`], [`monitor`], [`alerts`]), which calls [`store`] and [`blobs`]. The domain knows
//! neither HTTP nor MQTT: [`link`] is where MQTT ends, [`broker`] is the broker that runs inside.
//!
//! Must never break: nothing is acknowledged to a device before it is committed, and everything the
//! broker holds can be made again from the database.

mod data_dir;
mod file_error;
mod outgoing;
mod serve;

pub mod app;
pub mod config;

pub mod deltas;
pub mod fleet;
pub mod registry;
pub mod rollout;
pub mod transcode;

pub mod datasets;
pub mod jobs;
pub mod lineage;
pub mod retrain;
pub mod tracking;

pub mod alerts;
pub mod delivery;
pub mod monitor;

pub mod access;

pub mod broker;
pub mod door;
pub mod link;

pub mod api;
pub mod dashboard;

pub mod backup;
pub mod blobs;
pub mod captures;
pub mod changes;
pub mod clock;
pub mod counters;
pub mod garbage;
pub mod notify;
pub mod scrub;
pub mod sdk;
pub mod store;
pub mod tap;
pub mod trust;

pub use self::{
    data_dir::NoData,
    file_error::FileError,
    serve::{Running, ServeError, serve, start},
};

/// Rows are made by one thread and freed by another, a million a minute: ARCHITECTURE.md has what that costs otherwise.
/// Here and not in `main.rs`, so that tests run with it as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
