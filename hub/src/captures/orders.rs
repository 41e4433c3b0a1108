//! What devices are told about captures: what is asked of them, and what they have to forget.
//!
//! [`Orders`] is what of it a desired state holds. [`run`] gives desired states their next revision when that changes:
//! when a request begins or ends, and as long as a device that answered the newest one has not forgotten what it
//! should. It goes by what is in the database, so a restart or a lost message is repaired by its next look.

use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait as _, Value};
use tern_protocol::{
    capture::{CaptureRequest, Erasure},
    codec,
    id::{DeviceId, WorkspaceId},
    limits,
    time::WallTime,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    deletions::subject_of,
    requests::{NEW, OPEN, OVER},
};
use crate::{
    app::App,
    fleet::{
        self,
        assign::{Tell, tell_again},
    },
    rollout::driver::tell_all,
    store::{Doing as _, StoreError, chain, parsed, raw},
};

const DOING: &str = "telling devices about captures";

/// Between two looks: how late the end of a request may be, and a device that was told of one part of what it has to
/// forget hears of the next.
const LOOK: Duration = Duration::from_secs(10);

/// Devices that are told in one transaction.
const TOGETHER: usize = 500;

/// What concerns the devices of a workspace.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    requests: Vec<(Option<String>, Option<String>, CaptureRequest)>,
    erasures: Vec<(Option<String>, Erasure)>,
}

impl Orders {
    /// Reads what is open. `after`: the last deletion that all of the devices have done; `None`: none of them is to be
    /// told of any.
    pub async fn read(
        db: &impl ConnectionTrait,
        workspace: &WorkspaceId,
        after: Option<i64>,
    ) -> Result<Self, StoreError> {
        let mut orders = Self::default();
        let select = "SELECT id, device, site, model, slot, count, until FROM capture_request \
            WHERE workspace = $1 AND state < $2 ORDER BY id";
        let values = [workspace.as_str().into(), OVER.into()];
        for row in raw::rows(db, DOING, select, values).await? {
            let text = |index| row.try_get_by_index::<Option<String>>(index).doing(DOING);
            let number = |index| row.try_get_by_index::<i64>(index).doing(DOING);
            let (model, slot) = (text(3)?, text(4)?);
            let model = model.map(|name| parsed("model name", &name)).transpose()?;
            let slot = slot.map(|name| parsed("slot name", &name)).transpose()?;
            let request = CaptureRequest {
                id: number(0)?.unsigned_abs(),
                slot,
                model,
                count: u32::try_from(number(5)?).unwrap_or(u32::MAX),
                until: WallTime(number(6)?),
            };
            orders.requests.push((text(1)?, text(2)?, request));
        }
        let Some(after) = after else {
            return Ok(orders);
        };
        let select = "SELECT id, device, subject, predictions FROM capture_deletion \
            WHERE workspace = $1 AND id > $2 ORDER BY id";
        let values = [workspace.as_str().into(), after.into()];
        for row in raw::rows(db, DOING, select, values).await? {
            let id: i64 = row.try_get_by_index(0).doing(DOING)?;
            let device: Option<String> = row.try_get_by_index(1).doing(DOING)?;
            let subject: Option<Vec<u8>> = row.try_get_by_index(2).doing(DOING)?;
            let predictions: String = row.try_get_by_index(3).doing(DOING)?;
            let predictions = serde_json::from_str(&predictions);
            let erasure = Erasure {
                id: id.unsigned_abs(),
                predictions: predictions.map_err(|err| StoreError::Value {
                    what: "predictions of a deletion",
                    value: err.to_string(),
                })?,
                subject: subject.map(subject_of).transpose()?,
            };
            orders.erasures.push((device, erasure));
        }
        Ok(orders)
    }

    /// What concerns one device, as much as a desired state takes.
    pub fn of(
        &self,
        device: &str,
        site: &str,
        erased: Option<i64>,
    ) -> (Vec<CaptureRequest>, Vec<Erasure>) {
        let is = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
        let asked = self.requests.iter();
        let asked = asked.filter(|(of, at, _)| is(of, device) && is(at, site));
        let requests = asked.map(|(.., request)| request.clone());
        let requests = requests.take(limits::CAPTURE_REQUESTS).collect();
        let Some(erased) = erased else {
            return (requests, Vec::new());
        };
        let due = self.erasures.iter();
        let due = due.filter(|(of, erasure)| is(of, device) && erasure.id as i64 > erased);
        let mut bytes = 0;
        let fits = due.take_while(|(_, erasure)| {
            bytes += codec::encode(erasure).len();
            bytes <= limits::ERASURES_BYTES
        });
        (requests, fits.map(|(_, erasure)| erasure.clone()).collect())
    }
}

