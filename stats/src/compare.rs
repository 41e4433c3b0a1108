//! Two groups side by side while values keep coming: is the mean of one larger than that of the other?
//!
//! For the hub, with the devices that got a new version as one group and their control as the other.
//!
//! If the treated mean is at most the control's plus `margin`, then for the control's true mean `c` both bets are
//! fair: that the treated one is above `c + margin`, and that the control's is below `c`. What both win together is
//! then an e-process, and so is the least of it over all `c` that there may be (the product of independent
//! e-processes is one, and the infimum over a nuisance parameter keeps the null composite: A. Ramdas, P. Grünwald,
//! V. Vovk and G. Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38(4),
//! 2023). Both logarithms are convex in `c`, so that the least is found exactly.
//!
//! It holds for shares (each value 0 or 1) and for all other means of values between 0 and 1.

use crate::{
    betting::{above, last},
    interval::Estimate,
    levels::Levels,
};

/// Steps of the golden section: to within a billionth.
const SECTIONS: u32 = 44;

/// Steps of bisection over the difference: to within a fifty-thousandth.
const BISECTIONS: u32 = 16;

/// Natural logarithm of the evidence that the treated mean is larger than the control's by more than `margin`: an
/// e-process for "it is not". The margin may be negative.
pub fn larger(treated: &Levels, control: &Levels, margin: f64) -> f64 {
    let mirrored = control.mirrored();
    let won = |c: f64| above(treated, c + margin) + above(&mirrored, 1.0 - c);
    least(won, (-margin).max(0.0), 1.0)
}

/// Natural logarithm of the evidence that the treated mean is larger than the control's by less than `margin`: an
/// e-process for "by `margin` or more".
pub fn not_larger(treated: &Levels, control: &Levels, margin: f64) -> f64 {
    larger(control, treated, -margin)
}

/// By how much the treated mean is larger than the control's, with an interval that contains the truth at all times
/// at once but for a chance of `alpha`; none without values in both. Ends are -1 and 1 at most.
pub fn difference(treated: &Levels, control: &Levels, alpha: f64) -> Option<Estimate> {
    let mean = treated.mean()? - control.mean()?;
    let wanted = (2.0 / alpha).ln();
    let end = |treated: &Levels, control: &Levels, mean: f64| {
        let refuted = |margin| larger(treated, control, margin) >= wanted;
        last(-1.0, mean, BISECTIONS, refuted)
    };
    Some(Estimate {
        mean,
        low: end(treated, control, mean),
        high: -end(control, treated, -mean),
        n: treated.n().min(control.n()),
    })
}

/// The least value of a convex function between two places.
fn least(function: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ends = function(low).min(function(high));
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    let mut left = high - golden * (high - low);
    let mut right = low + golden * (high - low);
    let (mut at_left, mut at_right) = (function(left), function(right));
    for _ in 0..SECTIONS {
        if at_left > at_right {
            (low, left, at_left) = (left, right, at_right);
            right = low + golden * (high - low);
            at_right = function(right);
        } else {
            (high, right, at_right) = (right, left, at_left);
            left = high - golden * (high - low);
            at_left = function(left);
        }
    }
    at_left.min(at_right).min(ends)
}

#[cfg(test)]
mod tests;
