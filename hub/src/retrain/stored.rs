//! What is stored of a model's rounds: policy, state, lessons.

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{ModelName, UserName, WorkspaceId},
    rest::RetrainPolicyView,
    time::WallTime,
};
use tern_retrain::{Lesson, Loop, Policy, RestoreError, fact::Asked, policy::Mode};

use super::sql::{SQL, cbor, json, of};
use crate::store::{StoreError, parsed};

/// Lessons of one model that are kept: of a round a day it is some years.
const LESSONS: u64 = 1_000;

/// Why a model is not looked at.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    /// What is remembered of it cannot be read.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A policy, as it was read and as it was written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) policy: Policy,
    pub(super) view: RetrainPolicyView,
}

/// The policies of a workspace, by model.
pub(super) async fn policies(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<Vec<Written>, StoreError> {
    let sql = "SELECT model, text, body, updated, actor FROM retrain_policy WHERE workspace = $1 \
               ORDER BY model";
    let rows = SQL.rows(db, sql, [workspace.as_str().into()]).await?;
    rows.iter().map(written).collect()
}

/// The policy of a model, if it has one.
pub(super) async fn policy(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Option<Written>, StoreError> {
    let sql = "SELECT model, text, body, updated, actor FROM retrain_policy \
               WHERE workspace = $1 AND model = $2";
    let row = SQL.row(db, sql, of(workspace, model)).await?;
    row.as_ref().map(written).transpose()
}

fn written(row: &QueryResult) -> Result<Written, StoreError> {
    let policy: Policy = json("policy of retraining", &SQL.column::<String>(row, "body")?)?;
    let mode = match policy.mode {
        Mode::Propose => "propose",
        Mode::Automatic => "automatic",
    };
    let view = RetrainPolicyView {
        model: parsed("model name", &SQL.column::<String>(row, "model")?)?,
        text: SQL.column(row, "text")?,
        mode: mode.into(),
        training: policy.training.clone(),
        rollout: policy.rollout.clone(),
        updated: WallTime(SQL.column(row, "updated")?),
        by: SQL.column(row, "actor")?,
    };
    Ok(Written { policy, view })
}

/// Models that are looked at: those with a policy, and those of which something is remembered.
pub(super) async fn models(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<Vec<ModelName>, StoreError> {
    let sql = "SELECT model FROM retrain_policy WHERE workspace = $1 \
               UNION SELECT model FROM retrain_state WHERE workspace = $1 ORDER BY model";
    let rows = SQL.rows(db, sql, [workspace.as_str().into()]).await?;
    let names = rows
        .iter()
        .map(|row| parsed("model name", &SQL.column::<String>(row, "model")?));
    names.collect()
}

/// What is remembered of a model; as at the beginning if nothing is.
pub(super) async fn state(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Loop, LookError> {
    let sql = "SELECT body FROM retrain_state WHERE workspace = $1 AND model = $2";
    match SQL.row(db, sql, of(workspace, model)).await? {
        Some(row) => Ok(Loop::restore(&SQL.column::<Vec<u8>>(&row, "body")?)?),
        None => Ok(Loop::default()),
    }
}

/// Remembers it.
pub(super) async fn keep(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    known: &Loop,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO retrain_state (workspace, model, body) VALUES ($1, $2, $3) \
               ON CONFLICT (workspace, model) DO UPDATE SET body = excluded.body";
    let [workspace, model] = of(workspace, model);
    SQL.exec(db, sql, [workspace, model, known.to_bytes().into()])
        .await
        .map(drop)
}

/// Stores what a round taught.
pub(super) async fn teach(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    lesson: &Lesson,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO retrain_lesson (workspace, model, round, ended, body) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace, model, round) DO NOTHING";
    let [in_workspace, of_model] = of(workspace, model);
    let values = [
        in_workspace,
        of_model,
        i64::from(lesson.round).into(),
        lesson.ended.0.into(),
        tern_protocol::codec::encode(lesson).into(),
    ];
    SQL.exec(db, sql, values).await?;
    let sql = "DELETE FROM retrain_lesson WHERE workspace = $1 AND model = $2 AND round <= $3";
    let [in_workspace, of_model] = of(workspace, model);
    let last = u64::from(lesson.round).saturating_sub(LESSONS);
    SQL.exec(
        db,
        sql,
        [in_workspace, of_model, crate::store::raw::number(last)],
    )
    .await
    .map(drop)
}

/// What rounds taught, of all models or of one, the latest first.
pub(super) async fn lessons(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: Option<&ModelName>,
    most: u64,
) -> Result<Vec<(ModelName, Lesson)>, StoreError> {
    let sql = "SELECT model, body FROM retrain_lesson WHERE workspace = $1 \
               AND ($2 = '' OR model = $2) ORDER BY ended DESC, model, round DESC LIMIT $3";
    let values = [
        workspace.as_str().into(),
        model.map_or("", ModelName::as_str).into(),
        crate::store::raw::number(most),
    ];
    let rows = SQL.rows(db, sql, values).await?;
    let each = rows.iter().map(|row| {
        let model = parsed("model name", &SQL.column::<String>(row, "model")?)?;
        let lesson = cbor("lesson of a round", &SQL.column::<Vec<u8>>(row, "body")?)?;
        Ok((model, lesson))
    });
    each.collect()
}

/// The round that somebody asked for.
pub(super) async fn asked(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Option<Asked>, StoreError> {
    let sql =
        "SELECT round, person, at, note FROM retrain_asked WHERE workspace = $1 AND model = $2";
    let row = SQL.row(db, sql, of(workspace, model)).await?;
    let read = row.map(|row| {
        let by: UserName = parsed("account's name", &SQL.column::<String>(&row, "person")?)?;
        Ok(Asked {
            round: u32::try_from(SQL.count(&row, "round")?).unwrap_or(u32::MAX),
            by,
            at: WallTime(SQL.column(&row, "at")?),
            note: SQL.column(&row, "note")?,
        })
    });
    read.transpose()
}

/// Asks for a round.
pub(super) async fn ask(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    asked: &Asked,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO retrain_asked (workspace, model, round, person, at, note) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, model) DO UPDATE SET \
               round = excluded.round, person = excluded.person, at = excluded.at, note = excluded.note";
    let [workspace, model] = of(workspace, model);
    let values = [
        workspace,
        model,
        i64::from(asked.round).into(),
        asked.by.as_str().into(),
        asked.at.0.into(),
        asked.note.as_str().into(),
    ];
    SQL.exec(db, sql, values).await.map(drop)
}
