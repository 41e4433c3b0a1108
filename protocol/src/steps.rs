//! Steps around a model: what happens to an input before the graph sees it, and to an output after.
//!
//! Declared by the publisher, run by the engine of device and hub alike. Pure: says what each step
//! makes of element type and shape, and what is wrong with a declaration. Must never break: a
//! declaration that passes here never panics an engine and never asks for unbounded memory.

mod form;

pub use self::form::{Form, StepError, graph_input, request_output, scores};

use alloc::{string::String, vec::Vec};
use core::fmt;

use minicbor::{Decode, Encode};

use crate::tensor::Dtype;

/// Steps of one input or output. More are one model's worth of arithmetic, and belong into it.
pub const STEPS: usize = 16;

/// Numbers in one list of a step: means, deviations, dimensions.
pub const NUMBERS: usize = 4096;

/// Elements of one sample before, between and after steps: a colour image of 2,300 × 2,300.
pub const ELEMENTS: usize = 16 * 1024 * 1024;

/// One step between a request's input and the graph's.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "rest",
    serde(tag = "step", rename_all = "lowercase", deny_unknown_fields)
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PreStep {
    /// `x × factor + offset` of each element; floats only.
    #[n(0)]
    #[cbor(map)]
    Scale {
        /// The factor.
        #[n(0)]
        factor: f32,
        /// What is added after.
        #[n(1)]
        #[cfg_attr(feature = "rest", serde(default))]
        offset: f32,
    },
    /// `(x − mean) ÷ std`; floats only. Both lists are as long as there are channels or elements in
    /// a sample, or hold one number for all.
    #[n(1)]
    #[cbor(map)]
    Normalise {
        /// Means.
        #[n(0)]
        mean: Vec<f32>,
        /// Standard deviations, all above 0.
        #[n(1)]
        std: Vec<f32>,
        /// Where the channels are.
        #[n(2)]
        #[cfg_attr(feature = "rest", serde(default))]
        channels: Channels,
    },
    /// An image of another size, as ONNX `Resize` has it with `half_pixel` coordinates and no
    /// antialiasing. A sample is [height, width], or with channels last [height, width, channels],
    /// first [channels, height, width].
    #[n(2)]
    #[cbor(map)]
    Resize {
        /// Rows after.
        #[n(0)]
        height: u32,
        /// Columns after.
        #[n(1)]
        width: u32,
        /// How values are found.
        #[n(2)]
        method: Method,
        /// Where the channels are.
        #[n(3)]
        #[cfg_attr(feature = "rest", serde(default))]
        channels: Channels,
    },
    /// Another element type. Floats become integers towards zero and stop at the type's ends.
    #[n(3)]
    #[cbor(map)]
    Cast {
        /// The type after.
        #[n(0)]
        to: Dtype,
    },
    /// The same elements in the same order under other dimensions, without the batch.
    #[n(4)]
    #[cbor(map)]
    Reshape {
        /// The dimensions of a sample after.
        #[n(0)]
        shape: Vec<u32>,
    },
    /// Dimensions in another order: [2, 0, 1] makes channels first of channels last.
    #[n(5)]
    #[cbor(map)]
    Transpose {
        /// Which dimension of a sample comes first, second, …, counted from 0 without the batch.
        #[n(0)]
        axes: Vec<u32>,
    },
    /// Elements that are missing (NaN) become these; those without one stay missing. `f32` only. The list is as long as
    /// there are elements in a sample, or holds one number for all.
    #[n(6)]
    #[cbor(map)]
    Impute {
        /// What each element becomes.
        #[n(0)]
        values: Vec<Option<f32>>,
    },
    /// Elements that are places in lists of categories become an element a category: 1 at that place, 0 elsewhere, and 0
    /// everywhere of one that is missing or no place. `f32` only; a sample has one dimension.
    #[n(7)]
    #[cbor(map)]
    OneHot {
        /// How many categories each element has; 0: it is a number, and stays what it is.
        #[n(0)]
        sizes: Vec<u32>,
    },
}

/// How values of a resized image are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Method {
    /// The nearest pixel; of two as near, the one before (`round_prefer_floor`).
    #[n(0)]
    Nearest,
    /// Between the four nearest; floats only (`linear`).
    #[n(1)]
    Bilinear,
}

