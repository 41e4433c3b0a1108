//! Who belongs to a workspace, and as what.

use tern_protocol::{
    id::{UserName, WorkspaceId},
    rest::{MemberView, Role},
};

use super::{PeopleError, account, sql::SQL};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        role::{role_name, role_named},
    },
    app::App,
    store::{Store, StoreError, parsed},
};

/// The members of a workspace, by name; those who run the hub are admins of every one.
pub async fn list(store: &Store, workspace: &WorkspaceId) -> Result<Vec<MemberView>, StoreError> {
    let select = "SELECT a.name AS name, a.hub_admin AS hub_admin, m.role AS role FROM account a \
                  LEFT JOIN membership m ON m.user = a.name AND m.workspace = $1 \
                  WHERE m.role IS NOT NULL OR a.hub_admin ORDER BY a.name";
    let found = SQL
        .rows(store.read(), select, [workspace.as_str().into()])
        .await?;
    let members = found.iter().map(|row| {
        let role: Option<String> = SQL.column(row, "role")?;
        let hub_admin: bool = SQL.column(row, "hub_admin")?;
        let role = role.as_deref().and_then(role_named);
        Ok(MemberView {
            user: parsed("account's name", &SQL.column::<String>(row, "name")?)?,
            role: if hub_admin {
                Role::Admin
            } else {
                role.unwrap_or(Role::Viewer)
            },
            hub_admin,
        })
    });
    members.collect()
}

async fn role<C: sea_orm::ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    user: &UserName,
) -> Result<Option<Role>, StoreError> {
    let select = "SELECT role FROM membership WHERE \"user\" = $1 AND workspace = $2";
    let values = [user.as_str().into(), workspace.as_str().into()];
    let found = SQL.row(db, select, values).await?;
    let role: Option<String> = found
        .as_ref()
        .map(|row| SQL.column(row, "role"))
        .transpose()?;
    Ok(role.as_deref().and_then(role_named))
}

/// Writes a membership.
pub(super) async fn write<C: sea_orm::ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    user: &UserName,
    role: Role,
) -> Result<(), StoreError> {
    let upsert = "INSERT INTO membership (\"user\", workspace, role) VALUES ($1, $2, $3) \
                  ON CONFLICT (\"user\", workspace) DO UPDATE SET role = excluded.role";
    let values = [
        user.as_str().into(),
        workspace.as_str().into(),
        role_name(role).into(),
    ];
    SQL.exec(db, upsert, values).await.map(drop)
}

/// Deletes one.
pub(super) async fn delete<C: sea_orm::ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    user: &UserName,
) -> Result<(), StoreError> {
    let delete = "DELETE FROM membership WHERE \"user\" = $1 AND workspace = $2";
    let values = [user.as_str().into(), workspace.as_str().into()];
    SQL.exec(db, delete, values).await.map(drop)
}

/// Makes an account a member, or changes its role.
pub async fn set(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    user: &UserName,
    new: Role,
) -> Result<MemberView, PeopleError> {
    let txn = SQL.begin(&app.store).await?;
    let account = account::find(&txn, user.as_str()).await?;
    let account = account.ok_or_else(|| account::not_found(user))?;
    account::by_hand(&account)?;
    let old = role(&txn, workspace, user).await?;
    write(&txn, workspace, user, new).await?;
    let mut deed = Deed::new("member.set", format!("user {user}"))
        .within(workspace)
        .after(&new)
        .detail(role_name(new));
    if let Some(old) = old {
        deed = deed.before(&old);
    }
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(MemberView {
        user: user.clone(),
        role: if account.hub_admin { Role::Admin } else { new },
        hub_admin: account.hub_admin,
    })
}

/// Ends a membership; the account's tokens for the workspace work no longer.
pub async fn remove(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    user: &UserName,
) -> Result<(), PeopleError> {
    let txn = SQL.begin(&app.store).await?;
    let old = role(&txn, workspace, user).await?;
    let old = old.ok_or_else(|| PeopleError::NotFound {
        what: "member",
        name: user.to_string(),
    })?;
    if let Some(account) = account::find(&txn, user.as_str()).await? {
        account::by_hand(&account)?;
    }
    delete(&txn, workspace, user).await?;
    let deed = Deed::new("member.remove", format!("user {user}"))
        .within(workspace)
        .before(&old);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(())
}
