//! The rooms: each a pure function from REST types to a page.
//!
//! An element that changes while one looks at it has an id and `data-live`: `live.js` fetches the
//! page again when the hub says that something changed, and carries the difference over.

pub(super) mod access;
pub(super) mod account;
pub(super) mod alerts;
pub(super) mod captures;
pub(super) mod datasets;
pub(super) mod delivery;
pub(super) mod device;
pub(super) mod devices;
pub(super) mod door;
mod evidence;
pub(super) mod findings;
pub(super) mod health;
pub(super) mod jobs;
pub(super) mod label;
pub(super) mod lineage;
pub(super) mod model;
pub(super) mod models;
pub(super) mod notice;
pub(super) mod overview;
pub(super) mod retrain;
pub(super) mod rollout;
pub(super) mod rollouts;
pub(super) mod tracking;
pub(super) mod truth;
