//! Search of registered models and of their versions.

use tern_protocol::id::WorkspaceId;

use super::{
    by_columns,
    condition::{Hanging, hanging, number, text, unknown},
    filter, orders,
};
use crate::{
    store::Store,
    tracking::{
        TrackingError,
        filter::Entity,
        model::{self, Registered},
        page::{Page, Window},
        sql::{SQL, Sql},
        version::{self, Version},
    },
};

const MODEL_TAGS: Hanging<'static> = Hanging {
    table: "tracking_model_tag",
    own: "h.workspace = m.workspace AND h.model = m.name",
    absent_differs: true,
};

const VERSION_TAGS: Hanging<'static> = Hanging {
    table: "tracking_version_tag",
    own: "h.workspace = v.workspace AND h.model = v.model AND h.version = v.version",
    absent_differs: true,
};

/// Registered models, by name unless asked otherwise.
pub async fn models(
    store: &Store,
    workspace: &WorkspaceId,
    text_of_filter: &str,
    order_by: &[String],
    window: Window,
) -> Result<Page<Registered>, TrackingError> {
    let (filter, orders) = (filter(text_of_filter)?, orders(order_by)?);
    let mut sql = Sql::default();
    sql.push("SELECT ").push(model::COLUMNS);
    sql.push(" FROM tracking_model m WHERE m.workspace = ");
    sql.bind(workspace.as_str());
    for comparison in &filter.0 {
        sql.push(" AND ");
        match (comparison.subject.entity, comparison.subject.key.as_str()) {
            (Entity::Attribute, "name") => text(&mut sql, store.backend(), "m.name", comparison)?,
            (Entity::Tag, _) => hanging(&mut sql, store.backend(), MODEL_TAGS, comparison)?,
            _ => return unknown(comparison, "name"),
        }
    }
    let column = |key: &str| match key {
        "name" => Some("m.name"),
        "creation_timestamp" => Some("m.created"),
        "last_updated_timestamp" | "timestamp" => Some("m.updated"),
        _ => None,
    };
    by_columns(&mut sql, &orders, column, "m.name ASC")?;
    sql.push(" LIMIT ").bind(window.rows());
    sql.push(" OFFSET ").bind(window.offset);
    let found = window.page(SQL.rows(store.read(), &sql.text, sql.values).await?);
    let mut items = Vec::with_capacity(found.items.len());
    for row in &found.items {
        items.push(model::whole(store.read(), workspace, row).await?);
    }
    Ok(Page {
        items,
        next: found.next,
    })
}

/// Versions, those that were changed last first unless asked otherwise.
pub async fn versions(
    store: &Store,
    workspace: &WorkspaceId,
    text_of_filter: &str,
    order_by: &[String],
    window: Window,
) -> Result<Page<Version>, TrackingError> {
    let backend = store.backend();
    let (filter, orders) = (filter(text_of_filter)?, orders(order_by)?);
    let mut sql = Sql::default();
    sql.push("SELECT ").push(version::COLUMNS);
    sql.push(" FROM tracking_version v WHERE v.workspace = ");
    sql.bind(workspace.as_str());
    for comparison in &filter.0 {
        sql.push(" AND ");
        match (comparison.subject.entity, comparison.subject.key.as_str()) {
            (Entity::Attribute, "name") => text(&mut sql, backend, "v.model", comparison)?,
            (Entity::Attribute, "run_id") => text(&mut sql, backend, "v.run_id", comparison)?,
            (Entity::Attribute, "source_path") => text(&mut sql, backend, "v.source", comparison)?,
            (Entity::Attribute, "version_number" | "version") => {
                number(&mut sql, "v.version", comparison)?;
            }
            (Entity::Tag, _) => hanging(&mut sql, backend, VERSION_TAGS, comparison)?,
            _ => return unknown(comparison, "name, run_id, source_path, version_number"),
        }
    }
    let column = |key: &str| match key {
        "name" => Some("v.model"),
        "version_number" => Some("v.version"),
        "creation_timestamp" => Some("v.created"),
        "last_updated_timestamp" => Some("v.updated"),
        _ => None,
    };
    let default = if orders.is_empty() {
        "v.updated DESC, v.model ASC, v.version DESC"
    } else {
        "v.model ASC, v.version DESC"
    };
    by_columns(&mut sql, &orders, column, default)?;
    sql.push(" LIMIT ").bind(window.rows());
    sql.push(" OFFSET ").bind(window.offset);
    let found = window.page(SQL.rows(store.read(), &sql.text, sql.values).await?);
    let mut items = Vec::with_capacity(found.items.len());
    for row in &found.items {
        items.push(version::whole(store.read(), workspace, row).await?);
    }
    Ok(Page {
        items,
        next: found.next,
    })
}
