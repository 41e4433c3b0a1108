//! The statements of the tables of people.

use crate::store::Statements;

pub(super) const SQL: Statements = Statements::of("reading or writing accounts");
