//! The statements of the tables of alerts.

use crate::store::Statements;
pub(super) use crate::store::{json, raw::number, to_json};

pub(super) const SQL: Statements = Statements::of("reading or writing alerts");
