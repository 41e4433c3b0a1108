//! Writes what a job made.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use tern_cli::client::Client;
use tern_protocol::id::JobId;

use super::JobError;
use crate::{commands::Context, out::talk, show::words};

/// Writes one artifact, or all of them.
pub(super) fn get(
    context: &Context,
    id: JobId,
    path: Option<String>,
    attempt: Option<u32>,
    to: Option<&Path>,
) -> Result<(), JobError> {
    let client = &context.client;
    if let Some(path) = path {
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        let to = to.map_or_else(|| PathBuf::from(&name), Path::to_path_buf);
        if to == Path::new("-") {
            let text = Path::new(&path)
                .extension()
                .is_some_and(|kind| kind.eq_ignore_ascii_case("txt"));
            if io::stdout().is_terminal() && !text {
                return Err(JobError::Terminal(path));
            }
            let mut stdout = io::stdout().lock();
            client.job_artifact(id, &path, attempt, &mut stdout)?;
            return Ok(());
        }
        return fetch(client, id, &path, attempt, &to);
    }
    let found = client.job(id)?;
    let mut all = BTreeMap::new();
    for one in &found.artifacts {
        if attempt.is_none_or(|number| number == one.attempt) {
            all.insert(one.path.clone(), one.attempt);
        }
    }
    if all.is_empty() {
        return Err(JobError::NoArtifacts(id));
    }
    let dir = to.map_or_else(|| PathBuf::from(format!("job-{id}")), Path::to_path_buf);
    for (path, number) in &all {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !path.split('/').all(plain) {
            return Err(JobError::Name(path.clone()));
        }
        fetch(client, id, path, Some(*number), &dir.join(path))?;
    }
    let files = words::things(all.len() as u64, "file");
    talk(format_args!("{files} in {}", dir.display()));
    Ok(())
}

/// Whole, or not there.
fn fetch(
    client: &Client,
    id: JobId,
    path: &str,
    attempt: Option<u32>,
    to: &Path,
) -> Result<(), JobError> {
    let wrong = |path: &Path, source| JobError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = to.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|err| wrong(parent, err))?;
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let file = File::create(&partial).map_err(|err| wrong(&partial, err))?;
    let mut file = BufWriter::new(file);
    let fetched = client.job_artifact(id, path, attempt, &mut file);
    let written = fetched.map_err(JobError::from).and_then(|bytes| {
        file.flush().map_err(|err| wrong(&partial, err))?;
        fs::rename(&partial, to).map_err(|err| wrong(to, err))?;
        Ok(bytes)
    });
    match written {
        Ok(bytes) => {
            talk(format_args!("{}: {}", to.display(), words::bytes(bytes)));
            Ok(())
        }
        Err(err) => {
            // What is left of it is of no use.
            let _ = fs::remove_file(&partial);
            Err(err)
        }
    }
}