/// Where an image has its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Channels {
    /// In the last dimension, as images come from files.
    #[default]
    #[n(0)]
    Last,
    /// In the first, as most convolution nets take them.
    #[n(1)]
    First,
}

/// One step between the graph's output and the answer.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "rest",
    serde(tag = "step", rename_all = "lowercase", deny_unknown_fields)
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PostStep {
    /// Softmax over the last dimension; floats only.
    #[n(0)]
    #[cbor(map)]
    Softmax {},
    /// The place of the largest element of the last dimension, the first if several are; that
    /// dimension goes, the type becomes `i64`.
    #[n(1)]
    #[cbor(map)]
    Argmax {},
    /// 1 where the element is at least this, 0 elsewhere; floats only, the type becomes `u8`.
    #[n(2)]
    #[cbor(map)]
    Threshold {
        /// The threshold.
        #[n(0)]
        at: f32,
    },
    /// Answers also name the class of each element, from the names of the classes. The last step,
    /// after `argmax` or `threshold`; type and shape stay as they are.
    #[n(3)]
    #[cbor(map)]
    Labels {},
}

/// The steps of one input, in order.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InputSteps {
    /// Name of the input.
    #[n(0)]
    pub input: String,
    /// Its steps.
    #[n(1)]
    pub steps: Vec<PreStep>,
}

/// The steps of one output, in order.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OutputSteps {
    /// Name of the output.
    #[n(0)]
    pub output: String,
    /// Its steps.
    #[n(1)]
    pub steps: Vec<PostStep>,
}

impl PreStep {
    /// Its name, as declarations have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scale { .. } => "scale",
            Self::Normalise { .. } => "normalise",
            Self::Resize { .. } => "resize",
            Self::Cast { .. } => "cast",
            Self::Reshape { .. } => "reshape",
            Self::Transpose { .. } => "transpose",
            Self::Impute { .. } => "impute",
            Self::OneHot { .. } => "onehot",
        }
    }
}

impl PostStep {
    /// Its name, as declarations have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Softmax {} => "softmax",
            Self::Argmax {} => "argmax",
            Self::Threshold { .. } => "threshold",
            Self::Labels {} => "labels",
        }
    }
}

/// A step for people: its name and what sets it apart; long lists by their length.
impl fmt::Display for PreStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale { factor, offset } => write!(f, "scale ×{factor} +{offset}"),
            Self::Normalise { mean, std, .. } if mean.len() <= 4 => {
                write!(f, "normalise mean {mean:?} std {std:?}")
            }
            Self::Normalise { mean, .. } => write!(f, "normalise {} elements", mean.len()),
            Self::Resize {
                height,
                width,
                method,
                ..
            } => {
                let method = match method {
                    Method::Nearest => "nearest",
                    Method::Bilinear => "bilinear",
                };
                write!(f, "resize {height}×{width} {method}")
            }
            Self::Cast { to } => write!(f, "cast {to}"),
            Self::Reshape { shape } => write!(f, "reshape {shape:?}"),
            Self::Transpose { axes } => write!(f, "transpose {axes:?}"),
            Self::Impute { values } => {
                let filled = values.iter().filter(|value| value.is_some()).count();
                write!(f, "impute {filled} elements")
            }
            Self::OneHot { sizes } => {
                let encoded = sizes.iter().filter(|size| **size > 0).count();
                write!(f, "onehot {encoded} elements")
            }
        }
    }
}

impl fmt::Display for PostStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threshold { at } => write!(f, "threshold {at}"),
            step => f.write_str(step.name()),
        }
    }
}

/// The steps of an input.
pub fn of_input<'a>(steps: &'a [InputSteps], input: &str) -> &'a [PreStep] {
    let found = steps.iter().find(|of| of.input == input);
    found.map_or(&[], |of| &of.steps)
}

/// The steps of an output.
pub fn of_output<'a>(steps: &'a [OutputSteps], output: &str) -> &'a [PostStep] {
    let found = steps.iter().find(|of| of.output == output);
    found.map_or(&[], |of| &of.steps)
}

/// How many steps stand before the scores of a classifier are lost: all, unless one of them is
/// `argmax` or `threshold`.
pub fn before_decision(steps: &[PostStep]) -> usize {
    let decides =
        |step: &PostStep| matches!(step, PostStep::Argmax {} | PostStep::Threshold { .. });
    steps.iter().position(decides).unwrap_or(steps.len())
}
