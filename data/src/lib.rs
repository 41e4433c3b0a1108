//! Cleans rows and makes features of them, by steps that a person declares. Polars does the arithmetic.
//!
//! Called by the program `tern-data`, which the hub and `tern` run, so that neither carries Polars. Reads a dataset as a
//! directory and writes another one. Knows no store and no network.
//!
//! Must never break:
//! - what a step finds (means, quantiles) it finds in the rows to train on alone;
//! - a step that changes what a model gets is done by devices with the same numbers in the same order, in 32-bit floats on
//!   both sides, or it is about training alone and said so, or it is refused;
//! - no row changes its split.

mod file;
mod frame;
mod steps;

use std::{io, path::Path};

use polars::error::PolarsError;
use tern_dataset::{Counting, TableError, TooManyNames};
use tern_protocol::{
    rest::{
        DATASET_MANIFEST, DatasetInput, DatasetLabel, DatasetManifest, DatasetOrder, DatasetPick,
        DatasetPrepare, DatasetSplit, DatasetSplits, MadeFrom, Preparation, Prepared, Split,
    },
    steps::{STEPS, graph_input},
    tensor::{Dtype, TensorSpec},
};

use self::{file::Directory, frame::Frame, steps::Preparing};

/// Values that are held at once: 1.6 GB of floats, and about as much again while a step is done.
pub(crate) const VALUES: u64 = 400_000_000;

/// Why nothing was prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// What was declared cannot be done.
    #[error("{0}")]
    Refused(String),
    /// A step of the declaration cannot be done.
    #[error("step {step} ({name}): {text}")]
    Step {
        /// Which, from 1.
        step: usize,
        /// Its name.
        name: &'static str,
        /// Why not.
        text: String,
    },
    /// A file.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it did not work.
        #[source]
        source: io::Error,
    },
    /// A file is no JSON of ours.
    #[error("reading {what}")]
    Json {
        /// Which.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// Rows.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Arithmetic.
    #[error("computing")]
    Compute(#[from] PolarsError),
}

impl PrepareError {
    /// Whether the same would come of it again, and whoever declared the steps has to change something.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Step { .. })
    }
}

impl From<TooManyNames> for PrepareError {
    fn from(err: TooManyNames) -> Self {
        Self::Refused(err.to_string())
    }
}

/// Prepares the dataset of one directory into another, which must not be there.
pub fn prepare(from: &Path, preparation: &Preparation, to: &Path) -> Result<(), PrepareError> {
    let directory = Directory::open(from)?;
    let manifest = &directory.manifest;
    if manifest.prepared.is_some() {
        return Err(PrepareError::Refused(format!(
            "{}@{} is prepared already; do all steps to the version that it was made of",
            manifest.name, manifest.number
        )));
    }
    let width = width(&manifest.input)?;
    let rows: u64 = Split::ALL
        .iter()
        .map(|split| manifest.splits.of(*split).rows)
        .sum();
    if rows.saturating_mul(width as u64) > VALUES {
        return Err(PrepareError::Refused(format!(
            "{rows} rows of {width} values are more than {VALUES} values; choose fewer rows"
        )));
    }
    let frame = Frame::read(&directory)?;
    let mut preparing = Preparing::new(&manifest.input, &manifest.label, frame);
    for (place, step) in preparation.steps.iter().enumerate() {
        preparing
            .step(step)
            .map_err(|err| err.of_step(place + 1, step.name()))?;
    }
    let done = preparing.finish()?;
    leads_there(manifest, &done.prepared(preparation), &done.input)?;
    file::make(to)?;
    // What was not finished would be in the way of who tries again.
    write(&directory, preparation, done, to).inspect_err(|_| file::unmake(to))
}

