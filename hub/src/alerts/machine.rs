//! How one alert stands from look to look. Pure.
//!
//! A *group* is what a rule judges by itself: a site, a version, a finding. [`step`] takes what is held of a group and
//! what was seen of it, and says what becomes of it; [`due`] says whether somebody is to be told. Must never break:
//! - what does not last is never told; what is over and comes back is another alert;
//! - nobody is told twice of one group within its cool-down, however often it comes and goes;
//! - what is held is all that counts: whoever reads it back goes on as if nothing had happened.

use std::time::Duration;

use tern_protocol::{
    rest::{AlertRule, Span},
    time::WallTime,
};

/// How long nothing may be known of a group before it is over: an hour of silence says no more about now. Until then it
/// stays what it is, so that a hub that starts again goes on where it was.
pub(super) const UNKNOWN: Duration = Duration::from_hours(1);

/// What was seen of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The condition holds.
    Beyond,
    /// It does not, and all is not well again either.
    Between,
    /// All is well.
    Well,
    /// Too little is known to say.
    Unknown,
}

/// Whether a group is an alert already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has to last.
    Pending,
    /// It is one, since then.
    Firing(WallTime),
}

/// What is held of a group of which something is the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) phase: Phase,
    /// Since when the condition holds.
    pub(super) since: WallTime,
    /// Since when all is well, while it is still an alert.
    pub(super) well: Option<WallTime>,
    /// Since when nothing is known.
    pub(super) unknown: Option<WallTime>,
    /// When somebody was last told of this group, also by alerts before this one.
    pub(super) told: Option<WallTime>,
    /// Whether somebody was told of this alert.
    pub(super) said: bool,
}

/// Times of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) lasting: Span,
    pub(super) resolve_after: Span,
    pub(super) cool_down: Span,
    pub(super) repeat: Option<Span>,
    pub(super) gather: Span,
}

impl From<&AlertRule> for Timing {
    fn from(rule: &AlertRule) -> Self {
        Self {
            lasting: rule.lasting,
            resolve_after: rule.resolve_after,
            cool_down: rule.cool_down,
            repeat: rule.repeat,
            gather: rule.gather,
        }
    }
}

/// Why an alert is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// All is well.
    Well,
    /// Nothing was heard any more.
    Unknown,
    /// Its rule was removed, turned off, or asks something else now.
    Rule,
}

/// What becomes of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is nothing, and was nothing.
    Nothing,
    /// It stays what it is.
    Stays(Held),
    /// Something begins that has to last.
    Pends(Held),
    /// It is an alert from now on.
    Fires(Held),
    /// It did not last.
    Drops,
    /// It is over.
    Ends(Why),
}

/// What was seen, and since when that is so if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) seen: Seen,
    pub(super) since: Option<WallTime>,
}

fn lasts(since: WallTime, now: WallTime, span: Span) -> bool {
    now.0.saturating_sub(since.0).max(0).unsigned_abs() >= span.ms()
}

impl Held {
    /// The same after a clock went back: nothing was in what is the future now.
    fn before(mut self, now: WallTime) -> Self {
        let clamp = |at: WallTime| at.min(now);
        if let Phase::Firing(fired) = self.phase {
            self.phase = Phase::Firing(clamp(fired));
        }
        self.since = clamp(self.since);
        self.well = self.well.map(clamp);
        self.unknown = self.unknown.map(clamp);
        self.told = self.told.map(clamp);
        self
    }
}

/// From what is held of a group to what is held of it next. `told`: when somebody was last told of it, by an alert
/// that is over.
pub(super) fn step(
    held: Option<Held>,
    told: Option<WallTime>,
    sight: Sight,
    timing: Timing,
    now: WallTime,
) -> Step {
    let Some(held) = held.map(|held| held.before(now)) else {
        if sight.seen != Seen::Beyond {
            return Step::Nothing;
        }
        let held = Held {
            phase: Phase::Pending,
            since: sight.since.unwrap_or(now).min(now),
            well: None,
            unknown: None,
            told: told.map(|told| told.min(now)),
            said: false,
        };
        return match fires(held, timing, now) {
            Some(held) => Step::Fires(held),
            None => Step::Pends(held),
        };
    };
    let unknown = held.unknown.unwrap_or(now);
    let forgotten = lasts(unknown, now, Span::millis(UNKNOWN.as_millis() as u64));
    match (held.phase, sight.seen) {
        (Phase::Pending, Seen::Beyond) => {
            let held = Held {
                unknown: None,
                ..held
            };
            match fires(held, timing, now) {
                Some(held) => Step::Fires(held),
                None => Step::Stays(held),
            }
        }
        (Phase::Pending, Seen::Between | Seen::Well) => Step::Drops,
        (Phase::Pending, Seen::Unknown) if forgotten => Step::Drops,
        (Phase::Firing(_), Seen::Beyond | Seen::Between) => Step::Stays(Held {
            well: None,
            unknown: None,
            ..held
        }),
        (Phase::Firing(_), Seen::Well) => {
            let well = held.well.unwrap_or(now);
            if lasts(well, now, timing.resolve_after) {
                return Step::Ends(Why::Well);
            }
            Step::Stays(Held {
                well: Some(well),
                unknown: None,
                ..held
            })
        }
        (Phase::Firing(_), Seen::Unknown) if forgotten => Step::Ends(Why::Unknown),
        (_, Seen::Unknown) => Step::Stays(Held {
            well: None,
            unknown: Some(unknown),
            ..held
        }),
    }
}

fn fires(held: Held, timing: Timing, now: WallTime) -> Option<Held> {
    lasts(held.since, now, timing.lasting).then_some(Held {
        phase: Phase::Firing(now),
        ..held
    })
}

/// Whether people want to hear of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ears {
    /// They do.
    Open,
    /// Somebody knows, or a silence holds.
    Closed,
}

/// Since when somebody is to be told of an alert; nothing if nobody is to be told.
pub(super) fn due(held: &Held, ears: Ears, timing: Timing, now: WallTime) -> Option<WallTime> {
    let Phase::Firing(fired) = held.phase else {
        return None;
    };
    if ears == Ears::Closed {
        return None;
    }
    let after = |told: WallTime, span: Span| {
        WallTime(
            told.0
                .saturating_add(i64::try_from(span.ms()).unwrap_or(i64::MAX)),
        )
    };
    let due = match (held.told, held.said) {
        (Some(told), true) => after(told, timing.repeat?.max(timing.cool_down)),
        (Some(told), false) => after(told, timing.cool_down).max(fired),
        (None, _) => fired,
    };
    (due <= now).then_some(due)
}
