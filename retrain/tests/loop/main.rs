//! Rounds of retraining in a simulated world: what is stored survives, what was not committed is lost, and whoever
//! drives it may be killed anywhere.

mod any_order;
mod decisions;
mod kills;
mod rounds;
mod world;
