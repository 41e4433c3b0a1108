//! Registered models: names under which versions are kept, with tags and aliases.

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{id::WorkspaceId, rest::Change};

use super::{
    Texts, TrackingError, bounds,
    sql::{SQL, insert},
    version::{self, Version},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::StoreError,
};

/// Registered models of a workspace.
const MOST: i64 = 10_000;

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// When it was made.
    pub created: i64,
    /// When it was changed last.
    pub updated: i64,
    /// What is said of it.
    pub tags: Texts,
    /// Which version each alias means.
    pub aliases: Vec<(String, i64)>,
    /// The newest version of each stage.
    pub latest: Vec<Version>,
}

pub(super) const COLUMNS: &str = "m.name, m.description, m.created, m.updated";

fn missing(name: &str) -> TrackingError {
    let name = bounds::shown(name);
    TrackingError::NotFound(format!("Registered Model with name={name} not found"))
}

/// Makes one.
pub async fn create(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
    description: &str,
    tags: &Texts,
) -> Result<Registered, TrackingError> {
    bounds::model_name(name)?;
    bounds::length("description", description, bounds::DESCRIPTION)?;
    for (key, value) in tags {
        bounds::pair("tag", key, value, bounds::REGISTRY_TAG)?;
    }
    let txn = SQL.begin(&app.store).await?;
    let count = "SELECT COUNT(*) AS n FROM tracking_model WHERE workspace = $1";
    let count = SQL.row(&txn, count, [workspace.as_str().into()]).await?;
    let count: i64 = count.map_or(Ok(0), |row| SQL.column(&row, "n"))?;
    if count >= MOST {
        let text = format!("a workspace has at most {MOST} registered models");
        return Err(TrackingError::Invalid(text));
    }
    free(&txn, workspace, name).await?;
    let sql = "INSERT INTO tracking_model (workspace, name, description, created, updated, last_version) \
               VALUES ($1, $2, $3, $4, $4, 0)";
    let values = [
        workspace.as_str().into(),
        name.into(),
        description.into(),
        app.clock.now().0.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    write_tags(&txn, workspace, name, tags).await?;
    let deed = Deed::new("registry.create", subject(name)).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Experiments);
    get(app.store.read(), workspace, name).await
}

pub(super) fn subject(name: &str) -> String {
    format!("registered model {name}")
}

