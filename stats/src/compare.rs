//! Two groups side by side while values keep coming: is the mean of one larger than that of the other?
//!
//! For the hub, with the devices that got a new version as one group and their control as the other.
//!
//! If the treated mean is at most the control's plus `margin`, then for the control's true mean `c` both bets are
//! fair: that the treated one is above `c + margin`, and that the control's is below `c`. What both win together is
//! then an e-process, and so is the least of it over all `c` that there may be (the product of independent
//! e-processes is one, and the infimum over a nuisance parameter keeps the null composite: A. Ramdas, P. Grünwald,
//! V. Vovk and G. Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38(4),
//! 2023). Both logarithms are convex in `c`, so that the least is found, and what is
//! found is never more than it.
//!
//! It holds for shares (each value 0 or 1) and for all other means of values between 0 and 1.

use crate::{
    betting::{At, Bets, last},
    interval::Estimate,
    levels::Levels,
};

/// How far what is found may be below the least value, in natural logarithms: nothing that decides.
const CLOSE: f64 = 1e-6;

/// Steps after which the least value is taken for found. Ten are usual.
const STEPS_MAX: u32 = 80;

/// Steps of bisection over the difference: to within a fifty-thousandth.
const BISECTIONS: u32 = 16;

/// Natural logarithm of the evidence that the treated mean is larger than the control's by more than `margin`: an
/// e-process for "it is not". The margin may be negative.
pub fn larger(treated: &Levels, control: &Levels, margin: f64) -> f64 {
    Two::new(treated, control).larger(margin)
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
        let two = Two::new(treated, control);
        last(-1.0, mean, BISECTIONS, |margin| {
            two.larger(margin) >= wanted
        })
    };
    Some(Estimate {
        mean,
        low: end(treated, control, mean),
        high: -end(control, treated, -mean),
        n: treated.n().min(control.n()),
    })
}

/// Two groups, laid out for being compared at many margins.
struct Two {
    treated: Bets,
    control: Bets,
    /// Their means, 0 without values: near where the least lies.
    means: (f64, f64),
}

impl Two {
    fn new(treated: &Levels, control: &Levels) -> Self {
        Self {
            treated: Bets::new(treated),
            control: Bets::new(&control.mirrored()),
            means: (treated.mean().unwrap_or(0.0), control.mean().unwrap_or(0.0)),
        }
    }

    /// [`larger`].
    fn larger(&self, margin: f64) -> f64 {
        let won = |c: f64| {
            let (treated, control) = (self.treated.above(c + margin), self.control.above(1.0 - c));
            At {
                value: treated.value + control.value,
                // Where one is infinite the other is not.
                slope: treated.slope - control.slope,
            }
        };
        let (low, high) = ((-margin).max(0.0), 1.0);
        if low >= high {
            return won(high).value;
        }
        least(won, low, high, [self.means.1, self.means.0 - margin])
    }
}

/// The least value of a convex function between two places, or up to [`CLOSE`] less: what the tangents say that it
/// is at least, so that evidence is never overstated. `guesses` are places near it.
fn least(function: impl Fn(f64) -> At, low: f64, high: f64, guesses: [f64; 2]) -> f64 {
    let (mut left, mut right) = ((low, function(low)), (high, function(high)));
    if left.1.slope >= 0.0 {
        return left.1.value;
    }
    if right.1.slope <= 0.0 {
        return right.1.value;
    }
    let mut bound = f64::NEG_INFINITY;
    let mut guesses = guesses.into_iter();
    for step in 0..STEPS_MAX {
        let width = right.0 - left.0;
        let meet = (right.1.value - left.1.value + left.1.slope * left.0 - right.1.slope * right.0)
            / (left.1.slope - right.1.slope);
        if meet.is_finite() {
            bound = left.1.value + left.1.slope * (meet - left.0);
        }
        let inside = |place: &f64| *place > left.0 && *place < right.0;
        let middle = 0.5 * (left.0 + right.0);
        // Tangents that meet near an end get nowhere by themselves.
        let met = Some(meet).filter(|_| !step.is_multiple_of(3));
        let place = guesses
            .find(inside)
            .or(met.filter(inside))
            .unwrap_or(middle);
        let at = function(place);
        if at.value - bound <= CLOSE || width <= f64::EPSILON {
            break;
        }
        if at.slope < 0.0 {
            left = (place, at);
        } else {
            right = (place, at);
        }
    }
    bound
}

#[cfg(test)]
mod tests;
