//! Versions that are another form of one: `tern-data`, a program beside this one, does the work.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tern_dataset::Rows;
use tern_protocol::rest::{DATASET_MANIFEST, DatasetManifest, DatasetPrepare, Split};
use tokio::sync::mpsc;

use super::{
    super::{
        DatasetError, Row, check_out,
        ledger::{Apart, Proposed},
        look,
        stored::Stored,
        vault::Shelf,
    },
    Made, Making, Shape, base_of, before, must_fit,
};
use crate::app::App;

/// The program.
const PROGRAM: &str = "tern-data";

/// Longest that it may take.
const LONGEST: Duration = Duration::from_hours(2);

/// What is kept of what it says, in bytes.
const SAID: u64 = 16 * 1024;

/// Its exit status when what was declared cannot be done.
const REFUSED: i32 = 1;

/// Rows that are handed on together.
const TOGETHER: usize = 256;

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
    let before = before(app, of).await?;
    must_fit(before.as_ref(), &shape, true)?;
    let mut making = Making::begin(app, of, &shape, Apart::Ids).await?;
    let held = look::captures_of(app, base).await?;
    for split in Split::ALL {
        for file in &manifest.splits.of(split).files {
            let mut rows = read(to.join(file), &manifest);
            while let Some(some) = rows.recv().await {
                let some: Vec<Proposed> = some?
                    .into_iter()
                    .map(|row| Proposed {
                        subject: row
                            .capture()
                            .and_then(|(d, b, n)| held.get(&(d.to_owned(), b, n)).cloned()),
                        row,
                        split,
                    })
                    .collect();
                making.base_rows += some.len() as u64;
                making.put(some).await?;
            }
        }
    }
    making.finish(shape, manifest.prepared).await
}

fn read(
    path: PathBuf,
    manifest: &DatasetManifest,
) -> mpsc::Receiver<Result<Vec<Row>, DatasetError>> {
    let (to, rows) = mpsc::channel(2);
    let (input, label) = (manifest.input.clone(), manifest.label.clone());
    tokio::task::spawn_blocking(move || {
        let reading = DatasetError::io("reading what was prepared");
        let open = || -> io::Result<Shelf> {
            let file = std::fs::File::open(path)?;
            let len = file.metadata()?.len();
            Ok(Shelf::plain(file, len))
        };
        let rows = open()
            .map_err(reading)
            .and_then(|shelf| Ok(Rows::new(shelf, &input, &label)?));
        let mut rows = match rows {
            Ok(rows) => rows,
            Err(err) => {
                let _ = to.blocking_send(Err(err));
                return;
            }
        };
        loop {
            let some: Result<Vec<Row>, _> = rows.by_ref().take(TOGETHER).collect();
            let is_last = some.as_ref().map_or(true, Vec::is_empty);
            if some.as_ref().is_ok_and(Vec::is_empty)
                || to.blocking_send(some.map_err(Into::into)).is_err()
                || is_last
            {
                return;
            }
        }
    });
    rows
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
        // Nothing of the hub's surroundings is its business.
        .env_clear()
        .stdin(Stdio::null())
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
