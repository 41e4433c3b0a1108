//! What a rollout does by itself, and whom it tells.

mod accuracy;
mod clicks;
mod decisions;
mod field;
mod hands;
mod notify;
mod rehearsal;
mod signals;
mod webhook;
