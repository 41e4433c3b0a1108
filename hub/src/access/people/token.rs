//! API tokens: for programs, in one workspace, with a role of their own.

use std::{collections::HashMap, sync::PoisonError, time::Duration};

use sea_orm::QueryResult;
use tern_protocol::{
    id::{TokenId, UserName, WorkspaceId},
    rest::{Minted, NewToken, Role, TokenView},
    time::WallTime,
};

use super::{PeopleError, account, secret, sql::SQL};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        principal::{Principal, Who},
        role::{ROLES, covers, role_name, role_named},
    },
    app::App,
    store::{Store, StoreError, parsed},
};

/// What every token starts with, so that secret scanners recognise one.
pub const PREFIX: &str = "tern_pat_";

/// The longest life of a token.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Longest name of a token, in characters.
const NAME: usize = 100;

/// Tokens of a workspace that are neither expired nor revoked.
const TOKENS: i64 = 1_000;

/// How often it is written down that a token is used.
const USED_EVERY: i64 = 60_000;

/// When each token's use was last written down, so that using one does not write each time.
pub(super) type LastUsed = HashMap<TokenId, WallTime>;

/// Mints a token for an account that may hand out the role.
pub async fn create(
    app: &App,
    by: &Actor,
    user: &UserName,
    workspace: &WorkspaceId,
    own: Role,
    new: NewToken,
) -> Result<Minted, PeopleError> {
    let role = new.role.unwrap_or(own);
    if !covers(own, role) {
        return Err(PeopleError::MoreThanOwn {
            own: role_name(own),
        });
    }
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        let text = format!("a token's name says what it is for, in 1 to {NAME} characters");
        return Err(PeopleError::Bounds(text));
    }
    if !(60..=LONGEST.as_secs()).contains(&new.expires_in_s) {
        let text = format!("a token is good for 60 to {} seconds", LONGEST.as_secs());
        return Err(PeopleError::Bounds(text));
    }
    let now = app.clock.now();
    let expires_at = WallTime(now.0 + new.expires_in_s as i64 * 1_000);
    let token = secret::new(PREFIX)?;
    let txn = SQL.begin(&app.store).await?;
    let live = "SELECT count(*) AS n FROM api_token \
                WHERE workspace = $1 AND expires_at > $2 AND revoked_at IS NULL";
    let live = SQL
        .row(&txn, live, [workspace.as_str().into(), now.0.into()])
        .await?;
    let live: i64 = live.as_ref().map_or(Ok(0), |row| SQL.column(row, "n"))?;
    if live >= TOKENS {
        let text = format!("a workspace has at most {TOKENS} tokens; revoke some");
        return Err(PeopleError::Bounds(text));
    }
    let insert = "INSERT INTO api_token (hash, name, \"user\", workspace, role, created_at, \
                  expires_at, hub) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
    let values = [
        secret::hashed(&token).into(),
        name.clone().into(),
        user.as_str().into(),
        workspace.as_str().into(),
        role_name(role).into(),
        now.0.into(),
        expires_at.0.into(),
        new.hub.into(),
    ];
    let made = SQL.row(&txn, insert, values).await?;
    let id: i64 = made.as_ref().map_or(Ok(0), |row| SQL.column(row, "id"))?;
    let view = TokenView {
        id: TokenId(id as u64),
        name,
        user: user.clone(),
        workspace: workspace.clone(),
        role,
        hub: new.hub,
        created_at: now,
        expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let deed = Deed::new("token.create", format!("token {id} of {user}"))
        .within(workspace)
        .after(&view)
        .detail(format!("{}, {}", view.name, role_name(role)));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(Minted { view, token })
}

/// Whose tokens to list.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// Everybody's.
    All,
    /// One account's.
    Of(&'a UserName),
}

/// Tokens of a workspace, newest first.
pub async fn list(
    store: &Store,
    workspace: &WorkspaceId,
    whose: Whose<'_>,
) -> Result<Vec<TokenView>, StoreError> {
    let (condition, user) = match whose {
        Whose::All => ("$2 = $2", ""),
        Whose::Of(user) => ("user = $2", user.as_str()),
    };
    let select = format!(
        "SELECT * FROM api_token WHERE workspace = $1 AND {condition} ORDER BY id DESC LIMIT 2000"
    );
    let values = [workspace.as_str().into(), user.into()];
    let found = SQL.rows(store.read(), &select, values).await?;
    found.iter().map(view).collect()
}

