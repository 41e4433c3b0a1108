//! Simulated fleets in which it is known what happened, where and when; and how well that is found.
//!
//! Called by tests, examples and benches. Everything follows from the seed.
//!
//! The fleet is meant to be hard in the ways that real ones are: devices differ for good, sites have weather that
//! stays for days and is partly that of their neighbours, days and weeks have patterns, some sites close at night, some
//! devices answer three requests an hour, many are offline for days and come back with everything at once.

mod fleet;
mod judge;
mod kind;
mod noise;
mod world;

pub use fleet::{Arrival, Fleet, Shape};
pub use judge::{Alarm, Outcome, Summary, alarm, run, score, summary};
pub use kind::{ALL, Quiet, Scenario, Truth};
