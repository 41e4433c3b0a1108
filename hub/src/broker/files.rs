//! The files that a broker of the operator's own needs from the hub, in a directory that it reads: its
//! certificate and key, the authorities of its clients, and the certificates that are good no more.
//!
//! Written once by `tern-hub ca broker`, and kept up to date by a hub with `--broker-files`. Telling the
//! broker to read them again is its operator's: the hub runs no commands.
//!
//! Must never break: each file is replaced whole; the key is for its owner and the directory's group
//! alone.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tern_protocol::id::WorkspaceId;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{
        authority::{Authorities, AuthorityError, BROKER_LIFE, Revoked},
        identity,
    },
    app::App,
    file_error::{FileError, io_error},
    store::{StoreError, chain},
};

/// The broker's certificate with its chain.
pub const CERTIFICATE: &str = "server.crt";
/// Its key.
pub const KEY: &str = "server.key";
/// Who vouches for its clients.
pub const AUTHORITIES: &str = "ca.crt";
/// Certificates that are good no more.
pub const REVOKED: &str = "crl.pem";

/// For everybody: nothing in these files is secret.
const OPEN: u32 = 0o644;

/// For the owner and the group that the directory gives it.
const CLOSED: u32 = 0o640;

/// Lists of revoked certificates are written again at least so often.
const LISTS: Duration = Duration::from_hours(24);

/// Wait before writing is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Why the files are not there.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The authorities do not sign.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Who may not speak any more is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes all files. The directory is made if it is missing.
pub fn write(
    dir: &Path,
    names: &[String],
    authorities: &Authorities,
    workspace: Option<&WorkspaceId>,
    revoked: &[Revoked],
) -> Result<(), FilesError> {
    fs::create_dir_all(dir).map_err(io_error("making", dir))?;
    let clients = authorities.trusted().for_broker(workspace);
    if clients.is_empty() {
        return Err(AuthorityError::None.into());
    }
    let own = authorities.broker(names)?;
    replace(&dir.join(KEY), own.key.as_bytes(), CLOSED)?;
    replace(&dir.join(CERTIFICATE), own.chain.as_bytes(), OPEN)?;
    replace(&dir.join(AUTHORITIES), clients.as_bytes(), OPEN)?;
    write_revoked(dir, authorities, revoked)
}

fn write_revoked(
    dir: &Path,
    authorities: &Authorities,
    revoked: &[Revoked],
) -> Result<(), FilesError> {
    let lists = authorities.revocation_lists(revoked)?;
    Ok(replace(&dir.join(REVOKED), lists.as_bytes(), OPEN)?)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let staged = path.with_file_name(name);
    match fs::remove_file(&staged) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("removing", &staged)(err));
        }
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&staged)?;
        // Whatever the process's mask says: the broker is another user.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io_error("writing", &staged))?;
    fs::rename(&staged, path).map_err(io_error("renaming to", path))?;
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(io_error("syncing", dir))
}

/// What has to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    All,
    Revoked,
}

/// Keeps the files up to date until told to stop: all of them when the authorities change and at half of
/// the certificate's life, the revoked certificates as soon as an identity ends and once a day.
pub async fn keep(app: App, dir: PathBuf, names: Vec<String>, stop: CancellationToken) {
    let mut ended = app.registry.ended();
    let mut authorities = app.authorities.tls();
    let mut renew_at = Instant::now() + BROKER_LIFE / 2;
    let mut what = What::All;
    let mut broken = false;
    loop {
        let next = match now(&app, &dir, &names, what).await {
            Ok(()) => {
                if what == What::All {
                    renew_at = Instant::now() + BROKER_LIFE / 2;
                }
                broken = false;
                what = What::Revoked;
                Instant::now() + LISTS
            }
            Err(err) => {
                if !broken {
                    tracing::error!(error = chain(&err), "the broker's files are not up to date");
                }
                broken = true;
                Instant::now() + AGAIN
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(next) => {}
            () = sleep_until(renew_at) => what = What::All,
            changed = authorities.changed() => {
                if changed.is_err() {
                    return;
                }
                what = What::All;
            }
            one = ended.recv() => {
                if one == Err(RecvError::Closed) {
                    return;
                }
            }
        }
    }
}

async fn now(app: &App, dir: &Path, names: &[String], what: What) -> Result<(), FilesError> {
    let revoked = identity::revoked(app.store.read(), app.clock.now()).await?;
    let (dir, names, authorities) = (dir.to_owned(), names.to_vec(), app.authorities.clone());
    let written = tokio::task::spawn_blocking(move || match what {
        What::All => write(&dir, &names, &authorities, None, &revoked),
        What::Revoked => write_revoked(&dir, &authorities, &revoked),
    });
    match written.await {
        Ok(written) => written,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
