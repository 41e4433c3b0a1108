//! What may be said of a mean while values keep coming, and looking at any moment costs nothing.
//!
//! Values lie between 0 and 1, and given all that came before, each has the same mean. A gambler who bets that
//! this mean is larger than `m`, at odds that are fair if it is not, turns 1 into what [`above`] says. If the mean
//! is not larger, the chance that this *ever* reaches 1/α is at most α (J. Ville, "Étude critique de la notion de
//! collectif", 1939). So one may look after every value, and stop whenever one likes.
//!
//! Source of the bets: I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting",
//! JRSS B 86(1), 2024. Theirs learn how much to stake from the values so far, so that the order of values matters.
//! Ours are a mixture of fixed stakes (T. M. Cover, "Universal portfolios", Mathematical Finance 1(1), 1991): what it
//! wins depends on how often each value came and on nothing else, so that devices, hubs and replays agree.
//!
//! Must never break: the same counts give the same bits, whatever the order in which they came.

use crate::{interval::Estimate, levels::Levels};

/// Stakes: 2⁻¹ … 2⁻¹⁴ of what may be staked, and nearly all of it. Half a step beside the best stake loses an
/// eighth of its growth; what it costs to have so many stands at [`stakes`].
const STAKES: i32 = 14;

/// Nearly all of it: whoever stakes all is ruined by one value.
const BOLDEST: f64 = 0.95;

/// Steps of bisection: to within a millionth.
const BISECTIONS: u32 = 20;

/// Each stake with its part of the money, the boldest first.
///
/// The k-th has a part in proportion to 1/k. With equal parts each bet would begin by losing a factor of 15; so the
/// bold ones, which are what a few devices can win by, begin with a third, and the timid ones, which win by thousands
/// of devices, pay for it by a factor of 50 at most, which those have soon. Any fixed parts keep the promise: a
/// weighted average of fair bets is fair.
fn stakes() -> impl Iterator<Item = (f64, f64)> {
    let stakes = std::iter::once(BOLDEST).chain((1..=STAKES).map(|k| 0.5_f64.powi(k)));
    let whole: f64 = (1..=STAKES + 1).map(|k| 1.0 / f64::from(k)).sum();
    let parts = (1..=STAKES + 1).map(move |k| 1.0 / (f64::from(k) * whole));
    stakes.zip(parts)
}

/// Natural logarithm of the evidence that the mean is larger than `m`: an e-process for "it is `m` or less".
/// Convex and falling in `m`. Infinite if that cannot be, since `m` is negative, or 0 and something else was seen.
pub fn above(levels: &Levels, m: f64) -> f64 {
    if m < 0.0 {
        return f64::INFINITY;
    }
    if m == 0.0 {
        let seen = levels.counts().any(|(level, _)| level > 0);
        return if seen { f64::INFINITY } else { 0.0 };
    }
    Bets::new(levels).above(m).value
}

/// A convex function at a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) value: f64,
    pub(crate) slope: f64,
}

/// Values with their counts, laid out for being bet on at many means.
pub(crate) struct Bets {
    values: Vec<(f64, f64)>,
    stakes: Vec<(f64, f64)>,
}

impl Bets {
    pub(crate) fn new(levels: &Levels) -> Self {
        Self {
            values: levels.values().collect(),
            stakes: stakes().collect(),
        }
    }

    /// [`above`] with its slope in `m`, as it is where `m` comes near 0 from above.
    pub(crate) fn above(&self, m: f64) -> At {
        if m <= 0.0 && self.values.iter().any(|(value, _)| *value > 0.0) {
            return At {
                value: f64::INFINITY,
                slope: f64::NEG_INFINITY,
            };
        }
        let odds = if m > 0.0 { m.recip() } else { 0.0 };
        let mut each = [At {
            value: 0.0,
            slope: 0.0,
        }; STAKES as usize + 1];
        for ((stake, part), at) in self.stakes.iter().zip(&mut each) {
            let (kept, won) = (1.0 - stake, stake * odds);
            let (mut value, mut slope) = (part.ln(), 0.0);
            for (seen, count) in &self.values {
                let factor = kept + won * seen;
                value += count * factor.ln();
                slope -= count * won * seen / factor;
            }
            (at.value, at.slope) = (value, slope * odds);
        }
        let largest = each.iter().fold(f64::NEG_INFINITY, |a, at| a.max(at.value));
        let (mut sum, mut slope) = (0.0, 0.0);
        for at in &each {
            let part = (at.value - largest).exp();
            sum += part;
            slope += part * at.slope;
        }
        At {
            value: largest + sum.ln(),
            slope: slope / sum,
        }
    }
}

/// Natural logarithm of the evidence that the mean is smaller than `m`: an e-process for "it is `m` or more".
/// Convex and rising in `m`.
pub fn below(levels: &Levels, m: f64) -> f64 {
    above(&levels.mirrored(), 1.0 - m)
}

/// `ln` of the mean of `exp`, without overflow.
pub(crate) fn mean_of_exponentials(logs: impl Iterator<Item = f64>) -> f64 {
    let logs: Vec<f64> = logs.collect();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
    largest + (sum / logs.len() as f64).ln()
}

/// The last place, from `low` up to `high`, at which something holds that holds up to there and no further.
pub(crate) fn last(mut low: f64, mut high: f64, steps: u32, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..steps {
        let middle = 0.5 * (low + high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The mean with an interval that contains the true one at all times at once, but for a chance of `alpha`; none
/// without values. It is a confidence sequence: it may be looked at as often as one likes.
pub fn confidence_sequence(levels: &Levels, alpha: f64) -> Option<Estimate> {
    let mean = levels.mean()?;
    let mirrored = levels.mirrored();
    // Half of the chance for each side.
    let wanted = (2.0 / alpha).ln();
    let end =
        |levels: &Levels, mean: f64| last(0.0, mean, BISECTIONS, |m| above(levels, m) >= wanted);
    Some(Estimate {
        mean,
        low: end(levels, mean),
        high: 1.0 - end(&mirrored, 1.0 - mean),
        n: levels.n(),
    })
}

#[cfg(test)]
mod tests;
