//! A quantity of charts, taken over one stretch of time and compared with a level.

use std::collections::BTreeSet;

use tern_protocol::{
    id::{ModelName, ModelVersion, SiteName, WorkspaceId},
    rest::{
        AlertFacts, AlertGroup, GroupBy, Judged, Measured, Metric, MetricCondition, Point,
        VersionRef,
    },
    time::WallTime,
};

use super::{GROUPS, Observation, Observed, chart_error, labels, words};
use crate::{
    alerts::machine::{Seen, Sight},
    app::App,
    fleet::{self, ServingPlace},
    monitor::{self, ChartQuery, RequestQuery},
    registry,
    store::StoreError,
};

/// Models that a rule looks at one by one: each is a chart.
const MODELS: usize = 50;

/// Places where something is served that are gone through to find those without traffic.
const PLACES: usize = 10_000;

/// Intervals of charts begin with those of their sums from this length on, in milliseconds.
const MINUTE: i64 = 60_000;

/// A group with what was measured of it.
struct Found {
    place: Place,
    point: Point,
    devices: u64,
    of_devices: u64,
    /// Whether `devices` are those beyond the level by themselves.
    each: bool,
}

/// What a group is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    pub(super) model: Option<ModelName>,
    pub(super) version: Option<ModelVersion>,
    pub(super) site: Option<SiteName>,
}

impl Place {
    /// The group that a place where a version is served belongs to.
    fn of(of: &MetricCondition, serving: ServingPlace) -> Self {
        let VersionRef { model, version } = serving.version;
        let mut place = Self {
            model: of.model.clone(),
            version: of.version,
            site: of.site.clone(),
        };
        match of.group_by {
            AlertGroup::None => {}
            AlertGroup::Site => place.site = Some(serving.site),
            AlertGroup::Model => place.model = Some(model),
            AlertGroup::Version => {
                place.model = Some(model);
                place.version = Some(version);
            }
        }
        place
    }

    /// The group's key.
    fn key(&self) -> String {
        let mut parts = Vec::new();
        if let Some(model) = &self.model {
            parts.push(format!("model/{model}"));
        }
        if let Some(version) = self.version {
            parts.push(format!("version/{version}"));
        }
        if let Some(site) = &self.site {
            parts.push(format!("site/{site}"));
        }
        if parts.is_empty() {
            parts.push("all".into());
        }
        parts.join("/")
    }
}

pub(super) async fn observe(
    app: &App,
    workspace: &WorkspaceId,
    of: &MetricCondition,
    up: Option<WallTime>,
    now: WallTime,
) -> Result<Observed, StoreError> {
    let found = match of.of {
        // What devices counted while there was no hub comes later: until then it only looks like little.
        Metric::Traffic if of.below.is_some() && up.is_some_and(|up| up > before(now, of)) => {
            Vec::new()
        }
        Metric::Traffic => {
            let mut found = by_device(app, workspace, of, now).await?;
            without_traffic(app, workspace, of, &mut found).await?;
            found
        }
        Metric::Errors => by_device(app, workspace, of, now).await?,
        _ => by_chart(app, workspace, of, now).await?,
    };
    Ok(Observed {
        groups: found.into_iter().map(|one| observation(of, one)).collect(),
        absent: Seen::Unknown,
    })
}

async fn by_device(
    app: &App,
    workspace: &WorkspaceId,
    of: &MetricCondition,
    now: WallTime,
) -> Result<Vec<Found>, StoreError> {
    let level = of
        .above
        .or(of.below)
        .map_or(1.0, tern_protocol::rest::Level::value);
    let query = RequestQuery {
        model: of.model.as_ref(),
        version: of.version,
        site: of.site.as_ref(),
        group: of.group_by,
        from: before(now, of),
        to: now,
        level,
        groups: GROUPS as u64,
    };
    let all = monitor::requests(&app.store, workspace, &query).await?;
    let each = of.of == Metric::Errors && of.above.is_some();
    let found = all.into_iter().filter_map(|one| {
        let point = if of.of == Metric::Errors {
            let errors = one.errors?;
            Point {
                value: Some(errors.mean),
                n: errors.n,
                low: Some(errors.low),
                high: Some(errors.high),
            }
        } else {
            Point {
                value: Some(one.inferences as f64 * 1_000.0 / of.window.ms().max(1) as f64),
                n: one.inferences,
                ..Point::default()
            }
        };
        Some(Found {
            place: Place {
                model: one.model.or_else(|| of.model.clone()),
                version: one.version.or(of.version),
                site: one.site.or_else(|| of.site.clone()),
            },
            point,
            devices: if each { one.beyond } else { one.devices },
            of_devices: one.devices,
            each,
        })
    });
    Ok(found.collect())
}

