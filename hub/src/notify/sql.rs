//! The statements of the tables of notices.

use crate::store::Statements;
pub(super) use crate::store::raw::number;

pub(super) const SQL: Statements = Statements::of("reading or writing notices");
