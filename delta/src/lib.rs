//! A model file from the one before it.
//!
//! Devices call [`apply()`], which is always there; the hub calls [`encode()`], behind the feature
//! `encode`. A delta is a list of operations over byte ranges of the base, so applying one knows
//! nothing of ONNX: only making one does, which is what makes it small.
//!
//! How it gets small: a tensor that did not change is copied; one that did is the difference of its
//! elements to those of the base, taken as integers in the order of the numbers that they stand for,
//! gathered by the base's exponents (the step of an optimiser hardly depends on the size of a weight,
//! so among weights of one exponent differences have one size), split into byte planes, each packed
//! by zstd. What is no tensor is copied or packed with the base's own as dictionary.
//!
//! Must never break:
//! - the file is accepted only if it has the length and the digest that were wanted;
//! - whatever a delta says, applying it reads nothing outside the base, writes no more than the wanted
//!   length and holds no more than [`format::MEMORY`].

pub mod apply;
#[cfg(feature = "encode")]
pub mod encode;
pub mod format;
mod residual;

pub use apply::{ApplyError, apply};
#[cfg(feature = "encode")]
pub use encode::{EncodeError, encode};
