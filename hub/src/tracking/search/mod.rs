//! Searches: a filter and orders become SQL with bound values.
//!
//! Must never break: of what clients write, only values that are bound reach the database; names of columns and tables
//! are from lists in here.

mod condition;
mod experiments;
mod logged;
mod models;
mod runs;

pub use self::{
    experiments::experiments,
    logged::{LoggedOrder, logged},
    models::{models, versions},
    runs::{Asked, infos, runs},
};

use super::{
    TrackingError,
    filter::{Filter, Order},
    sql::Sql,
};

/// Orders of one search at most: each joins a table.
const ORDERS: usize = 10;

/// Experiments that one search names at most.
pub const EXPERIMENTS: usize = 10_000;

fn filter(text: &str) -> Result<Filter, TrackingError> {
    text.parse()
        .map_err(|err: super::filter::FilterError| TrackingError::Invalid(err.to_string()))
}

fn orders(texts: &[String]) -> Result<Vec<Order>, TrackingError> {
    if texts.len() > ORDERS {
        let text = format!("Invalid order_by: at most {ORDERS} are taken.");
        return Err(TrackingError::Invalid(text));
    }
    // An empty list is sent as one without text.
    let texts = texts.iter().filter(|text| !text.trim().is_empty());
    texts
        .map(|text| {
            text.parse()
                .map_err(|err: super::filter::FilterError| TrackingError::Invalid(err.to_string()))
        })
        .collect()
}

/// Orders by columns of the table itself.
fn by_columns(
    sql: &mut Sql,
    orders: &[Order],
    column: impl Fn(&str) -> Option<&'static str>,
    default: &str,
) -> Result<(), TrackingError> {
    sql.push(" ORDER BY ");
    for order in orders {
        let known = match order.subject.entity {
            super::filter::Entity::Attribute => column(&order.subject.key),
            _ => None,
        };
        let Some(known) = known else {
            return Err(TrackingError::Invalid(format!(
                "Invalid order_by key '{}' specified.",
                order.subject
            )));
        };
        let way = if order.ascending { "ASC" } else { "DESC" };
        sql.push(known).push(" ").push(way).push(", ");
    }
    sql.push(default);
    Ok(())
}
