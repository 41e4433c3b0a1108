//! Operators ask devices for some of their next inputs.

use sea_orm::{ConnectionTrait, QueryResult, TransactionTrait as _, Value};
use tern_protocol::{
    id::{DeviceId, ModelName, SiteName, SlotName, WorkspaceId},
    rest::{CaptureRequestState, CaptureRequestView, NewCaptureRequest, Page},
    time::WallTime,
};

use super::{CaptureError, next_id};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::{Doing as _, Store, StoreError, parsed, raw},
};

const DOING: &str = "asking for captures";

/// Inputs of one device that one request may ask for.
const COUNT: std::ops::RangeInclusive<u32> = 1..=10_000;

/// For how long, in seconds.
const WITHIN_S: std::ops::RangeInclusive<u64> = 60..=30 * 86_400;

/// Requests of a workspace that may be open; of each device the first few are told.
const OPEN_MAX: u64 = 500;

/// Requests that are listed.
const LISTED: i64 = 500;

/// A state of a row: devices are to be told, are asked, or it is over.
pub(super) const NEW: i64 = 0;
pub(super) const OPEN: i64 = 1;
pub(super) const OVER: i64 = 2;

const SELECT: &str = "SELECT r.id, r.device, r.site, r.model, r.slot, r.count, r.at, r.until, r.actor, r.state, \
    (SELECT COUNT(*) FROM capture c WHERE c.workspace = r.workspace AND c.request = r.id), \
    (SELECT COUNT(DISTINCT c.device) FROM capture c WHERE c.workspace = r.workspace AND c.request = r.id) \
    FROM capture_request r WHERE r.workspace = $1";

/// Asks.
pub async fn ask(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    new: NewCaptureRequest,
) -> Result<CaptureRequestView, CaptureError> {
    let txn = app.store.write().begin().await.doing(DOING)?;
    let id = ask_in(&txn, app, by, workspace, &new).await?;
    txn.commit().await.doing(DOING)?;
    app.captures.wake.notify();
    find(&app.store, workspace, id.unsigned_abs()).await
}

/// As [`ask`], in a transaction of somebody, who wakes `app.captures` once it is committed. What is refused leaves the
/// transaction as it was.
pub(crate) async fn ask_in(
    txn: &impl ConnectionTrait,
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    new: &NewCaptureRequest,
) -> Result<i64, CaptureError> {
    let impossible = |text: &str| Err(CaptureError::Impossible(text.into()));
    if !COUNT.contains(&new.count) {
        return impossible("`count` is from 1 to 10000, of each device");
    }
    if !WITHIN_S.contains(&new.within_s) {
        return impossible("`within_s` is from a minute to 30 days");
    }
    if new.device.is_none() && new.site.is_none() && new.model.is_none() {
        return impossible("say of which `device`, `site` or `model`");
    }
    let now = app.clock.now();
    if let Some(device) = &new.device {
        known(txn, workspace, device).await?;
    }
    let open = "SELECT COUNT(*) FROM capture_request WHERE workspace = $1 AND state < $2";
    let open = count(txn, open, [workspace.as_str().into(), OVER.into()]).await?;
    if open >= OPEN_MAX {
        return Err(CaptureError::TooMany(open));
    }
    let id = next_id(txn, "capture_request", now).await?;
    let until = now.0.saturating_add((new.within_s * 1_000) as i64);
    let insert = "INSERT INTO capture_request \
        (id, workspace, device, site, model, slot, count, at, until, actor, state) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let values: [Value; 11] = [
        id.into(),
        workspace.as_str().into(),
        new.device.as_ref().map(DeviceId::as_str).into(),
        new.site.as_ref().map(SiteName::as_str).into(),
        new.model.as_ref().map(ModelName::as_str).into(),
        new.slot.as_ref().map(SlotName::as_str).into(),
        i64::from(new.count).into(),
        now.0.into(),
        until.into(),
        by.name.as_str().into(),
        NEW.into(),
    ];
    raw::exec(txn, DOING, insert, values).await?;
    let deed = Deed::new("capture.request", format!("capture request {id}"));
    let deed = deed.within(workspace).after(new);
    audit::record(txn, &app.clock, by, deed).await?;
    Ok(id)
}

