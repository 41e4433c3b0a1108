//! Captures, labels and the accuracy that follows from them.

use axum::{
    Extension, Json as Answer,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use tern_protocol::{
    id::{ModelName, SiteName},
    rest::{
        AccuracyView, CaptureView, Estimated, LabelImport, LabelImportResult, Page, Part,
        TruthView, label_table,
    },
    time::WallTime,
};
use utoipa::IntoParams;

use super::{
    charts::{Format, MEMORY, VersionPath, table},
    extract::{Json, Path, Query, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::audit::Actor,
    app::App,
    monitor::{self, AccuracyQuery, CaptureQuery, TruthQuery},
};

/// Which captures.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CapturesQuery {
    /// Only those of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// Only those from this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteName>,
    /// Only those with a truth, or only those without.
    labelled: Option<bool>,
    /// Only those that came for this request.
    request: Option<u64>,
    /// The `next` of the page before.
    after: Option<i64>,
    /// Captures on the page, at most 1,000; 100 by default. Large inputs make shorter pages.
    limit: Option<u64>,
}

/// Which accuracy.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AccuraciesQuery {
    /// Only of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// Only the newest so many labels of each row, by the time of the prediction.
    last: Option<u64>,
}

/// How labels are brought.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportParams {
    /// Only say what would become of them: nothing is stored.
    #[serde(default)]
    dry_run: bool,
}

/// Labels as they are sent: JSON, or a table with the rules of `tern label import`.
pub(super) struct Labels {
    import: LabelImport,
    /// The line of each, of a table.
    lines: Vec<u64>,
}

impl FromRequest<App> for Labels {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("text/csv") {
            let Json(import) = Json::from_request(request, app).await?;
            let lines = Vec::new();
            return Ok(Self { import, lines });
        }
        let body = Bytes::from_request(request, app).await;
        let body = body.map_err(|err| ApiError::rejected(err.status(), err.body_text()))?;
        let rows = label_table::parse(&body);
        let rows =
            rows.map_err(|err| ApiError::unprocessable(format!("{err}; nothing was stored")))?;
        let (lines, labels) = rows.into_iter().map(|row| (row.line, row.label)).unzip();
        let dry_run = false;
        Ok(Self {
            import: LabelImport { labels, dry_run },
            lines,
        })
    }
}

/// Bring truths about captured predictions.
///
/// As JSON, or as CSV with the columns `device`, `prediction` and `truth` among others. Each stands alone: refused ones
/// come back with the reason and hold nothing up. A table that cannot be read is refused whole, with the line.
#[utoipa::path(
    post, path = "/labels", tag = "truth", params(ImportParams),
    request_body(content((LabelImport = "application/json"), (String = "text/csv"))),
    responses((status = 200, description = "What became of them", body = LabelImportResult)),
)]
pub(super) async fn import_labels(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Query(params): Query<ImportParams>,
    Labels { mut import, lines }: Labels,
) -> Result<Answer<LabelImportResult>, ApiError> {
    import.dry_run |= params.dry_run;
    let by = Actor::from(&principal);
    let mut result = monitor::labels::import(&app, &by, &workspace, import).await?;
    for refused in &mut result.refused {
        let at = usize::try_from(refused.index).ok();
        refused.line = at.and_then(|at| lines.get(at)).copied();
    }
    Ok(Answer(result))
}

/// List captured inputs.
#[utoipa::path(
    get, path = "/captures", tag = "truth", params(CapturesQuery),
    responses((status = 200, description = "Newest first", body = pages::CapturePage)),
)]
pub(super) async fn list_captures(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<CapturesQuery>,
) -> Result<Answer<Page<CaptureView>>, ApiError> {
    let query = CaptureQuery {
        model: query.model,
        site: query.site,
        labelled: query.labelled,
        request: query.request,
        after: query.after,
        limit: query.limit,
    };
    Ok(Answer(monitor::captures(&app, &workspace, &query).await?))
}

