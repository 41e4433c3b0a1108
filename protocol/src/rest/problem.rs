use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// An error, `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Names the kind of problem, for programs: `urn:tern:problem:not-vetted`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind, for people.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened this time and what to do next.
    pub detail: String,
    /// Single findings, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// One thing that is wrong with a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Which check found it: `parse`, `operator`, `shape`, `dtype`, `optimise`, `golden`,
    /// `reference`, `manifest`.
    pub check: String,
    /// Operator, input, output or sample that it is about.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}
