//! All values of a metric of a run, page by page or thinned for a curve.

use sea_orm::QueryResult;
use tern_protocol::id::WorkspaceId;

use super::{
    Point, TrackingError, bounds,
    page::{Page, Window},
    run,
    sql::SQL,
};
use crate::store::{Store, StoreError};

/// Values on a page at most, and of a history that is asked for whole.
pub const MOST: i64 = 25_000;

/// Points of a curve at most: more than a screen has columns.
const CURVE: usize = 800;

/// The values of a metric by time, as MLflow's own store gives them.
pub async fn history(
    store: &Store,
    workspace: &WorkspaceId,
    run_id: &str,
    key: &str,
    window: Window,
) -> Result<Page<Point>, TrackingError> {
    bounds::required("metric_key", key)?;
    let info = run::info(store.read(), workspace, run_id).await?;
    let sql = "SELECT key, value, nan, at, step FROM tracking_metric WHERE run = $1 AND key = $2 \
               ORDER BY at, step, value LIMIT $3 OFFSET $4";
    let values = [
        info.row.into(),
        key.into(),
        window.rows().into(),
        window.offset.into(),
    ];
    let found = SQL.rows(store.read(), sql, values).await?;
    let points: Result<_, StoreError> = found.iter().map(point).collect();
    Ok(window.page(points?))
}

/// The values of a metric by step, thinned so that the extremes of each stretch stay.
pub async fn curve(
    store: &Store,
    workspace: &WorkspaceId,
    run_id: &str,
    key: &str,
) -> Result<Vec<Point>, TrackingError> {
    let info = run::info(store.read(), workspace, run_id).await?;
    let sql = "SELECT key, value, nan, at, step FROM tracking_metric WHERE run = $1 AND key = $2 \
               AND NOT nan ORDER BY step DESC, at DESC LIMIT 200000";
    let found = SQL
        .rows(store.read(), sql, [info.row.into(), key.into()])
        .await?;
    let points: Result<Vec<Point>, StoreError> = found.iter().rev().map(point).collect();
    Ok(thinned(&points?, CURVE))
}

fn point(row: &QueryResult) -> Result<Point, StoreError> {
    Ok(Point::read(
        SQL.at(row, 0)?,
        SQL.at(row, 1)?,
        SQL.at(row, 2)?,
        SQL.at(row, 3)?,
        SQL.at(row, 4)?,
    ))
}

/// At most about so many points: of each stretch the lowest and the highest, in their order, and both ends of all.
fn thinned(points: &[Point], most: usize) -> Vec<Point> {
    if points.len() <= most {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil((most / 2).max(1));
    let mut kept = Vec::with_capacity(most + 2);
    kept.extend(points.first().cloned());
    for some in points.chunks(stretch) {
        let by_value = |a: &(usize, &Point), b: &(usize, &Point)| a.1.value.total_cmp(&b.1.value);
        let lowest = some.iter().enumerate().min_by(by_value);
        let highest = some.iter().enumerate().max_by(by_value);
        let mut both: Vec<_> = lowest.into_iter().chain(highest).collect();
        both.sort_by_key(|(i, _)| *i);
        both.dedup_by_key(|(i, _)| *i);
        kept.extend(both.into_iter().map(|(_, point)| point.clone()));
    }
    kept.extend(points.last().cloned());
    kept.dedup();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_curve_keeps_its_extremes_and_its_order() {
        let points: Vec<Point> = (0..100_000)
            .map(|step| Point {
                key: "loss".into(),
                value: if step == 54_321 {
                    99.0
                } else {
                    f64::from(step % 7)
                },
                at: 0,
                step: i64::from(step),
            })
            .collect();
        let thin = thinned(&points, 800);
        assert!(thin.len() <= 802, "{}", thin.len());
        assert!(thin.iter().any(|point| point.value >= 99.0));
        assert!(thin.windows(2).all(|two| two[0].step < two[1].step));
        assert_eq!(thin.first(), points.first());
        assert_eq!(thin.last(), points.last());
        assert_eq!(thinned(&points[..5], 800), points[..5]);
    }
}
