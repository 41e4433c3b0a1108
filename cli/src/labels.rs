//! Files of labels: CSV ([`label_table`]), or Parquet ([`parquet`]).
//!
//! Called by `tern label import`. Must never break: what is wrong is said with its line or row, and
//! then nothing is sent at all.

mod parquet;

use std::io::{self, Read};

use tern_protocol::rest::label_table::{self, LabelTableError};

/// Longest file of labels, in bytes: it is held in memory, and a person can split a longer one. Some
/// ten million labels.
const FILE: u64 = 256 * 1024 * 1024;

/// What is wrong with a file of labels.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabelsError {
    #[error(transparent)]
    Table(#[from] LabelTableError),
    #[error("row {row}: {column} is neither text nor a number")]
    Kind { row: u64, column: &'static str },
    #[error("it has {0} rows; split it, at most ten million are read")]
    TooMany(i64),
    #[error("it cannot be read as Parquet")]
    Parquet(#[source] ::parquet::errors::ParquetError),
    #[error("it is over {} MiB long; split it", FILE / (1024 * 1024))]
    TooLong,
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}

pub(crate) use label_table::LabelRow as Row;

/// All labels of a file.
pub(crate) fn read(from: impl Read) -> Result<Vec<Row>, LabelsError> {
    let mut bytes = Vec::new();
    let mut bounded = from.take(FILE + 1);
    bounded.read_to_end(&mut bytes).map_err(LabelsError::Read)?;
    if bytes.len() as u64 > FILE {
        return Err(LabelsError::TooLong);
    }
    if bytes.starts_with(parquet::MAGIC) {
        return parquet::parse(bytes);
    }
    Ok(label_table::parse(&bytes)?)
}
