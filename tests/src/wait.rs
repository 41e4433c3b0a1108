//! Waiting for a state. The only place that polls.
//!
//! A wait is a question, a deadline and, when it fails, the last answer.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up. Far more than anything needs on a busy
/// machine: no test is about speed.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// How long between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Asks until the answer is `Ok`, and returns it. An `Err` says how things stand; the last one is
/// in the failure when [`DEADLINE`] passes. `what` completes "waited for …".
#[track_caller]
pub fn until<T>(what: &str, check: impl FnMut() -> Result<T, String>) -> T {
    until_within(DEADLINE, what, check)
}

/// As [`until`], with a deadline of its own.
#[track_caller]
pub fn until_within<T>(
    deadline: Duration,
    what: &str,
    mut check: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match check() {
            Ok(answer) => return answer,
            Err(status) if start.elapsed() > deadline => {
                panic!("waited {deadline:?} for {what}; last status: {status}")
            }
            Err(_) => thread::park_timeout(LOOK),
        }
    }
}

/// `Ok` if `holds`, else the status: for conditions without an answer.
pub fn that(holds: bool, status: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(status()) }
}

/// Lets `pace` pass unless told to stop. For sources of load.
pub fn paced(stop: &Receiver<()>, pace: Duration) -> Go {
    match stop.recv_timeout(pace) {
        Err(RecvTimeoutError::Timeout) => Go::On,
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Go::Stop,
    }
}

/// Whether a source of load goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// Once more.
    On,
    /// It was told to stop.
    Stop,
}
