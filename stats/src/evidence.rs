//! E-values: what a gambler against a claim has made of 1. One of 20 is as much against it as a p-value of 0.05,
//! and unlike p-values they may be looked at all the time, and averaged.
//!
//! For the hub, with one for each gate of a rollout.

/// What was reached at best so far against a claim.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evidence {
    /// Natural logarithm of the largest e-value; never below 0, since nobody has to bet.
    best: f64,
}

impl Evidence {
    /// The evidence at one more moment, as natural logarithm; no number says nothing.
    pub fn see(&mut self, ln: f64) {
        if ln > self.best {
            self.best = ln;
        }
    }

    /// Natural logarithm of the largest e-value so far.
    pub fn ln(self) -> f64 {
        self.best
    }

    /// The always-valid p-value, for showing to people: the chance that there would ever be as much evidence as there
    /// is, were the claim true, is at most this (R. Johari, P. Koomen, L. Pekelis and D. Walsh, "Always valid
    /// inference", Operations Research 70(3), 2022).
    pub fn p(self) -> f64 {
        (-self.best).exp().min(1.0)
    }

    /// Whether the claim is refuted at this level.
    pub fn refutes(self, alpha: f64) -> bool {
        self.best >= -alpha.ln()
    }
}

/// E-values of many claims at once, such that to refute each whose adjusted one reaches 1/α refutes any true one with
/// a chance of at most α, whatever they have to do with each other. Logarithms in, logarithms out, in the same order.
///
/// Source: V. Vovk and R. Wang, "E-values: calibration, combination and applications", Annals of Statistics 49(3),
/// 2021, section 6: the closure of averaging. A claim's is the least average over all sets that it is in, and those
/// take the smallest of the others.
pub fn adjusted(ln: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ln.len()).collect();
    order.sort_by(|a, b| ln[*a].total_cmp(&ln[*b]));
    let adjusted = |own: usize| {
        let (mut sum, mut count) = (ln[own], 1.0_f64);
        let mut least = ln[own];
        for other in order.iter().filter(|other| **other != own) {
            sum = sum_of_exponentials(sum, ln[*other]);
            count += 1.0;
            least = least.min(sum - count.ln());
        }
        least
    };
    (0..ln.len()).map(adjusted).collect()
}

/// `ln` of the sum of two `exp`, without overflow.
pub(crate) fn sum_of_exponentials(a: f64, b: f64) -> f64 {
    let (less, more) = if a < b { (a, b) } else { (b, a) };
    if more.is_infinite() || less == f64::NEG_INFINITY {
        return more;
    }
    more + (less - more).exp().ln_1p()
}

/// Whether anything at all is wrong: the natural logarithm of the average of e-values, which is an e-value against
/// "all of these claims are true" whatever they have to do with each other. 0 without any.
pub fn combined(ln: &[f64]) -> f64 {
    if ln.is_empty() {
        return 0.0;
    }
    crate::betting::mean_of_exponentials(ln.iter().copied())
}

/// As [`combined`], with parts that were fixed before anything was known: the first counts half, the second a quarter
/// and so on, and what is left over goes to the last.
///
/// For evidence that comes in an order, of which the first has to decide with least: a rollout's first stage is its
/// smallest, and gets out of this by a factor of 2 what an average over five would ask 5 of; the last stages are the
/// largest, and their parts are soon made up for.
pub fn combined_in_turn(ln: &[f64]) -> f64 {
    let last = ln.len().saturating_sub(1);
    let halves = ln.iter().enumerate().map(|(turn, ln)| {
        let part = 0.5_f64.powi((turn + 1).min(last) as i32);
        ln + part.ln()
    });
    let sum = halves.reduce(sum_of_exponentials);
    sum.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_best_moment_counts() {
        let mut evidence = Evidence::default();
        assert!((evidence.p() - 1.0).abs() < 1e-12);
        for ln in [-3.0, 3.2, f64::NAN, 1.0] {
            evidence.see(ln);
        }
        assert!((evidence.ln() - 3.2).abs() < 1e-12);
        assert!((evidence.p() - (-3.2_f64).exp()).abs() < 1e-12);
        assert!(evidence.refutes(0.05) && !evidence.refutes(0.01));
    }

    #[test]
    fn adjusting_takes_the_least_average_of_the_sets_that_a_claim_is_in() {
        let e = [100.0_f64, 0.0, 40.0, 4.0];
        let adjusted: Vec<f64> = adjusted(&e.map(f64::ln))
            .iter()
            .map(|ln| ln.exp())
            .collect();
        // With 0, with 0 and 4, with all; 0 stands alone; …
        for (adjusted, expected) in adjusted.iter().zip([104.0 / 3.0, 0.0, 44.0 / 3.0, 2.0]) {
            assert!((adjusted - expected).abs() < 1e-9, "{adjusted} {expected}");
        }
        assert!((combined(&e.map(f64::ln)).exp() - 36.0).abs() < 1e-9);
        assert!(combined(&[]).abs() < 1e-12);
    }

    #[test]
    fn the_first_in_turn_counts_half_and_all_parts_are_one() {
        for stages in 1..8 {
            let e = vec![3.0_f64.ln(); stages];
            assert!((combined_in_turn(&e).exp() - 3.0).abs() < 1e-9, "{stages}");
        }
        let e = [8.0_f64, 0.0, 0.0, 4.0].map(f64::ln);
        assert!((combined_in_turn(&e).exp() - 4.5).abs() < 1e-9);
        assert!(combined_in_turn(&[]).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn adjusting_never_adds_evidence_and_agrees_with_all_sets(ln in prop::collection::vec(-20.0..20.0_f64, 1..7)) {
            let adjusted = adjusted(&ln);
            for own in 0..ln.len() {
                let sets = (0_u32..1 << ln.len()).filter(|set| set >> own & 1 == 1);
                let averages = sets.map(|set| {
                    let members = (0..ln.len()).filter(|i| set >> i & 1 == 1);
                    combined(&members.map(|i| ln[i]).collect::<Vec<_>>())
                });
                let least = averages.fold(f64::INFINITY, f64::min);
                prop_assert!((adjusted[own] - least).abs() < 1e-9);
                prop_assert!(adjusted[own] <= ln[own]);
            }
        }
    }
}
