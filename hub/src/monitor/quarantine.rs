//! Windows whose time cannot be right: kept, counted in every total, and in no chart.
//!
//! Decided by [`super::repair`] when they come.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    rest::{Doubt, QuarantineView},
    time::WallTime,
};

use crate::{
    app::App,
    store::{Doing as _, Store, StoreError, parsed},
};

const DOING: &str = "reading windows in quarantine";

/// What is older does not ask for a person any more.
const RECENT: Duration = Duration::from_hours(7 * 24);

/// Rows in one answer at most.
const ROWS: u64 = 1_000;

/// What is in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quarantined {
    /// Windows.
    pub windows: u64,
    /// Devices that they came from.
    pub devices: u64,
}

/// What came into quarantine within the last week.
pub(super) async fn recent(app: &App, workspace: &WorkspaceId) -> Result<Quarantined, StoreError> {
    let ago = i64::try_from(RECENT.as_millis()).unwrap_or(i64::MAX);
    let select = Statement::from_sql_and_values(
        app.store.backend(),
        "SELECT COUNT(*) AS windows, COUNT(DISTINCT device) AS devices FROM telemetry_window \
         WHERE workspace = $1 AND quarantine IS NOT NULL AND closed > $2",
        [
            workspace.as_str().into(),
            app.clock.now().0.saturating_sub(ago).into(),
        ],
    );
    let row = app.store.read().query_one_raw(select).await.doing(DOING)?;
    let Some(row) = row else {
        return Ok(Quarantined::default());
    };
    let number = |column: &str| {
        let value: i64 = row.try_get("", column).doing(DOING)?;
        Ok(value.max(0).unsigned_abs())
    };
    Ok(Quarantined {
        windows: number("windows")?,
        devices: number("devices")?,
    })
}

/// What is in quarantine, by device and reason; of one device or of all.
pub async fn quarantine(
    store: &Store,
    workspace: &WorkspaceId,
    device: Option<&DeviceId>,
) -> Result<Vec<QuarantineView>, StoreError> {
    let select = super::sql::Select::new(
        "SELECT device, quarantine, COUNT(*) AS windows, \
         CAST(SUM(inferences) AS BIGINT) AS inferences, MIN(opened) AS earliest, \
         MAX(closed) AS latest FROM telemetry_window \
         WHERE workspace = $1 AND quarantine IS NOT NULL",
        [workspace.as_str().into()],
    )
    .filter(" AND device = ?", device.map(DeviceId::as_str))
    .push(
        " GROUP BY device, quarantine ORDER BY latest DESC, device LIMIT ?",
        [i64::try_from(ROWS).unwrap_or(i64::MAX).into()],
    );
    let rows = store.read().query_all_raw(select.done(store.backend()));
    let rows = rows.await.doing(DOING)?.into_iter().map(|row| {
        let device: String = row.try_get("", "device").doing(DOING)?;
        let doubt: String = row.try_get("", "quarantine").doing(DOING)?;
        let number = |column: &str| row.try_get::<i64>("", column).doing(DOING);
        Ok(QuarantineView {
            device: parsed("device id", &device)?,
            doubt: Doubt::ALL
                .into_iter()
                .find(|known| known.word() == doubt)
                .unwrap_or(Doubt::Impossible),
            windows: number("windows")?.max(0).unsigned_abs(),
            inferences: number("inferences")?.max(0).unsigned_abs(),
            earliest: WallTime(number("earliest")?),
            latest: WallTime(number("latest")?),
        })
    });
    rows.collect()
}