/// Takes a request back; one that is over stays so.
pub async fn cancel(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: u64,
) -> Result<CaptureRequestView, CaptureError> {
    let now = app.clock.now();
    let txn = app.store.write().begin().await.doing(DOING)?;
    // What ends it is its time: whoever looks for requests whose time is over tells the devices.
    let update = "UPDATE capture_request SET until = $1 WHERE workspace = $2 AND id = $3 AND state < $4 AND until > $1";
    let values: [Value; 4] = [
        now.0.into(),
        workspace.as_str().into(),
        (id as i64).into(),
        OVER.into(),
    ];
    if raw::exec(&txn, DOING, update, values).await? > 0 {
        let deed = Deed::new("capture.cancel", format!("capture request {id}")).within(workspace);
        audit::record(&txn, &app.clock, by, deed).await?;
    }
    txn.commit().await.doing(DOING)?;
    app.captures.wake.notify();
    find(&app.store, workspace, id).await
}

/// The newest requests, newest first.
pub async fn list(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<Page<CaptureRequestView>, StoreError> {
    let select = format!("{SELECT} ORDER BY r.id DESC LIMIT $2");
    let values = [workspace.as_str().into(), LISTED.into()];
    let rows = raw::rows(store.read(), DOING, &select, values).await?;
    let items = rows.iter().map(view).collect::<Result<_, _>>()?;
    Ok(Page { items, next: None })
}

/// One request.
async fn find(
    store: &Store,
    workspace: &WorkspaceId,
    id: u64,
) -> Result<CaptureRequestView, CaptureError> {
    let select = format!("{SELECT} AND r.id = $2");
    let values = [workspace.as_str().into(), (id as i64).into()];
    match raw::row(store.read(), DOING, &select, values).await? {
        Some(row) => Ok(view(&row)?),
        None => Err(CaptureError::NotFound(format!("capture request {id}"))),
    }
}

/// Refuses a device that the hub does not know; gives the boot that it is in.
pub(super) async fn known(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    device: &DeviceId,
) -> Result<i64, CaptureError> {
    let select = "SELECT boot FROM device WHERE workspace = $1 AND id = $2";
    let values = [workspace.as_str().into(), device.as_str().into()];
    match raw::row(db, DOING, select, values).await? {
        Some(row) => Ok(row.try_get_by_index(0).doing(DOING)?),
        None => Err(CaptureError::NotFound(format!("device {device}"))),
    }
}

/// A number that a query gives.
pub(super) async fn count(
    db: &impl ConnectionTrait,
    select: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StoreError> {
    let row = raw::row(db, DOING, select, values).await?;
    let count: Option<i64> = match row {
        Some(row) => row.try_get_by_index(0).doing(DOING)?,
        None => None,
    };
    Ok(count.unwrap_or_default().max(0).unsigned_abs())
}

fn view(row: &QueryResult) -> Result<CaptureRequestView, StoreError> {
    let number = |index| {
        let number: i64 = row.try_get_by_index(index).doing(DOING)?;
        Ok::<_, StoreError>(number.max(0).unsigned_abs())
    };
    let text = |index| row.try_get_by_index::<Option<String>>(index).doing(DOING);
    let name = text;
    let device = name(1)?
        .map(|name| parsed("device id", &name))
        .transpose()?;
    let site = name(2)?
        .map(|name| parsed("site name", &name))
        .transpose()?;
    let model = name(3)?
        .map(|name| parsed("model name", &name))
        .transpose()?;
    let slot = name(4)?
        .map(|name| parsed("slot name", &name))
        .transpose()?;
    Ok(CaptureRequestView {
        id: number(0)?,
        device,
        site,
        model,
        slot,
        count: u32::try_from(number(5)?).unwrap_or(u32::MAX),
        at: WallTime(row.try_get_by_index(6).doing(DOING)?),
        until: WallTime(row.try_get_by_index(7).doing(DOING)?),
        by: row.try_get_by_index(8).doing(DOING)?,
        state: match row.try_get_by_index::<i64>(9).doing(DOING)? {
            OVER => CaptureRequestState::Over,
            _ => CaptureRequestState::Open,
        },
        came: number(10)?,
        devices: number(11)?,
    })
}
