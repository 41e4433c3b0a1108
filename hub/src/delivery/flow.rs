//! How fast one blob may be repeated: additive increase, multiplicative decrease. Pure.
//!
//! A device that cannot keep up loses chunks at the broker, and asks again for what was sent after it
//! had asked. That is the only sign that every broker gives. So the repeated chunks of a blob have a pace
//! of their own: halved when devices lose again, raised slowly while they do not. What nobody lost goes
//! at full speed beside them, unless a good part of the devices loses: then all of the blob slows down.
//! One slow device thus gets its chunks at its own speed, and costs the others nothing.

use std::time::Duration;

use super::pace::Pace;

/// Bytes a second that a blob is never slowed below: a chunk.
pub const LEAST: u64 = tern_protocol::limits::CHUNK as u64;

/// Bytes a second that repeating begins with half of, at most.
const BEGIN: u64 = 4 << 20;

/// Bytes a second that are added each [`RAISE`] without a loss.
const STEP: u64 = 256 << 10;

/// See [`STEP`].
const RAISE: Duration = Duration::from_secs(1);

/// A device asks again a few seconds after its loss: who cuts sooner cuts twice for one loss.
const CUT: Duration = Duration::from_secs(4);

/// Bytes a second from which a blob is not held back any more.
const FREE: u64 = 64 << 20;

/// Losses count together in a span so long.
const SPAN: Duration = Duration::from_secs(5);

/// One in so many of the devices that want a blob has to lose for all of it to slow down.
const SHARE: u32 = 4;

/// The pace of one blob.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Bytes a second; none while nobody loses.
    rate: Option<u64>,
    pace: Pace,
    changed: Duration,
    /// Devices that wanted the blob.
    wanters: u32,
    /// Those that lost in this span, and in the one before.
    losers: [u32; 2],
    span: u64,
    /// Which second it is, with the bytes that went out in it, to begin with the speed that was.
    second: (u64, u64),
    measured: u64,
}

impl Flow {
    /// A device wants the blob for the first time.
    pub fn wanted(&mut self) {
        self.wanters = self.wanters.saturating_add(1);
    }

    /// The number of this span of time: a device that loses counts once in each.
    pub fn span(now: Duration) -> u64 {
        now.as_secs() / SPAN.as_secs()
    }

    /// A device lost what was sent. `anew`: it had not yet lost in this span.
    pub fn lost(&mut self, now: Duration, anew: bool) {
        self.turn(now);
        if anew {
            self.losers[0] = self.losers[0].saturating_add(1);
        }
        if self.rate.is_some() && now < self.changed + CUT {
            return;
        }
        let measured = Some(self.measured).filter(|measured| *measured > 0);
        let first = || measured.unwrap_or(BEGIN).min(BEGIN);
        let before = self.rate.unwrap_or_else(first);
        self.rate = Some((before / 2).max(LEAST));
        self.changed = now;
    }

    /// Bytes of the blob go out; `held`: at its pace.
    pub fn sent(&mut self, now: Duration, bytes: u64, held: bool) {
        let second = now.as_secs();
        if self.second.0 != second {
            self.measured = self.second.1;
            self.second = (second, 0);
        }
        self.second.1 = self.second.1.saturating_add(bytes);
        let Some(rate) = self.rate else { return };
        if held {
            self.pace.take(now, bytes, rate);
        }
        if !self.is_losing(now) && now >= self.changed + RAISE {
            let rate = rate + STEP;
            self.rate = (rate < FREE).then_some(rate);
            self.changed = now;
        }
    }

    /// When a repeated chunk may go.
    pub fn at(&self, now: Duration) -> Duration {
        match self.rate {
            Some(_) => self.pace.at(now),
            None => now,
        }
    }

    /// Whether so many devices lose that all of the blob goes at the pace of the repeats.
    pub fn is_held(&self, now: Duration) -> bool {
        let losers: u32 = self.recent(now).iter().sum();
        self.rate.is_some() && losers > 0 && losers.saturating_mul(SHARE) >= self.wanters
    }

    /// Bytes a second of the repeats; none while nobody loses.
    pub const fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// Devices that wanted the blob.
    pub const fn wanters(&self) -> u32 {
        self.wanters
    }

    fn is_losing(&self, now: Duration) -> bool {
        self.recent(now) != [0, 0]
    }

    fn recent(&self, now: Duration) -> [u32; 2] {
        match Self::span(now).saturating_sub(self.span) {
            0 => self.losers,
            1 => [0, self.losers[0]],
            _ => [0, 0],
        }
    }

    fn turn(&mut self, now: Duration) {
        self.losers = self.recent(now);
        self.span = Self::span(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn it_halves_at_most_once_for_one_loss_and_never_below_a_chunk() {
        let mut flow = Flow::default();
        flow.lost(s(10), true);
        let first = flow.rate().expect("it is held");
        flow.lost(s(11), true);
        assert_eq!(flow.rate(), Some(first), "the same loss, told by another");
        for at in (20..200).step_by(5) {
            flow.lost(s(at), true);
        }
        assert_eq!(flow.rate(), Some(LEAST));
    }

    #[test]
    fn it_rises_while_nothing_is_lost_and_is_free_in_the_end() {
        let mut flow = Flow::default();
        flow.lost(s(0), true);
        let held = flow.rate().expect("it is held");
        let mut at = 20;
        flow.sent(s(at), 1, true);
        assert_eq!(flow.rate(), Some(held + STEP));
        while flow.rate().is_some() {
            at += 1;
            flow.sent(s(at), 1, true);
            assert!(at < 1_000, "it stays held: {flow:?}");
        }
    }

    #[test]
    fn one_of_many_holds_back_only_what_is_repeated() {
        let mut flow = Flow::default();
        (0..500).for_each(|_| flow.wanted());
        flow.lost(s(10), true);
        assert!(flow.rate().is_some() && !flow.is_held(s(10)));
        (1..125).for_each(|_| flow.lost(s(10), true));
        assert!(flow.is_held(s(10)));
        assert!(!flow.is_held(s(30)), "nobody has lost for a while");
    }
}
