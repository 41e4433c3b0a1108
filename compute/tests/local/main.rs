//! The local compute with real processes: how attempts end, who outlives whom, and that nothing runs twice.
#![allow(clippy::unwrap_used, reason = "a panic of a test is its report")]

mod bench;
mod ends;
mod environments;
mod logs;
mod owners;
mod programs;
