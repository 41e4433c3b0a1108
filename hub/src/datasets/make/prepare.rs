//! Versions that are another form of one: `tern-data`, a program beside this one, does the work.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tern_dataset::Rows;
use tern_protocol::rest::{DATASET_MANIFEST, DatasetManifest, DatasetPrepare, Split};

use super::{
    super::{
        DatasetError, Row,
        batches::{Batches, in_batches, pass_on},
        check_out,
        ledger::{Apart, Proposed, held, predicted},
        stored::Stored,
        vault::Shelf,
    },
    Made, Making, Shape, base_of,
};
use crate::{app::App, monitor::rows::Predicted};

/// The program.
const PROGRAM: &str = "tern-data";

/// Longest that it may take.
const LONGEST: Duration = Duration::from_hours(2);

/// What is kept of what it says, in bytes.
const SAID: u64 = 16 * 1024;

/// Its exit status when what was declared cannot be done.
const REFUSED: i32 = 1;

/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// A process that ends when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // One that ended by itself just now cannot be ended.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Where it is: beside this program.
fn program() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    // A test of this crate lies one directory below.
    let beside = this.ancestors().skip(1).take(2);
    let found = beside
        .map(|dir| dir.join(PROGRAM))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| PROGRAM.into())
}

/// Makes it.
pub(super) async fn make(
    app: &App,
    of: &Stored,
    prepare: &DatasetPrepare,
) -> Result<(DatasetManifest, Made), DatasetError> {
    let base = base_of(app, of, &prepare.base).await?;
    // It goes with this: it holds rows as they are.
    let dir = app.datasets.scratch(of.id())?;
    within(app, of, &base, prepare, dir.path()).await
}

async fn within(
    app: &App,
    of: &Stored,
    base: &Stored,
    prepare: &DatasetPrepare,
    dir: &Path,
) -> Result<(DatasetManifest, Made), DatasetError> {
    let (from, to) = (dir.join("from"), dir.join("to"));
    check_out(app, &of.workspace, base.id(), &from).await?;
    let steps = dir.join("steps.json");
    let json = serde_json::to_vec(&prepare.preparation).expect("REST types are always JSON");
    tokio::fs::write(&steps, json)
        .await
        .map_err(DatasetError::io("writing what is to be prepared"))?;
    run(&from, &steps, &to).await?;

    let path = to.join(DATASET_MANIFEST);
    let json = tokio::fs::read(&path)
        .await
        .map_err(DatasetError::io("reading what was prepared"))?;
    let manifest: DatasetManifest =
        serde_json::from_slice(&json).map_err(|err| DatasetError::Io {
            doing: "reading what was prepared",
            source: std::io::Error::other(err),
        })?;
    let shape = Shape::of(&manifest);
    let mut making = Making::begin(app, of, &shape, Apart::Ids).await?;
    for split in Split::ALL {
        for file in &manifest.splits.of(split).files {
            let mut rows = read(to.join(file), &manifest);
            while let Some(some) = rows.recv().await {
                let some = some?;
                let captures: Vec<Predicted> = some.iter().filter_map(predicted).collect();
                let whose = held(app, &of.workspace, base.id(), &captures).await?;
                let proposed = some.into_iter().map(|row| Proposed {
                    subject: predicted(&row).and_then(|key| whose.get(&key).cloned().flatten()),
                    row,
                    split,
                });
                making.base_rows += proposed.len() as u64;
                making.put(proposed.collect()).await?;
            }
        }
    }
    making.finish(shape, manifest.prepared).await
}

fn read(path: PathBuf, manifest: &DatasetManifest) -> Batches<Row> {
    let (input, label) = (manifest.input.clone(), manifest.label.clone());
    in_batches(move |take| {
        let open = || -> io::Result<Shelf> {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok(Shelf::plain(file, len))
        };
        let shelf = open().map_err(DatasetError::io("reading what was prepared"))?;
        pass_on(Rows::new(shelf, &input, &label)?, take).map(drop)
    })
}

async fn run(from: &Path, steps: &Path, to: &Path) -> Result<(), DatasetError> {
    let program = program();
    let failed = |source| DatasetError::Program {
        program: program.clone(),
        source,
    };
    let mut child = Command::new(&program)
        .args(["prepare", "--from"])
        .arg(from)
        .arg("--steps")
        .arg(steps)
        .arg("--to")
        .arg(to)
        // It ends when its input does, so also with a hub that is killed.
        .arg("--attended")
        .stdin(Stdio::piped())
        // Nothing of the hub's surroundings is its business.
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stderr = child.stderr.take();
    let mut child = Running(child);
    let heard = tokio::task::spawn_blocking(move || {
        let mut said = Vec::new();
        if let Some(mut pipe) = stderr {
            let _ = pipe.by_ref().take(SAID).read_to_end(&mut said);
            // It is not to wait for somebody who reads no more.
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        said
    });
    let deadline = Instant::now() + LONGEST;
    let status: ExitStatus = loop {
        if let Some(status) = child.0.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() > deadline {
            return Err(DatasetError::Refused(format!(
                "preparing took longer than {} hours",
                LONGEST.as_secs() / 3_600
            )));
        }
        tokio::time::sleep(LOOK).await;
    };
    let said = heard.await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    match status.code() {
        Some(0) => Ok(()),
        Some(REFUSED) => Err(DatasetError::Refused(said)),
        _ => Err(DatasetError::Away(format!(
            "{PROGRAM} ended with {status}: {said}"
        ))),
    }
}
