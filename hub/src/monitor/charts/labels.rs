//! The chart of accuracy, from labels by the time of their predictions.

use sea_orm::{ConnectionTrait as _, Value};
use tern_protocol::{
    id::WorkspaceId,
    rest::{Point, Series},
};

use super::{
    ChartQuery, GroupKey,
    axis::Axis,
    filtered, group_columns, ms,
    series::{Drawn, drawn},
};
use crate::{
    monitor::{
        accuracy::{Outcome, estimate},
        sql::Select,
    },
    store::{Doing as _, Store, StoreError},
};

/// Rows of counted labels for one chart: intervals times series times weights times two outcomes.
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
            "SELECT {}, CAST(CASE WHEN class = truth THEN 1 ELSE 0 END AS BIGINT) AS hit, probability, \
             COUNT(*) AS labels, MIN(predicted_at) AS at \
             FROM label WHERE workspace = $1 AND predicted IS NULL AND probability > 0",
            group_columns(query.group)
        ),
        [Value::from(workspace.as_str())],
    );
    let select = filtered(select, query)
        .push(
            " AND predicted_at >= ? AND predicted_at < ?",
            [ms(axis.from), ms(axis.to())],
        )
        .push(
            " GROUP BY grp_model, grp_version, grp_site, hit, probability",
            [],
        )
        .push(", (predicted_at - ?) / ?", [ms(axis.from), ms(axis.step)])
        .push(" LIMIT ?", [ms(ROWS)]);
    let mut outcomes: Drawn<Vec<Outcome>> = Drawn::new(axis);
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    for row in rows {
        let number = |column| row.try_get::<i64>("", column).doing(DOING);
        let Some(place) = axis.place(number("at")?) else {
            continue;
        };
        outcomes
            .at(&GroupKey::of(&row).doing(DOING)?, place)
            .push(Outcome {
                right: number("hit")? == 1,
                probability: row.try_get("", "probability").doing(DOING)?,
                labels: number("labels")?.max(0).unsigned_abs(),
            });
    }
    Ok(drawn(
        query,
        axis,
        outcomes,
        |outcomes: &Vec<Outcome>| match estimate(outcomes) {
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
        },
    ))
}
