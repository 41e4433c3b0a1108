//! What the pictures really showed, as people will say later, and what was answered at once:
//! `device,prediction,truth,said`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tern_protocol::id::DeviceId;

use super::oip::Answer;

/// The first line.
const HEADER: &str = "device,prediction,truth,said\n";

/// The truths cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("writing truths to {}", path.display())]
pub struct TruthError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A CSV file that grows. Each line is written whole and at once, so that who reads along sees
/// whole lines, and a kill loses none.
#[derive(Debug)]
pub(super) struct Truth {
    file: File,
    path: PathBuf,
}

impl Truth {
    /// Opens it for appending; a new one gets the header.
    pub(super) fn open(path: &Path) -> Result<Self, TruthError> {
        let refused = |source| TruthError {
            path: path.into(),
            source,
        };
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .append(true)
            .open(path)
            .map_err(refused)?;
        if file.metadata().map_err(refused)?.len() == 0 {
            file.write_all(HEADER.as_bytes()).map_err(refused)?;
        }
        Ok(Self {
            file,
            path: path.into(),
        })
    }

    /// Adds a truth. Names have no comma and no quote in them; what was said is empty if it is no digit.
    pub(super) fn append(
        &mut self,
        device: &DeviceId,
        answer: Answer,
        digit: u8,
    ) -> Result<(), TruthError> {
        let said = answer.said.map(|said| said.to_string());
        let said = said.unwrap_or_default();
        let line = format!("{device},{},{digit},{said}\n", answer.prediction);
        self.file
            .write_all(line.as_bytes())
            .map_err(|source| TruthError {
                path: self.path.clone(),
                source,
            })
    }
}
