//! Shares with intervals that are honest about how little they stand on.
//!
//! Called by the hub for accuracies. Must never break: a share always lies inside its interval,
//! the interval inside 0 to 1, and few or unevenly weighted samples widen it, never narrow it.

/// Standard normal quantile of a two-sided 95 % interval.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// Smallest capture probability that is believed. Below it a single sample would stand for more
/// than ten thousand others and one broken device could set the accuracy of a fleet.
pub const PROBABILITY_FLOOR: f64 = 1e-4;

/// A share with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The share, 0 to 1.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Samples it stands on.
    pub n: u64,
}

/// A share of `right` among `n`, all of equal weight, with the interval of `z` standard normal
/// deviations; `None` without samples. `right` above `n` counts as `n`.
///
/// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
/// JASA 22(158), 1927. Unlike the textbook interval it stays honest at 0 and 1.
pub fn wilson(right: u64, n: u64, z: f64) -> Option<Estimate> {
    let mean = right.min(n) as f64 / n as f64;
    (n > 0).then(|| wilson_of(mean, n as f64, z).with(n))
}

/// The share of right ones in the whole, from samples of unequal probability, with a 95 %
/// interval; `None` without samples. See [`Weighted`].
pub fn hajek(samples: impl IntoIterator<Item = (bool, f64)>) -> Option<Estimate> {
    let mut sums = Weighted::default();
    for (right, probability) in samples {
        sums.add(right, probability);
    }
    sums.estimate(Z_95)
}

/// Sums of samples that were drawn with known, unequal probabilities. Sums merge by adding, so a
/// database may make them.
///
/// A sample drawn with probability p stands for 1/p of the whole (D. G. Horvitz and D. J.
/// Thompson, JASA 47(260), 1952). The share is the weighted mean, which is Hájek's estimate
/// (comment on Basu, 1971): it needs no size of the whole and stays within 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weighted {
    /// Samples.
    pub n: u64,
    /// Sum of the weights 1/p.
    pub weights: f64,
    /// Sum of the weights of the right ones.
    pub weights_right: f64,
    /// Sum of the squared weights.
    pub squares: f64,
    /// Sum of the squared weights of the right ones.
    pub squares_right: f64,
}

impl Weighted {
    /// Adds a sample that was drawn with `probability`. One over 1 counts as 1, one under
    /// [`PROBABILITY_FLOOR`] as that; a sample whose probability is not a positive number says
    /// nothing and is not counted.
    pub fn add(&mut self, right: bool, probability: f64) {
        if probability.is_nan() || probability <= 0.0 {
            return;
        }
        let weight = probability.clamp(PROBABILITY_FLOOR, 1.0).recip();
        self.n += 1;
        self.weights += weight;
        self.squares += weight * weight;
        if right {
            self.weights_right += weight;
            self.squares_right += weight * weight;
        }
    }

    /// Adds all samples of other sums.
    pub fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.weights += other.weights;
        self.weights_right += other.weights_right;
        self.squares += other.squares;
        self.squares_right += other.squares_right;
    }

    /// The share of right ones with the interval of `z` standard normal deviations; `None`
    /// without samples.
    ///
    /// The interval is Wilson's for the effective number of samples, which is the smaller of two:
    /// Kish's (Σw)²/Σw², and the number of equal samples whose share would vary as much as this
    /// one does (by linearisation). The second alone is too bold when the few heavy samples
    /// happen to agree: five right ones of weight 100 then hide the errors they might have been.
    pub fn estimate(&self, z: f64) -> Option<Estimate> {
        if self.n == 0 || !self.weights.is_finite() || self.weights <= 0.0 {
            return None;
        }
        let mean = (self.weights_right / self.weights).clamp(0.0, 1.0);
        let kish = self.weights * self.weights / self.squares;
        let squares_wrong = (self.squares - self.squares_right).max(0.0);
        let spread = self.squares_right * (1.0 - mean).powi(2) + squares_wrong * mean.powi(2);
        let variance = spread / (self.weights * self.weights);
        let linear = if variance > 0.0 {
            mean * (1.0 - mean) / variance
        } else {
            f64::INFINITY
        };
        Some(wilson_of(mean, kish.min(linear), z).with(self.n))
    }
}

/// Sums over clusters, as over devices: hits among all that each did. A database may make them.
///
/// What one device does is alike, so a thousand requests of one device say less than one request of each of a
/// thousand. The variance of the share is that between clusters (W. G. Cochran, *Sampling Techniques*, 3rd ed., 1977,
/// 9.6), the interval Wilson's with as many samples as give that variance, and with few clusters as wide as Student's
/// distribution is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Clusters {
    /// Clusters that did anything.
    pub clusters: u64,
    /// Sum of hits.
    pub hits: u64,
    /// Sum of all.
    pub all: u64,
    /// Sum of the squared hits of each.
    pub hits_squared: f64,
    /// Sum of hits times all of each.
    pub hits_by_all: f64,
    /// Sum of the squares of all of each.
    pub all_squared: f64,
}

impl Clusters {
    /// The share of hits with its 95 % interval; `None` if there is nothing. With a single cluster it is the interval of
    /// that cluster.
    pub fn share(&self) -> Option<Estimate> {
        let all = self.all as f64;
        if self.all == 0 {
            return None;
        }
        let mean = self.hits.min(self.all) as f64 / all;
        if self.clusters < 2 {
            return wilson(self.hits, self.all, Z_95);
        }
        let clusters = self.clusters as f64;
        let between =
            self.hits_squared - 2.0 * mean * self.hits_by_all + mean * mean * self.all_squared;
        let variance = between.max(0.0) * clusters / (clusters - 1.0) / (all * all);
        let samples = if variance > 0.0 {
            (mean * (1.0 - mean) / variance).min(all)
        } else {
            all
        };
        // With no sample's worth the interval is all there is.
        let samples = samples.max(f64::MIN_POSITIVE);
        Some(wilson_of(mean, samples, student_95(clusters - 1.0)).with(self.all))
    }
}

/// Quantile of a two-sided 95 % interval of Student's distribution, by its expansion around the normal one
/// (Abramowitz and Stegun, 26.7.5); at one degree of freedom, where that falls short, the value itself.
fn student_95(degrees: f64) -> f64 {
    if degrees < 2.0 {
        return 12.706;
    }
    let z = Z_95;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / degrees + second / degrees.powi(2) + third / degrees.powi(3)
}

/// An interval whose number of samples is not yet known.
struct Interval {
    mean: f64,
    low: f64,
    high: f64,
}

impl Interval {
    fn with(self, n: u64) -> Estimate {
        let Self { mean, low, high } = self;
        Estimate { mean, low, high, n }
    }
}

fn wilson_of(mean: f64, n: f64, z: f64) -> Interval {
    let z2 = z * z / n;
    let centre = (mean + z2 / 2.0) / (1.0 + z2);
    let half = z * (mean * (1.0 - mean) / n + z2 / (4.0 * n)).sqrt() / (1.0 + z2);
    // Rounding may put an end past the share itself when that is 0 or 1.
    Interval {
        mean,
        low: (centre - half).clamp(0.0, mean),
        high: (centre + half).clamp(mean, 1.0),
    }
}

#[cfg(test)]
mod tests;
