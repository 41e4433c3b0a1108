//! Links with which somebody sets a password, once: for the first account of a hub, printed when it
//! starts, and for every other, handed out by whoever runs the hub.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::UserName,
    rest::{Setup, SetupLink},
    time::WallTime,
};

use super::{PeopleError, account, secret, sql::SQL};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
};

/// How long a link of an account is good for.
const LIFE: Duration = Duration::from_hours(72);

/// How long the link of the first account is good for; each start of the hub makes a new one.
const FIRST_LIFE: Duration = Duration::from_hours(24);

/// Where the link of the first account is written, in the data directory; gone once it is used.
pub const FILE: &str = "setup-link";

/// Writes the link of the first account to a file that only its owner reads. It is a secret: a
/// terminal may show it, the log may not.
pub fn write_first(file: &Path, link: &str) -> io::Result<()> {
    let _ = fs::remove_file(file);
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    writeln!(opened, "{link}")?;
    opened.sync_all()
}

/// The link with this code, under the address that people use first.
pub fn address(app: &App, code: &str) -> String {
    let https = app.reach.https();
    let base = https.first().map_or("https://localhost", String::as_str);
    format!("{base}/setup#{code}")
}

fn after(now: WallTime, life: Duration) -> WallTime {
    WallTime(now.0 + life.as_millis() as i64)
}

/// The code with which the first account is made, or nothing if there is one. Earlier codes are void.
pub async fn for_first_account(app: &App) -> Result<Option<String>, PeopleError> {
    let txn = SQL.begin(&app.store).await?;
    if account::hub_admins(&txn).await? > 0 {
        return Ok(None);
    }
    SQL.exec(&txn, "DELETE FROM setup_link WHERE \"user\" IS NULL", [])
        .await?;
    let code = secret::new("")?;
    let expires = after(app.clock.now(), FIRST_LIFE);
    let insert = "INSERT INTO setup_link (hash, expires_at) VALUES ($1, $2)";
    SQL.exec(
        &txn,
        insert,
        [secret::hashed(&code).into(), expires.0.into()],
    )
    .await?;
    SQL.commit(txn).await?;
    Ok(Some(code))
}

/// The code of a link, and until when it is good.
pub(super) struct Code {
    pub(super) code: String,
    pub(super) expires_at: WallTime,
}

impl Code {
    /// The link with it, for people.
    pub(super) fn link(self, app: &App, user: &UserName) -> SetupLink {
        SetupLink {
            user: user.clone(),
            link: address(app, &self.code),
            expires_at: self.expires_at,
        }
    }
}

/// The code of a link for an account; earlier ones are void.
pub(super) async fn for_account<C: ConnectionTrait>(
    db: &C,
    now: WallTime,
    user: &UserName,
) -> Result<Code, PeopleError> {
    SQL.exec(
        db,
        "DELETE FROM setup_link WHERE \"user\" = $1",
        [user.as_str().into()],
    )
    .await?;
    let code = secret::new("")?;
    let expires_at = after(now, LIFE);
    let insert = "INSERT INTO setup_link (hash, \"user\", expires_at) VALUES ($1, $2, $3)";
    let values = [
        secret::hashed(&code).into(),
        user.as_str().into(),
        expires_at.0.into(),
    ];
    SQL.exec(db, insert, values).await?;
    Ok(Code { code, expires_at })
}

/// Uses a link: its account has the password from then on. Of two racing uses one wins.
pub async fn redeem(app: &App, by: &Actor, setup: Setup) -> Result<UserName, PeopleError> {
    if setup.code.len() > secret::LONGEST {
        return Err(PeopleError::Link);
    }
    let hash = secret::hashed(&setup.code);
    // Before the password is hashed, so that guessing links costs the hub nothing.
    good(app.store.read(), &hash, app.clock.now()).await?;
    let password = app.people.hasher.hash(setup.password).await?;
    let txn = SQL.begin(&app.store).await?;
    let user = good(&txn, &hash, app.clock.now()).await?;
    SQL.exec(
        &txn,
        "DELETE FROM setup_link WHERE hash = $1",
        [hash.into()],
    )
    .await?;
    let name = if let Some(user) = user {
        account::set_password(&txn, &user, password).await?;
        user
    } else {
        if account::hub_admins(&txn).await? > 0 {
            return Err(PeopleError::Link);
        }
        let text = "the first account needs a name: send it as `user`";
        let name = setup.user.ok_or(PeopleError::State(text))?;
        if account::find(&txn, name.as_str()).await?.is_some() {
            return Err(PeopleError::Exists {
                what: "account",
                name: name.to_string(),
            });
        }
        let now = app.clock.now();
        account::insert(&txn, now, &name, true, "password", Some(password)).await?;
        name
    };
    if let Some(file) = &app.people.first_link {
        // Of no more use, good or not; it may be gone already.
        let _ = fs::remove_file(file);
    }
    let deed = Deed::new("user.set-up", format!("user {name}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(name)
}

async fn good<C: ConnectionTrait>(
    db: &C,
    hash: &[u8],
    now: WallTime,
) -> Result<Option<UserName>, PeopleError> {
    let select = "SELECT \"user\" FROM setup_link WHERE hash = $1 AND expires_at > $2";
    let found = SQL
        .row(db, select, [hash.to_vec().into(), now.0.into()])
        .await?;
    let found = found.ok_or(PeopleError::Link)?;
    let user: Option<String> = SQL.column(&found, "user")?;
    let user = user.map(|user| crate::store::parsed("account's name", &user));
    Ok(user.transpose()?)
}
