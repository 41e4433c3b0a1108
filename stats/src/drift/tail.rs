//! Tails of the distributions that tests are judged by.

/// Terms after which a series is taken for summed; what converges does so in a few hundred.
const TERMS: u32 = 10_000;

/// The chance that a χ² of so many degrees of freedom is `x` or more; 1 for no freedom or no number.
pub fn chi_square(x: f64, freedom: u32) -> f64 {
    if freedom == 0 || x.is_nan() || x <= 0.0 {
        return 1.0;
    }
    if x.is_infinite() {
        return 0.0;
    }
    upper_gamma(0.5 * f64::from(freedom), 0.5 * x)
}

/// Regularised upper incomplete gamma function. Below a + 1 by the power series of the lower one, above by its
/// continued fraction, evaluated from the front (W. J. Lentz, Applied Optics 15(3), 1976).
fn upper_gamma(shape: f64, x: f64) -> f64 {
    let front = (shape * x.ln() - x - ln_gamma(shape)).exp();
    if x < shape + 1.0 {
        let (mut term, mut sum) = (shape.recip(), shape.recip());
        for step in 1..TERMS {
            term *= x / (shape + f64::from(step));
            sum += term;
            if term <= sum * f64::EPSILON {
                break;
            }
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    let mut whole = x + 1.0 - shape;
    let (mut below, mut above) = (whole.recip(), f64::MAX.sqrt());
    let mut value = below;
    for step in 1..TERMS {
        let step = f64::from(step);
        let part = step * (shape - step);
        whole += 2.0;
        below = (part * below + whole).recip();
        above = whole + part / above;
        value *= above * below;
        if (above * below - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    (front * value).clamp(0.0, 1.0)
}

/// Natural logarithm of the gamma function of a positive number: Stirling's series, after the argument was raised to
/// where six terms are exact to a double.
pub fn ln_gamma(x: f64) -> f64 {
    let (mut at, mut down) = (x, 0.0);
    while at < 12.0 {
        down += at.ln();
        at += 1.0;
    }
    // Bernoulli numbers over 2k(2k−1).
    let terms = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
    ];
    let inverse = at.recip();
    let series: f64 = terms
        .iter()
        .rev()
        .fold(0.0, |sum, term| sum * inverse * inverse + term)
        * inverse;
    (at - 0.5) * at.ln() - at + 0.5 * std::f64::consts::TAU.ln() + series - down
}

/// The quantile of Student's t with `freedom` degrees where the standard normal one is `z`. Source: M. Abramowitz and
/// I. Stegun, "Handbook of mathematical functions", 1964, 26.7.5. Of less than 2 degrees as of 2.
pub fn student_quantile(z: f64, freedom: f64) -> f64 {
    if freedom.is_nan() {
        return f64::INFINITY;
    }
    let v = freedom.max(2.0);
    let square = z * z;
    let first = (square + 1.0) / 4.0;
    let second = (5.0 * square * square + 16.0 * square + 3.0) / 96.0;
    let third = (3.0 * square.powi(3) + 19.0 * square * square + 17.0 * square - 15.0) / 384.0;
    let fourth = (79.0 * square.powi(4) + 776.0 * square.powi(3) + 1_482.0 * square * square
        - 1_920.0 * square
        - 945.0)
        / 92_160.0;
    z * (1.0 + first / v + second / (v * v) + third / v.powi(3) + fourth / v.powi(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_as_in_tables() {
        for (x, freedom, p) in [
            (3.841_459, 1, 0.05),
            (18.307, 10, 0.05),
            (0.5, 2, 0.778_801),
            (124.342, 100, 0.05),
        ] {
            assert!((chi_square(x, freedom) - p).abs() < 1e-5, "{x} {freedom}");
        }
        assert!((chi_square(f64::NAN, 3) - 1.0).abs() < 1e-12);
        assert!((chi_square(4.0, 0) - 1.0).abs() < 1e-12);
        assert!(chi_square(f64::INFINITY, 3) < 1e-300);
        for (x, ln) in [(1.0, 0.0), (5.0, 24.0_f64.ln()), (0.5, 0.572_364_942_924_7)] {
            assert!((ln_gamma(x) - ln).abs() < 1e-12, "{x}");
        }
        assert!((student_quantile(1.959_964, 10.0) - 2.228).abs() < 2e-3);
        assert!((student_quantile(1.959_964, 1e9) - 1.959_964).abs() < 1e-6);
    }
}
