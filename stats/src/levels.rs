//! Counts of values between 0 and 1 on a fixed grid: all that a test of means has to know of them.
//!
//! For the hub, which is to count devices by their share of errors, of slow answers, of right ones.
//! Must never break: merging adds integers, so that no order of windows, devices or hubs changes what is
//! decided, to the last bit.

use std::collections::BTreeMap;

/// Levels above zero. A value is rounded to the nearest: by at most half a thousandth, far below what any gate
/// asks for.
pub const STEPS: u16 = 1_000;

/// How often each level was seen. At most [`STEPS`] + 1 numbers, and only those that are not zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Levels(BTreeMap<u16, u64>);

impl Levels {
    /// Counts a value between 0 and 1; what lies outside counts as the nearer end, what is no number not at all.
    pub fn add(&mut self, value: f64) {
        if !value.is_nan() {
            let level = (value.clamp(0.0, 1.0) * f64::from(STEPS)).round();
            self.add_many(level as u16, 1);
        }
    }

    /// Counts `part` of `whole` as one value; nothing if `whole` is 0.
    pub fn add_share(&mut self, part: u64, whole: u64) {
        if whole > 0 {
            self.add(part.min(whole) as f64 / whole as f64);
        }
    }

    /// Counts a level `count` times; levels above [`STEPS`] count as that.
    pub fn add_many(&mut self, level: u16, count: u64) {
        if count > 0 {
            let known = self.0.entry(level.min(STEPS)).or_default();
            *known = known.saturating_add(count);
        }
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (level, count) in &other.0 {
            self.add_many(*level, *count);
        }
    }

    /// Values counted.
    pub fn n(&self) -> u64 {
        self.0.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Their mean; none without values.
    pub fn mean(&self) -> Option<f64> {
        let n = self.n();
        let sum: f64 = self.values().map(|(value, count)| value * count).sum();
        (n > 0).then(|| sum / n as f64)
    }

    /// The levels that were seen with their counts, from the lowest.
    pub fn counts(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.0.iter().map(|(level, count)| (*level, *count))
    }

    /// The values with their counts, from the lowest.
    pub(crate) fn values(&self) -> impl Iterator<Item = (f64, f64)> + Clone + '_ {
        let value = |level: &u16| f64::from(*level) / f64::from(STEPS);
        self.0
            .iter()
            .map(move |(level, n)| (value(level), *n as f64))
    }

    /// One minus each value.
    pub(crate) fn mirrored(&self) -> Self {
        Self(
            self.0
                .iter()
                .map(|(level, n)| (STEPS - level, *n))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Levels {
        let mut levels = Levels::default();
        for value in values {
            levels.add(*value);
        }
        levels
    }

    #[test]
    fn a_value_is_counted_once_at_its_nearest_level() {
        let levels = of(&[0.0, 0.0004, 0.0006, 1.0, 7.0, -1.0, f64::NAN]);
        let counts: Vec<_> = levels.counts().collect();
        assert_eq!(counts, [(0, 3), (1, 1), (1000, 2)]);
        assert_eq!(levels.n(), 6);
        let mut shares = Levels::default();
        shares.add_share(1, 4);
        shares.add_share(0, 0);
        shares.add_share(9, 4);
        assert_eq!(shares, of(&[0.25, 1.0]));
        assert_eq!(shares.mean(), Some(0.625));
        assert_eq!(Levels::default().mean(), None);
        assert_eq!(shares.mirrored(), of(&[0.75, 0.0]));
    }

    proptest! {
        #[test]
        fn the_order_of_merging_never_matters(values in prop::collection::vec(0.0..=1.0, 0..60), cut in 0usize..60) {
            let cut = cut.min(values.len());
            let (mut left, mut right) = (of(&values[..cut]), of(&values[cut..]));
            let (before, after) = (left.clone(), right.clone());
            left.merge(&after);
            right.merge(&before);
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(&left, &of(&values));
            prop_assert_eq!(left.n(), values.len() as u64);
        }
    }
}
