//! A dataset version as a directory: what a job finds at `TERN_DATASET`, what `tern dataset get` writes.
//!
//! Called by `tern-models train --dataset`. Must never break: rows come in the order of their file; what the manifest
//! promises and a file does not hold is an error, not a shorter training; no file outside of the directory is opened.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use parquet::{
    errors::ParquetError,
    file::reader::{FileReader as _, SerializedFileReader},
    record::{Field, Row as Record},
};
use serde::Deserialize;
use tern_protocol::digest::{Digest, Hasher};

use crate::{
    captures,
    data::{CLASSES, Sample},
    image::{Image, PIXELS},
    onnx::INPUT,
};

/// Longest manifest, in bytes: what is long in it are statistics of columns.
const MANIFEST_BYTES: u64 = 16 * 1024 * 1024;

/// Rows of a split, at most: they are all in memory.
const ROWS: u64 = 2_000_000;

/// The source of a row that is no capture.
const BASE: &str = "base";

/// What is trained on and measured on.
#[derive(Debug, Clone)]
pub struct Version {
    /// To train on.
    pub train: Split,
    /// To measure on; the same in all versions of a dataset's name.
    pub held_out: Split,
}

/// The rows of one split.
#[derive(Debug, Clone)]
pub struct Split {
    /// In the order of the files.
    pub rows: Vec<Row>,
    /// Of ids, truths and inputs in their order: two programs that read the same rows have the same.
    pub digest: Digest,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The picture and its digit.
    pub sample: Sample,
    /// Whether a device captured it.
    pub captured: bool,
}

