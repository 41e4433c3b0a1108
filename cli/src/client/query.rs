//! What lists are asked for, as query parameters.

use serde::Serialize;
use tern_protocol::{
    id::{DeviceId, MetricName, ModelName, ModelVersion, SiteName},
    rest::{Baseline, GroupBy, Health, Metric, Part},
    time::WallTime,
};

pub(super) type Parameters = Vec<(&'static str, String)>;

/// Which devices: all that match every part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceQuery {
    /// At this site.
    pub site: Option<SiteName>,
    /// Of this health.
    pub health: Option<Health>,
    /// With this label, as key and value.
    pub label: Option<(String, String)>,
}

impl DeviceQuery {
    pub(super) fn parameters(&self) -> Parameters {
        let label = self
            .label
            .as_ref()
            .map(|(key, value)| format!("{key}={value}"));
        given([
            ("site", self.site.as_ref().map(ToString::to_string)),
            ("health", self.health.as_ref().map(word)),
            ("label", label),
        ])
    }
}

/// Which captures: all that match every part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaptureQuery {
    /// By this model.
    pub model: Option<ModelName>,
    /// At this site.
    pub site: Option<SiteName>,
    /// With a truth, or without one.
    pub labelled: Option<bool>,
    /// That came for this request.
    pub request: Option<u64>,
}

impl CaptureQuery {
    pub(super) fn parameters(&self) -> Parameters {
        given([
            ("model", self.model.as_ref().map(ToString::to_string)),
            ("site", self.site.as_ref().map(ToString::to_string)),
            (
                "labelled",
                self.labelled.map(|labelled| labelled.to_string()),
            ),
            ("request", self.request.map(|request| request.to_string())),
        ])
    }
}

/// Which accuracies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccuracyQuery {
    /// Of this model.
    pub model: Option<ModelName>,
    /// From only the newest labels of each row, by the time of the prediction.
    pub last: Option<u64>,
}

impl AccuracyQuery {
    pub(super) fn parameters(&self) -> Parameters {
        given([
            ("model", self.model.as_ref().map(ToString::to_string)),
            ("last", self.last.map(|last| last.to_string())),
        ])
    }
}

/// Which chart. What is left out is the hub's choice: the last 15 minutes, 60 points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartQuery {
    /// What is drawn.
    pub metric: Metric,
    /// Of [`Metric::Custom`]: which one.
    pub name: Option<MetricName>,
    /// Of this model.
    pub model: Option<ModelName>,
    /// Of this version.
    pub version: Option<ModelVersion>,
    /// At this site.
    pub site: Option<SiteName>,
    /// On this device.
    pub device: Option<DeviceId>,
    /// Of devices that had this part in a rollout.
    pub arm: Option<Part>,
    /// What makes one series each.
    pub group: GroupBy,
    /// From this moment.
    pub from: Option<WallTime>,
    /// To this moment.
    pub to: Option<WallTime>,
    /// Length of an interval in milliseconds.
    pub step_ms: Option<u64>,
}

impl ChartQuery {
    /// All of the metric, over the hub's choice of time.
    pub fn of(metric: Metric) -> Self {
        Self {
            metric,
            name: None,
            model: None,
            version: None,
            site: None,
            device: None,
            arm: None,
            group: GroupBy::None,
            from: None,
            to: None,
            step_ms: None,
        }
    }

    pub(super) fn parameters(&self) -> Parameters {
        given([
            ("name", self.name.as_ref().map(ToString::to_string)),
            ("model", self.model.as_ref().map(ToString::to_string)),
            ("version", self.version.map(|version| version.to_string())),
            ("site", self.site.as_ref().map(ToString::to_string)),
            ("device", self.device.as_ref().map(ToString::to_string)),
            ("arm", self.arm.map(|arm| arm.word().to_owned())),
            ("group", Some(word(&self.group))),
            ("from", self.from.map(|from| from.0.to_string())),
            ("to", self.to.map(|to| to.0.to_string())),
            ("step_ms", self.step_ms.map(|step| step.to_string())),
        ])
    }
}

/// Distances of which version, over which time, from what. What is left out is the hub's choice: the last day, training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistancesQuery {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// Only at this site.
    pub site: Option<SiteName>,
    /// From this moment.
    pub from: Option<WallTime>,
    /// To this moment.
    pub to: Option<WallTime>,
    /// Compared with what.
    pub baseline: Baseline,
}

impl DistancesQuery {
    pub(super) fn parameters(&self) -> Parameters {
        given([
            ("site", self.site.as_ref().map(ToString::to_string)),
            ("from", self.from.map(|from| from.0.to_string())),
            ("to", self.to.map(|to| to.0.to_string())),
            ("baseline", Some(word(&self.baseline))),
        ])
    }
}

/// Which findings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindingQuery {
    /// Only of this model.
    pub model: Option<ModelName>,
    /// Only those that go on, or only those that ended.
    pub open: Option<bool>,
}

impl FindingQuery {
    pub(super) fn parameters(&self) -> Parameters {
        given([
            ("model", self.model.as_ref().map(ToString::to_string)),
            ("open", self.open.map(|open| open.to_string())),
        ])
    }
}

/// What labels say of which version. What is left out is not asked about: all sites, all time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruthQuery {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// Only of predictions at this site.
    pub site: Option<SiteName>,
    /// Only of devices that had this part in a rollout.
    pub arm: Option<Part>,
    /// Only of predictions from this moment on.
    pub from: Option<WallTime>,
    /// Only the newest labels, by the time of the prediction.
    pub last: Option<u64>,
}

impl TruthQuery {
    pub(super) fn parameters(&self) -> Parameters {
        given([
            ("site", self.site.as_ref().map(ToString::to_string)),
            ("arm", self.arm.map(|arm| arm.word().to_owned())),
            ("from", self.from.map(|from| from.0.to_string())),
            ("last", self.last.map(|last| last.to_string())),
        ])
    }
}

pub(super) fn given<const N: usize>(parameters: [(&'static str, Option<String>); N]) -> Parameters {
    let given = parameters.into_iter();
    given
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The word that stands for a unit variant in JSON.
pub(super) fn word(variant: &impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_asked_for() {
        let query = DeviceQuery {
            health: Some(Health::Offline),
            label: Some(("lens".into(), "plastic".into())),
            ..DeviceQuery::default()
        };
        let expected = vec![
            ("health", "offline".to_owned()),
            ("label", "lens=plastic".to_owned()),
        ];
        assert_eq!(query.parameters(), expected);
        assert_eq!(CaptureQuery::default().parameters(), []);
        assert_eq!(word(&ChartQuery::of(Metric::Traffic).metric), "traffic");
    }
}
