//! How far back charts look.

use maud::{Markup, html};
use tern_protocol::time::WallTime;

/// How long the windows of an interval may take to arrive, in milliseconds. Longer windows still
/// move the newest points a little.
const SETTLE_MS: i64 = 10_000;

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
}

impl Range {
    const ALL: [Self; 4] = [Self::Minutes15, Self::Hour, Self::Hours6, Self::Day];

    /// The range with this key, if there is one.
    pub(super) fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.key() == key)
    }

    /// As in the address.
    fn key(self) -> &'static str {
        match self {
            Self::Minutes15 => "15m",
            Self::Hour => "1h",
            Self::Hours6 => "6h",
            Self::Day => "24h",
        }
    }

    /// For people.
    fn name(self) -> &'static str {
        match self {
            Self::Minutes15 => "15 min",
            Self::Hour => "1 h",
            Self::Hours6 => "6 h",
            Self::Day => "24 h",
        }
    }

    /// Length of one interval: 60 to 72 of them make the range.
    pub(super) fn step_ms(self) -> u64 {
        match self {
            Self::Minutes15 => 15_000,
            Self::Hour => 60_000,
            Self::Hours6 => 300_000,
            Self::Day => 1_200_000,
        }
    }

    /// Start and end. The end is the last full step that has settled: an interval that still fills
    /// up would look like a fall at the end of every line.
    pub(super) fn around(self, now: WallTime) -> (WallTime, WallTime) {
        let step = self.step_ms() as i64;
        let settled = now.0.saturating_sub(SETTLE_MS);
        let end = settled.div_euclid(step).saturating_mul(step);
        let intervals = match self {
            Self::Minutes15 | Self::Hour => 60,
            Self::Hours6 | Self::Day => 72,
        };
        (
            WallTime(end.saturating_sub(intervals * step)),
            WallTime(end),
        )
    }

    /// The choice of ranges, as links on the page at `path`.
    pub(super) fn choice(self, path: &str) -> Markup {
        html! {
            nav.segments aria-label="Time range of the charts" {
                @for range in Self::ALL {
                    @let here = range == self;
                    a href={ (path) "?range=" (range.key()) } aria-current=[here.then_some("true")] {
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
        let (from, to) = Range::Minutes15.around(WallTime(1_000_000));
        assert_eq!((from, to), (WallTime(90_000), WallTime(990_000)));
        assert_eq!(Range::Minutes15.around(WallTime(1_014_999)), (from, to));
        assert_ne!(Range::Minutes15.around(WallTime(1_015_000)), (from, to));
        for range in Range::ALL {
            let (from, to) = range.around(WallTime(i64::MIN));
            assert!(from <= to, "{range:?}");
        }
    }
}