/// Values of a row.
fn width(input: &DatasetInput) -> Result<usize, PrepareError> {
    match input {
        DatasetInput::Table { columns } => Ok(columns.len()),
        DatasetInput::Tensor(form) => form.elements().filter(|len| *len > 0).ok_or_else(|| {
            PrepareError::Refused(format!(
                "a tensor of {:?} has no rows to prepare",
                form.shape
            ))
        }),
    }
}

/// Makes sure that an engine would take the steps, and that they give what was trained on.
fn leads_there(
    manifest: &DatasetManifest,
    prepared: &Prepared,
    input: &DatasetInput,
) -> Result<(), PrepareError> {
    let batched = |dims: &[u32]| {
        let dims = dims.iter().map(|dim| i64::from(*dim));
        std::iter::once(-1).chain(dims).collect::<Vec<i64>>()
    };
    let request = match &manifest.input {
        DatasetInput::Tensor(form) => TensorSpec {
            name: form.name.clone(),
            dtype: form.dtype,
            shape: batched(&form.shape),
        },
        DatasetInput::Table { .. } => TensorSpec {
            name: "row".into(),
            dtype: Dtype::F32,
            shape: batched(&[prepared.request.len() as u32]),
        },
    };
    let after = match input {
        DatasetInput::Tensor(form) => batched(&form.shape),
        DatasetInput::Table { columns } => batched(&[columns.len() as u32]),
    };
    let form = graph_input(&request, &prepared.pre).map_err(|err| {
        PrepareError::Refused(format!(
            "devices cannot do this to {:?}: {err}; at most {STEPS} steps are theirs, and lists have at most 4096 numbers",
            request.shape
        ))
    })?;
    if form.shape != after || (form.dtype != Dtype::F32 && !prepared.pre.is_empty()) {
        return Err(PrepareError::Refused(format!(
            "devices would make {:?} of it, and training has {after:?}",
            form.shape
        )));
    }
    Ok(())
}

fn write(
    directory: &Directory,
    preparation: &Preparation,
    done: steps::Done,
    to: &Path,
) -> Result<(), PrepareError> {
    let from = &directory.manifest;
    let prepared = done.prepared(preparation);
    let mut splits = DatasetSplits::default();
    let mut files = std::collections::BTreeMap::new();
    let mut counting = Counting::new(&done.input);
    for split in Split::ALL {
        let rows = done.frame.rows(split, &done.input)?;
        if rows.is_empty() {
            continue;
        }
        let count = rows.len() as u64;
        for row in &rows {
            counting.add(split, row)?;
        }
        let (name, facts) = file::write(to, split, rows, &done.input, &from.label)?;
        *splits.of_mut(split) = DatasetSplit {
            rows: count,
            files: vec![name.clone()],
        };
        files.insert(name, facts);
    }
    let classes = match &from.label {
        DatasetLabel::Classes { classes } => classes.clone(),
        DatasetLabel::Number => Vec::new(),
    };
    let rows = counting.rows(&classes);
    if let Some(why) = rows.untrainable() {
        return Err(PrepareError::Refused(format!(
            "nothing is left to train on: {why}"
        )));
    }
    let manifest = DatasetManifest {
        name: from.name.clone(),
        number: from.number,
        id: from.id,
        model: from.model.clone(),
        input: done.input,
        label: from.label.clone(),
        splits,
        files,
        statistics: counting.told(),
        prepared: Some(prepared),
        parents: vec![from.id],
        made_from: MadeFrom {
            order: DatasetOrder::Prepare(DatasetPrepare {
                base: DatasetPick::Id(from.id),
                preparation: preparation.clone(),
            }),
            base_rows: rows.splits.all(),
            captures: 0,
            left_out: std::collections::BTreeMap::new(),
            moved: 0,
            as_called: Vec::new(),
        },
    };
    let json = serde_json::to_vec(&manifest).map_err(|source| PrepareError::Json {
        what: "what was prepared",
        source,
    })?;
    // Last: a directory without it is none.
    file::put(&to.join(DATASET_MANIFEST), &json)
}
