//! Ctrl-C and SIGTERM as a flag that every wait looks at, so that a task ends through its guards
//! and stops what it started.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How often a wait looks at the flag; a person does not notice a tenth of a second.
const LOOK: Duration = Duration::from_millis(100);

/// From now on Ctrl-C, SIGTERM and SIGHUP set the flag.
pub fn watch() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst)).context("watching for Ctrl-C")
}

/// Whether somebody wants us to stop.
pub fn is_set() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// An error once somebody wants us to stop.
pub fn check() -> Result<()> {
    if is_set() {
        bail!("stopped by Ctrl-C");
    }
    Ok(())
}

/// Waits, unless interrupted.
pub fn pause(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK));
    }
}

/// Waits until `ready` gives a value, looking often; an error with `what` after `limit`.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if Instant::now() >= end {
            bail!("{what}: not within {} s", limit.as_secs());
        }
        pause(LOOK)?;
    }
}
