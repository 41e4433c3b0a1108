//! From an idea to a model on devices, end to end: what is tried is tracked, what is good is registered.

mod clusters;
mod datasets;
mod jobs;
mod mlflow;
mod prepared;
mod python;
mod retraining;
mod s3;
mod sdk;
mod trainers;
