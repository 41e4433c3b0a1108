//! Inputs without a network: a watched directory, and standard input.
//!
//! Called by `serve`, one task an input. Must never break: a file is answered once its name says
//! that it is whole (writers rename it to `*.json`), and removed only after its answer is on disk.

use std::{
    fs, io,
    io::{BufRead as _, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tern_protocol::id::SlotName;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{Shared, http::BODY_MAX, oip};
use crate::{capture::Wishes, durable};

/// How often a watched directory is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Files answered before other inputs get their turn.
const FILES_AT_ONCE: usize = 32;

/// Lines of standard input that are read ahead.
const LINES: usize = 4;

/// Answers the files of a directory until the agent stops.
pub(super) async fn watch(
    shared: Arc<Shared>,
    name: SlotName,
    dir: PathBuf,
    mut stop: watch::Receiver<bool>,
) {
    if let Err(err) = fs::create_dir_all(&dir) {
        tracing::error!(dir = %dir.display(), "the watched directory cannot be made: {err}");
        return;
    }
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        // Files wait until there is a model.
        let slot = shared.predictor.slots().get(name.as_str());
        let Some(slot) = slot.filter(|slot| slot.serving().is_some()) else {
            continue;
        };
        let files = match waiting(&dir) {
            Ok(files) => files,
            Err(err) => {
                tracing::debug!(dir = %dir.display(), "looking into the watched directory: {err}");
                continue;
            }
        };
        for path in files {
            let answer = match read(&path) {
                Ok(body) => oip::infer(&shared.predictor, slot, &body, Wishes::default()).await,
                Err(err) => Err(oip::InferError::Tensor(format!("reading it: {err}"))),
            };
            if let Err(err) = put_answer(&path, &answer) {
                tracing::error!(
                    path = %path.display(),
                    "a watched directory is not answered any more: {err}; make it writable and \
                     restart the agent"
                );
                return;
            }
            if *stop.borrow() {
                return;
            }
        }
    }
}

/// The oldest names first; partial files have other names by convention.
fn waiting(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let whole = name.is_some_and(|name| {
            name.strip_suffix(".json").is_some_and(|stem| {
                let answer = [".out", ".err"].iter().any(|end| stem.ends_with(end));
                !answer && !stem.starts_with('.')
            })
        });
        if whole && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    files.truncate(FILES_AT_ONCE);
    Ok(files)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let file = fs::File::open(path)?;
    file.take(BODY_MAX as u64 + 1).read_to_end(&mut body)?;
    if body.len() > BODY_MAX {
        return Err(io::Error::other("a request may have 8 MiB"));
    }
    Ok(body)
}

fn put_answer(path: &Path, answer: &Result<Vec<u8>, oip::InferError>) -> io::Result<()> {
    let (suffix, body) = match answer {
        Ok(body) => ("out.json", body.clone()),
        Err(err) => ("err.json", problem(err)),
    };
    durable::replace(&path.with_extension(suffix), &body)?;
    fs::remove_file(path)
}

fn problem(err: &oip::InferError) -> Vec<u8> {
    serde_json::json!({ "error": crate::chain(err) })
        .to_string()
        .into_bytes()
}

/// Answers the lines of standard input until it ends or the agent stops.
pub(super) async fn stdin(shared: Arc<Shared>, name: SlotName, mut stop: watch::Receiver<bool>) {
    let (lines, mut waiting) = mpsc::channel(LINES);
    // Reading a terminal cannot be interrupted, so this thread ends with the process.
    let reader = std::thread::Builder::new().name("stdin".into());
    if let Err(err) = reader.spawn(move || read_lines(&lines)) {
        tracing::error!("standard input is not read: {err}");
        return;
    }
    loop {
        let line = tokio::select! {
            line = waiting.recv() => line,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Some(line) = line else { return };
        let Some(slot) = shared.predictor.slots().get(name.as_str()) else {
            return;
        };
        let answer = match line {
            Ok(line) => oip::infer(&shared.predictor, slot, &line, Wishes::default()).await,
            Err(err) => Err(oip::InferError::Tensor(err.to_string())),
        };
        let mut line = answer.unwrap_or_else(|err| problem(&err));
        line.push(b'\n');
        let mut out = io::stdout().lock();
        // A closed pipe is a quiet end.
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

fn read_lines(lines: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let mut limited = io::Read::take(&mut input, BODY_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut line);
        let result = match read {
            Ok(0) | Err(_) => return,
            Ok(_) if line.len() > BODY_MAX => {
                // The rest of the line is not a request of its own.
                if input.skip_until(b'\n').is_err() {
                    return;
                }
                Err(io::Error::other("a line may have 8 MiB"))
            }
            Ok(_) if line.iter().all(u8::is_ascii_whitespace) => continue,
            Ok(_) => Ok(line),
        };
        if lines.blocking_send(result).is_err() {
            return;
        }
    }
}
