//! Rounds of retraining in a simulated world: what is stored survives, what was not committed is lost, and whoever
//! drives it may be killed anywhere.
#![expect(clippy::unwrap_used, reason = "the panic of a test is its report")]

mod any_order;
mod check;
mod decisions;
mod endings;
mod kills;
mod rounds;
mod world;
