//! The one place that asks for the time.

use std::time::{Instant as Monotonic, SystemTime, UNIX_EPOCH};

use tern_protocol::{
    id::BootId,
    time::{Instant, Uptime, WallTime},
};

/// Time of this run of the agent. Uptime decides; wall time is a hint for people.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    boot: BootId,
    start: Monotonic,
}

impl Clock {
    /// A clock that starts now.
    pub fn start(boot: BootId) -> Self {
        Self {
            boot,
            start: Monotonic::now(),
        }
    }

    /// Which boot this is.
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Time since the agent started.
    pub fn uptime(&self) -> Uptime {
        let milliseconds = self.start.elapsed().as_millis();
        Uptime(u64::try_from(milliseconds).unwrap_or(u64::MAX))
    }

    /// This moment in the life of the device.
    pub fn now(&self) -> Instant {
        Instant {
            boot: self.boot,
            uptime: self.uptime(),
        }
    }

    /// The system's idea of the wall time, if it is one: a device without a clock battery may
    /// believe in anything.
    pub fn wall(&self) -> Option<WallTime> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok().map(WallTime)
    }

    /// A stopwatch for one inference.
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch(Monotonic::now())
    }
}

/// Measures a short time.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Monotonic);

impl Stopwatch {
    /// Microseconds since it was made.
    pub fn micros(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e6
    }
}
