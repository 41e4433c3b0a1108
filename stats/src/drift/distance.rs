//! How far counts are from reference counts on the same bins, with what sampling alone makes of it taken off.
//!
//! Four distances, since each sees what others do not: PSI is what operators know, Jensen–Shannon is bounded and bears
//! empty bins, Kolmogorov–Smirnov knows the order of bins, Cramér's V is for classes. All are 0 where nothing moved.

use crate::interval::Z_95;

/// Why two histograms have no distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CountsError {
    /// Their bins are not the same.
    #[error("{reference} reference bins beside {current} bins")]
    Lengths {
        /// Bins of the reference.
        reference: usize,
        /// Bins of what is compared with it.
        current: usize,
    },
    /// One of them counts nothing: of no values nothing can be said.
    #[error("no values to compare")]
    Empty,
    /// One bin cannot move.
    #[error("one bin or none: nothing could have moved")]
    Bins,
}

/// A way to measure how far counts have moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Distance {
    /// Population stability index, Σ (q−p) ln(q/p), in nats; 0 and up. Every bin of both sides gets half a count more,
    /// so that an empty bin is rare and not impossible. Source: S. Kullback and R. Leibler, Annals of Mathematical
    /// Statistics 22(1), 1951, whose J-divergence it is; H. Jeffreys, 1946, for the half count.
    Psi,
    /// Jensen–Shannon distance: the root of the divergence in bits; 0 to 1. Source: J. Lin, "Divergence measures based
    /// on the Shannon entropy", IEEE Transactions on Information Theory 37(1), 1991; D. Endres and J. Schindelin, same
    /// journal 49(7), 2003, for the root being a metric.
    JensenShannon,
    /// Kolmogorov–Smirnov: the largest difference of cumulative shares at a bin's edge; 0 to 1. Never more than it is
    /// of the values themselves. Source: N. Smirnov, 1948.
    KolmogorovSmirnov,
    /// Cramér's V of the two rows of counts: the root of χ²/n over what it could be at most; 0 to 1. Bins empty on both
    /// sides do not count. Source: H. Cramér, "Mathematical methods of statistics", 1946.
    CramersV,
}

/// A distance with a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The distance as measured, in the unit of its [`Distance`].
    pub value: f64,
    /// Lower end of the interval of the true distance: what chance alone would add is taken off. Never below 0.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Values it stands on: the current ones.
    pub n: u64,
}

/// Two rows of counts, as shares.
struct Pair {
    p: Vec<f64>,
    q: Vec<f64>,
    n: f64,
    m: f64,
}

impl Pair {
    /// Shares with `more` added to each bin.
    fn new(reference: &[u64], current: &[u64], more: f64) -> Result<Self, CountsError> {
        if reference.len() != current.len() {
            return Err(CountsError::Lengths {
                reference: reference.len(),
                current: current.len(),
            });
        }
        if reference.len() < 2 {
            return Err(CountsError::Bins);
        }
        let (n, m) = (total(reference) as f64, total(current) as f64);
        if n <= 0.0 || m <= 0.0 {
            return Err(CountsError::Empty);
        }
        let shares = |counts: &[u64], whole: f64| {
            let whole = whole + more * counts.len() as f64;
            let share = |count: &u64| (*count as f64 + more) / whole;
            counts.iter().map(share).collect()
        };
        Ok(Self {
            p: shares(reference, n),
            q: shares(current, m),
            n,
            m,
        })
    }

    fn each(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.p.iter().copied().zip(self.q.iter().copied())
    }
}

/// All counts of a histogram.
pub fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
}

/// The distance as it is measured. A sample of the very same distribution has a distance above 0; what it is usually,
/// [`measure`] takes off.
pub fn distance(kind: Distance, reference: &[u64], current: &[u64]) -> Result<f64, CountsError> {
    let more = if kind == Distance::Psi { 0.5 } else { 0.0 };
    let pair = Pair::new(reference, current, more)?;
    Ok(match kind {
        Distance::Psi => pair.each().map(|(p, q)| (q - p) * (q / p).ln()).sum(),
        Distance::JensenShannon => divergence(&pair).sqrt(),
        Distance::KolmogorovSmirnov => {
            let (mut gap, mut largest) = (0.0_f64, 0.0_f64);
            for (p, q) in pair.each() {
                gap += q - p;
                largest = largest.max(gap.abs());
            }
            largest.min(1.0)
        }
        Distance::CramersV => (chi_square(reference, current)?.statistic / (pair.n + pair.m))
            .sqrt()
            .min(1.0),
    })
}

