//! When something changes, though nobody knows when it will.
//!
//! A bettor begins anew at every step, and what all of them have together is looked at. If nothing changes, they have
//! at most as much as they brought in the mean, which is one each; so the mean time until it is `c` is `c` steps or
//! more. That is the promise: a mean time between false alarms, in steps. It holds for any dependence inside a step
//! and over streams.
//!
//! Source: J. Shin, A. Ramdas and A. Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
//! New England Journal of Statistics in Data Science 2(2), 2024. The sum is after W. Shewhart's successors A. Shiryaev,
//! 1963, and S. Roberts, 1966; the maximum after E. Page, Biometrika 41, 1954.

/// The sum of what all bettors have: an e-detector of Shiryaev and Roberts, as logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShiryaevRoberts(f32);

impl Default for ShiryaevRoberts {
    fn default() -> Self {
        Self(f32::NEG_INFINITY)
    }
}

impl ShiryaevRoberts {
    /// One step: the natural logarithm of an e-value for "nothing changed", given all before. No number says nothing.
    pub fn step(&mut self, ln: f64) {
        *self = self.after(ln);
    }

    /// What it would be after a step.
    #[must_use]
    pub fn after(self, ln: f64) -> Self {
        let ln = if ln.is_nan() { 0.0 } else { ln };
        let before = f64::from(self.0);
        // ln(1 + exp(x)), without overflow.
        let begun = if before > 0.0 {
            before + (-before).exp().ln_1p()
        } else {
            before.exp().ln_1p()
        };
        Self((begun + ln) as f32)
    }

    /// Natural logarithm of what all bettors have.
    pub fn ln(self) -> f64 {
        f64::from(self.0)
    }

    /// As it was stored.
    pub fn from_ln(ln: f32) -> Self {
        if ln.is_nan() {
            Self::default()
        } else {
            Self(ln)
        }
    }
}

/// What the best bettor has: an e-CUSUM, as logarithm. It never has more than [`ShiryaevRoberts`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cusum(f32);

impl Cusum {
    /// As [`ShiryaevRoberts::step`].
    pub fn step(&mut self, ln: f64) {
        let ln = if ln.is_nan() { 0.0 } else { ln };
        self.0 = (f64::from(self.0).max(0.0) + ln) as f32;
    }

    /// Natural logarithm of what the best has.
    pub fn ln(self) -> f64 {
        f64::from(self.0)
    }
}

/// What an e-detector of one of many streams has to reach, as natural logarithm, so that the mean time between false
/// alarms of all of them together is `steps` or more: their weighted mean is an e-detector whatever they have to do
/// with each other, and a stream with the part `part` of the weight that has `steps / part` carries it over alone.
pub fn threshold(steps: f64, part: f64) -> f64 {
    (steps.max(1.0) / part.clamp(f64::MIN_POSITIVE, 1.0)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Chance, drift::bets::ln_student};

    /// Steps until it is over, where nothing changes.
    fn run(chance: &mut Chance, wanted: f64) -> f64 {
        let (mut sum, mut best) = (ShiryaevRoberts::default(), Cusum::default());
        for step in 1..100_000 {
            let (u, v) = (1.0 - chance.uniform(), chance.uniform());
            let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
            // Exactly fair for a normal distribution.
            sum.step(normal - 0.5);
            best.step(normal - 0.5);
            assert!(best.ln() <= sum.ln() + 1e-3);
            if sum.ln() >= wanted {
                return f64::from(step);
            }
        }
        100_000.0
    }

    #[test]
    fn false_alarms_are_at_least_as_far_apart_as_promised() {
        let mut chance = Chance::new(1);
        let mean = (0..400)
            .map(|_| run(&mut chance, threshold(100.0, 1.0)))
            .sum::<f64>()
            / 400.0;
        assert!(mean > 100.0, "{mean}");
    }

    #[test]
    fn a_change_is_found_and_nonsense_says_nothing() {
        let mut sum = ShiryaevRoberts::default();
        for _ in 0..50 {
            sum.step(ln_student(0.0, 2.0, 8.0));
        }
        assert!(sum.ln() < 0.0);
        for _ in 0..6 {
            sum.step(ln_student(2.5, 2.0, 8.0));
        }
        assert!(sum.ln() > 8.0, "{}", sum.ln());
        let before = sum;
        sum.step(f64::NAN);
        assert!(sum.ln() - before.ln() < 1e-3);
        assert_eq!(
            ShiryaevRoberts::from_ln(f32::NAN),
            ShiryaevRoberts::default()
        );
        assert!(threshold(f64::NAN, 0.0).is_finite());
    }
}
