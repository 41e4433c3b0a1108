//! The chart of a metric that a bundle declares.
//!
//! A counter is drawn as how much a second, spread over the time that its windows cover; a gauge as its mean, least and
//! most; a histogram as its quantiles.

use tern_protocol::{
    id::MetricName,
    metric::{MetricCounts, MetricKind},
    rest::{Point, Series},
};
use tern_stats::metric::{self, Metric};

use super::{ChartError, Look, QUANTILES, series::Drawn, series_name, summary, windows};
use crate::{registry, store::StoreError};

/// Unit and series of the metric that is asked for.
pub(super) async fn custom(look: Look<'_>) -> Result<(String, Vec<Series>), ChartError> {
    let (Some(model), Some(name)) = (&look.query.model, &look.query.name) else {
        return Err(ChartError::Unnamed);
    };
    let declared = registry::metrics(look.store.read(), look.workspace, Some(model)).await?;
    let known = declared
        .iter()
        .filter(|(of, _)| {
            look.query
                .version
                .is_none_or(|version| version == of.version)
        })
        .flat_map(|(_, metrics)| metrics);
    // The newest version that has it says what it is; publishing sees to it that all say the same.
    let found = known.clone().rfind(|spec| spec.name == *name);
    let spec = found.ok_or_else(|| {
        let mut names: Vec<&str> = known.map(|spec| spec.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        ChartError::Undeclared {
            name: name.clone(),
            declared: if names.is_empty() {
                "none".into()
            } else {
                names.join(", ")
            },
        }
    })?;
    let metric = Metric::new(spec).map_err(|err| StoreError::Value {
        what: "bins of a metric",
        value: err.to_string(),
    })?;
    Ok(if spec.kind == MetricKind::Counter {
        let unit = match spec.unit.as_str() {
            "" => "1/s".into(),
            unit => format!("{unit}/s"),
        };
        (unit, rates(look, name).await?)
    } else {
        (spec.unit.clone(), readings(look, &metric).await?)
    })
}

/// What a counter came to in an interval.
#[derive(Clone, Default)]
struct Rate {
    sum: f64,
    count: f64,
    covered: bool,
}

async fn rates(look: Look<'_>, name: &MetricName) -> Result<Vec<Series>, StoreError> {
    let Look { query, axis, .. } = look;
    let mut sums: Drawn<Rate> = Drawn::new(axis);
    windows::raw_bodies(look, |row, body| {
        let Some(counts) = of(name, body) else {
            return Ok(());
        };
        for (place, share) in axis.shares(row.opened, row.closed) {
            // Of more windows than a chart reads, each stands for some.
            let share = share * row.stands_for as f64;
            let at = sums.at(&row.group, place);
            at.sum += counts.sum.value() * share;
            at.count += counts.count as f64 * share;
            at.covered = true;
        }
        Ok(())
    })
    .await?;
    let seconds = axis.step as f64 / 1000.0;
    let series = sums.groups().map(|(group, points)| {
        let point = |rate: &Rate| Point {
            value: rate.covered.then_some(rate.sum / seconds),
            n: rate.count.round() as u64,
            ..Point::default()
        };
        Series {
            name: series_name(&group.name(query), name.as_str()),
            points: points.iter().map(point).collect(),
        }
    });
    Ok(series.collect())
}

async fn readings(look: Look<'_>, metric: &Metric) -> Result<Vec<Series>, StoreError> {
    let Look { query, axis, .. } = look;
    let name = &metric.spec().name;
    let mut readings: Drawn<Option<MetricCounts>> = Drawn::new(axis);
    windows::raw_bodies(look, |row, body| {
        let Some(counts) = of(name, body).filter(|counts| metric.is_of(counts)) else {
            return Ok(());
        };
        for place in axis.touched(row.opened, row.closed) {
            match readings.at(&row.group, place) {
                Some(sum) => metric::merge(sum, &counts),
                none => *none = Some(counts.clone()),
            }
        }
        Ok(())
    })
    .await?;
    let is_histogram = metric.spec().kind == MetricKind::Histogram;
    let parts: &[&str] = if is_histogram {
        &["p50", "p90", "p99"]
    } else {
        &["mean", "least", "most"]
    };
    let value = |part: usize, counts: &MetricCounts| {
        if is_histogram {
            return metric.quantile(counts, QUANTILES[part].0);
        }
        match part {
            0 => metric::mean(counts),
            1 => counts.range.map(|range| range.min),
            _ => counts.range.map(|range| range.max),
        }
    };
    let mut series = Vec::new();
    for (group, points) in readings.groups() {
        for (part, name) in parts.iter().enumerate() {
            let point = |counts: &Option<MetricCounts>| Point {
                value: counts.as_ref().and_then(|counts| value(part, counts)),
                n: counts.as_ref().map_or(0, |counts| counts.count),
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

/// What a metric came to in a stored window.
fn of(name: &MetricName, body: &[u8]) -> Option<MetricCounts> {
    match summary::metrics(body) {
        Ok(metrics) => metrics.into_iter().find(|counts| counts.name == *name),
        Err(err) => {
            tracing::debug!(%err, "a stored window cannot be read");
            None
        }
    }
}
