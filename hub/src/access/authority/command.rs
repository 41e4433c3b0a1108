//! `tern-hub ca …`: what somebody with a shell on the hub's machine does with its authorities, while
//! the hub runs or not.

use std::{fmt::Write as _, fs, path::PathBuf};

use tern_protocol::rest::AuthorityView;

use super::{Authorities, AuthorityError, CaDir, Revoked, change, keeper};
use crate::{
    access::{
        audit::{self, Deed},
        identity,
    },
    broker::files::{self, FilesError},
    clock::Clock,
    config::{CaAction, CaArgs, DatabaseSettingsError},
    data_dir::{NoData, used},
    file_error::io_error,
    store::{Place, Store, StoreError},
};

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The authorities.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// There is no such directory.
    #[error(transparent)]
    NoData(#[from] NoData),
    /// Devices would be shut out.
    #[error(
        "{identities} active identities have their certificate from {id}; wait until they have \
         renewed (`tern-hub ca list`), or shut them out with `--force`"
    )]
    Needed {
        /// The authority.
        id: String,
        /// How many.
        identities: u64,
    },
    /// The settings of the database cannot be used.
    #[error(transparent)]
    Settings(#[from] DatabaseSettingsError),
    /// The database is elsewhere.
    #[error(transparent)]
    Database(StoreError),
    /// Files for a broker.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Which certificates are revoked is not known.
    #[error("the database does not say which certificates are revoked")]
    Revoked(#[source] StoreError),
    /// Who depends on an authority is not known.
    #[error("the database cannot be read, so nobody knows who depends on it; `--force` retires it")]
    Unknown(#[source] StoreError),
}

/// Does it; what to print.
pub async fn run(args: CaArgs) -> Result<String, CommandError> {
    if !args.data.is_dir() {
        return Err(NoData(args.data).into());
    }
    let clock = Clock::system();
    let dir = CaDir::within(&args.data)?;
    let place = args.database.place(&args.data)?;
    if !matches!(args.action, CaAction::Export { .. }) {
        // Before anything is done that could not be written down.
        place.check().map_err(CommandError::Database)?;
    }
    match args.action {
        CaAction::Export { workspace } => {
            let text = keeper::trusted(&dir)?.export(workspace.as_ref());
            (!text.is_empty())
                .then_some(text)
                .ok_or(AuthorityError::None.into())
        }
        CaAction::List { workspace, json } => {
            let mut views = keeper::trusted(&dir)?.views();
            if workspace.is_some() {
                views.retain(|view| view.workspace == workspace);
            }
            // Without a database nobody has joined.
            if let Ok(store) = Store::beside(place).await {
                let counted = identity::count_by_authority(&store, &mut views).await;
                counted.map_err(CommandError::Unknown)?;
                store.close().await;
            }
            Ok(if json {
                as_json(&views)
            } else {
                as_table(&views)
            })
        }
        CaAction::Rotate { workspace } => {
            let view = change::rotate(&dir, workspace.as_ref(), clock.now())?;
            note(place, &clock, "authority.rotate", &view).await;
            Ok(in_force(&view))
        }
        CaAction::Import {
            certificate,
            key,
            workspace,
        } => {
            let read = |path: &PathBuf| fs::read_to_string(path).map_err(io_error("reading", path));
            let (certificate, key) = (read(&certificate), read(&key));
            let (certificate, key) = (
                certificate.map_err(AuthorityError::from)?,
                key.map_err(AuthorityError::from)?,
            );
            let view = change::import(&dir, &certificate, &key, workspace.as_ref(), clock.now())?;
            note(place, &clock, "authority.import", &view).await;
            Ok(in_force(&view))
        }
        CaAction::Broker {
            out,
            names,
            workspace,
        } => {
            let authorities = Authorities::open(&args.data, &[], clock.clone())?;
            let revoked = revoked(place, &clock).await?;
            files::write(&out, &names, &authorities, workspace.as_ref(), &revoked)?;
            Ok(format!(
                "wrote {}, {}, {} and {} into {}\n",
                files::CERTIFICATE,
                files::KEY,
                files::AUTHORITIES,
                files::REVOKED,
                out.display()
            ))
        }
        CaAction::Crl => {
            let authorities = Authorities::open(&args.data, &[], clock.clone())?;
            let revoked = revoked(place, &clock).await?;
            Ok(authorities.revocation_lists(&revoked)?)
        }
        CaAction::Retire { id, force } => {
            if !force {
                let needed = needed(place.clone(), &dir, &id).await?;
                if needed > 0 {
                    let identities = needed;
                    return Err(CommandError::Needed { id, identities });
                }
            }
            let view = change::retire(&dir, &id)?;
            note(place, &clock, "authority.retire", &view).await;
            Ok(format!("{} is not trusted any more\n", view.id))
        }
    }
}

/// Certificates that are good no more. Before the hub's first start nobody has one.
async fn revoked(place: Place, clock: &Clock) -> Result<Vec<Revoked>, CommandError> {
    if used(place.dir()).is_err() {
        return Ok(Vec::new());
    }
    let store = Store::beside(place).await.map_err(CommandError::Revoked)?;
    let revoked = identity::revoked(store.read(), clock.now()).await;
    store.close().await;
    revoked.map_err(CommandError::Revoked)
}

async fn needed(place: Place, dir: &CaDir, id: &str) -> Result<u64, CommandError> {
    let mut views = keeper::trusted(dir)?.views();
    views.retain(|view| view.id == id);
    let store = Store::beside(place).await.map_err(CommandError::Unknown)?;
    let counted = identity::count_by_authority(&store, &mut views).await;
    store.close().await;
    counted.map_err(CommandError::Unknown)?;
    Ok(views.iter().map(|view| view.identities).sum())
}

/// Writes it into the audit log.
async fn note(place: Place, clock: &Clock, action: &'static str, view: &AuthorityView) {
    let mut deed = Deed::new(action, format!("authority {}", view.id)).after(view);
    if let Some(workspace) = &view.workspace {
        deed = deed.within(workspace);
    }
    audit::beside(place, clock, deed).await;
}

fn in_force(view: &AuthorityView) -> String {
    format!(
        "{} issues from now on; a hub that runs takes it within 2 s\n\
         those before it are trusted until `tern-hub ca retire`\n",
        view.id
    )
}

fn as_json(views: &[AuthorityView]) -> String {
    let text = serde_json::to_string_pretty(views).expect("REST types are always JSON");
    text + "\n"
}

fn as_table(views: &[AuthorityView]) -> String {
    let workspace = |view: &AuthorityView| match &view.workspace {
        Some(workspace) => workspace.to_string(),
        None => "(hub)".into(),
    };
    let mut text = format!(
        "{:<16}  {:<16}  {:<6}  {:<10}  {:>10}\n",
        "authority", "for", "issues", "until", "identities"
    );
    for view in views {
        let issues = if view.issues { "yes" } else { "no" };
        let until = time::OffsetDateTime::from_unix_timestamp(view.not_after.0 / 1_000);
        let until = until.map_or_else(|_| "?".into(), |until| until.date().to_string());
        let _ = writeln!(
            text,
            "{:<16}  {:<16}  {issues:<6}  {until:<10}  {:>10}",
            view.id,
            workspace(view),
            view.identities
        );
    }
    text
}
