//! Accounts: made, read, enabled, disabled, and shown to be somebody's.

use std::{collections::BTreeMap, time::Duration};

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{UserName, WorkspaceId},
    rest::{ChangePassword, Login, LoginKind, Membership, NewUser, Role, SetupLink, UserView},
    time::WallTime,
};

use super::{PeopleError, link, second_factor, session, sql::SQL, throttle::Subject};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        principal::Account,
        role::role_named,
    },
    app::App,
    clock::Clock,
    store::{Store, StoreError, parsed},
};

/// Accounts of a hub.
const ACCOUNTS: u64 = 10_000;

/// An account as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) name: UserName,
    pub(super) hub_admin: bool,
    pub(super) enabled: bool,
    pub(super) login: LoginKind,
    pub(super) password: Option<String>,
    pub(super) factor: Option<String>,
    pub(super) factor_pending: Option<String>,
    created_at: WallTime,
    last_login_at: Option<WallTime>,
}

const SELECT: &str = "SELECT name, hub_admin, enabled, login, password, factor, factor_pending, \
                      created_at, last_login_at FROM account";

fn stored(row: &QueryResult) -> Result<Stored, StoreError> {
    let login: String = SQL.column(row, "login")?;
    let last: Option<i64> = SQL.column(row, "last_login_at")?;
    Ok(Stored {
        name: parsed("account's name", &SQL.column::<String>(row, "name")?)?,
        hub_admin: SQL.column(row, "hub_admin")?,
        enabled: SQL.column(row, "enabled")?,
        login: login_kind(&login)?,
        password: SQL.column(row, "password")?,
        factor: SQL.column(row, "factor")?,
        factor_pending: SQL.column(row, "factor_pending")?,
        created_at: WallTime(SQL.column(row, "created_at")?),
        last_login_at: last.map(WallTime),
    })
}

fn login_kind(text: &str) -> Result<LoginKind, StoreError> {
    match text {
        "invited" => Ok(LoginKind::Invited),
        "password" => Ok(LoginKind::Password),
        "oidc" => Ok(LoginKind::Oidc),
        other => Err(StoreError::Value {
            what: "kind of login",
            value: other.chars().take(80).collect(),
        }),
    }
}

pub(super) async fn find<C: ConnectionTrait>(
    db: &C,
    name: &str,
) -> Result<Option<Stored>, StoreError> {
    let found = SQL
        .row(db, &format!("{SELECT} WHERE name = $1"), [name.into()])
        .await?;
    found.as_ref().map(stored).transpose()
}

pub(super) fn not_found(name: &UserName) -> PeopleError {
    PeopleError::NotFound {
        what: "account",
        name: name.to_string(),
    }
}

/// The account as requests see it, if it may log in.
pub(super) async fn enabled<C: ConnectionTrait>(
    db: &C,
    name: &str,
) -> Result<Option<Account>, StoreError> {
    let Some(found) = find(db, name).await?.filter(|found| found.enabled) else {
        return Ok(None);
    };
    Ok(Some(Account {
        user: found.name,
        hub_admin: found.hub_admin,
        roles: roles(db, name).await?,
    }))
}

/// An account whose name and password were just checked.
pub async fn standing(store: &Store, user: &UserName) -> Result<Account, PeopleError> {
    let found = enabled(store.read(), user.as_str()).await?;
    found.ok_or_else(|| not_found(user))
}

/// Whether an account has a password: those of an OpenID provider do not.
pub async fn has_password(store: &Store, user: &UserName) -> Result<bool, StoreError> {
    let found = find(store.read(), user.as_str()).await?;
    Ok(found.is_some_and(|found| found.password.is_some()))
}

/// Whether an account has a second factor.
pub async fn has_second_factor(store: &Store, user: &UserName) -> Result<bool, StoreError> {
    let found = find(store.read(), user.as_str()).await?;
    Ok(found.is_some_and(|found| found.factor.is_some()))
}

async fn memberships<C: ConnectionTrait>(
    db: &C,
    user: Option<&str>,
) -> Result<Vec<(String, Membership)>, StoreError> {
    let found = match user {
        Some(user) => {
            let select = "SELECT * FROM membership WHERE \"user\" = $1 ORDER BY workspace";
            SQL.rows(db, select, [user.into()]).await?
        }
        None => {
            SQL.rows(db, "SELECT * FROM membership ORDER BY workspace", [])
                .await?
        }
    };
    let read = found.iter().map(|row| {
        let role: String = SQL.column(row, "role")?;
        let role = role_named(&role).ok_or(StoreError::Value {
            what: "role",
            value: role,
        })?;
        let workspace: WorkspaceId =
            parsed("workspace id", &SQL.column::<String>(row, "workspace")?)?;
        Ok((SQL.column(row, "user")?, Membership { workspace, role }))
    });
    read.collect()
}

