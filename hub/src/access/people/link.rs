//! Links with which somebody sets a password, once: for the first account of a hub, printed when it
//! starts, and for every other, handed out by whoever runs the hub.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::UserName,
    rest::{Setup, SetupLink},
    time::WallTime,
};

use super::{
    PeopleError, account, secret,
    sql::{begin, column, commit, exec, row},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::StoreError,
};

/// How long a link of an account is good for.
const LIFE: Duration = Duration::from_hours(72);

/// How long the link of the first account is good for; each start of the hub makes a new one.
const FIRST_LIFE: Duration = Duration::from_hours(24);

fn after(now: WallTime, life: Duration) -> WallTime {
    WallTime(now.0 + life.as_millis() as i64)
}

/// The code with which the first account is made, or nothing if there is one. Earlier codes are void.
pub async fn for_first_account(app: &App) -> Result<Option<String>, PeopleError> {
    let txn = begin(&app.store).await?;
    if account::hub_admins(&txn).await? > 0 {
        return Ok(None);
    }
    exec(&txn, "DELETE FROM setup_link WHERE user IS NULL", []).await?;
    let code = secret::new("")?;
    let expires = after(app.clock.now(), FIRST_LIFE);
    let insert = "INSERT INTO setup_link (hash, expires_at) VALUES ($1, $2)";
    exec(
        &txn,
        insert,
        [secret::hashed(&code).into(), expires.0.into()],
    )
    .await?;
    commit(txn).await?;
    Ok(Some(code))
}

/// A link for an account; earlier ones are void. Its `link` is the code alone: the edge knows under
/// which address people reach the hub.
pub(super) async fn for_account<C: ConnectionTrait>(
    db: &C,
    now: WallTime,
    user: &UserName,
) -> Result<SetupLink, PeopleError> {
    exec(
        db,
        "DELETE FROM setup_link WHERE user = $1",
        [user.as_str().into()],
    )
    .await?;
    let code = secret::new("")?;
    let expires_at = after(now, LIFE);
    let insert = "INSERT INTO setup_link (hash, user, expires_at) VALUES ($1, $2, $3)";
    let values = [
        secret::hashed(&code).into(),
        user.as_str().into(),
        expires_at.0.into(),
    ];
    exec(db, insert, values).await?;
    Ok(SetupLink {
        user: user.clone(),
        link: code,
        expires_at,
    })
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
    let txn = begin(&app.store).await?;
    let user = good(&txn, &hash, app.clock.now()).await?;
    exec(
        &txn,
        "DELETE FROM setup_link WHERE hash = $1",
        [hash.into()],
    )
    .await?;
    let name = match user {
        Some(user) => {
            account::set_password(&txn, &user, password).await?;
            user
        }
        None => {
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
        }
    };
    let deed = Deed::new("user.set-up", format!("user {name}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    commit(txn).await?;
    Ok(name)
}

async fn good<C: ConnectionTrait>(
    db: &C,
    hash: &[u8],
    now: WallTime,
) -> Result<Option<UserName>, PeopleError> {
    let select = "SELECT user FROM setup_link WHERE hash = $1 AND expires_at > $2";
    let found = row(db, select, [hash.to_vec().into(), now.0.into()]).await?;
    let found = found.ok_or(PeopleError::Link)?;
    let user: Option<String> = column(&found, "user")?;
    let user = user.map(|user| crate::store::parsed("account's name", &user));
    Ok(user.transpose().map_err(StoreError::from)?)
}
