//! What one loaded model does, counted until its window closes.
//!
//! Called by `serve` for every inference, and by `node` when a window closes. [`bins`] are what its reference gives to
//! count on, [`meter`] counts, [`prediction`] is what a classifier said, [`temperature`] reads the board's sensors.

mod bins;
mod meter;
mod prediction;
pub mod temperature;

pub use self::{
    bins::Bins,
    meter::{Inference, Meter, Took},
    prediction::Prediction,
};