/// Adds places that serve a model and sent no window at all: nothing is little traffic.
async fn without_traffic(
    app: &App,
    workspace: &WorkspaceId,
    of: &MetricCondition,
    found: &mut Vec<Found>,
) -> Result<(), StoreError> {
    let serving = fleet::serving_places(&app.store, workspace, PLACES).await?;
    let asked = serving.into_iter().filter(|one| {
        let version = &one.version;
        of.model
            .as_ref()
            .is_none_or(|model| *model == version.model)
            && of.version.is_none_or(|number| number == version.version)
            && of.site.as_ref().is_none_or(|site| *site == one.site)
    });
    let places: BTreeSet<Place> = asked.map(|one| Place::of(of, one)).collect();
    let sizes = Sizes::read(app, workspace).await?;
    for place in places {
        if found.len() >= GROUPS {
            break;
        }
        if found.iter().any(|one| one.place == place) {
            continue;
        }
        found.push(Found {
            devices: 0,
            of_devices: sizes.of(&place),
            place,
            point: Point {
                value: Some(0.0),
                ..Point::default()
            },
            each: false,
        });
    }
    Ok(())
}

async fn by_chart(
    app: &App,
    workspace: &WorkspaceId,
    of: &MetricCondition,
    now: WallTime,
) -> Result<Vec<Found>, StoreError> {
    let models = match (of.group_by, &of.model) {
        (AlertGroup::Model, None) => {
            let all = registry::models(&app.store, workspace).await?;
            all.into_iter()
                .take(MODELS)
                .map(|model| Some(model.name))
                .collect()
        }
        _ => vec![of.model.clone()],
    };
    let mut found = Vec::new();
    for model in models {
        let from = before(now, of);
        let long = of.window.ms() >= MINUTE.unsigned_abs();
        let from = if long {
            WallTime(from.0.div_euclid(MINUTE) * MINUTE)
        } else {
            from
        };
        let query = ChartQuery {
            model: model.clone(),
            name: of.name.clone(),
            version: of.version,
            site: of.site.clone(),
            group: match of.group_by {
                AlertGroup::None | AlertGroup::Model => GroupBy::None,
                AlertGroup::Site => GroupBy::Site,
                AlertGroup::Version => GroupBy::Version,
            },
            from,
            to: now,
            step_ms: of
                .window
                .ms()
                .saturating_add(if long { MINUTE.unsigned_abs() } else { 0 }),
            ..ChartQuery::recent(of.of, now)
        };
        let chart = monitor::chart(&app.store, workspace, &query).await;
        for series in chart.map_err(chart_error)?.series {
            let point = series
                .points
                .iter()
                .rev()
                .find(|point| point.value.is_some());
            let (Some(place), Some(point)) = (place(of, model.as_ref(), &series.name), point)
            else {
                continue;
            };
            found.push((place, *point));
        }
    }
    found.truncate(GROUPS);
    let sizes = Sizes::read(app, workspace).await?;
    let found = found.into_iter().map(|(place, point)| Found {
        devices: sizes.of(&place),
        of_devices: sizes.all,
        place,
        point,
        each: false,
    });
    Ok(found.collect())
}

