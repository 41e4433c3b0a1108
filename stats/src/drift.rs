//! How far a distribution has moved, whether that is more than chance, and since when.
//!
//! Called by `tern-watch` and by the hub for what it shows. [`distance`] says how far with an interval, [`calibrate`]
//! what chance alone would do, [`bets`] and [`detector`] make evidence that may be looked at all the time, [`many`]
//! keeps what is said of many streams at once right.
//!
//! Must never break:
//! - nothing is said of no values: that is an error, never a zero;
//! - an effect lies inside its interval, and fewer values never narrow it;
//! - the same counts give the same bits.

pub mod bets;
pub mod calibrate;
pub mod conformal;
pub mod detector;
pub mod distance;
pub mod jackknife;
pub mod many;
pub mod ridit;
pub mod tail;
