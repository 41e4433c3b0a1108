//! Decides by evidence which devices get a version, and when.
//!
//! Called by the hub (rollouts, rehearsals, replays) and by benches. Calls the wire types of `tern-protocol` and the
//! mathematics of `tern-stats`. There is no I/O in here and no clock: time comes with the events.
//!
//! Must never break:
//! - the same batches give the same decisions, byte for byte ([`replay`]);
//! - no path leads from a gate that fails, or of which nothing is known, to the next stage, but by a person's word;
//! - a device that has the version is never counted as control;
//! - a device counts once, by its final outcome;
//! - whatever happened before, a rollout that is stopped wants every device that it moved to be what it was.

pub mod calendar;
mod draw;
pub mod engine;
pub mod event;
mod pace;
pub mod rehearse;
pub mod replay;
mod sentence;

pub use engine::{Applied, Engine, Phase, Place, Question, Setup, Wanted};
