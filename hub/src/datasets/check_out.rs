//! A version as a directory: its manifest and its files, as jobs and people get it.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::Path,
};

use tern_protocol::{
    digest::Hasher,
    id::{DatasetId, WorkspaceId},
    rest::DatasetPick,
};

use super::{DatasetError, look};
use crate::app::App;

/// Writes a version into a directory, which is made; what is there under the same names is written over. Each file has
/// the digest that the manifest says, or this is an error.
pub async fn check_out(
    app: &App,
    workspace: &WorkspaceId,
    id: DatasetId,
    to: &Path,
) -> Result<(), DatasetError> {
    let found = look::find(app, workspace, &DatasetPick::Id(id)).await?;
    let manifest = look::manifest(app, &found).await?;
    fs::create_dir_all(to).map_err(DatasetError::io("making the directory of a dataset"))?;
    for (path, _) in look::files(app, &found).await? {
        let (_, mut from) = look::file(app, &found, &path).await?;
        let place = to.join(&path);
        let known = manifest.files.get(&path).copied();
        let written = tokio::task::spawn_blocking(move || {
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut file = BufWriter::new(File::create(&place)?);
            let mut hasher = Hasher::new();
            let mut piece = vec![0; 64 * 1024];
            loop {
                let read = io::Read::read(&mut from, &mut piece)?;
                if read == 0 {
                    break;
                }
                hasher.update(&piece[..read]);
                file.write_all(&piece[..read])?;
            }
            file.flush()?;
            Ok::<_, io::Error>(hasher.finish())
        });
        let digest = written
            .await
            .unwrap_or_else(|ended| Err(io::Error::other(ended)))
            .map_err(DatasetError::io("writing a file of a dataset"))?;
        if known.is_some_and(|known| known.digest != digest) {
            return Err(DatasetError::Io {
                doing: "writing a file of a dataset",
                source: io::Error::other(format!("{path} is not what the manifest says")),
            });
        }
    }
    Ok(())
}
