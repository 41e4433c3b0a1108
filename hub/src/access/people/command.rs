//! `tern-hub user …`: what somebody with a shell on the hub's machine does for whoever is locked out, while
//! the hub runs or not.

use std::fmt::Write as _;

use super::{PeopleError, account};
use crate::{
    access::audit::{self, Actor},
    clock::Clock,
    config::{DatabaseSettingsError, UserAction, UserArgs},
    data_dir::{self, NoData},
    store::{Doing as _, Store, StoreError},
};

/// The port of links if the hub never ran.
const PORT: u16 = 8443;

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such directory.
    #[error(transparent)]
    NoData(#[from] NoData),
    /// Accounts.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// Where the database is.
    #[error(transparent)]
    Database(#[from] DatabaseSettingsError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Does it; what to print.
pub async fn run(args: UserArgs) -> Result<String, CommandError> {
    data_dir::used(&args.data)?;
    let store = Store::beside(args.database.place(&args.data)?).await?;
    let done = match &args.action {
        UserAction::List => list(&store).await,
        UserAction::Link { user, name } => link(&args, &store, user, name).await,
    };
    store.close().await;
    done
}

async fn list(store: &Store) -> Result<String, CommandError> {
    let mut text = String::new();
    for user in account::users(store).await? {
        let runs = if user.hub_admin { "runs the hub" } else { "" };
        let stands = if user.enabled { "" } else { "disabled" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<32}  {runs:<12}  {stands}", user.name.as_str());
    }
    if text.is_empty() {
        text = "no account yet; `tern-hub serve` prints the link for the first one\n".into();
    }
    Ok(text)
}

async fn link(
    args: &UserArgs,
    store: &Store,
    user: &tern_protocol::id::UserName,
    name: &str,
) -> Result<String, CommandError> {
    let txn = audit::begin_beside(store).await?;
    let made = account::reset(&txn, &Clock::system(), &Actor::machine(), user).await?;
    txn.commit().await.doing("committing a link")?;
    let port = data_dir::announced(&args.data).map_or(PORT, |it| it.http.port());
    let host = crate::access::reach::host(name);
    Ok(format!("https://{host}:{port}/setup#{}\n", made.code))
}
