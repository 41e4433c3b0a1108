//! Where rows go while a version is made: a thread that writes them, and counts them.

use std::fs::File;

use tern_dataset::{Counting, TableWriter, TooManyNames, Truths};
use tern_protocol::rest::{DatasetInput, Split};
use tokio::{sync::mpsc, task::JoinHandle};

use super::super::{
    DatasetError, Row,
    vault::{Shelved, Shelving, Vault},
};

/// Batches of rows that wait to be written: what is read meanwhile.
const WAITING: usize = 2;

/// Where rows go.
pub(super) struct Sink {
    to: mpsc::Sender<Vec<(Split, Row)>>,
    done: JoinHandle<Result<Made, DatasetError>>,
}

/// What was written.
pub(super) struct Made {
    /// A file for each split that has rows, with how many.
    pub(super) files: Vec<(Split, Shelved, u64)>,
    /// What was counted.
    pub(super) counting: Counting,
}

impl Sink {
    /// Begins: a file for each split, in the order of [`Split::ALL`].
    pub(super) fn start(
        vault: Vault,
        files: Vec<File>,
        input: DatasetInput,
        truths: Truths,
    ) -> Self {
        let (to, mut rows) = mpsc::channel::<Vec<(Split, Row)>>(WAITING);
        let done = tokio::task::spawn_blocking(move || {
            let mut counting = Counting::new(&input);
            let mut tables = Vec::new();
            for (split, file) in Split::ALL.into_iter().zip(files) {
                let shelving = Shelving::new(vault.clone(), split.file(), file);
                tables.push((split, TableWriter::new(shelving, &input, truths)?, 0u64));
            }
            while let Some(rows) = rows.blocking_recv() {
                for (split, row) in rows {
                    let too_many = |err: TooManyNames| DatasetError::Refused(err.to_string());
                    counting.add(split, &row).map_err(too_many)?;
                    let table = tables.iter_mut().find(|(of, ..)| *of == split);
                    if let Some((_, table, count)) = table {
                        table.push(row)?;
                        *count += 1;
                    }
                }
            }
            let mut files = Vec::new();
            for (split, table, rows) in tables {
                if rows > 0 {
                    let shelved = table.finish()?.finish();
                    let shelved =
                        shelved.map_err(DatasetError::io("writing a file of a dataset"))?;
                    files.push((split, shelved, rows));
                }
            }
            Ok(Made { files, counting })
        });
        Self { to, done }
    }

    /// Writes rows.
    pub(super) async fn put(&mut self, rows: Vec<(Split, Row)>) -> Result<(), DatasetError> {
        if self.to.send(rows).await.is_ok() {
            return Ok(());
        }
        // The thread has ended, and says why.
        match (&mut self.done).await {
            Ok(Err(err)) => Err(err),
            Ok(Ok(_)) => Err(ended(std::io::ErrorKind::BrokenPipe.into())),
            Err(panicked) => Err(ended(std::io::Error::other(panicked))),
        }
    }

    /// Ends it.
    pub(super) async fn finish(self) -> Result<Made, DatasetError> {
        drop(self.to);
        match self.done.await {
            Ok(made) => made,
            Err(panicked) => Err(ended(std::io::Error::other(panicked))),
        }
    }
}

fn ended(source: std::io::Error) -> DatasetError {
    DatasetError::Io {
        doing: "writing rows of a dataset",
        source,
    }
}
