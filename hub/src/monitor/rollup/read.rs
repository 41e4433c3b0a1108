//! Sums of one version, read back.

use sea_orm::{ConnectionTrait as _, Value};
use tern_protocol::{
    codec,
    id::{ModelName, ModelVersion, WorkspaceId},
    limits,
    rest::Part,
    window::Window,
};

use super::Level;
use crate::{
    monitor::sql::Select,
    store::{Doing as _, Store, StoreError},
};

/// A merged body may be larger than a window as it travels.
const BODY: usize = 8 * limits::PAYLOAD;

/// Which sums.
#[derive(Debug, Clone, Copy)]
pub(in crate::monitor) struct Which<'a> {
    /// Of this model.
    pub(in crate::monitor) model: &'a ModelName,
    /// Of this version.
    pub(in crate::monitor) version: ModelVersion,
    /// Those of this site, or of all sites together ([`super::ALL_SITES`]); of each and of all if absent.
    pub(in crate::monitor) site: Option<&'a str>,
    /// Of devices that had this part in a rollout; of all if absent.
    pub(in crate::monitor) arm: Option<Part>,
    /// Of stretches of this length.
    pub(in crate::monitor) level: Level,
    /// That begin from here, in milliseconds since 1970.
    pub(in crate::monitor) from: i64,
    /// And before this.
    pub(in crate::monitor) to: i64,
    /// At most so many.
    pub(in crate::monitor) limit: i64,
}

/// The sum of one stretch.
#[derive(Debug)]
pub(in crate::monitor) struct Summed {
    /// Its site; [`super::ALL_SITES`] for all together.
    pub(in crate::monitor) site: String,
    /// Where it begins.
    pub(in crate::monitor) start: i64,
    /// All windows of it.
    pub(in crate::monitor) window: Window,
}

/// Reads sums, the oldest first.
pub(in crate::monitor) async fn sums(
    store: &Store,
    workspace: &WorkspaceId,
    which: Which<'_>,
    doing: &'static str,
) -> Result<Vec<Summed>, StoreError> {
    let select = of("SELECT site, start, body FROM rollup", workspace, which)
        .push(" ORDER BY start LIMIT ?", [which.limit.into()]);
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(doing)?;
    let mut sums = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        if at % 256 == 0 {
            // Decoding is arithmetic without a pause: others get their turn.
            tokio::task::yield_now().await;
        }
        let body: Vec<u8> = row.try_get_by_index(2).doing(doing)?;
        let window = codec::decode_within(&body, BODY).map_err(|source| StoreError::Message {
            what: "roll-up",
            source,
        })?;
        sums.push(Summed {
            site: row.try_get_by_index(0).doing(doing)?,
            start: row.try_get_by_index(1).doing(doing)?,
            window,
        });
    }
    Ok(sums)
}

/// How many sums that would be, up to the limit.
pub(in crate::monitor) async fn count(
    store: &Store,
    workspace: &WorkspaceId,
    which: Which<'_>,
    doing: &'static str,
) -> Result<i64, StoreError> {
    let select = of(
        "SELECT COUNT(*) FROM (SELECT 1 FROM rollup",
        workspace,
        which,
    )
    .push(" LIMIT ?) AS found", [which.limit.into()]);
    let row = store
        .read()
        .query_one_raw(select.done(store.backend()))
        .await
        .doing(doing)?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0).doing(doing))
}

fn of(begin: &str, workspace: &WorkspaceId, which: Which<'_>) -> Select {
    let select = format!(
        "{begin} WHERE workspace = $1 AND level = $2 AND start >= $3 AND start < $4 AND model = $5 AND version = $6"
    );
    let values = [
        Value::from(workspace.as_str()),
        which.level.number().into(),
        which.from.into(),
        which.to.into(),
        which.model.as_str().into(),
        i64::from(which.version.get()).into(),
    ];
    Select::new(select, values)
        .filter(" AND site = ?", which.site)
        .filter(" AND arm = ?", which.arm.map(Part::word))
}
