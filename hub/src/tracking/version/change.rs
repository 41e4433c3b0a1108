//! What people do to a version that is there: describe, move, tag, remove it.

use tern_protocol::{id::WorkspaceId, rest::Change};

use super::{
    super::{Texts, TrackingError, bounds, model, sql::SQL},
    Version, get, stage, write_tags,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
};

/// Says what is new in it.
pub async fn describe(
    app: &App,
    workspace: &WorkspaceId,
    name: &str,
    number: i64,
    description: &str,
) -> Result<Version, TrackingError> {
    bounds::length("description", description, bounds::DESCRIPTION)?;
    change(app, workspace, name, number, "description", description).await
}

async fn change(
    app: &App,
    workspace: &WorkspaceId,
    name: &str,
    number: i64,
    column: &'static str,
    value: &str,
) -> Result<Version, TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    get(&txn, workspace, name, number).await?;
    let sql = format!(
        "UPDATE tracking_version SET {column} = $4, updated = $5 \
         WHERE workspace = $1 AND model = $2 AND version = $3"
    );
    let values = [
        workspace.as_str().into(),
        name.into(),
        number.into(),
        value.into(),
        app.clock.now().0.into(),
    ];
    SQL.exec(&txn, &sql, values).await?;
    SQL.commit(txn).await?;
    get(app.store.read(), workspace, name, number).await
}

/// Moves it to a stage; if asked, those that are there are archived.
pub async fn transition(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
    number: i64,
    to: &str,
    archive: bool,
) -> Result<Version, TrackingError> {
    let to = stage(to)?;
    let txn = SQL.begin(&app.store).await?;
    get(&txn, workspace, name, number).await?;
    let now = app.clock.now().0;
    if archive && matches!(to, "Staging" | "Production") {
        let sql = "UPDATE tracking_version SET stage = 'Archived', updated = $4 \
                   WHERE workspace = $1 AND model = $2 AND stage = $3";
        let values = [
            workspace.as_str().into(),
            name.into(),
            to.into(),
            now.into(),
        ];
        SQL.exec(&txn, sql, values).await?;
    }
    let sql = "UPDATE tracking_version SET stage = $4, updated = $5 \
               WHERE workspace = $1 AND model = $2 AND version = $3";
    let values = [
        workspace.as_str().into(),
        name.into(),
        number.into(),
        to.into(),
        now.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    let deed = Deed::new(
        "registry.stage",
        format!("{} version {number}", model::subject(name)),
    )
    .within(workspace)
    .detail(to);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    get(app.store.read(), workspace, name, number).await
}

/// Removes it. What was published for devices stays.
pub async fn delete(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
    number: i64,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    get(&txn, workspace, name, number).await?;
    for table in ["tracking_version_tag", "tracking_alias", "tracking_version"] {
        let sql =
            format!("DELETE FROM {table} WHERE workspace = $1 AND model = $2 AND version = $3");
        let values = [workspace.as_str().into(), name.into(), number.into()];
        SQL.exec(&txn, &sql, values).await?;
    }
    let deed = Deed::new(
        "registry.version-delete",
        format!("{} version {number}", model::subject(name)),
    )
    .within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Experiments);
    Ok(())
}

/// Sets a tag.
pub async fn set_tag(
    app: &App,
    workspace: &WorkspaceId,
    name: &str,
    number: i64,
    key: &str,
    value: &str,
) -> Result<(), TrackingError> {
    bounds::pair("tag", key, value, bounds::REGISTRY_TAG)?;
    let txn = SQL.begin(&app.store).await?;
    get(&txn, workspace, name, number).await?;
    let tags = Texts::from([(key.to_owned(), value.to_owned())]);
    write_tags(&txn, workspace, name, number, &tags).await?;
    Ok(SQL.commit(txn).await?)
}

/// Takes a tag away, if it is there.
pub async fn delete_tag(
    app: &App,
    workspace: &WorkspaceId,
    name: &str,
    number: i64,
    key: &str,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    get(&txn, workspace, name, number).await?;
    let sql = "DELETE FROM tracking_version_tag WHERE workspace = $1 AND model = $2 AND version = $3 AND key = $4";
    let values = [
        workspace.as_str().into(),
        name.into(),
        number.into(),
        key.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    Ok(SQL.commit(txn).await?)
}
