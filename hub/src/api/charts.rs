//! Quantities over time, and the overview.

use axum::{
    Json as Answer,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use tern_protocol::{
    id::{DeviceId, MetricName, ModelName, ModelVersion, SiteName},
    rest::{Baseline, Chart, DistancesView, GroupBy, Metric, Overview, Page, Part, QuarantineView},
    time::WallTime,
};
use utoipa::IntoParams;

use super::{
    extract::{Path, Query, Workspace},
    pages,
    problem::ApiError,
};
use crate::{
    app::App,
    monitor::{self, ChartQuery, DistancesQuery},
};

pub(super) const MEMORY: &str = "writing to memory cannot fail";

/// A metric in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct MetricPath {
    /// The quantity.
    metric: Metric,
}

/// What to draw.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChartsQuery {
    /// Of `custom`: the name of a metric that the model declares.
    #[param(value_type = Option<String>)]
    name: Option<MetricName>,
    /// Only of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// Only of this version.
    #[param(value_type = Option<u32>)]
    version: Option<ModelVersion>,
    /// Only of devices at this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteName>,
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Only of devices that had this part in a rollout, `treatment` or `control`; not together with `device`.
    #[param(inline)]
    arm: Option<Part>,
    /// What makes one series each; `none` by default.
    #[param(inline)]
    group: Option<GroupBy>,
    /// Start in milliseconds since 1970; 15 minutes before the end by default.
    #[param(value_type = Option<i64>)]
    from: Option<WallTime>,
    /// End in milliseconds since 1970; now by default.
    #[param(value_type = Option<i64>)]
    to: Option<WallTime>,
    /// Length of an interval in milliseconds; so that there are 60 by default.
    step_ms: Option<u64>,
    /// `csv` for a table: a line for each interval of each series in which anything was seen.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// How figures are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// As JSON.
    #[default]
    Json,
    /// As a table.
    Csv,
}

/// Draw a quantity over time.
#[utoipa::path(
    get, path = "/charts/{metric}", tag = "monitor", params(MetricPath, ChartsQuery),
    responses((
        status = 200, description = "Series on one time axis; a table if `format` is `csv`",
        content((Chart = "application/json"), (String = "text/csv")),
    )),
)]
pub(super) async fn chart(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(MetricPath { metric }): Path<MetricPath>,
    Query(query): Query<ChartsQuery>,
) -> Result<Response, ApiError> {
    let format = query.format;
    let query = ChartQuery {
        name: query.name,
        model: query.model,
        version: query.version,
        site: query.site,
        device: query.device,
        arm: query.arm,
        group: query.group.unwrap_or_default(),
        ..ChartQuery::recent(metric, app.clock.now()).between(query.from, query.to, query.step_ms)
    };
    let chart = monitor::chart(&app.store, &workspace, &query).await?;
    Ok(match format {
        Format::Json => Answer(chart).into_response(),
        Format::Csv => {
            let name = query.name.as_ref().map(ToString::to_string);
            table(name.unwrap_or_else(|| word(metric)), csv(&chart))
        }
    })
}

/// A word as it stands in addresses and answers.
fn word(of: impl serde::Serialize) -> String {
    serde_json::to_value(of)
        .ok()
        .and_then(|word| Some(word.as_str()?.to_owned()))
        .unwrap_or_default()
}

/// A line for each point at which anything was seen: what, from when to when, how much, between what, on how many.
fn csv(chart: &Chart) -> Vec<u8> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let head = [
        "series",
        "from",
        "to",
        chart.unit.as_str(),
        "low",
        "high",
        "n",
    ];
    table.write_record(head).expect(MEMORY);
    let step = i64::try_from(chart.step_ms).unwrap_or(i64::MAX);
    for series in &chart.series {
        let mut from = chart.from.0;
        for point in &series.points {
            let to = from.saturating_add(step);
            let number =
                |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            if point.value.is_some() {
                let row = [
                    series.name.clone(),
                    from.to_string(),
                    to.to_string(),
                    number(point.value),
                    number(point.low),
                    number(point.high),
                    point.n.to_string(),
                ];
                table.write_record(row).expect(MEMORY);
            }
            from = to;
        }
    }
    table.into_inner().unwrap_or_default()
}

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct VersionPath {
    /// The model.
    #[param(value_type = String)]
    pub(super) model: ModelName,
    /// Its version.
    #[param(value_type = u32)]
    pub(super) version: ModelVersion,
}

