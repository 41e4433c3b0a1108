//! Evidence in one column that what is seen moved up, or down, and since when.
//!
//! A day's deviation is compared with what the day before left to expect: weather stays, so tomorrow is like today, and
//! a second odd day is no second proof. What is new in a day (its *innovation*) is divided by how large innovations
//! are, which had to be learned, and bet on with Student's t ([`tern_stats::drift::bets`]); bets add up in detectors
//! that begin anew each day ([`tern_stats::drift::detector`]). Several sizes of change are bet on at once.

use minicbor::{Decode, Encode};
use tern_stats::drift::{bets::ln_student, detector::ShiryaevRoberts};

/// Evidence up to which nothing is taken to have begun: what a single bettor of the first day has.
const BEGUN: f64 = 0.7;

/// Degrees of freedom at most, however long the history: weather has heavy tails, and no single day is a proof.
const FREEDOM_MAX: f64 = 12.0;

/// Evidence for a move up and down, for `N` sizes of it.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub(crate) struct Evidence<const N: usize> {
    #[n(0)]
    up: [f32; N],
    #[n(1)]
    down: [f32; N],
    /// The day on which what now counts up began.
    #[n(2)]
    up_since: u32,
    #[n(3)]
    down_since: u32,
}

impl<const N: usize> Default for Evidence<N> {
    fn default() -> Self {
        Self {
            up: [f32::NEG_INFINITY; N],
            down: [f32::NEG_INFINITY; N],
            up_since: 0,
            down_since: 0,
        }
    }
}

/// What is new in a day, and what to expect of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct News {
    /// The deviation less what was to be expected from the day before.
    pub innovation: f64,
    /// Which part of a lasting shift is new every day: 1 less the autocorrelation.
    pub fresh: f64,
    /// Standard deviation of innovations.
    pub scale: f64,
    /// How many innovations that was learned from.
    pub known: f64,
    /// A lasting shift up to this is borne.
    pub borne: f64,
}

/// Evidence and its direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Strongest {
    /// Natural logarithm.
    pub ln: f64,
    /// Whether it is for a move up.
    pub up: bool,
    /// The day on which it began.
    pub since: u32,
}

impl<const N: usize> Evidence<N> {
    /// Evidence after a day, or after a part of it.
    pub(crate) fn after(&self, day: u32, news: &News, shifts: [f64; N]) -> Self {
        let mut after = *self;
        let freedom = news.known.clamp(1.0, FREEDOM_MAX);
        let sides = [
            (&mut after.up, &mut after.up_since, 1.0),
            (&mut after.down, &mut after.down_since, -1.0),
        ];
        for (side, since, sign) in sides {
            if together(side) <= BEGUN {
                *since = day;
            }
            let value = (sign * news.innovation - news.fresh * news.borne) / news.scale;
            for (ln, shift) in side.iter_mut().zip(shifts) {
                let detector = ShiryaevRoberts::from_ln(*ln);
                *ln = detector.after(ln_student(value, shift, freedom)).ln() as f32;
            }
        }
        after
    }

    /// The day on which what counts for one direction began.
    pub(crate) fn since(&self, up: bool) -> u32 {
        if up { self.up_since } else { self.down_since }
    }

    /// The stronger of both directions.
    pub(crate) fn strongest(&self) -> Strongest {
        let (up, down) = (together(&self.up), together(&self.down));
        // Two directions share what one would have.
        let half = std::f64::consts::LN_2;
        if up >= down {
            Strongest {
                ln: up - half,
                up: true,
                since: self.up_since,
            }
        } else {
            Strongest {
                ln: down - half,
                up: false,
                since: self.down_since,
            }
        }
    }
}

/// The mean over sizes, as logarithm.
fn together(side: &[f32]) -> f64 {
    let largest = side.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if largest == f32::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    let sum: f64 = side.iter().map(|ln| f64::from(ln - largest).exp()).sum();
    f64::from(largest) + (sum / side.len() as f64).ln()
}
