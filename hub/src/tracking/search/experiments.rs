//! Search of experiments.

use tern_protocol::id::WorkspaceId;

use super::{
    by_columns,
    condition::{Hanging, hanging, number, text, unknown},
    filter, orders,
};
use crate::{
    store::{Store, StoreError},
    tracking::{
        Stages, TrackingError,
        experiment::{self, COLUMNS, Experiment},
        filter::Entity,
        page::{Page, Window},
        sql::{SQL, Sql},
    },
};

const TAGS: Hanging<'static> = Hanging {
    table: "tracking_experiment_tag",
    own: "h.workspace = e.workspace AND h.experiment = e.id",
    absent_differs: false,
};

/// Experiments of a workspace, the newest first unless asked otherwise.
pub async fn experiments(
    store: &Store,
    workspace: &WorkspaceId,
    text_of_filter: &str,
    stages: Stages,
    order_by: &[String],
    window: Window,
) -> Result<Page<Experiment>, TrackingError> {
    const KNOWN: &str = "name, creation_time, last_update_time";
    let (filter, orders) = (filter(text_of_filter)?, orders(order_by)?);
    let mut sql = Sql::default();
    sql.push("SELECT ").push(COLUMNS);
    sql.push(" FROM tracking_experiment e WHERE e.workspace = ");
    sql.bind(workspace.as_str()).push(" AND e.stage IN ");
    sql.list(stages.words().iter().copied());
    for comparison in &filter.0 {
        sql.push(" AND ");
        let key = comparison.subject.key.as_str();
        match (comparison.subject.entity, key) {
            (Entity::Attribute, "name") => text(&mut sql, store.backend(), "e.name", comparison)?,
            (Entity::Attribute, "creation_time") => number(&mut sql, "e.created", comparison)?,
            (Entity::Attribute, "last_update_time") => number(&mut sql, "e.updated", comparison)?,
            (Entity::Tag, _) => hanging(&mut sql, store.backend(), TAGS, comparison)?,
            _ => return unknown(comparison, KNOWN),
        }
    }
    let column = |key: &str| match key {
        "name" => Some("e.name"),
        "experiment_id" => Some("e.id"),
        "creation_time" => Some("e.created"),
        "last_update_time" => Some("e.updated"),
        _ => None,
    };
    let default = if orders.is_empty() {
        "e.created DESC, e.id"
    } else {
        "e.id DESC"
    };
    by_columns(&mut sql, &orders, column, default)?;
    sql.push(" LIMIT ").bind(window.rows());
    sql.push(" OFFSET ").bind(window.offset);
    let found = SQL.rows(store.read(), &sql.text, sql.values).await?;
    let read: Result<Vec<_>, StoreError> = found.iter().map(experiment::read).collect();
    let page = window.page(read?);
    Ok(Page {
        items: experiment::with_tags(store.read(), workspace, page.items).await?,
        next: page.next,
    })
}
