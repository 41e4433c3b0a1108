//! The statements of the tables of retraining, and how keys, JSON and CBOR are kept there.

use sea_orm::{QueryResult, Value};
use tern_protocol::id::{ModelName, WorkspaceId};
use tern_retrain::{Key, Step};

use crate::store::{Statements, StoreError};
pub(super) use crate::store::{json, to_json};

pub(super) const SQL: Statements = Statements::of("reading or writing rounds of retraining");

/// Something that is kept as CBOR.
pub(super) fn cbor<T: for<'b> minicbor::Decode<'b, ()>>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    /// Largest that is read, in bytes: as large as the state of a model may be.
    const MOST: usize = 16 * 1024 * 1024;
    let read = tern_protocol::codec::decode_within(bytes, MOST);
    read.map_err(|source| StoreError::Message { what, source })
}

/// A model of a workspace, as the first two values of a statement.
pub(super) fn of(workspace: &WorkspaceId, model: &ModelName) -> [Value; 2] {
    [workspace.as_str().into(), model.as_str().into()]
}

/// A key of a model, as the first five values of a statement, and what follows.
pub(super) fn under<const N: usize>(
    workspace: &WorkspaceId,
    model: &ModelName,
    key: Key,
    then: [Value; N],
) -> impl Iterator<Item = Value> + use<N> {
    let of_model = of(workspace, model).into_iter();
    let of_key = [
        i64::from(key.round).into(),
        key.step.word().into(),
        i64::from(key.attempt).into(),
    ];
    of_model.chain(of_key).chain(then)
}

/// The key in the columns `round`, `step` and `attempt` of a row.
pub(super) fn key(row: &QueryResult) -> Result<Key, StoreError> {
    let step: String = SQL.column(row, "step")?;
    let known = Step::ALL.into_iter().find(|one| one.word() == step);
    let step = known.ok_or(StoreError::Value {
        what: "step of a round",
        value: step,
    })?;
    Ok(Key {
        round: u32::try_from(SQL.count(row, "round")?).unwrap_or(u32::MAX),
        step,
        attempt: u16::try_from(SQL.count(row, "attempt")?).unwrap_or(u16::MAX),
    })
}

/// A key as other domains keep it: `retrain/digits/7/train/2`.
pub(super) fn outside(model: &ModelName, key: Key) -> String {
    format!("retrain/{model}/{key}")
}
