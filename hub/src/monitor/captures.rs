//! Captured inputs, newest first, with what is known about them.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use tern_protocol::{
    capture::{PredictedNumber, Reasons, Summary},
    codec,
    id::{ModelName, SiteName, WorkspaceId},
    rest::{CaptureReason, CaptureView, NoInput, Page},
    tensor::Tensor,
    time::WallTime,
};

use super::{
    rows::{Predicted, class_name, number_text, of_predictions, prediction, version_ref},
    sql::Select,
};
use crate::{
    app::App,
    captures::{
        deletions::subject_of,
        seal::{INPUT, Keys, Opened, SUMMARY, Whose},
    },
    registry,
    store::{Doing as _, Store, StoreError, parsed},
};

/// Captures on one page if nobody says how many.
const PAGE: u64 = 100;

/// Captures on one page at most. A capture is at most 64 KiB of values, a digit 256 bytes.
const PAGE_MAX: u64 = 1000;

/// Bytes of inputs on one page: large inputs make shorter pages.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Rows read at a time while a page fills.
const READ: u64 = 100;

/// Which captures to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaptureQuery {
    /// Of this model.
    pub model: Option<ModelName>,
    /// At this site.
    pub site: Option<SiteName>,
    /// Only those with a truth, or only those without.
    pub labelled: Option<bool>,
    /// For this request.
    pub request: Option<u64>,
    /// After the page that ended here ([`Page::next`]).
    pub after: Option<i64>,
    /// At most so many; 100 if not said, never more than 1,000.
    pub limit: Option<u64>,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    device: String,
    boot: i64,
    number: i64,
    site: String,
    slot: String,
    model: String,
    version: i64,
    at: i64,
    class: i64,
    confidence: f64,
    probability: f64,
    input: Vec<u8>,
    truth: Option<i64>,
    truth_number: Option<f64>,
    predicted: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    reasons: i64,
    request: Option<i64>,
    summary: Option<Vec<u8>>,
    subject: Option<Vec<u8>>,
}

/// A page of captures, newest first.
pub async fn captures(
    app: &App,
    workspace: &WorkspaceId,
    query: &CaptureQuery,
) -> Result<Page<CaptureView>, StoreError> {
    let store = &app.store;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let classes = registry::classes(store.read(), workspace, query.model.as_ref()).await?;
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let mut after = query.after;
    let mut bytes = 0;
    loop {
        let want = (limit - page.items.len() as u64).min(READ);
        let rows = read(store, workspace, query, after, want).await?;
        let full = rows.len() as u64 == want;
        for row in rows {
            after = Some(row.id);
            bytes += row.input.len();
            let of = version_ref(&row.model, row.version)?;
            let view = view(row, workspace, &app.captures.keys, classes.get(&of))?;
            page.items.push(view);
        }
        if !full {
            return Ok(page);
        }
        if page.items.len() as u64 >= limit || bytes >= PAGE_BYTES {
            page.next = after.map(|id| id.to_string());
            return Ok(page);
        }
    }
}

/// These captures of a model, without their truths.
pub(super) async fn some(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    asked: &[Predicted],
) -> Result<HashMap<Predicted, CaptureView>, StoreError> {
    let classes = registry::classes(app.store.read(), workspace, Some(model)).await?;
    let found = of_predictions(
        app.store.read(),
        workspace,
        "SELECT id, device, boot, number, site, slot, model, version, at, class, confidence, probability, input, \
         predicted, low, high, CAST(NULL AS BIGINT) AS truth, CAST(NULL AS DOUBLE PRECISION) AS truth_number, reasons, \
         request, summary, NULL AS subject FROM capture",
        asked,
        |row: &Row| (row.device.clone(), row.boot, row.number),
        "reading captures to label",
    )
    .await?;
    let mut views = HashMap::with_capacity(found.len());
    for (key, row) in found {
        if row.model == model.as_str() {
            let of = version_ref(&row.model, row.version)?;
            let names = classes.get(&of);
            views.insert(key, view(row, workspace, &app.captures.keys, names)?);
        }
    }
    Ok(views)
}

