//! Search of runs.

use tern_protocol::id::WorkspaceId;

use super::{
    EXPERIMENTS,
    condition::{Hanging, hanging, metric, number, text, unknown},
    filter, orders,
};
use crate::{
    store::{Store, StoreError},
    tracking::{
        Stages, TrackingError,
        filter::{Comparison, Entity, Order},
        page::{Page, Window},
        run::{self, COLUMNS, Info, Run},
        sql::{SQL, Sql},
    },
};

/// Which runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Of these experiments.
    pub experiments: Vec<i64>,
    /// MLflow's filter.
    pub filter: String,
    /// Whether also the deleted.
    pub stages: Stages,
    /// MLflow's orders.
    pub order_by: Vec<String>,
}

const METRICS: Hanging<'static> = Hanging {
    table: "tracking_latest",
    own: "h.run = r.id",
    absent_differs: false,
};
const PARAMS: Hanging<'static> = Hanging {
    table: "tracking_param",
    ..METRICS
};
const TAGS: Hanging<'static> = Hanging {
    table: "tracking_tag",
    ..METRICS
};

/// A column of runs, and whether it holds a number.
fn attribute(key: &str) -> Option<(&'static str, bool)> {
    Some(match key {
        "run_id" => ("r.run_id", false),
        "run_name" | "run name" | "Run name" | "Run Name" => ("r.name", false),
        "status" => ("r.status", false),
        "artifact_uri" => ("r.artifact_uri", false),
        "user_id" => ("r.user_id", false),
        "start_time" | "created" | "Created" => ("r.start_time", true),
        "end_time" => ("r.end_time", true),
        _ => return None,
    })
}

/// What runs are, without what hangs on them.
pub async fn infos(
    store: &Store,
    workspace: &WorkspaceId,
    asked: &Asked,
    window: Window,
) -> Result<Page<Info>, TrackingError> {
    let sql = compiled(store, workspace, asked, window)?;
    if asked.experiments.is_empty() {
        return Ok(window.page(Vec::new()));
    }
    let found = SQL.rows(store.read(), &sql.text, sql.values).await?;
    let infos: Result<Vec<_>, StoreError> = found.iter().map(run::read).collect();
    Ok(window.page(infos?))
}

/// Runs with all that hangs on them.
pub async fn runs(
    store: &Store,
    workspace: &WorkspaceId,
    asked: &Asked,
    window: Window,
) -> Result<Page<Run>, TrackingError> {
    let page = infos(store, workspace, asked, window).await?;
    Ok(Page {
        items: run::with_data(store.read(), page.items).await?,
        next: page.next,
    })
}

fn compiled(
    store: &Store,
    workspace: &WorkspaceId,
    asked: &Asked,
    window: Window,
) -> Result<Sql, TrackingError> {
    if asked.experiments.len() > EXPERIMENTS {
        let text = format!("a search names at most {EXPERIMENTS} experiments");
        return Err(TrackingError::Invalid(text));
    }
    let (filter, orders) = (filter(&asked.filter)?, orders(&asked.order_by)?);
    let mut sql = Sql::default();
    sql.push("SELECT ")
        .push(COLUMNS)
        .push(" FROM tracking_run r");
    for (i, order) in orders.iter().enumerate() {
        let table = match order.subject.entity {
            Entity::Metric => METRICS.table,
            Entity::Param => PARAMS.table,
            Entity::Tag => TAGS.table,
            _ => continue,
        };
        let join = format!(" LEFT JOIN {table} o{i} ON o{i}.run = r.id AND o{i}.key = ");
        sql.push(&join).bind(order.subject.key.as_str());
    }
    sql.push(" WHERE r.workspace = ").bind(workspace.as_str());
    sql.push(" AND r.experiment IN ");
    sql.list(asked.experiments.iter().copied());
    sql.push(" AND r.stage IN ");
    sql.list(asked.stages.words().iter().copied());
    for comparison in &filter.0 {
        sql.push(" AND ");
        condition(&mut sql, store, comparison)?;
    }
    sql.push(" ORDER BY ");
    for (i, order) in orders.iter().enumerate() {
        ordered(&mut sql, i, order)?;
    }
    sql.push("r.start_time DESC, r.run_id LIMIT ");
    sql.bind(window.rows()).push(" OFFSET ").bind(window.offset);
    Ok(sql)
}

fn condition(sql: &mut Sql, store: &Store, comparison: &Comparison) -> Result<(), TrackingError> {
    const KNOWN: &str = "run_id, run_name, status, artifact_uri, user_id, start_time, end_time";
    let backend = store.backend();
    match comparison.subject.entity {
        Entity::Metric => metric(sql, METRICS, comparison),
        Entity::Param => hanging(sql, backend, PARAMS, comparison),
        Entity::Tag => hanging(sql, backend, TAGS, comparison),
        Entity::Attribute => match attribute(&comparison.subject.key) {
            Some((column, true)) => number(sql, column, comparison),
            Some((column, false)) => text(sql, backend, column, comparison),
            None => unknown(comparison, KNOWN),
        },
        Entity::Dataset => {
            let column = match comparison.subject.key.as_str() {
                "name" => "h.name",
                "digest" => "h.digest",
                "context" => "h.context",
                _ => return unknown(comparison, "name, digest, context"),
            };
            sql.push("EXISTS (SELECT 1 FROM tracking_input h WHERE h.run = r.id AND ");
            text(sql, backend, column, comparison)?;
            sql.push(")");
            Ok(())
        }
    }
}

/// What is missing comes last, whatever the order; before it, what is no number.
fn ordered(sql: &mut Sql, i: usize, order: &Order) -> Result<(), TrackingError> {
    let way = if order.ascending { "ASC" } else { "DESC" };
    let by = match order.subject.entity {
        Entity::Metric => format!(
            "CASE WHEN o{i}.run IS NULL THEN 2 WHEN o{i}.nan THEN 1 ELSE 0 END, o{i}.value {way}, "
        ),
        Entity::Param | Entity::Tag => {
            format!("CASE WHEN o{i}.run IS NULL THEN 1 ELSE 0 END, o{i}.value {way}, ")
        }
        Entity::Attribute => match attribute(&order.subject.key) {
            Some((column, _)) => {
                format!("CASE WHEN {column} IS NULL THEN 1 ELSE 0 END, {column} {way}, ")
            }
            None => return no_order(order),
        },
        Entity::Dataset => return no_order(order),
    };
    sql.push(&by);
    Ok(())
}

fn no_order<T>(order: &Order) -> Result<T, TrackingError> {
    Err(TrackingError::Invalid(format!(
        "Invalid order_by key '{}' specified.",
        order.subject
    )))
}