/// What a series is of; nothing if it is not the part that is asked for.
pub(super) fn place(of: &MetricCondition, model: Option<&ModelName>, name: &str) -> Option<Place> {
    let part = match of.of {
        Metric::Latency => of.part.as_deref().unwrap_or("p90"),
        Metric::Prediction => of.part.as_deref()?,
        Metric::Custom => match &of.part {
            Some(part) => part,
            None => usual(name)?,
        },
        _ => "",
    };
    let group = name.strip_suffix(part)?.trim_end();
    let mut place = Place {
        model: model.cloned(),
        version: of.version,
        site: of.site.clone(),
    };
    match of.group_by {
        // The only series of a metric without parts is called after it.
        AlertGroup::None | AlertGroup::Model => {
            return (part.is_empty() || group.is_empty()).then_some(place);
        }
        AlertGroup::Site => place.site = Some(group.parse().ok()?),
        AlertGroup::Version => {
            let (named, version) = group.rsplit_once(' ').unwrap_or(("", group));
            if !named.is_empty() {
                place.model = Some(named.parse().ok()?);
            }
            place.version = Some(version.parse().ok()?);
        }
    }
    Some(place)
}

/// The part of a metric of a bundle's own that is meant if none is named, of the series with this name; nothing of the
/// others. A counter has one series, without a part.
fn usual(name: &str) -> Option<&'static str> {
    let last = name.rsplit(' ').next().unwrap_or(name);
    match last {
        "mean" => Some("mean"),
        "p90" => Some("p90"),
        "least" | "most" | "p50" | "p99" => None,
        _ => Some(""),
    }
}

/// How many devices there are where.
struct Sizes {
    all: u64,
    sites: Vec<fleet::SiteCount>,
    serving: Vec<tern_protocol::rest::ServingCount>,
}

impl Sizes {
    async fn read(app: &App, workspace: &WorkspaceId) -> Result<Self, StoreError> {
        let (sites, serving) = tokio::try_join!(
            fleet::sites(&app.store, workspace),
            fleet::serving_counts(&app.store, workspace),
        )?;
        Ok(Self {
            all: sites.iter().map(|site| site.devices).sum(),
            sites,
            serving,
        })
    }

    fn of(&self, place: &Place) -> u64 {
        if let Some(site) = &place.site {
            let found = self.sites.iter().find(|one| one.site == *site);
            return found.map_or(0, |one| one.devices);
        }
        let Some(model) = &place.model else {
            return self.all;
        };
        let of_model = self.serving.iter().filter(|one| {
            one.version.as_ref().is_some_and(|of| {
                of.model == *model && place.version.is_none_or(|version| of.version == version)
            })
        });
        of_model.map(|one| one.devices).sum()
    }
}

/// The beginning of the time that a rule looks at.
fn before(now: WallTime, of: &MetricCondition) -> WallTime {
    WallTime(
        now.0
            .saturating_sub(i64::try_from(of.window.ms()).unwrap_or(i64::MAX)),
    )
}

/// What is seen of a point.
pub(super) fn judge(of: &MetricCondition, point: &Point) -> Seen {
    let Some(value) = point.value.filter(|value| value.is_finite()) else {
        return Seen::Unknown;
    };
    // Few requests say little of the others, and all of how many there are.
    if point.n < of.minimum && of.of != Metric::Traffic {
        return Seen::Unknown;
    }
    let (low, high) = match of.by {
        Judged::Estimate => (value, value),
        Judged::Interval => (point.low.unwrap_or(0.0), point.high.unwrap_or(1.0)),
    };
    if let Some(above) = of.above {
        let clear = of.clear.unwrap_or(above).value();
        return if low > above.value() {
            Seen::Beyond
        } else if value <= clear {
            Seen::Well
        } else {
            Seen::Between
        };
    }
    let below = of.below.map_or(0.0, tern_protocol::rest::Level::value);
    let clear = of.clear.map_or(below, tern_protocol::rest::Level::value);
    if high < below {
        Seen::Beyond
    } else if value >= clear {
        Seen::Well
    } else {
        Seen::Between
    }
}