/// All accounts, by name.
pub async fn users(store: &Store) -> Result<Vec<UserView>, StoreError> {
    let db = store.read();
    let found = SQL.rows(db, &format!("{SELECT} ORDER BY name"), []).await?;
    let mut of: BTreeMap<String, Vec<Membership>> = BTreeMap::new();
    for (user, membership) in memberships(db, None).await? {
        of.entry(user).or_default().push(membership);
    }
    let views = found.iter().map(|row| {
        let found = stored(row)?;
        Ok(UserView {
            memberships: of.remove(found.name.as_str()).unwrap_or_default(),
            name: found.name,
            hub_admin: found.hub_admin,
            login: found.login,
            second_factor: found.factor.is_some(),
            created_at: found.created_at,
            last_login_at: found.last_login_at,
            enabled: found.enabled,
        })
    });
    views.collect()
}

/// Makes an account and the link with which its owner sets a password.
pub async fn create(app: &App, by: &Actor, new: &NewUser) -> Result<SetupLink, PeopleError> {
    let txn = SQL.begin(&app.store).await?;
    if find(&txn, new.name.as_str()).await?.is_some() {
        return Err(PeopleError::Exists {
            what: "account",
            name: new.name.to_string(),
        });
    }
    room_for_one_more(&txn).await?;
    insert(
        &txn,
        app.clock.now(),
        &new.name,
        new.hub_admin,
        "invited",
        None,
    )
    .await?;
    let code = link::for_account(&txn, app.clock.now(), &new.name).await?;
    let deed = Deed::new("user.create", format!("user {}", new.name)).after(new);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(code.link(app, &new.name))
}

/// Whether the hub takes another account.
pub(super) async fn room_for_one_more<C: ConnectionTrait>(db: &C) -> Result<(), PeopleError> {
    let count = SQL.row(db, "SELECT count(*) AS n FROM account", []).await?;
    let count: i64 = count.as_ref().map_or(Ok(0), |row| SQL.column(row, "n"))?;
    if count as u64 >= ACCOUNTS {
        let text = format!("a hub has at most {ACCOUNTS} accounts; nobody can be added");
        return Err(PeopleError::Bounds(text));
    }
    Ok(())
}

/// Refuses what only a hand-made account has: what an account of the OpenID provider is and may do
/// is decided there.
pub(super) fn by_hand(found: &Stored) -> Result<(), PeopleError> {
    match found.login {
        LoginKind::Oidc => Err(PeopleError::State(
            "this account logs in by the OpenID provider, and its groups there decide on its roles: \
             change them there; `tern user disable` locks it out at once",
        )),
        LoginKind::Invited | LoginKind::Password => Ok(()),
    }
}

/// The roles of an account, by workspace.
pub(super) async fn roles<C: ConnectionTrait>(
    db: &C,
    user: &str,
) -> Result<BTreeMap<WorkspaceId, Role>, StoreError> {
    let memberships = memberships(db, Some(user)).await?;
    let roles = memberships.into_iter().map(|(_, m)| (m.workspace, m.role));
    Ok(roles.collect())
}

pub(super) async fn insert<C: ConnectionTrait>(
    db: &C,
    now: WallTime,
    name: &UserName,
    hub_admin: bool,
    login: &str,
    password: Option<String>,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO account (name, hub_admin, enabled, login, password, factor_step, \
                  created_at) VALUES ($1, $2, TRUE, $3, $4, 0, $5)";
    let values = [
        name.as_str().into(),
        hub_admin.into(),
        login.into(),
        password.into(),
        now.0.into(),
    ];
    SQL.exec(db, insert, values).await.map(drop)
}

/// A new link for an account: its password, second factor and sessions are gone.
pub async fn new_link(app: &App, by: &Actor, name: &UserName) -> Result<SetupLink, PeopleError> {
    let txn = SQL.begin(&app.store).await?;
    let code = reset(&txn, &app.clock, by, name).await?;
    SQL.commit(txn).await?;
    Ok(code.link(app, name))
}

/// Takes password, second factor and sessions from an account, and gives the code of a link instead.
pub(super) async fn reset<C: ConnectionTrait>(
    txn: &C,
    clock: &Clock,
    by: &Actor,
    name: &UserName,
) -> Result<link::Code, PeopleError> {
    let found = find(txn, name.as_str()).await?;
    by_hand(&found.ok_or_else(|| not_found(name))?)?;
    let reset = "UPDATE account SET password = NULL, factor = NULL, factor_pending = NULL, \
                 login = 'invited' WHERE name = $1";
    SQL.exec(txn, reset, [name.as_str().into()]).await?;
    let codes = "DELETE FROM recovery_code WHERE \"user\" = $1";
    SQL.exec(txn, codes, [name.as_str().into()]).await?;
    session::end_all(txn, name).await?;
    let code = link::for_account(txn, clock.now(), name).await?;
    let deed = Deed::new("user.link", format!("user {name}"));
    audit::record(txn, clock, by, deed).await?;
    Ok(code)
}

/// Whether an account may log in and its tokens work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Enabled,
    /// It may not, and its sessions are ended.
    Disabled,
}

