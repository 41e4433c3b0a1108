//! Gets a file of a datastore.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
    path::Path,
    time::Duration,
};

use tern_protocol::{
    id::{DatastoreName, WorkspaceId},
    rest::DatastorePlace,
};

use super::{
    super::{DatasetError, FILE},
    Place, allowed, check_path, place,
};
use crate::{
    app::App,
    notify::{
        address::{Plain, Target},
        webhook::Webhooks,
    },
};

/// Longest that a file may take.
const LONGEST: Duration = Duration::from_hours(1);

/// A file of a datastore, as it is now: one that has no name any more, or one that lies in a directory.
pub(in crate::datasets) async fn fetch(
    app: &App,
    workspace: &WorkspaceId,
    name: &DatastoreName,
    path: &str,
) -> Result<File, DatasetError> {
    check_path(path)?;
    let Place { place, token } = place(app, workspace, name).await?;
    match place {
        DatastorePlace::Directory { path: dir } => {
            let real = allowed(&app.datasets.roots, &Path::new(&dir).join(path))?;
            let open = || -> io::Result<File> {
                let file = File::open(&real)?;
                if !file.metadata()?.is_file() {
                    return Err(io::Error::other("it is no file"));
                }
                Ok(file)
            };
            let mut from = open().map_err(|err| {
                DatasetError::Refused(format!("{name}:{path} cannot be read: {err}"))
            })?;
            // A copy: who writes on in it meanwhile changes nothing of what is imported.
            let mut to = app.blobs.nameless().await?;
            let copied = tokio::task::spawn_blocking(move || {
                let copied = io::copy(&mut io::Read::take(&mut from, FILE + 1), &mut to)?;
                to.rewind()?;
                Ok::<_, io::Error>((to, copied))
            });
            let (file, copied) = copied
                .await
                .unwrap_or_else(|ended| Err(io::Error::other(ended)))
                .map_err(DatasetError::io("copying a file of a datastore"))?;
            if copied > FILE {
                return Err(DatasetError::Refused(format!(
                    "{name}:{path} has more than {FILE} bytes"
                )));
            }
            Ok(file)
        }
        DatastorePlace::Http { url } => {
            let whole = format!("{}/{path}", url.trim_end_matches('/'));
            let target = Target::parse(&whole, Plain::Loopback)
                .map_err(|err| DatasetError::Refused(err.to_string()))?;
            let mut file = app.blobs.nameless().await?;
            let webhooks = Webhooks::default();
            let take = &mut |piece: &[u8]| file.write_all(piece);
            let got = webhooks.get(&target, token.as_deref(), FILE, take);
            match tokio::time::timeout(LONGEST, got).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => {
                    return Err(DatasetError::Away(format!("{name}:{path}: {failure}")));
                }
                Err(_) => {
                    return Err(DatasetError::Away(format!(
                        "{name}:{path} did not come within an hour"
                    )));
                }
            }
            file.rewind()
                .map_err(DatasetError::io("keeping a file of a datastore"))?;
            Ok(file)
        }
    }
}
