//! The time axis of a chart: equal intervals. Pure.

use std::ops::Range;

use super::{ChartError, ChartQuery, POINTS};

/// Intervals of `step` from `from` on, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) from: i64,
    pub(super) step: i64,
    pub(super) points: usize,
}

impl Axis {
    pub(super) fn new(query: &ChartQuery) -> Result<Self, ChartError> {
        let (from, to) = (query.from.0, query.to.0);
        let length = to.checked_sub(from).filter(|length| *length > 0);
        let length = length.ok_or(ChartError::Empty { from, to })?;
        if query.step_ms == 0 {
            return Err(ChartError::NoStep);
        }
        let points = length.unsigned_abs().div_ceil(query.step_ms);
        if points > POINTS {
            return Err(ChartError::TooFine { points });
        }
        // A step longer than the chart makes one interval: bounding it keeps the end in range.
        let step = i64::try_from(query.step_ms).unwrap_or(i64::MAX);
        Ok(Self {
            from,
            step,
            points: points as usize,
        })
    }

    /// The same with intervals that begin and end on multiples of `unit`: none shorter, and none left out.
    pub(super) fn snapped(&self, unit: i64) -> Self {
        let step = self.step.saturating_add(unit - 1) / unit * unit;
        let from = self.from.div_euclid(unit) * unit;
        let length = self.to().saturating_sub(from).max(1).unsigned_abs();
        let points = length.div_ceil(step.max(1).unsigned_abs());
        Self {
            from,
            step,
            points: usize::try_from(points).unwrap_or(1).max(1),
        }
    }

    /// End of the last interval.
    pub(super) fn to(&self) -> i64 {
        self.from
            .saturating_add(self.step.saturating_mul(self.points as i64))
    }

    /// The interval that a moment falls in.
    pub(super) fn place(&self, at: i64) -> Option<usize> {
        let place = at.checked_sub(self.from)?.div_euclid(self.step);
        usize::try_from(place)
            .ok()
            .filter(|place| *place < self.points)
    }

    /// The intervals that a stretch of time touches.
    pub(super) fn touched(&self, opened: i64, closed: i64) -> Range<usize> {
        // A window closed at the very start of an interval says nothing about it.
        let last = closed.saturating_sub(1).max(opened);
        if last < self.from || opened >= self.to() {
            return 0..0;
        }
        let first = self.place(opened.max(self.from)).unwrap_or(0);
        let last = self
            .place(last.min(self.to() - 1))
            .unwrap_or(self.points - 1);
        first..last + 1
    }

    /// Shares of a stretch of time by interval; what lies outside of the axis is left out, so the
    /// shares of a stretch inside of it make 1.
    pub(super) fn shares(&self, opened: i64, closed: i64) -> impl Iterator<Item = (usize, f64)> {
        let length = closed.saturating_sub(opened).max(1) as f64;
        let axis = *self;
        self.touched(opened, closed).map(move |place| {
            let start = axis.from + axis.step.saturating_mul(place as i64);
            let end = start.saturating_add(axis.step);
            let overlap = closed.max(opened + 1).min(end) - opened.max(start);
            (place, overlap.max(0) as f64 / length)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tern_protocol::{rest::Metric, time::WallTime};

    use super::*;

    fn query(from: i64, to: i64, step_ms: u64) -> ChartQuery {
        ChartQuery {
            from: WallTime(from),
            to: WallTime(to),
            step_ms,
            ..ChartQuery::recent(Metric::Traffic, WallTime(0))
        }
    }

    #[test]
    fn charts_are_bounded() {
        assert_eq!(Axis::new(&query(0, 900, 15)).expect("an axis").points, 60);
        assert_eq!(Axis::new(&query(0, 901, 15)).expect("an axis").points, 61);
        assert!(matches!(
            Axis::new(&query(5, 5, 1)),
            Err(ChartError::Empty { .. })
        ));
        assert!(matches!(
            Axis::new(&query(i64::MIN, 5, 1)),
            Err(ChartError::Empty { .. })
        ));
        assert!(matches!(
            Axis::new(&query(0, 5, 0)),
            Err(ChartError::NoStep)
        ));
        assert!(matches!(
            Axis::new(&query(0, 1001, 1)),
            Err(ChartError::TooFine { .. })
        ));
        assert_eq!(
            Axis::new(&query(0, 5, u64::MAX)).expect("an axis").points,
            1
        );
    }

    #[test]
    fn stretches_touch_what_they_overlap() {
        let axis = Axis::new(&query(100, 140, 10)).expect("an axis");
        assert_eq!(axis.touched(95, 111), 0..2);
        assert_eq!(axis.touched(100, 110), 0..1);
        assert_eq!(axis.touched(110, 110), 1..2);
        assert_eq!(axis.touched(0, 1_000), 0..4);
        assert_eq!(axis.touched(0, 100), 0..0);
        assert_eq!(axis.touched(140, 150), 0..0);
    }

    proptest! {
        #[test]
        fn a_snapped_axis_holds_the_old_one_and_has_no_more_points(
            from in -500i64..500, length in 1i64..900, step in 1u64..90, unit in 1i64..50,
        ) {
            prop_assume!(length.unsigned_abs().div_ceil(step) <= POINTS);
            let axis = Axis::new(&query(from, from + length, step)).expect("an axis");
            let snapped = axis.snapped(unit);
            prop_assert!(snapped.from <= axis.from && snapped.to() >= axis.to());
            prop_assert!(snapped.from % unit == 0 && snapped.step % unit == 0);
            prop_assert!(snapped.step >= axis.step && snapped.points <= axis.points + 1);
        }

        #[test]
        fn shares_of_a_stretch_inside_make_one(opened in 100i64..140, length in 0i64..40) {
            let axis = Axis::new(&query(100, 140, 7)).expect("an axis");
            let closed = (opened + length).min(142);
            let sum: f64 = axis.shares(opened, closed).map(|(_, share)| share).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }

        #[test]
        fn no_stretch_leaves_the_axis(from in 0i64..1 << 50, opened: i64, closed: i64, step: u64) {
            if let Ok(axis) = Axis::new(&query(from, from + 1_000, step.max(1))) {
                let (opened, closed) = (opened.clamp(0, 1 << 52), closed.clamp(0, 1 << 52));
                for (place, share) in axis.shares(opened.min(closed), closed) {
                    prop_assert!(place < axis.points && (0.0..=1.0).contains(&share));
                }
            }
        }
    }
}
