//! Values by group and interval on their way to becoming series. Pure.

use std::collections::BTreeMap;

use tern_protocol::rest::{Point, Series};

use super::{ChartQuery, GroupKey, axis::Axis};

/// Groups that are kept apart: a site or version each. More are not told apart on a screen.
const GROUPS: usize = 256;

/// One value for each interval of each group.
pub(super) struct Drawn<T> {
    axis: Axis,
    groups: BTreeMap<GroupKey, Vec<T>>,
    /// Takes what is over [`GROUPS`], so that callers need not care.
    spare: T,
}

impl<T: Clone + Default> Drawn<T> {
    pub(super) fn new(axis: Axis) -> Self {
        Self {
            axis,
            groups: BTreeMap::new(),
            spare: T::default(),
        }
    }

    /// The value of a group at a place of the axis.
    pub(super) fn at(&mut self, group: &GroupKey, place: usize) -> &mut T {
        let room = self.groups.len() < GROUPS;
        if !self.groups.contains_key(group) && room {
            self.groups
                .insert(group.clone(), vec![T::default(); self.axis.points]);
        }
        let points = self.groups.get_mut(group);
        points
            .and_then(|points| points.get_mut(place))
            .unwrap_or(&mut self.spare)
    }

    /// The groups in order, each with its values.
    pub(super) fn groups(self) -> impl Iterator<Item = (GroupKey, Vec<T>)> {
        self.groups.into_iter()
    }
}

/// One series a group. `point` gives a point and whether there is anything to show at it.
pub(super) fn drawn<T: Clone + Default>(
    query: &ChartQuery,
    axis: Axis,
    values: Drawn<T>,
    point: impl Fn(&T) -> (bool, Point),
) -> Vec<Series> {
    let metric = super::series_name("", metric_name(query));
    let series = values.groups().map(|(group, values)| {
        let points = values.iter().map(|value| match point(value) {
            (true, point) => point,
            (false, _) => Point::default(),
        });
        let points: Vec<Point> = points.collect();
        debug_assert_eq!(points.len(), axis.points, "one point an interval");
        let name = group.name(query);
        Series {
            name: if name.is_empty() {
                metric.clone()
            } else {
                name
            },
            points,
        }
    });
    series.collect()
}

/// The name of a metric's only series.
fn metric_name(query: &ChartQuery) -> &'static str {
    use tern_protocol::rest::Metric;
    match query.metric {
        Metric::Traffic => "inferences",
        Metric::Errors => "errors",
        Metric::Latency => "latency",
        Metric::Prediction => "prediction",
        Metric::Confidence => "confidence",
        Metric::Accuracy => "accuracy",
        Metric::Custom => "value",
    }
}
