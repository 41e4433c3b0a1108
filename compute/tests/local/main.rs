//! The local compute with real processes: how attempts end, who outlives whom, and that nothing runs twice.

mod bench;
mod ends;
mod environments;
mod logs;
mod owners;
mod programs;
