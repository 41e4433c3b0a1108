//! Sessions of people: a random secret in a cookie, its hash in the database.
//!
//! Must never break: every login makes a new session, so that nobody can prepare one for somebody
//! else; logging out ends it at once.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use tern_protocol::{id::UserName, time::WallTime};

use super::{PeopleError, account, secret, sql::SQL};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        principal::Account,
    },
    app::App,
    store::StoreError,
};

/// A session that nobody used for so long is over.
pub const IDLE: Duration = Duration::from_hours(12);

/// A session is over after so long, used or not.
pub const LIFE: Duration = Duration::from_hours(7 * 24);

/// How often it is written down that a session is used.
const SEEN_EVERY: Duration = Duration::from_mins(5);

/// How somebody showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a password, or a link that sets one.
    Password,
    /// By the OpenID provider.
    Oidc,
}

/// Begins a session; gives its secret, for the cookie. `old` is the secret that the browser had.
pub async fn begin_for(
    app: &App,
    by: &Actor,
    user: &UserName,
    old: Option<&str>,
    way: Way,
) -> Result<String, PeopleError> {
    let now = app.clock.now();
    let new = secret::new("")?;
    let txn = SQL.begin(&app.store).await?;
    if let Some(old) = old {
        SQL.exec(
            &txn,
            "DELETE FROM session WHERE hash = $1",
            [secret::hashed(old).into()],
        )
        .await?;
    }
    let over = "DELETE FROM session WHERE created_at < $1 OR seen_at < $2";
    let (life, idle) = (ago(now, LIFE), ago(now, IDLE));
    SQL.exec(&txn, over, [life.into(), idle.into()]).await?;
    let insert =
        "INSERT INTO session (hash, \"user\", created_at, seen_at) VALUES ($1, $2, $3, $3)";
    let values = [
        secret::hashed(&new).into(),
        user.as_str().into(),
        now.0.into(),
    ];
    SQL.exec(&txn, insert, values).await?;
    let login = "UPDATE account SET last_login_at = $2 WHERE name = $1";
    SQL.exec(&txn, login, [user.as_str().into(), now.0.into()])
        .await?;
    let mut deed = Deed::new("session.login", format!("user {user}"));
    if way == Way::Oidc {
        deed = deed.detail("oidc");
    }
    audit::record(&txn, &app.clock, &by.as_user(user), deed).await?;
    SQL.commit(txn).await?;
    Ok(new)
}

fn ago(now: WallTime, time: Duration) -> i64 {
    now.0 - time.as_millis() as i64
}

/// Whose session this is, if it is one and not over.
pub async fn account_of(app: &App, secret: &str) -> Result<Option<Account>, StoreError> {
    if secret.len() > secret::LONGEST {
        return Ok(None);
    }
    let now = app.clock.now();
    let hash = secret::hashed(secret);
    let select = "SELECT \"user\", seen_at FROM session \
                  WHERE hash = $1 AND created_at >= $2 AND seen_at >= $3";
    let values = [
        hash.clone().into(),
        ago(now, LIFE).into(),
        ago(now, IDLE).into(),
    ];
    let Some(found) = SQL.row(app.store.read(), select, values).await? else {
        return Ok(None);
    };
    let seen: i64 = SQL.column(&found, "seen_at")?;
    if seen < ago(now, SEEN_EVERY) {
        let update = "UPDATE session SET seen_at = $2 WHERE hash = $1";
        SQL.exec(app.store.write(), update, [hash.into(), now.0.into()])
            .await?;
    }
    account::enabled(app.store.read(), &SQL.column::<String>(&found, "user")?).await
}

/// Ends a session.
pub async fn end(app: &App, by: &Actor, secret: &str) -> Result<(), PeopleError> {
    let txn = SQL.begin(&app.store).await?;
    let delete = "DELETE FROM session WHERE hash = $1";
    if SQL
        .exec(&txn, delete, [secret::hashed(secret).into()])
        .await?
        > 0
    {
        let deed = Deed::new("session.logout", by.name.clone());
        audit::record(&txn, &app.clock, by, deed).await?;
    }
    SQL.commit(txn).await?;
    Ok(())
}

/// Ends all sessions of an account.
pub(super) async fn end_all<C: ConnectionTrait>(db: &C, user: &UserName) -> Result<(), StoreError> {
    SQL.exec(
        db,
        "DELETE FROM session WHERE \"user\" = $1",
        [user.as_str().into()],
    )
    .await
    .map(drop)
}
