//! From an idea to a model on devices, end to end: what is tried is tracked, what is good is registered.

mod mlflow;
mod python;
mod sdk;
mod trainers;
