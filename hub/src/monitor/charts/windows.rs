//! Charts from windows.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, QueryResult, Value};
use tern_protocol::{
    id::WorkspaceId,
    profile::CONFIDENCE_BINS,
    rest::{Point, Series},
};
use tern_stats::sketch::Sketch;

use super::{
    ChartQuery, GroupKey,
    axis::Axis,
    filtered, group_columns, ms, names,
    series::{Drawn, drawn},
    series_name,
    summary::Summary,
};
use crate::{
    monitor::{rows::class_name, sql::Select},
    registry,
    store::{Doing as _, Store, StoreError},
};

const DOING: &str = "reading windows for a chart";

/// Bodies that one chart reads, about a kilobyte each. When there are more, every second, third …
/// of them is read: for quantiles, mixes and means an even sample does.
const BODIES: i64 = 20_000;

/// Groups of windows that the database sums up for one chart: intervals times series, and a few
/// more for windows that are longer than an interval.
const SUMS: i64 = 50_000;

/// Longest window that a chart of the past looks for, in milliseconds (1 day). Outboxes under
/// pressure merge windows into coarser ones; looking further would read the table to its end.
const LONGEST: i64 = 24 * 60 * 60 * 1000;

/// Quantiles of latency that are drawn.
const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99")];

/// Inferences a second.
pub(super) async fn traffic(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Result<Vec<Series>, StoreError> {
    let sums = sums(store, workspace, query, axis).await?;
    let seconds = axis.step as f64 / 1000.0;
    Ok(drawn(query, axis, sums, |sum: &Sum| {
        let n = sum.inferences.round() as u64;
        (
            sum.covered,
            Point {
                value: Some(sum.inferences / seconds),
                n,
                ..Point::default()
            },
        )
    }))
}

/// Share of requests that got an error.
pub(super) async fn errors(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Result<Vec<Series>, StoreError> {
    let sums = sums(store, workspace, query, axis).await?;
    Ok(drawn(query, axis, sums, |sum: &Sum| {
        let requests = sum.inferences + sum.errors;
        let value = Some(sum.errors / requests);
        (
            requests > 0.0,
            Point {
                value,
                n: requests.round() as u64,
                ..Point::default()
            },
        )
    }))
}

/// Quantiles of latency.
pub(super) async fn latency(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Result<Vec<Series>, StoreError> {
    let mut sketches: Drawn<Sketch> = Drawn::new(axis);
    bodies(store, workspace, query, axis, |row, summary| {
        for place in axis.touched(row.opened, row.closed) {
            sketches.at(&row.group, place).merge(&summary.latency);
        }
        Ok(())
    })
    .await?;
    let mut series = Vec::new();
    for (group, points) in sketches.groups() {
        for (quantile, name) in QUANTILES {
            let point = |sketch: &Sketch| Point {
                value: sketch.quantile(quantile),
                n: sketch.count(),
                ..Point::default()
            };
            series.push(Series {
                name: series_name(&group.name(query), name),
                points: points.iter().map(point).collect(),
            });
        }
    }
    Ok(series)
}

/// Share of each predicted class.
pub(super) async fn prediction(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Result<Vec<Series>, StoreError> {
    let classes = registry::classes(store.read(), workspace, query.model.as_ref()).await?;
    // By class: two versions may have the same class in another place. The order of classes is that
    // in which their versions name them.
    let mut counts: Drawn<BTreeMap<(usize, String), u64>> = Drawn::new(axis);
    bodies(store, workspace, query, axis, |row, summary| {
        let names = names(&classes, &row.model, row.version)?;
        for place in axis.touched(row.opened, row.closed) {
            let at = counts.at(&row.group, place);
            for (class, count) in summary.classes.iter().enumerate().filter(|(_, n)| **n > 0) {
                let sum = at
                    .entry((class, class_name(names, class as i64)))
                    .or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        Ok(())
    })
    .await?;
    let mut series = Vec::new();
    for (group, points) in counts.groups() {
        let mut known: Vec<&String> = Vec::new();
        let mut all: Vec<_> = points.iter().flat_map(BTreeMap::keys).collect();
        all.sort();
        for (_, name) in all {
            if !known.contains(&name) {
                known.push(name);
            }
        }
        for class in known {
            let point = |counts: &BTreeMap<(usize, String), u64>| {
                let n: u64 = counts.values().fold(0, |sum, n| sum.saturating_add(*n));
                let of = counts.iter().filter(|((_, name), _)| name == class);
                let of: u64 = of.map(|(_, n)| *n).fold(0, u64::saturating_add);
                let value = (n > 0).then(|| of as f64 / n as f64);
                Point {
                    value,
                    n,
                    ..Point::default()
                }
            };
            series.push(Series {
                name: series_name(&group.name(query), class),
                points: points.iter().map(point).collect(),
            });
        }
    }
    Ok(series)
}

/// Mean confidence, each bin taken at its middle.
pub(super) async fn confidence(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Result<Vec<Series>, StoreError> {
    let mut bins: Drawn<[u64; CONFIDENCE_BINS]> = Drawn::new(axis);
    bodies(store, workspace, query, axis, |row, summary| {
        for place in axis.touched(row.opened, row.closed) {
            let sums = bins.at(&row.group, place);
            for (sum, count) in sums.iter_mut().zip(&summary.confidence) {
                *sum = sum.saturating_add(*count);
            }
        }
        Ok(())
    })
    .await?;
    Ok(drawn(query, axis, bins, |bins: &[u64; CONFIDENCE_BINS]| {
        let n = bins.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
        let middles = bins
            .iter()
            .enumerate()
            .map(|(bin, count)| (bin as f64 + 0.5) / CONFIDENCE_BINS as f64 * *count as f64);
        let mean = middles.sum::<f64>() / n as f64;
        (
            n > 0,
            Point {
                value: Some(mean),
                n,
                ..Point::default()
            },
        )
    }))
}

/// Inferences and errors of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sum {
    inferences: f64,
    errors: f64,
    /// Whether any window says something about the interval, if only that nothing happened.
    covered: bool,
}

/// Sums by group and interval. The database sums windows that were opened in the same interval and
/// closed in the same one; each sum is spread over the time that its windows cover on average.
async fn sums(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Result<Drawn<Sum>, StoreError> {
    let select = Select::new(
        format!(
            "SELECT {}, CAST(AVG(opened) AS BIGINT) AS opened_mean, \
             CAST(AVG(closed) AS BIGINT) AS closed_mean, \
             CAST(SUM(inferences) AS BIGINT) AS inferences, CAST(SUM(errors) AS BIGINT) AS errors \
             FROM telemetry_window WHERE workspace = $1 AND quarantine IS NULL",
            group_columns(query.group)
        ),
        [Value::from(workspace.as_str())],
    );
    let select = within(filtered(select, query), axis);
    let select = select
        .push(" GROUP BY grp_model, grp_version, grp_site", [])
        .push(", (opened - ?) / ?", [ms(axis.from), ms(axis.step)])
        .push(", (closed - ?) / ?", [ms(axis.from), ms(axis.step)])
        .push(" LIMIT ?", [ms(SUMS)]);
    let mut sums: Drawn<Sum> = Drawn::new(axis);
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    for row in rows {
        let group = GroupKey::of(&row).doing(DOING)?;
        let number = |column| row.try_get::<i64>("", column).doing(DOING);
        let (inferences, errors) = (number("inferences")? as f64, number("errors")? as f64);
        for (place, share) in axis.shares(number("opened_mean")?, number("closed_mean")?) {
            let sum = sums.at(&group, place);
            sum.inferences += inferences * share;
            sum.errors += errors * share;
            sum.covered = true;
        }
    }
    Ok(sums)
}

/// A window whose body is read.
struct Row {
    group: GroupKey,
    model: String,
    version: i64,
    opened: i64,
    closed: i64,
}

/// Hands each window of the chart, or an even sample of them, to `each`.
async fn bodies(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
    mut each: impl FnMut(&Row, &Summary) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let every = count(store, workspace, query, axis)
        .await?
        .div_ceil(BODIES as u64)
        .max(1);
    let select = Select::new(
        format!(
            "SELECT {}, model, version, opened, closed, body FROM telemetry_window \
             WHERE workspace = $1 AND quarantine IS NULL AND inferences > 0",
            group_columns(query.group)
        ),
        [Value::from(workspace.as_str())],
    );
    let mut select = within(filtered(select, query), axis);
    if every > 1 {
        select = select.push(" AND id % ? = 0", [ms(every as i64)]);
    }
    // Windows that arrive between the two questions must not lift the bound.
    let select = select.push(" LIMIT ?", [ms(2 * BODIES)]);
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    for (at, found) in rows.iter().enumerate() {
        if at % 256 == 0 {
            // Decoding is arithmetic without a pause: others get their turn.
            tokio::task::yield_now().await;
        }
        let row = read(found).doing(DOING)?;
        let body: Vec<u8> = found.try_get("", "body").doing(DOING)?;
        match Summary::read(&body) {
            Ok(summary) => each(&row, &summary)?,
            Err(err) => tracing::debug!(%err, "a stored window cannot be read"),
        }
    }
    Ok(())
}

fn read(row: &QueryResult) -> Result<Row, sea_orm::DbErr> {
    Ok(Row {
        group: GroupKey::of(row)?,
        model: row.try_get("", "model")?,
        version: row.try_get("", "version")?,
        opened: row.try_get("", "opened")?,
        closed: row.try_get("", "closed")?,
    })
}

async fn count(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Result<u64, StoreError> {
    let select = Select::new(
        "SELECT COUNT(*) AS windows FROM telemetry_window WHERE workspace = $1 \
         AND quarantine IS NULL AND inferences > 0",
        [Value::from(workspace.as_str())],
    );
    let select = within(filtered(select, query), axis);
    let row = store
        .read()
        .query_one_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    let windows: Option<i64> = row
        .map(|row| row.try_get("", "windows"))
        .transpose()
        .doing(DOING)?;
    Ok(windows.unwrap_or(0).max(0).unsigned_abs())
}

/// Adds the condition that a window overlaps the axis.
fn within(select: Select, axis: Axis) -> Select {
    let (from, to) = (axis.from, axis.to());
    let ends = [ms(from), ms(to.saturating_add(LONGEST)), ms(to)];
    select.push(" AND closed >= ? AND closed < ? AND opened < ?", ends)
}
