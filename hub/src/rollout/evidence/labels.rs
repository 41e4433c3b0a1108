//! Labels of the devices of a rollout, in the order in which they came.

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{DeviceId, ModelName, SlotName, WorkspaceId},
    time::WallTime,
};

use crate::store::{Doing as _, StoreError, parsed, raw};

const DOING: &str = "reading labels for a rollout";

/// Labels read at once, at most.
const LABELS: i64 = 20_000;

/// Labels from before a rollout that say what is usual for its devices, at most.
const USUAL: i64 = 200_000;

/// Labels of classes that were not chosen by what the model said: others say nothing of how often it is wrong.
const COUNTED: &str = "predicted IS NULL AND probability > 0";

/// A prediction whose truth is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) device: DeviceId,
    pub(super) version: i64,
    pub(super) at: WallTime,
    pub(super) wrong: bool,
    /// How likely it was that it is asked about.
    pub(super) chance: f64,
}

/// Labels of a slot and model that came after place `cursor`, and the place up to which that is all of them.
pub(super) async fn after(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    slot: &SlotName,
    model: &ModelName,
    cursor: i64,
) -> Result<(Vec<Judged>, i64), StoreError> {
    let select = format!(
        "SELECT device, version, predicted_at, class, truth, probability, place, slot, model FROM label \
         WHERE workspace = $1 AND place > $2 AND {COUNTED} ORDER BY place LIMIT {LABELS}"
    );
    let values = [workspace.as_str().into(), cursor.into()];
    let (mut labels, mut up_to) = (Vec::new(), cursor);
    for row in raw::rows(db, DOING, &select, values).await? {
        up_to = up_to.max(row.try_get_by_index(6).doing(DOING)?);
        let of: String = row.try_get_by_index(7).doing(DOING)?;
        let by: String = row.try_get_by_index(8).doing(DOING)?;
        let judged = judged(&row)?;
        // Nobody knows for how many predictions one stands that was asked for.
        if of == slot.as_str() && by == model.as_str() && judged.chance > 0.0 {
            labels.push(judged);
        }
    }
    Ok((labels, up_to))
}

/// The newest labels of predictions before a time, the newest first.
pub(super) async fn before(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    slot: &SlotName,
    model: &ModelName,
    until: WallTime,
) -> Result<Vec<Judged>, StoreError> {
    let select = format!(
        "SELECT device, version, predicted_at, class, truth, probability FROM label \
         WHERE workspace = $1 AND model = $2 AND predicted_at < $3 AND slot = $4 AND {COUNTED} \
         ORDER BY predicted_at DESC LIMIT {USUAL}"
    );
    let values = [
        workspace.as_str().into(),
        model.as_str().into(),
        until.0.into(),
        slot.as_str().into(),
    ];
    let rows = raw::rows(db, DOING, &select, values).await?;
    rows.iter().map(judged).collect()
}

fn judged(row: &QueryResult) -> Result<Judged, StoreError> {
    let device: String = row.try_get_by_index(0).doing(DOING)?;
    let class: i64 = row.try_get_by_index(3).doing(DOING)?;
    let truth: i64 = row.try_get_by_index(4).doing(DOING)?;
    Ok(Judged {
        device: parsed("device id", &device)?,
        version: row.try_get_by_index(1).doing(DOING)?,
        at: WallTime(row.try_get_by_index(2).doing(DOING)?),
        wrong: class != truth,
        chance: row.try_get_by_index(5).doing(DOING)?,
    })
}
