//! Reference models, their data and their trainer: the meter readers' story on real input.
//!
//! Called by the `tern-models` binary, by tests and by benches. Never linked into hub or agent:
//! what is in here reaches them as a published package and as pictures over HTTP.
//!
//! Must never break: no image of the field part reaches a trainer except as a capture; the same
//! seed gives the same model.

pub mod data;
pub mod image;
pub mod seed;

pub mod captures;
pub mod corruption;
pub mod dataset;
pub mod frames;

pub mod mlp;
pub mod train;

pub mod onnx;
pub mod package;
pub mod reference;

pub mod camera;
