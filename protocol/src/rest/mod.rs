//! Types of the REST API: what the hub answers and what the command line reads. One definition for
//! both ends and for the OpenAPI document.
//!
//! Paths of a workspace lie under `/api/v1/w/{workspace}`, those of the hub under `/api/v1`. JSON names are the field names here; times are
//! milliseconds since 1970 UTC; sizes are bytes; durations say their unit.

mod access;
mod charts;
mod fleet;
mod overview;
mod problem;
mod registry;
mod rollout;
mod tap;
mod truth;

pub use self::{
    access::*, charts::*, fleet::*, overview::*, problem::*, registry::*, rollout::*, tap::*,
    truth::*,
};

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Ask for `?after=` this for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
