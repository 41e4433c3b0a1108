//! Bets on a value that was standardised with a scale that had to be learned.

/// Natural logarithm of an e-value for "this value has no shift": the likelihood ratio of Student's t about `shift`,
/// which is above 0, to that about 0, both with `freedom` degrees.
///
/// Where a scale was learned from k values before, the next one over it has k degrees of freedom (W. S. Gosset, "The
/// probable error of a mean", Biometrika 6(1), 1908), so that a short history makes for careful bets by itself. Tails
/// as heavy as that bound what one value can win, to about (1 + shift²/freedom)^((freedom+1)/2): one strange day is
/// never a proof.
///
/// The ratio is largest at some value and falls beyond, since a value far from both says little about either. Here it
/// stays as large as there: what is far off is no less of a shift. By how much that makes the bet too good is at most
/// 1 + 0.4·shift²/freedom^1.5 (by numerical integration, shifts of 0.3 to 10 and 1 to 30 degrees), which is taken off.
///
/// No number, and no freedom, say nothing: 0.
pub fn ln_student(value: f64, shift: f64, freedom: f64) -> f64 {
    let best = 0.5 * (shift + (shift * shift + 4.0 * freedom).sqrt());
    let value = if value > best { best } else { value };
    let factor = |at: f64| (at * at / freedom).ln_1p();
    let ln = 0.5 * (freedom + 1.0) * (factor(value) - factor(value - shift));
    let too_good = (0.4 * shift * shift / freedom.powf(1.5)).ln_1p();
    if ln.is_finite() && freedom > 0.0 {
        ln - too_good
    } else {
        0.0
    }
}

/// Natural logarithm of the evidence that changes of `n` devices have a mean other than 0, from their mean and their
/// sample standard deviation: an e-value for "the mean is 0" for any normal distribution of changes, whatever its
/// width. 0 with fewer than two devices, and infinite nowhere: devices that all change by exactly the same say as much
/// as is possible for so few.
///
/// The mean over its standard deviation is taken to be normal with the variance 1 about 0, the width to be anything
/// (the right Haar measure). Source: M. F. Pérez-Ortiz, T. Lardy, R. de Heide and P. Grünwald, "E-statistics, group
/// invariance and anytime-valid testing", Annals of Statistics 52(4), 2024.
pub fn ln_changes(n: u64, mean: f64, deviation: f64) -> f64 {
    if n < 2 || !mean.is_finite() || deviation.is_nan() {
        return 0.0;
    }
    let (n, freedom) = (n as f64, n as f64 - 1.0);
    // A width far below the shift is taken for a thousandth of it: rounding would decide otherwise.
    let deviation = deviation.max(mean.abs() * 1e-3);
    if deviation <= 0.0 {
        return -0.5 * n.ln_1p();
    }
    let square = n * (mean / deviation).powi(2) / freedom;
    0.5 * n * (square.ln_1p() - (square / (1.0 + n)).ln_1p()) - 0.5 * n.ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn normal(chance: &mut Chance) -> f64 {
        let (u, v) = (1.0 - chance.uniform(), chance.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    #[test]
    fn both_are_fair_where_nothing_moved() {
        let mut chance = Chance::new(5);
        let rounds = 40_000;
        let (mut student, mut changes) = (0.0, 0.0);
        for _ in 0..rounds {
            let learned: f64 = (0..8).map(|_| normal(&mut chance).powi(2)).sum::<f64>() / 8.0;
            let value = 3.0 * normal(&mut chance) / (3.0 * learned.sqrt());
            student += ln_student(value, 1.0, 8.0).exp();
            let seen: Vec<f64> = (0..6).map(|_| 0.2 * normal(&mut chance)).collect();
            let mean = seen.iter().sum::<f64>() / 6.0;
            let square = seen.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / 5.0;
            // Heavy tails: compared in a mean that one draw cannot rule.
            changes += ln_changes(6, mean, square.sqrt()).exp().min(200.0);
        }
        let (student, changes) = (student / f64::from(rounds), changes / f64::from(rounds));
        assert!(student < 1.02 && student > 0.9, "{student}");
        assert!(changes < 1.05, "{changes}");
    }

    #[test]
    fn what_moved_wins_and_few_cannot_win_much() {
        assert!(ln_changes(20, 1.0, 0.2) > 15.0);
        assert!(ln_changes(3, 1.0, 0.0) < 20.0);
        assert!(ln_changes(1, 1.0, 0.1).abs() < 1e-12);
        assert!(ln_changes(9, f64::NAN, 0.1).abs() < 1e-12);
        assert!(ln_changes(9, 0.0, 0.0) < 0.0);
        assert!(ln_student(3.0, 3.0, 8.0) > 3.0);
        assert!(ln_student(50.0, 6.0, 12.0) < 11.0 && ln_student(50.0, 6.0, 12.0) > 9.0);
        assert!(ln_student(f64::NAN, 3.0, 8.0).abs() < 1e-12);
        assert!(ln_student(1.0, 3.0, 0.0).abs() < 1e-12);
    }
}
