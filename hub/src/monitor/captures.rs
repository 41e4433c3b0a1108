//! Captured inputs, newest first, with what is known about them.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use tern_protocol::{
    codec,
    id::{ModelName, SiteName, WorkspaceId},
    rest::{CaptureView, Page},
    tensor::Tensor,
    time::WallTime,
};

use super::{
    rows::{Predicted, class_name, of_predictions, prediction, version_ref},
    sql::Select,
};
use crate::{
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
}

/// A page of captures, newest first.
pub async fn captures(
    store: &Store,
    workspace: &WorkspaceId,
    query: &CaptureQuery,
) -> Result<Page<CaptureView>, StoreError> {
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
            page.items.push(view(&row, classes.get(&of))?);
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
    store: &Store,
    workspace: &WorkspaceId,
    model: &ModelName,
    asked: &[Predicted],
) -> Result<HashMap<Predicted, CaptureView>, StoreError> {
    let classes = registry::classes(store.read(), workspace, Some(model)).await?;
    let found = of_predictions(
        store.read(),
        workspace,
        "SELECT id, device, boot, number, site, slot, model, version, at, class, confidence, probability, input, \
         CAST(NULL AS BIGINT) AS truth FROM capture",
        asked,
        |row: &Row| (row.device.clone(), row.boot, row.number),
        "reading captures to label",
    )
    .await?;
    let mut views = HashMap::with_capacity(found.len());
    for (key, row) in found {
        if row.model == model.as_str() {
            let of = version_ref(&row.model, row.version)?;
            views.insert(key, view(&row, classes.get(&of))?);
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
         c.class, c.confidence, c.probability, c.input, l.truth \
         FROM capture c LEFT JOIN label l ON l.workspace = c.workspace AND l.device = c.device \
         AND l.boot = c.boot AND l.number = c.number WHERE c.workspace = $1",
        [workspace.as_str().into()],
    )
    .filter(
        " AND c.model = ?",
        query.model.as_ref().map(ModelName::as_str),
    )
    .filter(" AND c.site = ?", query.site.as_ref().map(SiteName::as_str))
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

fn view(row: &Row, names: Option<&Vec<String>>) -> Result<CaptureView, StoreError> {
    let input: Tensor = codec::decode(&row.input).map_err(|source| StoreError::Message {
        what: "captured input",
        source,
    })?;
    let of = version_ref(&row.model, row.version)?;
    Ok(CaptureView {
        device: parsed("device id", &row.device)?,
        prediction: prediction(row.boot, row.number),
        site: parsed("site name", &row.site)?,
        slot: parsed("slot name", &row.slot)?,
        model: of.model,
        version: of.version,
        at: WallTime(row.at),
        input: input.to_f32().unwrap_or_default(),
        shape: input.shape,
        class: class_name(names, row.class),
        confidence: row.confidence as f32,
        probability: row.probability as f32,
        truth: row.truth.map(|class| class_name(names, class)),
    })
}