/// Enables or disables an account.
pub async fn set_standing(
    app: &App,
    by: &Actor,
    name: &UserName,
    standing: Standing,
) -> Result<(), PeopleError> {
    let txn = SQL.begin(&app.store).await?;
    let found = find(&txn, name.as_str()).await?;
    let found = found.ok_or_else(|| not_found(name))?;
    let enabled = standing == Standing::Enabled;
    let counts = found.hub_admin && found.login != LoginKind::Oidc;
    if !enabled && counts && hub_admins(&txn).await? <= 1 {
        return Err(PeopleError::LastHubAdmin(name.to_string()));
    }
    let update = "UPDATE account SET enabled = $2 WHERE name = $1";
    SQL.exec(&txn, update, [name.as_str().into(), enabled.into()])
        .await?;
    if !enabled {
        session::end_all(&txn, name).await?;
    }
    let action = if enabled {
        "user.enable"
    } else {
        "user.disable"
    };
    let deed = Deed::new(action, format!("user {name}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(())
}

/// Accounts that run the hub and may log in. Those of the OpenID provider do not count: it may be
/// gone, or take the group away.
pub(super) async fn hub_admins<C: ConnectionTrait>(db: &C) -> Result<i64, StoreError> {
    let count = "SELECT count(*) AS n FROM account \
                 WHERE hub_admin AND enabled AND login <> 'oidc'";
    let found = SQL.row(db, count, []).await?;
    found.as_ref().map_or(Ok(0), |row| SQL.column(row, "n"))
}

/// Whose name, password and second factor these are. Failures are counted, written down, and slow
/// the next attempt.
pub async fn check(app: &App, from: &Actor, login: &Login) -> Result<UserName, PeopleError> {
    let now = app.clock.now();
    let subjects = [
        Subject::Account(login.user.chars().take(64).collect()),
        Subject::Address(from.from.clone().unwrap_or_default()),
    ];
    let wait = app.people.throttle().wait(&subjects, now);
    if wait > Duration::ZERO {
        return Err(PeopleError::Throttled {
            again_in_s: wait.as_secs().max(1),
        });
    }
    let found = find(app.store.read(), &login.user).await?;
    let found = found.filter(|found| found.enabled);
    let password = found.as_ref().and_then(|found| found.password.clone());
    let right = app.people.hasher.is(login.password.clone(), password).await;
    let checked = match found.filter(|_| right) {
        None => Err(PeopleError::Wrong),
        Some(found) => match &login.code {
            None if found.factor.is_some() => return Err(PeopleError::SecondFactorNeeded),
            code => second_factor::check(app, &found, code.as_deref())
                .await
                .map(|()| found.name),
        },
    };
    match &checked {
        Ok(name) => app.people.throttle().succeeded(name.as_str()),
        Err(PeopleError::Wrong) => {
            app.people.throttle().failed(&subjects, now);
            let txn = SQL.begin(&app.store).await?;
            // The name as it was typed may be a password that was typed into the wrong field.
            let known = find(&txn, &login.user).await?;
            let subject = known.map_or("an account that does not exist".into(), |known| {
                format!("user {}", known.name)
            });
            audit::record(
                &txn,
                &app.clock,
                from,
                Deed::new("session.login-failed", subject),
            )
            .await?;
            SQL.commit(txn).await?;
        }
        Err(_) => {}
    }
    checked
}

/// Changes a password; the other sessions of the account end.
pub async fn change_password(
    app: &App,
    by: &Actor,
    user: &UserName,
    change: ChangePassword,
) -> Result<(), PeopleError> {
    confirm(app, by, user, &change.old).await?;
    let hash = app.people.hasher.hash(change.new).await?;
    let txn = SQL.begin(&app.store).await?;
    set_password(&txn, user, hash).await?;
    session::end_all(&txn, user).await?;
    let deed = Deed::new("user.password", format!("user {user}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(())
}

/// Whether this is the password of somebody who is logged in, before something dangerous.
pub async fn confirm(
    app: &App,
    by: &Actor,
    user: &UserName,
    password: &str,
) -> Result<(), PeopleError> {
    let subjects = [
        Subject::Account(user.to_string()),
        Subject::Address(by.from.clone().unwrap_or_default()),
    ];
    let now = app.clock.now();
    let wait = app.people.throttle().wait(&subjects, now);
    if wait > Duration::ZERO {
        return Err(PeopleError::Throttled {
            again_in_s: wait.as_secs().max(1),
        });
    }
    let found = find(app.store.read(), user.as_str()).await?;
    let stored = found.and_then(|found| found.password);
    if app.people.hasher.is(password.to_owned(), stored).await {
        return Ok(());
    }
    app.people.throttle().failed(&subjects, now);
    Err(PeopleError::Wrong)
}

pub(super) async fn set_password<C: ConnectionTrait>(
    db: &C,
    user: &UserName,
    hash: String,
) -> Result<(), StoreError> {
    let update = "UPDATE account SET password = $2, login = 'password' WHERE name = $1";
    SQL.exec(db, update, [user.as_str().into(), hash.into()])
        .await
        .map(drop)
}
