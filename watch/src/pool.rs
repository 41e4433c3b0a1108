//! What streams of one column have in common: how much of a day's deviation is left the next day, and how large
//! innovations are. One site's history is too short to know; all together are not.

use minicbor::{Decode, Encode};

use crate::column::Column;

/// Days that count at most: older ones fade.
const LAST: f32 = 4_000.0;

/// Innovations of which a pool has to know before anything is judged by it.
const ENOUGH: f32 = 10.0;

/// Autocorrelation at most: a stream that never comes back has no usual.
const STAYS_MAX: f32 = 0.9;

/// What is known of a column over all sites, or over all devices.
#[derive(Debug, Clone, Copy, PartialEq, Default, Encode, Decode)]
pub(crate) struct Pool {
    /// Mean squared deviation.
    #[n(0)]
    square: f32,
    /// Mean product of a deviation and that of the day before.
    #[n(1)]
    product: f32,
    #[n(2)]
    pairs: f32,
    /// Mean squared innovation.
    #[n(3)]
    innovation: f32,
    #[n(4)]
    known: f32,
    /// Mean squared innovation after a quarter, a half and three quarters of a day, over that of whole days.
    #[n(5)]
    early: [f32; 3],
    #[n(6)]
    early_known: [f32; 3],
    /// Mean value of the column over sites and hours.
    #[n(7)]
    mean: f32,
    #[n(8)]
    values: f32,
}

impl Pool {
    /// The share of a deviation that is left after a day.
    pub(crate) fn stays(&self) -> f64 {
        if self.pairs < ENOUGH || self.square <= 0.0 {
            return 0.5;
        }
        f64::from((self.product / self.square).clamp(0.0, STAYS_MAX))
    }

    /// The mean squared innovation; `None` before enough is known.
    pub(crate) fn innovation(&self) -> Option<f64> {
        (self.known >= ENOUGH).then(|| f64::from(self.innovation).max(1e-9))
    }

    /// By how much more a part of a day deviates than a whole one: 0 for a quarter, 1 for a half, 2 for three quarters,
    /// as variance.
    pub(crate) fn early(&self, quarter: usize) -> f64 {
        match self.early.get(quarter) {
            Some(ratio) if self.early_known[quarter] >= ENOUGH && self.innovation > 0.0 => {
                f64::from(ratio / self.innovation).max(1.0)
            }
            Some(_) => 2.0,
            None => 1.0,
        }
    }

    /// The variance of one inference's share in the column: what sampling alone makes of so many.
    pub(crate) fn sampling(&self, column: Column) -> f64 {
        match column {
            // Of ranks, which are even in the reference.
            Column::Location(_) | Column::Spread(_) => 1.0 / 12.0,
            Column::Confidence => 0.03,
            Column::Unusable(_) | Column::Class(_) | Column::Errors => {
                let share = f64::from(self.mean).clamp(0.0, 1.0);
                share * (1.0 - share)
            }
        }
    }

    /// Learns the value of an hour, whatever is usual then.
    pub(crate) fn learn_mean(&mut self, value: f32) {
        if value.is_finite() {
            self.values = (self.values + 1.0).min(24.0 * LAST);
            self.mean += (value - self.mean) / self.values;
        }
    }

    pub(crate) fn learn(&mut self, deviation: f32, before: Option<f32>, innovation: f32) {
        if let Some(before) = before {
            self.pairs = (self.pairs + 1.0).min(LAST);
            self.square += (before * before - self.square) / self.pairs;
            self.product += (deviation * before - self.product) / self.pairs;
        }
        self.known = (self.known + 1.0).min(LAST);
        self.innovation += (innovation * innovation - self.innovation) / self.known;
    }

    pub(crate) fn learn_early(&mut self, quarter: usize, innovation: f32) {
        if let Some(known) = self.early_known.get_mut(quarter) {
            *known = (*known + 1.0).min(LAST);
            let ratio = &mut self.early[quarter];
            *ratio += (innovation * innovation - *ratio) / *known;
        }
    }
}
