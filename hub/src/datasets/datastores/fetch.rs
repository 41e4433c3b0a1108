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
    s3::Bucket,
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
            let what = format!("{name}:{path}");
            let mut file = app.blobs.nameless().await?;
            let webhooks = Webhooks::default();
            let take = &mut |piece: &[u8]| file.write_all(piece);
            let coming = async {
                let got = webhooks.get(&target, token.as_deref(), FILE, take).await;
                got.map_err(|failure| DatasetError::Away(format!("{what}: {failure}")))
            };
            in_time(&what, coming).await?;
            from_its_beginning(file)
        }
        DatastorePlace::S3 {
            bucket,
            prefix,
            region,
            endpoint,
            key_id,
        } => {
            let bucket = Bucket::new(
                &bucket,
                &prefix,
                &region,
                endpoint.as_deref(),
                key_id.as_deref(),
            )
            .map_err(DatasetError::Refused)?;
            let what = format!("{name}:{path}");
            let mut file = app.blobs.nameless().await?;
            let take = &mut |piece: &[u8]| file.write_all(piece);
            in_time(&what, bucket.get(token.as_deref(), path, &what, FILE, take)).await?;
            from_its_beginning(file)
        }
    }
}

/// Waits for what comes from elsewhere, for [`LONGEST`] at most.
async fn in_time(
    what: &str,
    coming: impl Future<Output = Result<(), DatasetError>>,
) -> Result<(), DatasetError> {
    match tokio::time::timeout(LONGEST, coming).await {
        Ok(came) => came,
        Err(_) => Err(DatasetError::Away(format!(
            "{what} did not come within an hour"
        ))),
    }
}

fn from_its_beginning(mut file: File) -> Result<File, DatasetError> {
    file.rewind()
        .map_err(DatasetError::io("keeping a file of a datastore"))?;
    Ok(file)
}
