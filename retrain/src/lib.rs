//! Retraining: decides when a model is trained anew, and whether what came of it is let out.
//!
//! Called by whoever drives it (a hub), which tells it what is stored now ([`Facts`]) and the time, and gets back what
//! is to be done ([`Action`]). Calls the wire types of `tern-protocol` and the mathematics of `tern-stats`. There is no
//! I/O in here and no clock.
//!
//! How it is driven, again and again, for each model of a workspace:
//! 1. [`Loop::restore`], and all facts read anew: nothing is handed over by events, so nothing can be missed;
//! 2. [`Loop::step`] with them;
//! 3. [`Stepped::next`] is stored ([`Loop::to_bytes`]), together with [`Stepped::ended`];
//! 4. only then are the actions carried out, each by the domain that it concerns, which stores the action's [`Key`] with
//!    what it did and does nothing for a key that it has. What it did is a fact of the next look.
//!
//! An action is given again until a fact shows that it was carried out. So a driver that is killed anywhere loses
//! nothing, and does nothing twice.
//!
//! Must never break:
//! - at most one round is open for a model; all that holds while it is open joins its evidence;
//! - nothing leads from a comparison that says worse, or does not know, to a rollout, but for the second a person's word;
//! - no round begins within the cool-down, and no training above the budget;
//! - whatever fails or stays silent, a round ends within the limits of its stages;
//! - no flag has to be reset for the next round: what holds follows from facts and numbers that only grow.

pub mod action;
pub mod compare;
mod dataset;
pub mod fact;
pub mod ledger;
mod machine;
pub mod policy;
pub mod proposal;
pub mod state;
pub mod trigger;

pub use action::{Act, Action, Key, Step};
pub use compare::{Comparison, Verdict};
pub use fact::{Facts, Work};
pub use machine::{RestoreError, Stepped};
pub use policy::{Policy, PolicyProblem};
pub use proposal::Proposal;
pub use state::{Lesson, Loop, Outcome, Stage};
