//! How many units a compute should have. Pure.
//!
//! Up when more was wanted than is there for a while, down when less was for longer: so that one job more or less does
//! not start and stop machines.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tern_protocol::time::WallTime;

/// Within which bounds a compute grows and shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaling {
    /// So many units are there always.
    pub min: u32,
    /// More than so many never are.
    pub max: u32,
    /// How long more has to be wanted before there is more.
    pub up_after: Duration,
    /// How long less has to be wanted before there is less.
    pub idle_after: Duration,
}

impl Scaling {
    /// Always so many.
    pub fn fixed(units: u32) -> Self {
        Self {
            min: units,
            max: units,
            up_after: Duration::ZERO,
            idle_after: Duration::ZERO,
        }
    }
}

/// Since when another number of units is wanted than is there. Kept from look to look by whoever drives the schedule;
/// one that forgets it waits once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wanted {
    more_since: Option<WallTime>,
    less_since: Option<WallTime>,
}

/// How many units there should be, if not as many as are, and what to remember.
pub(super) fn scale(
    scaling: Scaling,
    before: Wanted,
    units: u32,
    demand: u32,
    now: WallTime,
) -> (Option<u32>, Wanted) {
    let target = demand.clamp(scaling.min, scaling.max.max(scaling.min));
    // Bounds are no wish to wait for: whoever set them meant them.
    let bounded = units.clamp(scaling.min, scaling.max.max(scaling.min));
    if bounded != units {
        return (Some(bounded), Wanted::default());
    }
    let after = Wanted {
        more_since: (target > units).then(|| before.more_since.unwrap_or(now)),
        less_since: (target < units).then(|| before.less_since.unwrap_or(now)),
    };
    let for_long = |since: Option<WallTime>, wait: Duration| {
        since.is_some_and(|since| {
            let passed = now.0.saturating_sub(since.0);
            u128::try_from(passed).is_ok_and(|passed| passed >= wait.as_millis())
        })
    };
    let decided = for_long(after.more_since, scaling.up_after)
        || for_long(after.less_since, scaling.idle_after);
    (decided.then_some(target), after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCALING: Scaling = Scaling {
        min: 1,
        max: 5,
        up_after: Duration::from_secs(30),
        idle_after: Duration::from_mins(5),
    };

    /// Demands at seconds, and the units that follow.
    #[track_caller]
    fn story(steps: &[(i64, u32, u32)]) {
        let (mut units, mut wanted) = (1, Wanted::default());
        for &(second, demand, expected) in steps {
            let (to, after) = scale(SCALING, wanted, units, demand, WallTime(second * 1000));
            units = to.unwrap_or(units);
            wanted = after;
            assert_eq!(units, expected, "at {second} s");
        }
    }

    #[test]
    fn more_comes_soon_and_goes_late() {
        story(&[
            (0, 3, 1),
            (29, 3, 1),
            (30, 3, 3),
            (40, 0, 3),
            (339, 0, 3),
            (340, 0, 1),
        ]);
    }

    #[test]
    fn a_burst_that_is_over_scales_nothing() {
        story(&[(0, 9, 1), (20, 1, 1), (40, 9, 1), (69, 9, 1), (70, 9, 5)]);
    }

    #[test]
    fn one_job_now_and_then_keeps_what_is_there() {
        story(&[
            (0, 2, 1),
            (30, 2, 2),
            (100, 0, 2),
            (390, 2, 2),
            (400, 0, 2),
            (690, 0, 2),
            (700, 0, 1),
        ]);
    }

    #[test]
    fn bounds_hold_at_once() {
        let to = |units| scale(SCALING, Wanted::default(), units, 3, WallTime(0)).0;
        assert_eq!((to(0), to(9), to(3)), (Some(1), Some(5), None));
    }

    proptest! {
        /// Whatever is wanted when, even by a clock that jumps: units stay within their bounds, and a number is told
        /// only if it is another.
        #[test]
        fn units_stay_within_bounds(steps in prop::collection::vec((any::<i32>(), 0_u32..20), 1..50)) {
            let (mut units, mut wanted) = (0, Wanted::default());
            for (at, demand) in steps {
                let (to, after) = scale(SCALING, wanted, units, demand, WallTime(i64::from(at)));
                if let Some(to) = to {
                    prop_assert_ne!(to, units);
                    units = to;
                }
                wanted = after;
                prop_assert!((1..=5).contains(&units));
            }
        }
    }
}
