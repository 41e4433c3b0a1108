//! What is due when.

use std::collections::BTreeSet;

use tern_protocol::time::WallTime;

/// Something that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A device should have come to an end.
    Deadline {
        /// Which.
        index: u32,
        /// At which try.
        tries: u32,
    },
    /// A device is asked again.
    Retry {
        /// Which.
        index: u32,
    },
    /// Somebody has to look at a device.
    Look {
        /// Which.
        index: u32,
        /// For which gate.
        gate: u8,
        /// For which rung.
        rung: u8,
    },
}

/// All that is due some time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Timers(BTreeSet<(WallTime, Timer)>);

impl Timers {
    pub(super) fn add(&mut self, at: WallTime, timer: Timer) {
        self.0.insert((at, timer));
    }

    /// What is due, with when it became so, without taking it away.
    pub(super) fn due(&self, now: WallTime) -> impl Iterator<Item = (WallTime, Timer)> + '_ {
        self.0.iter().take_while(move |(at, _)| *at <= now).copied()
    }

    /// Takes away one that is due.
    pub(super) fn remove(&mut self, at: WallTime, timer: Timer) {
        self.0.remove(&(at, timer));
    }
}