/// Tells devices until `stop`.
pub async fn run(app: App, tells: mpsc::Sender<Tell>, stop: CancellationToken) {
    loop {
        if let Err(err) = pass(&app, &tells).await {
            tracing::error!(error = chain(&err), "devices are not told about captures");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.captures.wake.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// One look.
pub async fn pass(app: &App, tells: &mpsc::Sender<Tell>) -> Result<(), StoreError> {
    for workspace in fleet::workspaces(&app.store).await? {
        requests(app, &workspace, tells).await?;
        erasures(app, &workspace, tells).await?;
    }
    Ok(())
}

/// Tells of requests that began or whose time is over.
async fn requests(
    app: &App,
    workspace: &WorkspaceId,
    tells: &mpsc::Sender<Tell>,
) -> Result<(), StoreError> {
    let select = "SELECT id, device, site, state FROM capture_request \
        WHERE workspace = $1 AND (state = $2 OR (state = $3 AND until <= $4)) ORDER BY id";
    let now = app.clock.now().0;
    let values: [Value; 4] = [
        workspace.as_str().into(),
        NEW.into(),
        OPEN.into(),
        now.into(),
    ];
    for row in raw::rows(app.store.read(), DOING, select, values).await? {
        let id: i64 = row.try_get_by_index(0).doing(DOING)?;
        let device: Option<String> = row.try_get_by_index(1).doing(DOING)?;
        let site: Option<String> = row.try_get_by_index(2).doing(DOING)?;
        let state: i64 = row.try_get_by_index(3).doing(DOING)?;
        let next = if state == NEW { OPEN } else { OVER };
        let set = "UPDATE capture_request SET state = $1 WHERE id = $2";
        if next == OVER {
            // Before devices are told: what they are told no longer has it.
            raw::exec(app.store.write(), DOING, set, [next.into(), id.into()]).await?;
        }
        let select = "SELECT id FROM device WHERE workspace = $1 \
            AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR site = $3) ORDER BY id";
        let values = [workspace.as_str().into(), device.into(), site.into()];
        let devices = ids(app, select, values).await?;
        tell(app, workspace, &devices, tells).await?;
        if next == OPEN {
            // After it: a hub that ends in between tells them again.
            raw::exec(app.store.write(), DOING, set, [next.into(), id.into()]).await?;
        }
    }
    Ok(())
}

/// Tells devices that answered the newest revision and have something left to forget. Those whose agents know of no
/// deletions are not told.
async fn erasures(
    app: &App,
    workspace: &WorkspaceId,
    tells: &mpsc::Sender<Tell>,
) -> Result<(), StoreError> {
    let select = "SELECT d.id FROM device d WHERE d.workspace = $1 AND d.erased IS NOT NULL \
        AND d.reported_revision >= d.desired_revision \
        AND EXISTS (SELECT 1 FROM capture_deletion x WHERE x.workspace = d.workspace \
        AND x.id > d.erased AND (x.device IS NULL OR x.device = d.id)) ORDER BY d.id";
    let devices = ids(app, select, [workspace.as_str().into()]).await?;
    tell(app, workspace, &devices, tells).await
}

async fn ids(
    app: &App,
    select: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<DeviceId>, StoreError> {
    let rows = raw::rows(app.store.read(), DOING, select, values).await?;
    let ids = rows.iter().map(|row| {
        let id: String = row.try_get_by_index(0).doing(DOING)?;
        parsed("device id", &id)
    });
    ids.collect()
}

/// Gives devices the next revision of what they should be, and tells them.
async fn tell(
    app: &App,
    workspace: &WorkspaceId,
    devices: &[DeviceId],
    tells: &mpsc::Sender<Tell>,
) -> Result<(), StoreError> {
    for devices in devices.chunks(TOGETHER) {
        let txn = app.store.write().begin().await.doing(DOING)?;
        let told = tell_again(&txn, workspace, devices).await?;
        txn.commit().await.doing(DOING)?;
        tell_all(app, workspace, told, tells).await;
    }
    Ok(())
}