/// Over which time, and compared with what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DistanceQuery {
    /// Only at this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteName>,
    /// Start in milliseconds since 1970; a day before the end by default.
    #[param(value_type = Option<i64>)]
    from: Option<WallTime>,
    /// End in milliseconds since 1970; now by default.
    #[param(value_type = Option<i64>)]
    to: Option<WallTime>,
    /// What the time is compared with: `training` by default.
    #[serde(default)]
    #[param(inline)]
    baseline: Baseline,
    /// `csv` for a table: a line for each distance at each place.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// How far a version's inputs and answers are from training, or from the week before, at each site.
#[utoipa::path(
    get, path = "/models/{model}/versions/{version}/distances", tag = "monitor",
    params(VersionPath, DistanceQuery),
    responses((
        status = 200, description = "All sites first, then each; a table if `format` is `csv`",
        content((DistancesView = "application/json"), (String = "text/csv")),
    )),
)]
pub(super) async fn distances(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(VersionPath { model, version }): Path<VersionPath>,
    Query(query): Query<DistanceQuery>,
) -> Result<Response, ApiError> {
    const DAY: i64 = 24 * 3_600_000;
    let format = query.format;
    let to = query.to.unwrap_or_else(|| app.clock.now());
    let query = DistancesQuery {
        model,
        version,
        site: query.site,
        from: query.from.unwrap_or(WallTime(to.0.saturating_sub(DAY))),
        to,
        baseline: query.baseline,
    };
    let view = monitor::distances(&app, &workspace, &query).await?;
    Ok(match format {
        Format::Json => Answer(view).into_response(),
        Format::Csv => table("distances", distances_csv(&view)),
    })
}

/// A line for each distance: where, of what, how far, between what, on how many.
fn distances_csv(view: &DistancesView) -> Vec<u8> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let head = [
        "site",
        "counted",
        "name",
        "jensen_shannon",
        "low",
        "high",
        "psi",
        "missing",
        "repeated",
        "n",
    ];
    table.write_record(head).expect(MEMORY);
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for place in &view.places {
        let site = place.site.as_ref().map_or("", |site| site.as_str());
        for one in &place.distances {
            let row = [
                site.to_owned(),
                word(one.counted),
                one.name.clone(),
                one.jensen_shannon.value.to_string(),
                number(one.jensen_shannon.low),
                number(one.jensen_shannon.high),
                one.psi.value.to_string(),
                number(one.missing),
                number(one.repeated),
                one.n.to_string(),
            ];
            table.write_record(row).expect(MEMORY);
        }
    }
    table.into_inner().unwrap_or_default()
}

/// A table that a browser saves under a name.
pub(super) fn table(name: impl std::fmt::Display, bytes: Vec<u8>) -> Response {
    let name = format!("attachment; filename=\"{name}.csv\"");
    let head = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    (head, bytes).into_response()
}

/// The fleet at a glance.
#[utoipa::path(
    get, path = "/overview", tag = "monitor",
    responses((status = 200, description = "What a person sees first", body = Overview)),
)]
pub(super) async fn overview(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Overview>, ApiError> {
    Ok(Answer(monitor::overview(&app, &workspace).await?))
}

/// Of which device.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QuarantineQuery {
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
}

/// List windows whose time cannot be right, by device and reason. They count in every total, and no
/// chart draws them.
#[utoipa::path(
    get, path = "/quarantine", tag = "monitor", params(QuarantineQuery),
    responses((status = 200, description = "The latest first", body = pages::QuarantinePage)),
)]
pub(super) async fn list_quarantine(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<QuarantineQuery>,
) -> Result<Answer<Page<QuarantineView>>, ApiError> {
    let device = query.device.as_ref();
    let items = monitor::quarantine(&app.store, &workspace, device).await?;
    Ok(Answer(Page { items, next: None }))
}

#[cfg(test)]
mod tests {
    use tern_protocol::rest::{Point, Series};

    use super::*;

    #[test]
    fn a_table_has_what_was_seen_and_names_with_commas() {
        let point = |value: Option<f64>| Point {
            value,
            n: 7,
            ..Point::default()
        };
        let chart = Chart {
            metric: Metric::Errors,
            unit: "ratio".into(),
            from: WallTime(1_000),
            step_ms: 500,
            series: vec![Series {
                name: "hill, north".into(),
                points: vec![point(Some(0.25)), point(None), point(Some(0.5))],
            }],
        };
        let table = String::from_utf8(csv(&chart)).expect("text");
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "series,from,to,ratio,low,high,n",
                "\"hill, north\",1000,1500,0.25,,,7",
                "\"hill, north\",2000,2500,0.5,,,7",
            ]
        );
        assert_eq!(word(Metric::Errors), "errors");
    }
}
