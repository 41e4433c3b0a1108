//! Search of logged models.

use tern_protocol::id::WorkspaceId;

use super::{
    EXPERIMENTS, ORDERS,
    condition::{Hanging, hanging, metric, number, text, unknown},
    filter,
};
use crate::{
    store::{Store, StoreError},
    tracking::{
        TrackingError,
        filter::{Comparison, Entity, Operand},
        logged::{self, COLUMNS, Logged, Status},
        page::{Page, Window},
        sql::{SQL, Sql},
    },
};

/// By what logged models are ordered: here it comes in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOrder {
    /// A name, as `creation_timestamp` or `metrics.acc`.
    pub field: String,
    /// The lowest first.
    pub ascending: bool,
}

const METRICS: Hanging<'static> = Hanging {
    table: "tracking_logged_metric",
    own: "h.model = m.id",
    absent_differs: false,
};
const PARAMS: Hanging<'static> = Hanging {
    table: "tracking_logged_param",
    ..METRICS
};
const TAGS: Hanging<'static> = Hanging {
    table: "tracking_logged_tag",
    ..METRICS
};

fn attribute(key: &str) -> Option<(&'static str, bool)> {
    Some(match key {
        "name" => ("m.name", false),
        "model_id" => ("m.model_id", false),
        "model_type" => ("m.model_type", false),
        "status" => ("m.status", false),
        "source_run_id" => ("m.source_run", false),
        "artifact_location" | "artifact_uri" => ("m.artifact_uri", false),
        "creation_time" | "creation_timestamp" | "creation_timestamp_ms" => ("m.created", true),
        "last_updated_time" | "last_updated_timestamp" | "last_updated_timestamp_ms" => {
            ("m.updated", true)
        }
        _ => return None,
    })
}

/// Logged models that are there, the newest first unless asked otherwise.
pub async fn logged(
    store: &Store,
    workspace: &WorkspaceId,
    experiments: &[i64],
    text_of_filter: &str,
    orders: &[LoggedOrder],
    window: Window,
) -> Result<Page<Logged>, TrackingError> {
    if experiments.len() > EXPERIMENTS || orders.len() > ORDERS {
        let text = format!("a search names at most {EXPERIMENTS} experiments and {ORDERS} orders");
        return Err(TrackingError::Invalid(text));
    }
    let filter = filter(text_of_filter)?;
    let mut sql = Sql::default();
    sql.push("SELECT ").push(COLUMNS);
    sql.push(" FROM tracking_logged m WHERE m.stage = 'active' AND m.workspace = ");
    sql.bind(workspace.as_str()).push(" AND m.experiment IN ");
    sql.list(experiments.iter().copied());
    for comparison in &filter.0 {
        sql.push(" AND ");
        condition(&mut sql, store, comparison)?;
    }
    sql.push(" ORDER BY ");
    for order in orders {
        ordered(&mut sql, order)?;
    }
    sql.push("m.created DESC, m.id DESC LIMIT ");
    sql.bind(window.rows()).push(" OFFSET ").bind(window.offset);
    let found = SQL.rows(store.read(), &sql.text, sql.values).await?;
    let read: Result<Vec<_>, StoreError> = found.iter().map(logged::read).collect();
    let page = window.page(read?);
    Ok(Page {
        items: logged::with_data(store.read(), page.items).await?,
        next: page.next,
    })
}

fn condition(sql: &mut Sql, store: &Store, comparison: &Comparison) -> Result<(), TrackingError> {
    const KNOWN: &str = "name, model_id, model_type, status, source_run_id, creation_timestamp, \
                         last_updated_timestamp";
    let backend = store.backend();
    match comparison.subject.entity {
        Entity::Metric => metric(sql, METRICS, comparison),
        Entity::Param => hanging(sql, backend, PARAMS, comparison),
        Entity::Tag => hanging(sql, backend, TAGS, comparison),
        Entity::Attribute => match attribute(&comparison.subject.key) {
            Some((column, true)) => number(sql, column, comparison),
            Some((column @ "m.status", false)) => {
                // `READY` is short for what is stored.
                let mut comparison = comparison.clone();
                if let Operand::Text(word) = &mut comparison.operand
                    && let Ok(status) = word.parse::<Status>()
                {
                    status.word().clone_into(word);
                }
                text(sql, backend, column, &comparison)
            }
            Some((column, false)) => text(sql, backend, column, comparison),
            None => unknown(comparison, KNOWN),
        },
        Entity::Dataset => unknown(comparison, KNOWN),
    }
}

fn ordered(sql: &mut Sql, order: &LoggedOrder) -> Result<(), TrackingError> {
    let way = if order.ascending { "ASC" } else { "DESC" };
    let by = |sql: &mut Sql| match order.field.split_once('.') {
        Some(("metrics" | "metric", key)) => {
            sql.push("(SELECT h.value FROM tracking_logged_metric h WHERE h.model = m.id AND NOT h.nan AND h.key = ")
                .bind(key)
                .push(" ORDER BY h.step DESC, h.at DESC, h.value DESC LIMIT 1)");
            true
        }
        Some(("params" | "param", key)) => {
            sql.push(
                "(SELECT h.value FROM tracking_logged_param h WHERE h.model = m.id AND h.key = ",
            )
            .bind(key)
            .push(")");
            true
        }
        Some(("attributes" | "attribute", key)) if attribute(key).is_some() => {
            sql.push(attribute(key).map_or("", |(column, _)| column));
            true
        }
        _ => match attribute(&order.field) {
            Some((column, _)) => {
                sql.push(column);
                true
            }
            None => false,
        },
    };
    sql.push("CASE WHEN ");
    if !by(sql) {
        let field: String = order.field.chars().take(80).collect();
        return Err(TrackingError::Invalid(format!(
            "Invalid order_by field name: {field}."
        )));
    }
    sql.push(" IS NULL THEN 1 ELSE 0 END, ");
    by(sql);
    sql.push(" ").push(way).push(", ");
    Ok(())
}