/// The distance with its interval.
///
/// `design` is by how much less the current values say than as many independent ones (the design effect of L. Kish,
/// "Survey sampling", 1965): 1 if they are independent, and as many as a device's values where those of one device are
/// all the same. What is not a number above 1 counts as 1. Where devices are known, [`super::jackknife`] is better.
///
/// The interval is by linearisation about the shares as measured; what k bins of equal shares would show by chance,
/// (k−1)(1/n+1/m) for PSI and an eighth of that in nats for Jensen–Shannon, is taken off the lower end (B. Yurdakul,
/// "Statistical properties of population stability index", Western Michigan University, 2018). That of
/// Kolmogorov–Smirnov is the band of A. Dvoretzky, J. Kiefer and J. Wolfowitz with P. Massart's constant (Annals of
/// Probability 18(3), 1990), for both rows.
pub fn measure(
    kind: Distance,
    reference: &[u64],
    current: &[u64],
    design: f64,
) -> Result<Effect, CountsError> {
    let value = distance(kind, reference, current)?;
    let design = if design >= 1.0 && design.is_finite() {
        design
    } else {
        1.0
    };
    let pair = Pair::new(reference, current, 0.5)?;
    let (n, m) = (pair.n, pair.m / design);
    let chance = (pair.p.len() - 1) as f64 * (1.0 / n + 1.0 / m);
    let (low, high) = match kind {
        Distance::Psi => {
            let by_q = |p: f64, q: f64| (q / p).ln() + 1.0 - p / q;
            let by_p = |p: f64, q: f64| 1.0 - q / p - (q / p).ln();
            let half = Z_95 * (spread(&pair, by_p, by_q, n, m) + 2.0 * chance * chance).sqrt();
            (value - chance - half, value + half)
        }
        Distance::JensenShannon => {
            let by_q = |p: f64, q: f64| 0.5 * (2.0 * q / (p + q)).log2();
            let by_p = |p: f64, q: f64| 0.5 * (2.0 * p / (p + q)).log2();
            let chance = chance / 8.0 / std::f64::consts::LN_2;
            let half = Z_95 * (spread(&pair, by_p, by_q, n, m) + 2.0 * chance * chance).sqrt();
            let square = value * value;
            let low = (square - chance - half).max(0.0).sqrt();
            (low, (square + half).sqrt().min(1.0))
        }
        Distance::KolmogorovSmirnov => {
            // Half of the chance for each row.
            let band = |n: f64| ((4.0_f64 / 0.05).ln() / (2.0 * n)).sqrt();
            let half = band(n) + band(m);
            (value - half, (value + half).min(1.0))
        }
        Distance::CramersV => {
            // N·V² is a noncentral χ²; with fewer values than were counted, N is smaller.
            let used = used_bins(reference, current).saturating_sub(1) as f64;
            let fewer = (1.0 / n + 1.0 / pair.m) / (1.0 / n + 1.0 / m);
            let (whole, square) = ((n + pair.m) * fewer, value * value);
            let half = Z_95 * (2.0 * used + 4.0 * whole * square).sqrt() / whole;
            let low = (square - used / whole - half).max(0.0).sqrt();
            (low, (square + half).sqrt().min(1.0))
        }
    };
    Ok(Effect {
        value,
        low: low.clamp(0.0, value),
        high: high.max(value),
        n: total(current),
    })
}

/// Jensen–Shannon divergence in bits.
fn divergence(pair: &Pair) -> f64 {
    let part = |own: f64, middle: f64| {
        if own > 0.0 {
            own * (own / middle).log2()
        } else {
            0.0
        }
    };
    let parts = pair
        .each()
        .map(|(p, q)| part(p, 0.5 * (p + q)) + part(q, 0.5 * (p + q)));
    (0.5 * parts.sum::<f64>()).clamp(0.0, 1.0)
}

/// Variance of a function of two multinomial rows by linearisation (the delta method).
fn spread(
    pair: &Pair,
    by_p: impl Fn(f64, f64) -> f64,
    by_q: impl Fn(f64, f64) -> f64,
    n: f64,
    m: f64,
) -> f64 {
    let (mut mean_p, mut mean_q, mut square_p, mut square_q) = (0.0, 0.0, 0.0, 0.0);
    for (p, q) in pair.each() {
        let (slope_p, slope_q) = (by_p(p, q), by_q(p, q));
        mean_p += p * slope_p;
        mean_q += q * slope_q;
        square_p += p * slope_p * slope_p;
        square_q += q * slope_q * slope_q;
    }
    (square_p - mean_p * mean_p).max(0.0) / n + (square_q - mean_q * mean_q).max(0.0) / m
}

/// Pearson's test that two rows of counts come from the same distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// χ².
    pub statistic: f64,
    /// Degrees of freedom.
    pub freedom: u32,
    /// The chance of as much or more, were they the same and each value independent. Of inferences of one device it is
    /// far too small: they are not.
    pub p: f64,
}

/// Pearson's χ² of two rows, without a correction for continuity. Bins empty on both sides do not count. Source: K.
/// Pearson, Philosophical Magazine 50(302), 1900.
pub fn chi_square(reference: &[u64], current: &[u64]) -> Result<ChiSquare, CountsError> {
    let Pair { n, m, .. } = Pair::new(reference, current, 0.0)?;
    let mut statistic = 0.0;
    for (a, b) in reference.iter().zip(current) {
        let (a, b) = (*a as f64, *b as f64);
        if a + b > 0.0 {
            let (expected_a, expected_b) = ((a + b) * n / (n + m), (a + b) * m / (n + m));
            statistic += (a - expected_a).powi(2) / expected_a;
            statistic += (b - expected_b).powi(2) / expected_b;
        }
    }
    let freedom = used_bins(reference, current).saturating_sub(1) as u32;
    Ok(ChiSquare {
        statistic,
        freedom,
        p: super::tail::chi_square(statistic, freedom),
    })
}

fn used_bins(reference: &[u64], current: &[u64]) -> usize {
    let both = reference.iter().zip(current);
    both.filter(|(a, b)| **a > 0 || **b > 0).count()
}

#[cfg(test)]
mod tests;
