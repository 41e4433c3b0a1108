//! The statements of the tables of alerts, and what is kept there as JSON.

pub(super) use crate::store::raw::number;
use crate::store::{Statements, StoreError};

pub(super) const SQL: Statements = Statements::of("reading or writing alerts");

/// Something that is kept as JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Value {
        what,
        value: text.chars().take(80).collect(),
    })
}

/// Something as JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists are always JSON")
}
