//! The row of a version.

use sea_orm::{ConnectionTrait, QueryResult, Value};
use tern_protocol::{
    digest::Digest,
    id::{DatasetId, DatasetName, ModelName, WorkspaceId},
    rest::{DatasetOrder, DatasetPick, DatasetRows, DatasetState, DatasetView, Withdrawn},
    time::WallTime,
};

use super::{DatasetError, SQL};
use crate::store::{StoreError, json, parsed};

pub(super) const RUNNING: i64 = 0;
pub(super) const DONE: i64 = 1;
pub(super) const FAILED: i64 = 2;
pub(super) const STOPPED: i64 = 3;
pub(super) const REMOVED: i64 = 4;

/// A version, with what is not shown of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// As it is shown.
    pub view: DatasetView,
    /// What was asked for; versions are named by their ids in it.
    pub order: DatasetOrder,
}

impl Stored {
    /// Its number in the hub.
    pub const fn id(&self) -> DatasetId {
        self.view.id
    }

    /// As the database has its id.
    pub(super) const fn key(&self) -> i64 {
        key(self.view.id)
    }
}

/// As the database has an id.
pub(super) const fn key(id: DatasetId) -> i64 {
    id.0.cast_signed()
}

/// What [`read`] reads, before ` WHERE`.
pub(super) const SELECT: &str = "SELECT id, workspace, name, number, key, state, actor, at, finished, asked, model, base, \
    reason, again, counted, digest, bytes, withdrawn, withdrawn_why FROM dataset";

/// A version from its row.
pub(super) fn read(row: &QueryResult) -> Result<Stored, StoreError> {
    let text = |place| SQL.at::<String>(row, place);
    let number = |place| SQL.at::<i64>(row, place);
    let maybe = |place| SQL.at::<Option<String>>(row, place);
    let state = match number(5)? {
        RUNNING => DatasetState::Running,
        DONE => DatasetState::Done,
        FAILED => DatasetState::Failed,
        STOPPED => DatasetState::Stopped,
        _ => DatasetState::Removed,
    };
    let order: DatasetOrder = json("what a dataset is made of", &text(9)?)?;
    let counted = maybe(14)?;
    let rows: Option<DatasetRows> = counted
        .map(|text| json("rows of a dataset", &text))
        .transpose()?;
    let digest = Some(text(15)?).filter(|text| !text.is_empty());
    let withdrawn = match SQL.at::<Option<i64>>(row, 17)? {
        Some(at) => Some(Withdrawn {
            at: WallTime(at),
            reason: maybe(18)?.unwrap_or_default(),
        }),
        None => None,
    };
    let untrainable = match state {
        DatasetState::Done => match &withdrawn {
            Some(withdrawn) => Some(format!("it was withdrawn: {}", withdrawn.reason)),
            None => rows.as_ref().and_then(DatasetRows::untrainable),
        },
        DatasetState::Running => Some("it is still being made".into()),
        DatasetState::Failed | DatasetState::Stopped => Some("it was not made".into()),
        DatasetState::Removed => Some("its files were removed".into()),
    };
    let model = maybe(10)?;
    let base = SQL.at::<Option<i64>>(row, 11)?;
    Ok(Stored {
        workspace: parsed("workspace id", &text(1)?)?,
        view: DatasetView {
            id: DatasetId(number(0)?.cast_unsigned()),
            name: parsed::<DatasetName>("dataset name", &text(2)?)?,
            number: u32::try_from(number(3)?).unwrap_or(u32::MAX),
            state,
            how: order.word().into(),
            by: text(6)?,
            at: WallTime(number(7)?),
            finished: SQL.at::<Option<i64>>(row, 8)?.map(WallTime),
            reason: maybe(12)?,
            again: number(13)? != 0,
            key: maybe(4)?,
            model: model
                .map(|model| parsed::<ModelName>("model name", &model))
                .transpose()?,
            base: base.map(|base| DatasetId(base.cast_unsigned())),
            rows,
            digest: digest
                .map(|digest| parsed::<Digest>("digest", &digest))
                .transpose()?,
            bytes: number(16)?.max(0).unsigned_abs(),
            withdrawn,
            untrainable,
        },
        order,
    })
}

/// The versions of a condition, whose places begin at `$1`.
pub(super) async fn all(
    db: &impl ConnectionTrait,
    condition: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<Stored>, StoreError> {
    let rows = SQL
        .rows(db, &format!("{SELECT} WHERE {condition}"), values)
        .await?;
    rows.iter().map(read).collect()
}

/// The version that is meant.
pub(super) async fn pick(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    pick: &DatasetPick,
) -> Result<Stored, DatasetError> {
    let of = Value::from(workspace.as_str());
    let found = match pick {
        DatasetPick::Id(id) => all(db, "workspace = $1 AND id = $2", [of, key(*id).into()]).await?,
        DatasetPick::Version(name, number) => {
            let condition = "workspace = $1 AND name = $2 AND number = $3";
            let values = [of, name.as_str().into(), i64::from(*number).into()];
            all(db, condition, values).await?
        }
        DatasetPick::Newest(name) => {
            let condition =
                "workspace = $1 AND name = $2 AND state = $3 ORDER BY number DESC LIMIT 1";
            all(db, condition, [of, name.as_str().into(), DONE.into()]).await?
        }
    };
    let found = found.into_iter().next();
    found.ok_or_else(|| DatasetError::NoDataset(pick.clone()))
}
