//! The chart of accuracy, from labels by the time of their predictions.

use sea_orm::{ConnectionTrait as _, Value};
use tern_protocol::{
    id::WorkspaceId,
    rest::{Point, Series},
};
use tern_stats::interval::{Weighted, Z_95};

use super::{
    ChartQuery, GroupKey,
    axis::Axis,
    filtered, group_columns, ms,
    series::{Drawn, drawn},
};
use crate::{
    monitor::{
        accuracy::{summed, sums},
        sql::Select,
    },
    store::{Doing as _, Store, StoreError},
};

/// Rows of added labels for one chart: intervals times series.
const ROWS: i64 = 100_000;

/// Share of right predictions with its interval.
pub(super) async fn accuracy(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Result<Vec<Series>, StoreError> {
    const DOING: &str = "counting right predictions for a chart";
    let select = Select::new(
        format!(
            "SELECT {}, {}, MIN(predicted_at) AS at \
             FROM label WHERE workspace = $1 AND predicted IS NULL AND probability > 0",
            group_columns(query.group),
            sums()
        ),
        [Value::from(workspace.as_str())],
    );
    let select = filtered(select, query)
        .push(
            " AND predicted_at >= ? AND predicted_at < ?",
            [ms(axis.from), ms(axis.to())],
        )
        .push(" GROUP BY grp_model, grp_version, grp_site", [])
        .push(", (predicted_at - ?) / ?", [ms(axis.from), ms(axis.step)])
        .push(" LIMIT ?", [ms(ROWS)]);
    let mut outcomes: Drawn<Weighted> = Drawn::new(axis);
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    for row in rows {
        let at: i64 = row.try_get("", "at").doing(DOING)?;
        let Some(place) = axis.place(at) else {
            continue;
        };
        outcomes
            .at(&GroupKey::of(&row).doing(DOING)?, place)
            .merge(&summed(&row)?);
    }
    Ok(drawn(query, axis, outcomes, |sums: &Weighted| {
        match sums.estimate(Z_95) {
            None => (false, Point::default()),
            Some(estimated) => {
                let point = Point {
                    value: Some(estimated.mean),
                    n: estimated.n,
                    low: Some(estimated.low),
                    high: Some(estimated.high),
                };
                (true, point)
            }
        }
    }))
}