async fn free(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<(), TrackingError> {
    let sql = "SELECT 1 AS one FROM tracking_model WHERE workspace = $1 AND name = $2";
    let taken = SQL
        .row(db, sql, [workspace.as_str().into(), name.into()])
        .await?;
    if taken.is_none() {
        return Ok(());
    }
    let name = bounds::shown(name);
    Err(TrackingError::Exists(format!(
        "Registered Model (name={name}) already exists."
    )))
}

/// Fails unless it is there.
pub(super) async fn there(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<(), TrackingError> {
    bounds::model_name(name)?;
    let sql = "SELECT 1 AS one FROM tracking_model WHERE workspace = $1 AND name = $2";
    let found = SQL
        .row(db, sql, [workspace.as_str().into(), name.into()])
        .await?;
    found.map(drop).ok_or_else(|| missing(name))
}

/// One, by its name.
pub async fn get(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<Registered, TrackingError> {
    there(db, workspace, name).await?;
    let sql =
        format!("SELECT {COLUMNS} FROM tracking_model m WHERE m.workspace = $1 AND m.name = $2");
    let found = SQL
        .row(db, &sql, [workspace.as_str().into(), name.into()])
        .await?;
    let found = found.ok_or_else(|| missing(name))?;
    Ok(whole(db, workspace, &found).await?)
}

/// A row with all that hangs on it.
pub(super) async fn whole(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    row: &QueryResult,
) -> Result<Registered, StoreError> {
    let name: String = SQL.column(row, "name")?;
    let key = || [workspace.as_str().into(), name.as_str().into()];
    let mut tags = Texts::new();
    let sql = "SELECT key, value FROM tracking_model_tag WHERE workspace = $1 AND model = $2";
    for row in SQL.rows(db, sql, key()).await? {
        tags.insert(SQL.column(&row, "key")?, SQL.column(&row, "value")?);
    }
    let mut aliases = Vec::new();
    let sql = "SELECT alias, version FROM tracking_alias WHERE workspace = $1 AND model = $2 ORDER BY alias";
    for row in SQL.rows(db, sql, key()).await? {
        aliases.push((SQL.column(&row, "alias")?, SQL.column(&row, "version")?));
    }
    Ok(Registered {
        description: SQL.column(row, "description")?,
        created: SQL.column(row, "created")?,
        updated: SQL.column(row, "updated")?,
        latest: version::latest(db, workspace, &name).await?,
        name,
        tags,
        aliases,
    })
}

/// Says what it is.
pub async fn describe(
    app: &App,
    workspace: &WorkspaceId,
    name: &str,
    description: &str,
) -> Result<Registered, TrackingError> {
    bounds::length("description", description, bounds::DESCRIPTION)?;
    let txn = SQL.begin(&app.store).await?;
    there(&txn, workspace, name).await?;
    let sql = "UPDATE tracking_model SET description = $3, updated = $4 WHERE workspace = $1 AND name = $2";
    let values = [
        workspace.as_str().into(),
        name.into(),
        description.into(),
        app.clock.now().0.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    SQL.commit(txn).await?;
    get(app.store.read(), workspace, name).await
}

/// Tables that name a registered model.
const NAMING: [&str; 4] = [
    "tracking_model_tag",
    "tracking_alias",
    "tracking_version",
    "tracking_version_tag",
];

/// Gives it another name. Versions that devices have stay under the name that they were published with.
pub async fn rename(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
    to: &str,
) -> Result<Registered, TrackingError> {
    bounds::model_name(to)?;
    let txn = SQL.begin(&app.store).await?;
    there(&txn, workspace, name).await?;
    if name != to {
        free(&txn, workspace, to).await?;
    }
    let sql =
        "UPDATE tracking_model SET name = $3, updated = $4 WHERE workspace = $1 AND name = $2";
    let values = [
        workspace.as_str().into(),
        name.into(),
        to.into(),
        app.clock.now().0.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    for table in NAMING {
        let sql = format!("UPDATE {table} SET model = $3 WHERE workspace = $1 AND model = $2");
        let values = [workspace.as_str().into(), name.into(), to.into()];
        SQL.exec(&txn, &sql, values).await?;
    }
    let deed = Deed::new("registry.rename", subject(name))
        .within(workspace)
        .detail(format!("{name} to {to}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Experiments);
    get(app.store.read(), workspace, to).await
}

/// Removes it with its versions. What devices have, and what was published for them, stays.
pub async fn delete(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    there(&txn, workspace, name).await?;
    for table in NAMING {
        let sql = format!("DELETE FROM {table} WHERE workspace = $1 AND model = $2");
        SQL.exec(&txn, &sql, [workspace.as_str().into(), name.into()])
            .await?;
    }
    let sql = "DELETE FROM tracking_model WHERE workspace = $1 AND name = $2";
    SQL.exec(&txn, sql, [workspace.as_str().into(), name.into()])
        .await?;
    let deed = Deed::new("registry.delete", subject(name)).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Experiments);
    Ok(())
}

async fn write_tags(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
    tags: &Texts,
) -> Result<(), StoreError> {
    let all = tags.iter().map(|(key, value)| {
        [
            workspace.as_str().into(),
            name.into(),
            key.as_str().into(),
            value.as_str().into(),
        ]
    });
    let into = "tracking_model_tag (workspace, model, key, value)";
    let then = "ON CONFLICT (workspace, model, key) DO UPDATE SET value = excluded.value";
    insert(txn, into, all.collect(), then).await?;
    Ok(())
}

/// Sets a tag.
pub async fn set_tag(
    app: &App,
    workspace: &WorkspaceId,
    name: &str,
    key: &str,
    value: &str,
) -> Result<(), TrackingError> {
    bounds::pair("tag", key, value, bounds::REGISTRY_TAG)?;
    let txn = SQL.begin(&app.store).await?;
    there(&txn, workspace, name).await?;
    let tags = Texts::from([(key.to_owned(), value.to_owned())]);
    write_tags(&txn, workspace, name, &tags).await?;
    Ok(SQL.commit(txn).await?)
}

/// Takes a tag away, if it is there.
pub async fn delete_tag(
    app: &App,
    workspace: &WorkspaceId,
    name: &str,
    key: &str,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    there(&txn, workspace, name).await?;
    let sql = "DELETE FROM tracking_model_tag WHERE workspace = $1 AND model = $2 AND key = $3";
    let values = [workspace.as_str().into(), name.into(), key.into()];
    SQL.exec(&txn, sql, values).await?;
    Ok(SQL.commit(txn).await?)
}

/// Lets an alias mean a version.
pub async fn set_alias(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
    alias: &str,
    to: i64,
) -> Result<(), TrackingError> {
    bounds::new_alias(alias)?;
    let txn = SQL.begin(&app.store).await?;
    version::get(&txn, workspace, name, to).await?;
    let sql = "INSERT INTO tracking_alias (workspace, model, alias, version) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (workspace, model, alias) DO UPDATE SET version = excluded.version";
    let values = [
        workspace.as_str().into(),
        name.into(),
        alias.into(),
        to.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    let deed = Deed::new("registry.alias", subject(name))
        .within(workspace)
        .detail(format!("{alias} is version {to}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    Ok(SQL.commit(txn).await?)
}

/// Takes an alias away, if it is there.
pub async fn delete_alias(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
    alias: &str,
) -> Result<(), TrackingError> {
    bounds::alias(alias)?;
    let txn = SQL.begin(&app.store).await?;
    there(&txn, workspace, name).await?;
    let sql = "DELETE FROM tracking_alias WHERE workspace = $1 AND model = $2 AND alias = $3";
    let values = [workspace.as_str().into(), name.into(), alias.into()];
    if SQL.exec(&txn, sql, values).await? > 0 {
        let deed = Deed::new("registry.alias-delete", subject(name))
            .within(workspace)
            .detail(alias);
        audit::record(&txn, &app.clock, by, deed).await?;
    }
    Ok(SQL.commit(txn).await?)
}

/// The version that an alias means.
pub async fn by_alias(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
    alias: &str,
) -> Result<Version, TrackingError> {
    bounds::alias(alias)?;
    there(db, workspace, name).await?;
    let sql =
        "SELECT version FROM tracking_alias WHERE workspace = $1 AND model = $2 AND alias = $3";
    let values = [workspace.as_str().into(), name.into(), alias.into()];
    let Some(found) = SQL.row(db, sql, values).await? else {
        let alias = bounds::shown(alias);
        return Err(TrackingError::Invalid(format!(
            "Registered model alias {alias} not found."
        )));
    };
    version::get(db, workspace, name, SQL.column(&found, "version")?).await
}
