//! What is done to rows before a model is trained on them, declared, so that devices do the same.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

/// Steps of one preparation: what a person can still read.
pub const PREPARATION_STEPS: usize = 32;

/// Steps, in order. What they find (means, quantiles) they find in the rows to train on alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Preparation {
    /// The steps.
    pub steps: Vec<PrepareStep>,
}

/// One step. No `columns`: all that it can be done to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PrepareStep {
    /// Values that are missing. Devices fill in the same, unless rows are dropped.
    Missing {
        /// Of these columns.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
        /// What becomes of them.
        with: Fill,
    },
    /// Values far from all others, in the rows to train on alone.
    Outliers {
        /// Of these columns.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
        /// Which are.
        bounds: OutlierBounds,
        /// What becomes of them.
        #[serde(rename = "do")]
        act: OutlierAct,
    },
    /// Rows to train on whose values and truth are those of another go.
    Dedupe {},
    /// Numbers on one scale. Devices do the same.
    Scale {
        /// Of these columns.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
        /// How.
        method: ScaleMethod,
    },
    /// Categories as numbers. Devices do the same.
    Encode {
        /// Of these columns.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
        /// How.
        method: EncodeMethod,
    },
    /// Values before, of the same device, in the order of time. A device's engine remembers no inputs, so a request has to
    /// carry them: `sent` says that it does. It comes first.
    Window {
        /// Of these columns.
        columns: Vec<String>,
        /// Values so many rows before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lags: Vec<u32>,
        /// Means over so many rows, with this one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        means: Vec<u32>,
        /// Whether requests carry what this makes.
        #[serde(default)]
        sent: bool,
    },
    /// As many rows to train on of each class.
    Balance {
        /// How.
        method: BalanceMethod,
        /// Which rows are chosen follows from it.
        #[serde(default)]
        seed: u64,
    },
}

impl PrepareStep {
    /// Its name, as declarations have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Outliers { .. } => "outliers",
            Self::Dedupe {} => "dedupe",
            Self::Scale { .. } => "scale",
            Self::Encode { .. } => "encode",
            Self::Window { .. } => "window",
            Self::Balance { .. } => "balance",
        }
    }
}

/// What becomes of values that are missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Fill {
    /// Rows to train on that lack one go.
    Drop,
    /// The mean of the column.
    Mean,
    /// Its median.
    Median,
    /// This number.
    Constant(f64),
    /// This category.
    Category(String),
}

/// Which values are outliers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum OutlierBounds {
    /// Those outside of these two quantiles, from 0 to 1.
    Quantiles(f64, f64),
    /// Those so many times the distance of the quartiles outside of these.
    Iqr(f64),
}

/// What becomes of outliers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum OutlierAct {
    /// They become the bound.
    Clip,
    /// Their rows go.
    Drop,
}

/// How numbers are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ScaleMethod {
    /// Mean 0, standard deviation 1.
    Standard,
    /// From 0 to 1.
    MinMax,
    /// Median 0, distance of the quartiles 1.
    Robust,
}

/// How categories become numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum EncodeMethod {
    /// A column a category, 1 where it is this one.
    OneHot,
    /// Its place in the list.
    Ordinal,
}

/// How classes become as frequent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum BalanceMethod {
    /// Rows of rarer classes are there more than once.
    Over,
    /// Rows of more frequent ones go.
    Under,
}
