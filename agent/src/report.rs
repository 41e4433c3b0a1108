//! When the device says what it is: soon after a change, and now and then.
//!
//! Called by `node`. Pure but for [`resources`], which reads the system's own figures.

use std::{fs, time::Duration};

use tern_protocol::{
    reported::{Platform, Reported, Resources},
    time::Uptime,
};

/// At least this long between two reports: a burst of changes becomes one.
const DEBOUNCE: Duration = Duration::from_millis(250);

/// While something is on its way, so often.
const PROGRESS: Duration = Duration::from_secs(2);

/// With nothing new, so often: counters and resources.
const REFRESH: Duration = Duration::from_secs(30);

/// Remembers what was said last.
#[derive(Debug, Default)]
pub struct Reporter {
    said: Option<(Uptime, Reported)>,
}

impl Reporter {
    /// Whether this is to be said now.
    pub fn is_due(&self, now: Uptime, reported: &Reported) -> bool {
        let Some((at, said)) = &self.said else {
            return true;
        };
        let wait = if lasting(said) == lasting(reported) {
            Self::pace(reported)
        } else {
            DEBOUNCE
        };
        now.since(*at) >= wait
    }

    /// When it has to be looked at again.
    pub fn deadline(&self, now: Uptime, reported: &Reported) -> Uptime {
        match &self.said {
            None => now.plus(DEBOUNCE),
            Some((at, said)) if lasting(said) == lasting(reported) => at.plus(Self::pace(reported)),
            Some((at, _)) => at.plus(DEBOUNCE),
        }
    }

    /// It was said.
    pub fn said(&mut self, now: Uptime, reported: Reported) {
        self.said = Some((now, reported));
    }

    /// Nothing was said to whoever listens now: the link is back.
    pub fn online(&mut self) {
        self.said = None;
    }

    fn pace(reported: &Reported) -> Duration {
        let moving = reported.slots.iter().any(|slot| slot.progress.is_some());
        if moving { PROGRESS } else { REFRESH }
    }
}

/// A report without what changes all the time.
fn lasting(reported: &Reported) -> Reported {
    let mut lasting = reported.clone();
    lasting.now.uptime = Uptime(0);
    lasting.wall = None;
    lasting.resources = Resources::default();
    lasting.outbox.entries = 0;
    lasting.outbox.bytes = 0;
    lasting.malformed = 0;
    for slot in &mut lasting.slots {
        if let Some(serving) = &mut slot.serving {
            serving.inferences = 0;
            serving.errors = 0;
        }
        if let Some(progress) = &mut slot.progress {
            progress.bytes = 0;
        }
    }
    lasting
}

/// What the agent runs on.
pub fn platform() -> Platform {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Platform {
        os: std::env::consts::OS.into(),
        arch: std::env::consts::ARCH.into(),
        cpus: cpus as u32,
    }
}

/// What is left of memory and disk, as Linux tells it.
pub fn resources(disk_free: Option<u64>) -> Resources {
    Resources {
        agent_rss: kilobytes("/proc/self/status", "VmRSS:"),
        memory: kilobytes("/proc/meminfo", "MemTotal:"),
        disk_free,
    }
}

/// Between two looks at the process's memory, at least: each reads a file of the system.
const LOOK: Duration = Duration::from_secs(1);

/// The largest memory that the process had since it was looked at last.
#[derive(Debug, Default)]
pub struct Weight {
    looked: Option<Uptime>,
    /// The most that it ever had, as of then.
    peak: u64,
}

impl Weight {
    /// Looks, if it is time or `at_once`. What it has now, or had meanwhile if that is more than ever
    /// before: a peak below an older one that came and went between two looks is not seen.
    pub fn look(&mut self, now: Uptime, at_once: bool) -> Option<u64> {
        let is_due = self.looked.is_none_or(|at| now.since(at) >= LOOK);
        if !is_due && !at_once {
            return None;
        }
        self.looked = Some(now);
        let text = fs::read_to_string("/proc/self/status").ok()?;
        let resident = kilobytes_in(&text, "VmRSS:")?;
        let peak = kilobytes_in(&text, "VmHWM:").unwrap_or(resident);
        // Of the peak at the first look nobody knows when it was.
        let rose = self.peak > 0 && peak > self.peak;
        self.peak = peak;
        Some(if rose { peak } else { resident })
    }
}

/// Memory that could be had now without swapping, in bytes, as Linux estimates it.
pub fn memory_available() -> Option<u64> {
    kilobytes("/proc/meminfo", "MemAvailable:")
}

fn kilobytes(file: &str, key: &str) -> Option<u64> {
    kilobytes_in(&fs::read_to_string(file).ok()?, key)
}

fn kilobytes_in(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number = line.trim().strip_suffix("kB")?.trim();
    number.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tern_protocol::{
        id::{BootId, Revision},
        reported::OutboxReport,
        time::Instant,
    };

    use super::*;

    fn reported(answers: u64) -> Reported {
        Reported {
            agent: "0".into(),
            now: Instant {
                boot: BootId(1),
                uptime: Uptime(0),
            },
            wall: None,
            site: "harbour".parse().expect("a name"),
            labels: BTreeMap::new(),
            platform: platform(),
            resources: Resources::default(),
            answers: Revision(answers),
            slots: Vec::new(),
            outbox: OutboxReport::default(),
            malformed: 0,
            trust: None,
            deltas: None,
            erased: None,
            captures: None,
        }
    }

    #[test]
    fn memory_is_looked_at_now_and_then_and_a_new_peak_is_seen_after_it_is_gone() {
        let mut weight = Weight::default();
        let first = weight.look(Uptime(0), false).expect("the system says");
        assert!(first > 1 << 20, "{first}");
        assert_eq!(weight.look(Uptime(999), false), None);
        assert!(weight.look(Uptime(999), true).is_some());
        // More than there ever was, and given back before anybody looks.
        let large = kilobytes("/proc/self/status", "VmHWM:").expect("the system says");
        let size = usize::try_from(large).expect("it fits") + (64 << 20);
        drop(std::hint::black_box(vec![1_u8; size]));
        let seen = weight.look(Uptime(2_000), false).expect("the system says");
        assert!(seen >= size as u64, "{seen} of {size}");
    }

    #[test]
    fn changes_are_said_soon_and_the_rest_now_and_then() {
        let mut reporter = Reporter::default();
        assert!(reporter.is_due(Uptime(0), &reported(1)));
        reporter.said(Uptime(0), reported(1));
        assert!(!reporter.is_due(Uptime(29_999), &reported(1)));
        assert!(reporter.is_due(Uptime(30_000), &reported(1)));
        assert!(!reporter.is_due(Uptime(249), &reported(2)));
        assert!(reporter.is_due(Uptime(250), &reported(2)));
        let mut busy = reported(1);
        busy.malformed = 10_000;
        busy.outbox.entries = 3;
        assert!(
            !reporter.is_due(Uptime(10_000), &busy),
            "counters alone are not news"
        );
    }
}
