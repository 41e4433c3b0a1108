//! The one place that asks for the time.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant as Monotonic, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};
use tern_protocol::{
    id::BootId,
    time::{Instant, Uptime, WallTime},
};

/// Time of this run of the agent. Uptime decides; wall time is a hint for people.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Shared by all copies, for the life of the process; 0 until the boot is counted.
    boot: &'static AtomicU32,
    start: Monotonic,
}

impl Clock {
    /// A clock that starts now.
    pub fn start(boot: BootId) -> Self {
        let clock = Self::not_counted();
        clock.count(boot);
        clock
    }

    /// A clock that starts now, before anybody could tell which boot this is: the disk is full, say.
    pub fn not_counted() -> Self {
        Self {
            boot: Box::leak(Box::new(AtomicU32::new(0))),
            start: Monotonic::now(),
        }
    }

    /// Tells all copies of the clock which boot this is.
    pub fn count(&self, boot: BootId) {
        self.boot.store(boot.0, Ordering::Relaxed);
    }

    /// Whether it is known which boot this is.
    pub fn is_counted(&self) -> bool {
        self.boot() != BootId::default()
    }

    /// Which boot this is.
    pub fn boot(&self) -> BootId {
        BootId(self.boot.load(Ordering::Relaxed))
    }

    /// Time since the agent started.
    pub fn uptime(&self) -> Uptime {
        let milliseconds = self.start.elapsed().as_millis();
        Uptime(u64::try_from(milliseconds).unwrap_or(u64::MAX))
    }

    /// The same as [`Self::uptime`], as fine as the system tells it.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// This moment in the life of the device.
    pub fn now(&self) -> Instant {
        Instant {
            boot: self.boot(),
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

/// Time of processors that the calling thread has taken since it began.
pub fn of_thread() -> Duration {
    processors(ClockId::ThreadCPUTime)
}

/// Time of processors that this process has taken since it began, all its threads together.
pub fn of_process() -> Duration {
    processors(ClockId::ProcessCPUTime)
}

fn processors(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // Such clocks begin at zero with what they measure.
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
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
