//! Rows of datasets, what is counted of them, and how they lie in files: Parquet, without Arrow.
//!
//! Called by the hub, which makes versions, and by `tern-data`, which prepares them, so that a file means the same to
//! both. Knows no store and no clock. Must never break: memory does not grow with the number of rows that are written or
//! read.

mod read;
mod row;
mod statistics;
#[cfg(test)]
mod tests;
mod write;

pub use self::{
    read::Rows,
    row::{BASE, Cell, Input, Label, Row, lot},
    statistics::{Counting, NAMES, TooManyNames, elements},
    write::{TableWriter, Truths},
};

/// Columns of a file beside those of the input.
pub const OWN: [&str; 8] = [
    "id", "device", "site", "at", "source", "weight", "label", "input",
];

/// Rows could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file, or what is in it.
    #[error("rows of a dataset")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// It is not what the manifest says.
    #[error("`{0}` is not what the manifest says")]
    Strange(String),
}
