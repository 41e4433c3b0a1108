//! Workspaces: listed for whoever is a member, made by whoever runs the hub.

use tern_protocol::{id::WorkspaceId, rest::WorkspaceView};

use super::{PeopleError, sql::SQL};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        principal::Principal,
    },
    app::App,
    fleet,
    store::StoreError,
};

/// Workspaces of a hub.
const WORKSPACES: usize = 1_000;

/// Those in which whoever asks has a role.
pub async fn list(app: &App, principal: &Principal) -> Result<Vec<WorkspaceView>, StoreError> {
    let all = fleet::workspaces(&app.store).await?;
    let own = all.into_iter().filter_map(|id| {
        let role = principal.role_in(&id)?;
        Some(WorkspaceView { id, role })
    });
    Ok(own.collect())
}

/// Makes one.
pub async fn create(app: &App, by: &Actor, id: &WorkspaceId) -> Result<(), PeopleError> {
    if fleet::workspaces(&app.store).await?.len() >= WORKSPACES {
        let text = format!("a hub has at most {WORKSPACES} workspaces");
        return Err(PeopleError::Bounds(text));
    }
    let txn = SQL.begin(&app.store).await?;
    let insert = "INSERT INTO workspace (id) VALUES ($1) ON CONFLICT DO NOTHING";
    if SQL.exec(&txn, insert, [id.as_str().into()]).await? == 0 {
        return Err(PeopleError::Exists {
            what: "workspace",
            name: id.to_string(),
        });
    }
    let deed = Deed::new("workspace.create", format!("workspace {id}")).within(id);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.new_workspace.notify();
    Ok(())
}