fn view(row: &QueryResult) -> Result<TokenView, StoreError> {
    let time = |name| Ok::<_, StoreError>(SQL.column::<Option<i64>>(row, name)?.map(WallTime));
    Ok(TokenView {
        id: TokenId(SQL.column::<i64>(row, "id")? as u64),
        name: SQL.column(row, "name")?,
        user: parsed("account's name", &SQL.column::<String>(row, "user")?)?,
        workspace: parsed("workspace id", &SQL.column::<String>(row, "workspace")?)?,
        role: role_of(row)?,
        hub: SQL.column(row, "hub")?,
        created_at: WallTime(SQL.column(row, "created_at")?),
        expires_at: WallTime(SQL.column(row, "expires_at")?),
        last_used_at: time("last_used_at")?,
        revoked_at: time("revoked_at")?,
    })
}

fn role_of(row: &QueryResult) -> Result<Role, StoreError> {
    let role: String = SQL.column(row, "role")?;
    role_named(&role).ok_or(StoreError::Value {
        what: "role",
        value: role,
    })
}

/// Revokes a token. Whoever may not administer can revoke their own only.
pub async fn revoke(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: TokenId,
    whose: Whose<'_>,
) -> Result<TokenView, PeopleError> {
    let not_found = || PeopleError::NotFound {
        what: "token",
        name: id.to_string(),
    };
    let txn = SQL.begin(&app.store).await?;
    let select = "SELECT * FROM api_token WHERE id = $1 AND workspace = $2";
    let values = [(id.0 as i64).into(), workspace.as_str().into()];
    let found = SQL.row(&txn, select, values).await?.ok_or_else(not_found)?;
    let mut token = view(&found)?;
    if matches!(whose, Whose::Of(user) if *user != token.user) {
        return Err(not_found());
    }
    if token.revoked_at.is_none() {
        let now = app.clock.now();
        let update = "UPDATE api_token SET revoked_at = $2 WHERE id = $1";
        SQL.exec(&txn, update, [(id.0 as i64).into(), now.0.into()])
            .await?;
        let subject = format!("token {id} of {}", token.user);
        let deed = Deed::new("token.revoke", subject)
            .within(workspace)
            .before(&token);
        token.revoked_at = Some(now);
        audit::record(&txn, &app.clock, by, deed.after(&token)).await?;
        SQL.commit(txn).await?;
    }
    Ok(token)
}

/// Who a token speaks for, if it is good: its role is never more than its account has now.
pub async fn who(app: &App, token: &str) -> Result<Option<Who>, StoreError> {
    if token.len() > secret::LONGEST || !token.starts_with(PREFIX) {
        return Ok(None);
    }
    let now = app.clock.now();
    let select = "SELECT * FROM api_token \
                  WHERE hash = $1 AND expires_at > $2 AND revoked_at IS NULL";
    let values = [secret::hashed(token).into(), now.0.into()];
    let Some(found) = SQL.row(app.store.read(), select, values).await? else {
        return Ok(None);
    };
    let token = view(&found)?;
    let Some(account) = account::enabled(app.store.read(), token.user.as_str()).await? else {
        return Ok(None);
    };
    let account = Principal {
        who: Who::User(account),
        from: None,
    };
    let Some(own) = account.role_in(&token.workspace) else {
        return Ok(None);
    };
    write_use(app, token.id, now).await?;
    Ok(Some(Who::Token {
        id: token.id,
        user: token.user,
        workspace: token.workspace,
        role: within(own, token.role),
        hub_admin: token.hub && account.is_hub_admin(),
    }))
}

/// The largest role that gives nothing that either of two does not.
fn within(own: Role, token: Role) -> Role {
    let mut roles = ROLES.into_iter().rev();
    let both = roles.find(|role| covers(own, *role) && covers(token, *role));
    both.unwrap_or(Role::Viewer)
}

async fn write_use(app: &App, id: TokenId, now: WallTime) -> Result<(), StoreError> {
    {
        let mut used = app
            .people
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = used
            .get(&id)
            .is_none_or(|last| now.0.abs_diff(last.0) >= USED_EVERY as u64);
        if !due {
            return Ok(());
        }
        used.insert(id, now);
    }
    let update = "UPDATE api_token SET last_used_at = $2 WHERE id = $1";
    let values = [(id.0 as i64).into(), now.0.into()];
    SQL.exec(app.store.write(), update, values).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_has_more_than_its_account() {
        use Role::{Admin, Labeler, Operator, Scientist, Viewer};
        for (own, token, effective) in [
            (Admin, Operator, Operator),
            (Viewer, Admin, Viewer),
            (Operator, Scientist, Labeler),
            (Scientist, Scientist, Scientist),
        ] {
            assert_eq!(within(own, token), effective, "{own:?} {token:?}");
        }
    }
}