/// Accuracy per version and site, and per version over all sites.
#[utoipa::path(
    get, path = "/accuracy", tag = "truth", params(AccuraciesQuery),
    responses((
        status = 200, description = "By model, newest version first, all sites before each",
        body = pages::AccuracyPage,
    )),
)]
pub(super) async fn list_accuracy(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<AccuraciesQuery>,
) -> Result<Answer<Page<AccuracyView>>, ApiError> {
    if query.last == Some(0) {
        return Err(ApiError::unprocessable(
            "`last` is 1 or more; leave it out for all labels",
        ));
    }
    let query = AccuracyQuery {
        model: query.model,
        last: query.last,
    };
    let items = monitor::accuracy(&app.store, &workspace, &query).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Which labels.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TruthParams {
    /// Only of predictions at this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteName>,
    /// Only of devices that had this part in a rollout when they predicted: `treatment` or `control`.
    #[param(inline)]
    arm: Option<Part>,
    /// Only of predictions from this moment on, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    from: Option<WallTime>,
    /// Only of predictions before this moment, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    to: Option<WallTime>,
    /// Only the newest so many labels, by the time of the prediction.
    last: Option<u64>,
    /// `csv` for a table: a line for each figure.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// How right a version is, from labels, and how right it probably is where there are none yet.
///
/// Labels weigh as much as the inverse of the probability with which their inputs were captured. What is estimated
/// without labels stands in `estimate`, day by day, beside what labels say of the same day once there are some.
#[utoipa::path(
    get, path = "/models/{model}/versions/{version}/truth", tag = "truth",
    params(VersionPath, TruthParams),
    responses((
        status = 200, description = "Figures of classes or of numbers; a table if `format` is `csv`",
        content((TruthView = "application/json"), (String = "text/csv")),
    )),
)]
pub(super) async fn show_truth(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(VersionPath { model, version }): Path<VersionPath>,
    Query(query): Query<TruthParams>,
) -> Result<Response, ApiError> {
    if query.last == Some(0) {
        return Err(ApiError::unprocessable(
            "`last` is 1 or more; leave it out for all labels",
        ));
    }
    let asked = TruthQuery {
        model,
        version,
        site: query.site,
        arm: query.arm,
        from: query.from,
        to: query.to,
        last: query.last,
    };
    let view = monitor::truth(&app, &workspace, &asked).await?;
    Ok(match query.format {
        Format::Json => Answer(view).into_response(),
        Format::Csv => table(
            format_args!("truth-{}-v{}", view.model, view.version),
            csv(&view),
        ),
    })
}

/// A line for each figure: what, of which class or day, beside which, how much, between what, on how many labels.
fn csv(view: &TruthView) -> Vec<u8> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let head = ["figure", "of", "beside", "value", "low", "high", "n"];
    table.write_record(head).expect(MEMORY);
    let mut line = |figure: &str, of: &str, beside: &str, cells: [String; 4]| {
        let names = [figure, of, beside].into_iter().map(str::to_owned);
        table.write_record(names.chain(cells)).expect(MEMORY);
    };
    let whole = |one: Estimated| {
        [
            one.value.to_string(),
            one.low.to_string(),
            one.high.to_string(),
            one.n.to_string(),
        ]
    };
    let alone = |value: f64, n: u64| {
        [
            value.to_string(),
            String::new(),
            String::new(),
            n.to_string(),
        ]
    };
    if let Some(classes) = &view.classes {
        line("accuracy", "", "", whole(classes.accuracy));
        line("macro-f1", "", "", alone(classes.macro_f1, view.labels));
        for rates in &classes.rates {
            for (figure, rate) in [
                ("precision", rates.precision),
                ("recall", rates.recall),
                ("f1", rates.f1),
            ] {
                if let Some(rate) = rate {
                    line(figure, &rates.class, "", whole(rate));
                }
            }
        }
        for cell in &classes.confusion {
            line(
                "confusion",
                &cell.truth,
                &cell.predicted,
                alone(cell.weight, cell.labels),
            );
        }
        if let Some(error) = classes.calibration.error {
            line("calibration-error", "", "", alone(error, view.labels));
        }
        if let Some(brier) = classes.calibration.brier {
            line("brier", "", "", whole(brier));
        }
        for point in &classes.calibration.points {
            let said = point.said.to_string();
            line("reliability", &said, "", whole(point.right));
        }
    }
    if let Some(numbers) = &view.numbers {
        for (figure, value) in [
            ("mae", numbers.mae),
            ("rmse", numbers.rmse),
            ("bias", numbers.bias),
            ("coverage", numbers.coverage.map(|coverage| coverage.held)),
        ] {
            if let Some(value) = value {
                line(figure, "", "", whole(value));
            }
        }
    }
    for day in &view.estimate.days {
        let from = day.from.0.to_string();
        for (figure, value) in [("estimate", day.estimate), ("truth-of-day", day.truth)] {
            if let Some(value) = value {
                line(figure, &from, "", whole(value));
            }
        }
    }
    table.into_inner().unwrap_or_default()
}
