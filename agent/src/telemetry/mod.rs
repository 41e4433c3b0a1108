//! What one loaded model does, counted until its window closes.
//!
//! Called by `serve` for every inference, and by `node` when a window closes. [`bins`] are what its bundle gives to
//! count on, [`meter`] counts, [`metrics`] those that the bundle declares, [`prediction`] is what a classifier said, [`temperature`] reads the board's sensors.

mod bins;
mod meter;
mod metrics;
mod prediction;
pub mod temperature;

pub use self::{
    bins::Bins,
    meter::{Inference, Meter, Took},
    metrics::{Ever, TellError},
    prediction::{Prediction, Said},
};