async fn read(
    store: &Store,
    workspace: &WorkspaceId,
    query: &CaptureQuery,
    after: Option<i64>,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    const DOING: &str = "reading captures";
    let select = Select::new(
        "SELECT c.id, c.device, c.boot, c.number, c.site, c.slot, c.model, c.version, c.at, \
         c.class, c.confidence, c.probability, c.input, l.truth, l.truth_number, c.predicted, c.low, c.high, c.reasons, c.request, c.summary, \
         s.subject \
         FROM capture c LEFT JOIN label l ON l.workspace = c.workspace AND l.device = c.device \
         AND l.boot = c.boot AND l.number = c.number \
         LEFT JOIN prediction_subject s ON s.workspace = c.workspace AND s.device = c.device \
         AND s.boot = c.boot AND s.number = c.number WHERE c.workspace = $1",
        [workspace.as_str().into()],
    )
    .filter(
        " AND c.model = ?",
        query.model.as_ref().map(ModelName::as_str),
    )
    .filter(" AND c.site = ?", query.site.as_ref().map(SiteName::as_str))
    .filter(" AND c.request = ?", query.request.map(u64::cast_signed))
    .filter(" AND c.id < ?", after);
    let select = match query.labelled {
        Some(true) => select.push(" AND l.truth IS NOT NULL", []),
        Some(false) => select.push(" AND l.truth IS NULL", []),
        None => select,
    };
    let select = select.push(" ORDER BY c.id DESC LIMIT ?", [Value::from(limit as i64)]);
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    rows.iter()
        .map(|row| Row::from_query_result(row, "").doing(DOING))
        .collect()
}

fn view(
    row: Row,
    workspace: &WorkspaceId,
    keys: &Keys,
    names: Option<&Vec<String>>,
) -> Result<CaptureView, StoreError> {
    let of = version_ref(&row.model, row.version)?;
    let device = parsed("device id", &row.device)?;
    let whose = |part| Whose {
        workspace,
        device: &device,
        prediction: prediction(row.boot, row.number),
        part,
    };
    let (input, no_input) = match keys.open(&whose(INPUT), row.input) {
        Opened::NoKey => (None, Some(NoInput::Encrypted)),
        Opened::Damaged => (None, Some(NoInput::Damaged)),
        Opened::Bytes(bytes) => (Some(input(&bytes)?), None),
    };
    let summary = match row
        .summary
        .map(|summary| keys.open(&whose(SUMMARY), summary))
    {
        Some(Opened::Bytes(bytes)) => codec::decode::<Summary>(&bytes).ok(),
        _ => None,
    };
    let empty = input.as_ref().is_some_and(|input| input.data.is_empty());
    let no_input = no_input.or_else(|| empty.then_some(NoInput::NotKept));
    let subject = row.subject.map(subject_of).transpose()?;
    let reasons = Reasons(u32::try_from(row.reasons).unwrap_or_default());
    let number = row.predicted.map(|value| PredictedNumber {
        value,
        low: row.low,
        high: row.high,
    });
    let class = match &number {
        Some(number) => number_text(number.value),
        None => class_name(names, row.class),
    };
    let truth = match row.truth_number {
        Some(truth) => Some(number_text(truth)),
        None => row.truth.map(|class| class_name(names, class)),
    };
    Ok(CaptureView {
        prediction: prediction(row.boot, row.number),
        site: parsed("site name", &row.site)?,
        slot: parsed("slot name", &row.slot)?,
        model: of.model,
        version: of.version,
        at: WallTime(row.at),
        input: input.as_ref().and_then(Tensor::to_f32).unwrap_or_default(),
        shape: input.map(|input| input.shape).unwrap_or_default(),
        class,
        confidence: row.confidence as f32,
        probability: row.probability as f32,
        reasons: CaptureReason::among(reasons),
        request: row.request.map(i64::cast_unsigned),
        subject,
        no_input,
        summary: summary.map(Into::into),
        number,
        truth,
        device,
    })
}

/// The values of a captured input; nothing if it was not kept, or cannot be opened.
pub(super) fn values(
    app: &App,
    workspace: &WorkspaceId,
    (device, boot, number): &Predicted,
    stored: Vec<u8>,
) -> Option<Vec<f32>> {
    let device = device.parse().ok()?;
    let whose = Whose {
        workspace,
        device: &device,
        prediction: prediction(*boot, *number),
        part: INPUT,
    };
    let Opened::Bytes(bytes) = app.captures.keys.open(&whose, stored) else {
        return None;
    };
    input(&bytes).ok()?.to_f32()
}

fn input(bytes: &[u8]) -> Result<Tensor, StoreError> {
    codec::decode(bytes).map_err(|source| StoreError::Message {
        what: "captured input",
        source,
    })
}
