//! How far back charts look.

use maud::{Markup, html};
use tern_protocol::time::WallTime;

use super::scope::query;

/// How long the windows of an interval may take to arrive, in milliseconds. Longer windows still
/// move the newest points a little.
const SETTLE_MS: i64 = 15_000;

/// How many fine intervals make a coarse one.
const COARSE: i64 = 4;

/// How finely a range is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    /// For what every inference counts in.
    Fine,
    /// For what only labels count in: there are a hundred times fewer, and an interval that stands
    /// on five of them shows chance.
    Coarse,
}

/// A range, cut into intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Intervals {
    /// Start of the first.
    pub(super) from: WallTime,
    /// End of the last.
    pub(super) to: WallTime,
    /// Length of each, in milliseconds.
    pub(super) step_ms: u64,
}

/// A stretch of time that ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Range {
    /// 15 minutes.
    #[default]
    Minutes15,
    /// 1 hour.
    Hour,
    /// 6 hours.
    Hours6,
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
    /// 30 days.
    Days30,
}

impl Range {
    const ALL: [Self; 6] = [
        Self::Minutes15,
        Self::Hour,
        Self::Hours6,
        Self::Day,
        Self::Week,
        Self::Days30,
    ];

    /// The range with this key, if there is one.
    pub(super) fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.key() == key)
    }

    /// As in the address.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Minutes15 => "15m",
            Self::Hour => "1h",
            Self::Hours6 => "6h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Days30 => "30d",
        }
    }

    /// For people.
    fn name(self) -> &'static str {
        match self {
            Self::Minutes15 => "15 min",
            Self::Hour => "1 h",
            Self::Hours6 => "6 h",
            Self::Day => "24 h",
            Self::Week => "7 days",
            Self::Days30 => "30 days",
        }
    }

    /// The whole range in intervals, up to the last one that has settled: an interval that still
    /// fills up would look like a fall at the end of every line. They stand still from one look to
    /// the next until a new one is whole.
    pub(super) fn intervals(self, now: WallTime, grain: Grain) -> Intervals {
        const SECOND: i64 = 1000;
        const MINUTE: i64 = 60 * SECOND;
        // Steps, and how many: 60 to 72 fine ones, which a phone can still show.
        let (step, count) = match self {
            Self::Minutes15 => (15 * SECOND, 60),
            Self::Hour => (MINUTE, 60),
            Self::Hours6 => (5 * MINUTE, 72),
            Self::Day => (20 * MINUTE, 72),
            // Whole hours: a large fleet is drawn from sums of them.
            Self::Week => (3 * 60 * MINUTE, 56),
            Self::Days30 => (12 * 60 * MINUTE, 60),
        };
        let (step, count) = match grain {
            Grain::Fine => (step, count),
            Grain::Coarse => (step * COARSE, count / COARSE),
        };
        let settled = now.0.saturating_sub(SETTLE_MS);
        let to = settled.div_euclid(step).saturating_mul(step);
        Intervals {
            from: WallTime(to.saturating_sub(count * step)),
            to: WallTime(to),
            step_ms: step.unsigned_abs(),
        }
    }

    /// The choice of ranges, as links on the page at `path`.
    pub(super) fn choice(self, path: &str) -> Markup {
        self.choice_beside(path, &[])
    }

    /// As [`Self::choice`], on a page that is narrowed to something else as well.
    pub(super) fn choice_beside(self, path: &str, others: &[(&str, Option<&str>)]) -> Markup {
        let link = |range: Self| {
            let mut pairs = vec![("range", Some(range.key()))];
            pairs.extend(others);
            format!("{path}{}", query(&pairs))
        };
        html! {
            nav.segments aria-label="Time range of the charts" {
                @for range in Self::ALL {
                    @let here = range == self;
                    a href=(link(range)) aria-current=[here.then_some("true")] {
                        (range.name())
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_intervals_that_have_settled_are_shown() {
        let at = |ms| Range::Minutes15.intervals(WallTime(ms), Grain::Fine);
        let shown = at(1_005_000);
        assert_eq!(
            (shown.from, shown.to),
            (WallTime(90_000), WallTime(990_000))
        );
        assert_eq!(at(1_019_999), shown);
        assert_ne!(at(1_020_000), shown);
    }

    #[test]
    fn any_clock_gives_a_range() {
        for (range, grain) in Range::ALL
            .into_iter()
            .flat_map(|range| [(range, Grain::Fine), (range, Grain::Coarse)])
        {
            for now in [i64::MIN, -1, 0, i64::MAX] {
                let shown = range.intervals(WallTime(now), grain);
                assert!(
                    shown.from <= shown.to && shown.step_ms > 0,
                    "{range:?} {shown:?}"
                );
            }
        }
    }
}