fn observation(of: &MetricCondition, found: Found) -> Observation {
    let Found {
        place,
        point,
        devices,
        of_devices,
        each,
    } = found;
    let level = of
        .above
        .or(of.below)
        .map_or(0.0, tern_protocol::rest::Level::value);
    let measured = Measured {
        value: point.value.unwrap_or_default(),
        unit: words::unit(of.of).into(),
        level,
        low: point.low,
        high: point.high,
        n: point.n,
    };
    Observation {
        group: place.key(),
        sight: Sight {
            seen: judge(of, &point),
            since: None,
        },
        facts: AlertFacts {
            summary: words::metric(of, &place, &measured),
            evidence: words::measured(of, &measured, devices, of_devices, each),
            action: words::what_to_do(of.of).into(),
            labels: labels([
                ("model", place.model.map(|model| model.to_string())),
                ("version", place.version.map(|version| version.to_string())),
                ("site", place.site.map(|site| site.to_string())),
            ]),
            measured: Some(measured),
            devices,
            of_devices,
            finding: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> MetricCondition {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn what_lies_near_the_level_is_neither() {
        let estimate = rule(r#"{"of":"errors","above":"5%","clear":"3%","minimum":10}"#);
        let whole = MetricCondition {
            by: Judged::Interval,
            ..estimate.clone()
        };
        let accuracy =
            rule(r#"{"of":"accuracy","below":"90%","clear":"92%","minimum":10,"by":"interval"}"#);
        let point = |value, low, high, n| Point {
            value: Some(value),
            n,
            low: Some(low),
            high: Some(high),
        };
        for (rule, point, expected) in [
            (&estimate, point(0.06, 0.04, 0.08, 100), Seen::Beyond),
            (&whole, point(0.06, 0.04, 0.08, 100), Seen::Between),
            (&whole, point(0.08, 0.06, 0.1, 100), Seen::Beyond),
            (&estimate, point(0.04, 0.02, 0.06, 100), Seen::Between),
            (&estimate, point(0.03, 0.02, 0.06, 100), Seen::Well),
            (&estimate, point(0.5, 0.4, 0.6, 9), Seen::Unknown),
            (&estimate, point(f64::NAN, 0.4, 0.6, 90), Seen::Unknown),
            (&accuracy, point(0.85, 0.8, 0.89, 100), Seen::Beyond),
            (&accuracy, point(0.85, 0.8, 0.91, 100), Seen::Between),
            (&accuracy, point(0.92, 0.9, 0.94, 100), Seen::Well),
        ] {
            assert_eq!(judge(rule, &point), expected, "{point:?}");
        }
        assert_eq!(judge(&estimate, &Point::default()), Seen::Unknown);
    }

    #[test]
    fn series_say_what_they_are_of() {
        let place =
            |json: &str, name: &str| place(&rule(json), None, name).map(|place| place.key());
        let by =
            |of: &str, group: &str| format!(r#"{{"of":"{of}","group-by":"{group}","part":"p99"}}"#);
        assert_eq!(
            place(&by("latency", "site"), "harbour p99"),
            Some("site/harbour".into())
        );
        assert_eq!(place(&by("latency", "site"), "harbour p50"), None);
        assert_eq!(place(&by("latency", "none"), "p99"), Some("all".into()));
        assert_eq!(
            place(&by("latency", "version"), "digits v3 p99"),
            Some("model/digits/version/3".into())
        );
        let plain = r#"{"of":"confidence","group-by":"none"}"#;
        assert_eq!(place(plain, "confidence"), Some("all".into()));
        let own = r#"{"of":"custom","name":"rejects","group-by":"site"}"#;
        assert_eq!(place(own, "hill mean"), Some("site/hill".into()));
        assert_eq!(place(own, "hill p90"), Some("site/hill".into()));
        assert_eq!(place(own, "hill"), Some("site/hill".into()));
        assert_eq!(place(own, "hill most"), None);
        let class = r#"{"of":"prediction","group-by":"none","part":"stop sign"}"#;
        assert_eq!(place(class, "stop sign"), Some("all".into()));
        assert_eq!(place(class, "no stop sign"), None);
        let class = r#"{"of":"prediction","group-by":"site","part":"stop sign"}"#;
        assert_eq!(place(class, "hill stop sign"), Some("site/hill".into()));
    }
}
