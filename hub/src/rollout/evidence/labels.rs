//! Labels of the devices of a rollout.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Statement};
use tern_protocol::{
    id::{ModelName, SlotName, WorkspaceId},
    time::WallTime,
};

use crate::store::{Doing as _, StoreError};

const DOING: &str = "reading labels for a rollout";

/// Labels read at once, at most.
const LABELS: i64 = 200_000;

/// A prediction whose truth is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    pub(super) version: i64,
    pub(super) at: WallTime,
    pub(super) wrong: bool,
    pub(super) chance: f64,
}

/// How many labels there are; whoever has seen as many need not read them again.
pub(super) async fn count(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<i64, StoreError> {
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT labels FROM tally WHERE workspace = $1",
        [workspace.as_str().into()],
    );
    let row = db.query_one_raw(select).await.doing(DOING)?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0).doing(DOING))
}

/// Labels of predictions since a time, by device, the oldest prediction first.
pub(super) async fn since(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    slot: &SlotName,
    model: &ModelName,
    since: WallTime,
) -> Result<BTreeMap<String, Vec<Judged>>, StoreError> {
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        format!(
            "SELECT device, version, predicted_at, class, truth, probability FROM label \
             WHERE workspace = $1 AND model = $2 AND predicted_at >= $3 AND slot = $4 \
             ORDER BY predicted_at, boot, number LIMIT {LABELS}"
        ),
        [
            workspace.as_str().into(),
            model.as_str().into(),
            since.0.into(),
            slot.as_str().into(),
        ],
    );
    let mut all: BTreeMap<String, Vec<Judged>> = BTreeMap::new();
    for row in db.query_all_raw(select).await.doing(DOING)? {
        let class: i64 = row.try_get_by_index(3).doing(DOING)?;
        let truth: i64 = row.try_get_by_index(4).doing(DOING)?;
        let judged = Judged {
            version: row.try_get_by_index(1).doing(DOING)?,
            at: WallTime(row.try_get_by_index(2).doing(DOING)?),
            wrong: class != truth,
            chance: row.try_get_by_index(5).doing(DOING)?,
        };
        let device: String = row.try_get_by_index(0).doing(DOING)?;
        all.entry(device).or_default().push(judged);
    }
    Ok(all)
}
