//! Charts from windows.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, QueryResult};
use tern_protocol::{
    profile::CONFIDENCE_BINS,
    rest::{Metric, Point, Series},
};
use tern_stats::sketch::Sketch;

use super::{
    ChartQuery, GroupKey, Look, QUANTILES, filtered, group_columns, ms, names,
    series::{Drawn, drawn},
    series_name,
    source::{self, BODIES, Source},
    summary::Summary,
};
use crate::{
    monitor::{rows::class_name, sql::Select},
    registry,
    store::{Doing as _, StoreError},
};

const DOING: &str = "reading windows for a chart";

/// Groups of windows that the database sums up for one chart: intervals times series, and a few
/// more for windows that are longer than an interval.
const SUMS: i64 = 50_000;

/// Rows that one chart reads, whatever happens: days of a year of a hundred sites.
const READ: i64 = 40_000;

/// Inferences a second.
pub(super) async fn traffic(look: Look<'_>) -> Result<Vec<Series>, StoreError> {
    let Look { query, axis, .. } = look;
    let sums = sums(look).await?;
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
pub(super) async fn errors(look: Look<'_>) -> Result<Vec<Series>, StoreError> {
    let Look { query, axis, .. } = look;
    let sums = sums(look).await?;
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
pub(super) async fn latency(look: Look<'_>) -> Result<Vec<Series>, StoreError> {
    let Look { query, axis, .. } = look;
    let mut sketches: Drawn<Sketch> = Drawn::new(axis);
    bodies(look, |row, summary| {
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
pub(super) async fn prediction(look: Look<'_>) -> Result<Vec<Series>, StoreError> {
    let Look {
        store,
        workspace,
        query,
        axis,
        ..
    } = look;
    let classes = registry::classes(store.read(), workspace, query.model.as_ref()).await?;
    // By class: two versions may have the same class in another place. The order of classes is that
    // in which their versions name them.
    let mut counts: Drawn<BTreeMap<(usize, String), u64>> = Drawn::new(axis);
    bodies(look, |row, summary| {
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
pub(super) async fn confidence(look: Look<'_>) -> Result<Vec<Series>, StoreError> {
    let Look { query, axis, .. } = look;
    let mut bins: Drawn<[u64; CONFIDENCE_BINS]> = Drawn::new(axis);
    bodies(look, |row, summary| {
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
async fn sums(look: Look<'_>) -> Result<Drawn<Sum>, StoreError> {
    let Look {
        store,
        workspace,
        query,
        source,
        axis,
    } = look;
    let begin = format!(
        "SELECT {}, CAST(AVG(opened) AS BIGINT) AS opened_mean, \
         CAST(AVG(closed) AS BIGINT) AS closed_mean, \
         CAST(SUM(inferences) AS BIGINT) AS inferences, CAST(SUM(errors) AS BIGINT) AS errors FROM ",
        group_columns(query.group)
    );
    let select = source::of(Select::new(begin, []), source, workspace, query, axis);
    let select = filtered(select, query)
        .push(" GROUP BY grp_model, grp_version, grp_site, grp_arm", [])
        // Division goes towards zero: what began before the axis would be taken for the first interval.
        .push(
            ", CASE WHEN opened < ? THEN -1 ELSE (opened - ?) / ? END",
            [ms(axis.from), ms(axis.from), ms(axis.step)],
        )
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
pub(super) struct Row {
    pub(super) group: GroupKey,
    model: String,
    version: i64,
    pub(super) opened: i64,
    pub(super) closed: i64,
    /// How many windows it is a sample of.
    pub(super) stands_for: u64,
}

/// Hands each window of the chart, or an even sample of them, to `each`.
async fn bodies(
    look: Look<'_>,
    mut each: impl FnMut(&Row, &Summary) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    raw_bodies(look, |row, body| match Summary::read(body) {
        Ok(summary) => each(row, &summary),
        Err(err) => {
            tracing::debug!(%err, "a stored window cannot be read");
            Ok(())
        }
    })
    .await
}

/// As [`bodies`], as they are stored.
pub(super) async fn raw_bodies(
    look: Look<'_>,
    mut each: impl FnMut(&Row, &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let Look {
        store,
        workspace,
        query,
        source,
        axis,
    } = look;
    let every = count(look).await?.div_ceil(BODIES as u64).max(1);
    let begin = format!(
        "SELECT {}, model, version, opened, closed, body FROM ",
        group_columns(query.group)
    );
    let select = source::of(Select::new(begin, []), source, workspace, query, axis);
    let mut select = filtered(select, query).push(with_something(query), []);
    let thinned = every > 1 && source == Source::Windows;
    let stands_for = if thinned { every } else { 1 };
    if thinned {
        select = select.push(" AND id % ? = 0", [ms(every as i64)]);
    }
    // Windows that arrive between the two questions must not lift the bound.
    let select = select.push(" LIMIT ?", [ms(READ)]);
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
        let row = read(found, stands_for).doing(DOING)?;
        let body: Vec<u8> = found.try_get("", "body").doing(DOING)?;
        each(&row, &body)?;
    }
    Ok(())
}

/// Windows that say something of what is asked: what programs tell of a model needs no inference.
fn with_something(query: &ChartQuery) -> &'static str {
    match query.metric {
        Metric::Custom => "",
        _ => " AND inferences > 0",
    }
}

fn read(row: &QueryResult, stands_for: u64) -> Result<Row, sea_orm::DbErr> {
    Ok(Row {
        stands_for,
        group: GroupKey::of(row)?,
        model: row.try_get("", "model")?,
        version: row.try_get("", "version")?,
        opened: row.try_get("", "opened")?,
        closed: row.try_get("", "closed")?,
    })
}

async fn count(look: Look<'_>) -> Result<u64, StoreError> {
    let Look {
        store,
        workspace,
        query,
        source,
        axis,
    } = look;
    let begin = Select::new("SELECT COUNT(*) AS windows FROM ", []);
    let select = source::of(begin, source, workspace, query, axis);
    let select = filtered(select, query).push(with_something(query), []);
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
