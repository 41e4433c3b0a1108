//! One quantity over one span of time: what rules compare with a number.
//!
//! Called by whoever watches a quantity and draws nothing. It is the chart of the span as one interval, so that what is
//! decided and what a person sees never differ.

use tern_protocol::{
    id::{DeviceId, MetricName, ModelName, ModelVersion, SiteName, WorkspaceId},
    rest::{GroupBy, Metric, Point},
    time::WallTime,
};

use super::{ChartError, ChartQuery, chart, rollup::Level};
use crate::store::Store;

/// Which quantity, of what, when.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueQuery {
    /// The quantity.
    pub metric: Metric,
    /// Of [`Metric::Custom`]: which one.
    pub name: Option<MetricName>,
    /// Of this model; of all if absent. A metric of its own needs it.
    pub model: Option<ModelName>,
    /// Of this version.
    pub version: Option<ModelVersion>,
    /// Of devices at this site.
    pub site: Option<SiteName>,
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Start of the span.
    pub from: WallTime,
    /// Its end.
    pub to: WallTime,
}

/// A value over a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// What it is of, as the chart names it: a quantile, a class, `mean`, `least`, `most`, or the quantity itself.
    pub series: String,
    /// The value, in the unit of the chart.
    pub value: f64,
    /// What it stands on: inferences, labels, or values.
    pub n: u64,
}

/// The value of a quantity over a span, one for each of its series; none of those of which nothing was seen.
///
/// The span is widened to whole minutes, which is what sums are kept of. Where only coarser sums are left it may lie in
/// two of them: of both the mean is taken, each by what it stands on.
pub async fn value(
    store: &Store,
    workspace: &WorkspaceId,
    of: &ValueQuery,
) -> Result<Vec<Value>, ChartError> {
    let minute = Level::Minute.ms();
    let from = Level::Minute.start(of.from.0);
    let to = Level::Minute.start(of.to.0.saturating_add(minute - 1));
    let query = ChartQuery {
        metric: of.metric,
        name: of.name.clone(),
        model: of.model.clone(),
        version: of.version,
        site: of.site.clone(),
        device: of.device.clone(),
        arm: None,
        group: GroupBy::None,
        from: WallTime(from),
        to: WallTime(to),
        step_ms: to.saturating_sub(from).max(minute).unsigned_abs(),
    };
    let chart = chart(store, workspace, &query).await?;
    let values = chart.series.into_iter().filter_map(|series| {
        let (value, n) = mean(&series.points)?;
        Some(Value {
            series: series.name,
            value,
            n,
        })
    });
    Ok(values.collect())
}

/// The mean of points by what they stand on; one of them as it is.
fn mean(points: &[Point]) -> Option<(f64, u64)> {
    let seen = || {
        points
            .iter()
            .filter_map(|point| Some((point.value?, point.n)))
    };
    let n = seen().fold(0, |sum: u64, (_, n)| sum.saturating_add(n));
    let mut each = seen();
    match (each.next()?, each.next()) {
        (only, None) => Some(only),
        _ if n == 0 => Some((0.0, 0)),
        _ => {
            let sum: f64 = seen().map(|(value, of)| value * of as f64).sum();
            Some((sum / n as f64, n))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_points_weigh_by_what_they_stand_on() {
        let point = |value, n| Point {
            value,
            n,
            ..Point::default()
        };
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[point(None, 9)]), None);
        assert_eq!(mean(&[point(Some(0.1), 3), point(None, 0)]), Some((0.1, 3)));
        assert_eq!(
            mean(&[point(Some(1.0), 3), point(Some(2.0), 1)]),
            Some((1.25, 4))
        );
    }
}
