//! What development tasks share: where things are, processes that end with us, and a small fleet on this machine.
//!
//! Called by the tasks in `main.rs`, and by `tern-bench`, which measures what the fleet does. Must never break: small
//! crates only, since this is the first thing that a newcomer compiles.

pub mod fleet;
pub mod interrupt;
pub mod process;
pub mod workspace;