/// Why a directory is no dataset that a digit reader can learn from.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file cannot be read.
    #[error("reading {}; a dataset is a directory with a dataset.json", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The manifest is none.
    #[error("dataset.json is no manifest")]
    Manifest(#[from] serde_json::Error),
    /// A file of rows is damaged.
    #[error("reading {file}")]
    Parquet {
        /// Which.
        file: String,
        /// What is wrong with it.
        #[source]
        source: ParquetError,
    },
    /// It is about something else.
    #[error("it holds {found}; a digit reader takes tensors of 64 f32 and the classes 0 to 9")]
    NoDigits {
        /// What it holds.
        found: String,
    },
    /// A file that is not in the directory.
    #[error("dataset.json names {0}, which is not in the directory")]
    Outside(String),
    /// More or fewer rows than the manifest says.
    #[error("the split {split} has {found} rows, not the {told} of the manifest")]
    Rows {
        /// Which split.
        split: &'static str,
        /// Rows in its files.
        found: u64,
        /// Rows in the manifest.
        told: u64,
    },
    /// More rows than there is memory for.
    #[error("the split {0} has more than {ROWS} rows")]
    TooMany(&'static str),
    /// A row that is no picture of a digit.
    #[error("row {row} of {file}: {what}")]
    Row {
        /// Which file.
        file: String,
        /// From 1.
        row: u64,
        /// What is wrong.
        what: &'static str,
    },
}

#[derive(Deserialize)]
struct Manifest {
    input: Input,
    label: Label,
    splits: Splits,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Input {
    Tensor {
        name: String,
        dtype: String,
        shape: Vec<u64>,
    },
    Table {},
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Label {
    Classes { classes: Vec<String> },
    Number {},
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Splits {
    train: Files,
    #[serde(default)]
    held_out: Files,
}

#[derive(Deserialize, Default)]
struct Files {
    rows: u64,
    files: Vec<String>,
}

/// Reads a dataset version of digits.
pub fn read(dir: &Path) -> Result<Version, DatasetError> {
    let path = dir.join("dataset.json");
    let mut text = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MANIFEST_BYTES).read_to_end(&mut text))
        .map_err(|source| DatasetError::File { path, source })?;
    let manifest: Manifest = serde_json::from_slice(&text)?;
    manifest.is_of_digits()?;
    Ok(Version {
        train: split(dir, "train", &manifest.splits.train)?,
        held_out: split(dir, "held-out", &manifest.splits.held_out)?,
    })
}

impl Manifest {
    fn is_of_digits(&self) -> Result<(), DatasetError> {
        let digits: Vec<String> = (0..CLASSES).map(|digit| digit.to_string()).collect();
        let found = match (&self.input, &self.label) {
            (Input::Table {}, _) => "a table".into(),
            (_, Label::Number {}) => "numbers to predict".into(),
            (Input::Tensor { name, dtype, shape }, Label::Classes { classes }) => {
                let elements = shape
                    .iter()
                    .try_fold(1_u64, |all, one| all.checked_mul(*one));
                if name == INPUT
                    && dtype == "f32"
                    && elements == Some(PIXELS as u64)
                    && *classes == digits
                {
                    return Ok(());
                }
                format!(
                    "`{name}` of {dtype} {shape:?} with {} classes",
                    classes.len()
                )
            }
        };
        Err(DatasetError::NoDigits { found })
    }
}

fn split(dir: &Path, name: &'static str, told: &Files) -> Result<Split, DatasetError> {
    if told.rows > ROWS {
        return Err(DatasetError::TooMany(name));
    }
    let mut rows = Vec::new();
    let mut hasher = Hasher::new();
    for file in &told.files {
        let inside = |part| matches!(part, Component::Normal(_));
        if !Path::new(file).components().all(inside) {
            return Err(DatasetError::Outside(file.clone()));
        }
        rows_of(dir, file, told.rows, &mut rows, &mut hasher)?;
    }
    let found = rows.len() as u64;
    if found != told.rows {
        return Err(DatasetError::Rows {
            split: name,
            found,
            told: told.rows,
        });
    }
    Ok(Split {
        rows,
        digest: hasher.finish(),
    })
}

/// Adds the rows of a file, no more than one beyond those that are wanted.
fn rows_of(
    dir: &Path,
    file: &str,
    wanted: u64,
    rows: &mut Vec<Row>,
    hasher: &mut Hasher,
) -> Result<(), DatasetError> {
    let damaged = |source| DatasetError::Parquet {
        file: file.to_owned(),
        source,
    };
    let path = dir.join(file);
    let opened = File::open(&path).map_err(|source| DatasetError::File { path, source })?;
    let reader = SerializedFileReader::new(opened).map_err(damaged)?;
    for (at, record) in (1..).zip(reader.get_row_iter(None).map_err(damaged)?) {
        let wrong = |what| DatasetError::Row {
            file: file.to_owned(),
            row: at,
            what,
        };
        let record = record.map_err(damaged)?;
        let id = text(&record, "id").ok_or_else(|| wrong("it has no id"))?;
        let label = text(&record, "label").ok_or_else(|| wrong("it has no label"))?;
        let source = text(&record, "source").ok_or_else(|| wrong("it has no source"))?;
        let input = bytes(&record).ok_or_else(|| wrong("it has no input"))?;
        for part in [id.as_bytes(), label.as_bytes(), input] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digit = label
            .parse()
            .ok()
            .filter(|digit| usize::from(*digit) < CLASSES);
        let sample = Sample {
            image: image(input).ok_or_else(|| wrong("its input is not 64 f32 of 0 to 16"))?,
            digit: digit.ok_or_else(|| wrong("its label is no digit"))?,
        };
        rows.push(Row {
            sample,
            captured: source != BASE,
        });
        if rows.len() as u64 > wanted {
            break;
        }
    }
    Ok(())
}

fn field<'r>(record: &'r Record, column: &str) -> Option<&'r Field> {
    let mut columns = record.get_column_iter();
    columns
        .find(|(name, _)| *name == column)
        .map(|(_, field)| field)
}

fn text<'r>(record: &'r Record, column: &str) -> Option<&'r str> {
    match field(record, column)? {
        Field::Str(text) => Some(text),
        _ => None,
    }
}

fn bytes(record: &Record) -> Option<&[u8]> {
    match field(record, "input")? {
        Field::Bytes(bytes) => Some(bytes.data()),
        _ => None,
    }
}

fn image(input: &[u8]) -> Option<Image> {
    let values = input.chunks_exact(4);
    if values.len() != PIXELS || !values.remainder().is_empty() {
        return None;
    }
    let mut image = [0.0; PIXELS];
    for (pixel, value) in image.iter_mut().zip(values) {
        let value = f32::from_le_bytes(value.try_into().expect("chunks of four bytes"));
        *pixel = captures::within(value)?;
    }
    Some(Image(image))
}

#[cfg(test)]
mod tests;
