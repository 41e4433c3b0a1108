//! How right a model probably is while nobody knows the truth.
//!
//! Called by the hub, which shows these as estimates and never as measurements. They stand on one assumption: that
//! what a model was right about at a confidence, or at a predicted number, in validation, it still is. Where inputs
//! moved to where the model never was, or where the same input means another class now, that does not hold, and
//! nothing in here can notice. [`track`] therefore keeps how far off they were each time truth arrived.

pub mod classes;
pub mod confidence;
pub mod error;
pub mod track;
