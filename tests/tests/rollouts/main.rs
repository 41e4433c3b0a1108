//! What a rollout does by itself, and whom it tells.

mod decisions;
mod hands;
mod notify;
