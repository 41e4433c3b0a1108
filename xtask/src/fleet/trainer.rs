//! The trainer: the scanned digits as a dataset of the hub, and packages of models.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use super::{Programs, cast::DATASET, tern::Tern};
use crate::process::call;

/// The scanned digits become the first version of the dataset at the hub. The directory that they are in as a job would
/// find them.
pub fn dataset(tern: &Tern, programs: &Programs, folder: &Path) -> Result<PathBuf> {
    let part = |name: &str| {
        let file = folder.join(format!("{name}.csv"));
        let mut export = Command::new(&programs.models);
        export.args(["dataset", "--part", name, "--out"]).arg(&file);
        finish(export, &file)?;
        anyhow::Ok(file)
    };
    tern.import_images(&part("train")?, &part("validation")?)?;
    let directory = folder.join(DATASET);
    tern.get_images(&directory)?;
    Ok(directory)
}

/// Trains a model; `more` adds what it is trained on and how. The package is in `out` then, and is noted by the name of
/// that.
pub fn train(programs: &Programs, out: &Path, more: impl FnOnce(&mut Command)) -> Result<()> {
    let note = out.file_name().unwrap_or_default();
    let mut train = Command::new(&programs.models);
    train.args(["train", "--seed", "1", "--json", "--note"]);
    train.arg(note).arg("--out").arg(out);
    more(&mut train);
    finish(train, out)
}

/// Runs the trainer to its end.
fn finish(command: Command, out: &Path) -> Result<()> {
    let answer = call(command)?;
    ensure!(
        answer.status.success(),
        "making {}: {}\n{}",
        out.display(),
        answer.status,
        answer.stderr
    );
    Ok(())
}
