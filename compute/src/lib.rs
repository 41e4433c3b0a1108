//! Jobs and computes: what is to run, where and when, and that it runs once.
//!
//! For the hub, which keeps jobs in its database and drives this crate; and for the program `tern-job`, which stays
//! with a job while hubs come and go. Calls the ids, digests and times of `tern-protocol`.
//!
//! In reading order:
//! - [`job`]: what a person asks for, with what is wrong field by field; how attempts end; what follows. Pure.
//! - [`schedule`]: which job starts where, fairly; how large a compute should be. Pure.
//! - [`mlproject`]: MLproject files become jobs. Pure.
//! - [`ray`], [`kubernetes`]: a job in the words of other engines ([`request`]), and their answers in ours ([`seen`]).
//!   Pure. What a job makes there is handed over by a step of `handover`.
//! - [`local`]: attempts as directories and processes on this machine: start, observe, cancel, read the log.
//! - [`supervise`]: what `tern-job` does with one attempt.
//!
//! Must never break:
//! - one attempt runs at most once, whoever is killed whenever;
//! - an attempt's end is told as it was: what is not known is called lost, never succeeded and never failed by itself;
//! - nothing that belongs to an attempt outlives its end;
//! - a secret is in no log, no error, no file of ours and no text that is shown;
//! - no clock decides in the pure parts: time comes as an argument.
#![warn(missing_docs)]

mod handover;
pub mod job;
pub mod kubernetes;
pub mod local;
pub mod mlproject;
pub mod ray;
pub mod request;
pub mod schedule;
pub mod seen;
pub mod supervise;
