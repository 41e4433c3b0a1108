//! Whether values still come in no order that could be told: conformal test martingales.
//!
//! The rank of each value among those before it is a fair die if they are exchangeable; a gambler who bets on large
//! ranks wins only if they are not. No scale has to be learned and no shape assumed. What it costs: the rank among k
//! values can win a factor of about k at most, so a short history finds little; and what has weather is not
//! exchangeable though nothing is wrong.
//!
//! Source: V. Vovk, I. Nouretdinov and A. Gammerman, "Testing exchangeability on-line", ICML 2003. The bets are their
//! power bets ε p^(ε−1), mixed over fixed ε.

/// The chance of so strange a value, smoothed: the share of those before that are larger, ties and itself by lot.
/// `lot` is a uniform number from 0 to 1.
pub fn p_value(before: &[f64], value: f64, lot: f64) -> f64 {
    let larger = before.iter().filter(|one| **one > value).count() as f64;
    let same = before
        .iter()
        .filter(|one| one.total_cmp(&value).is_eq())
        .count() as f64;
    (larger + lot.clamp(0.0, 1.0) * (same + 1.0)) / (before.len() as f64 + 1.0)
}

/// Natural logarithm of a power bet on small p-values, mixed over ε = 0.1, 0.3, 0.5, 0.7 and 0.9.
pub fn ln_power(p: f64) -> f64 {
    // A p-value of 0 comes of rounding only.
    let p = p.clamp(1e-12, 1.0);
    let bets = [0.1_f64, 0.3, 0.5, 0.7, 0.9].map(|epsilon| epsilon * p.powf(epsilon - 1.0));
    (bets.iter().sum::<f64>() / 5.0).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn ranks_are_fair_dice() {
        let mut chance = Chance::new(2);
        let (mut before, mut won, mut mean) = (Vec::new(), 0.0, 0.0);
        for _ in 0..2_000 {
            let value = (chance.uniform() * 50.0).floor();
            let p = p_value(&before, value, chance.uniform());
            won += ln_power(p);
            mean += p / 2_000.0;
            before.push(value);
        }
        assert!((mean - 0.5).abs() < 0.03 && won < 3.0, "{mean} {won}");
        assert!(ln_power(p_value(&before, 99.0, 0.5)) > 3.0);
        assert!(ln_power(f64::NAN).is_nan() || ln_power(f64::NAN).is_finite());
    }
}
