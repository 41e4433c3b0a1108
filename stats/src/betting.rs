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
/// eighth of its growth; to have so many costs a factor of 15 once.
const STAKES: i32 = 14;

/// Nearly all of it: whoever stakes all is ruined by one value.
const BOLDEST: f64 = 0.95;

/// Steps of bisection: to within a millionth.
const BISECTIONS: u32 = 20;

fn stakes() -> impl Iterator<Item = f64> {
    std::iter::once(BOLDEST).chain((1..=STAKES).map(|k| 0.5_f64.powi(k)))
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
    let logs = stakes().map(|stake| {
        let won = levels
            .values()
            .map(|(value, count)| count * (stake * (value / m - 1.0)).ln_1p());
        won.sum::<f64>()
    });
    mean_of_exponentials(logs)
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
