//! Deltas: what makes the ONNX file of a version from that of an earlier one.
//!
//! Called by `registry` (a version was published), `fleet` (what devices are offered), `rollout` (whom
//! to let wait), `scrub` and `garbage`. Calls `tern_delta`, `blobs` and the store.
//!
//! Each pair of a version and a base is a row from the moment that the version is published, written
//! in the same transaction; [`worker`] computes one after the other, and goes on after a restart where
//! the rows say that it stopped.
//!
//! Must never break:
//! - a delta is advice: nothing waits for one longer than [`HOLD`], and devices verify what it made;
//! - deltas take no more room than was set aside for them.

mod budget;
mod offers;
pub mod rows;
pub mod schema;
#[cfg(test)]
mod tests;
pub mod worker;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
};
use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    id::{ModelName, ModelVersion, WorkspaceId},
    manifest::Base,
    rest::{DeltaState, DeltaView, VersionRef},
    time::WallTime,
};

pub use self::offers::{Offers, offers};
use self::rows::delta;
use crate::{
    app::App,
    store::{Doing as _, Store, StoreError, parsed},
};

/// How long after it was published a version waits for its deltas before devices that have one of
/// their bases are given it: a rollout that starts at once profits too, and none is held up by more
/// than a person takes to look at it.
pub const HOLD: Duration = Duration::from_mins(1);

/// How the reason begins of a delta that failed because one of its files was not there.
const MISSING: &str = "a file is missing";

/// Spelling of a state in the table.
fn to_text(state: DeltaState) -> &'static str {
    match state {
        DeltaState::Pending => "pending",
        DeltaState::Ready => "ready",
        DeltaState::NotWorthIt => "not-worth-it",
        DeltaState::Skipped => "skipped",
        DeltaState::Evicted => "evicted",
        DeltaState::Failed => "failed",
    }
}

fn from_text(text: &str) -> Result<DeltaState, StoreError> {
    Ok(match text {
        "pending" => DeltaState::Pending,
        "ready" => DeltaState::Ready,
        "not-worth-it" => DeltaState::NotWorthIt,
        "skipped" => DeltaState::Skipped,
        "evicted" => DeltaState::Evicted,
        "failed" => DeltaState::Failed,
        _ => {
            return Err(StoreError::Value {
                what: "state of a delta",
                value: text.chars().take(80).collect(),
            });
        }
    })
}

/// A version that is being published, and what its deltas may start from.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// In which workspace.
    pub workspace: &'a WorkspaceId,
    /// Of which model.
    pub model: &'a ModelName,
    /// Which version.
    pub version: ModelVersion,
    /// Its ONNX file.
    pub onnx: BlobRef,
    /// Versions that deltas may start from, newest first.
    pub bases: &'a [Base],
    /// When.
    pub at: WallTime,
}

/// Notes that the deltas of a version are to be computed; part of publishing it.
pub async fn plan(txn: &impl ConnectionTrait, new: Published<'_>) -> Result<(), StoreError> {
    // Versions may share a file; one that has the new one already needs nothing.
    let mut known = HashSet::from([new.onnx.digest]);
    let bases = new
        .bases
        .iter()
        .filter(|base| known.insert(base.onnx.digest));
    for base in bases {
        let row = delta::ActiveModel {
            workspace: Set(new.workspace.to_string()),
            model: Set(new.model.to_string()),
            version: Set(new.version.get().into()),
            base: Set(base.version.get().into()),
            onnx: Set(new.onnx.digest.to_string()),
            onnx_len: Set(new.onnx.len as i64),
            base_onnx: Set(base.onnx.digest.to_string()),
            base_len: Set(base.onnx.len as i64),
            created: Set(new.at.0),
            state: Set(to_text(DeltaState::Pending).into()),
            reason: Set(String::new()),
            attempts: Set(0),
            digest: Set(None),
            len: Set(None),
            took_ms: Set(None),
        };
        let insert = delta::Entity::insert(row);
        insert
            .exec_without_returning(txn)
            .await
            .doing("planning a delta")?;
    }
    Ok(())
}

/// Bases of a version whose deltas are still to be computed, if it is so new that waiting for them
/// makes sense.
pub async fn awaited(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    version: &VersionRef,
    now: WallTime,
) -> Result<BTreeSet<Digest>, StoreError> {
    let since = now.0.saturating_sub(HOLD.as_millis() as i64);
    let rows = delta::Entity::find()
        .filter(delta::Column::Workspace.eq(workspace.as_str()))
        .filter(delta::Column::Model.eq(version.model.as_str()))
        .filter(delta::Column::Version.eq(i64::from(version.version.get())))
        .filter(delta::Column::State.eq(to_text(DeltaState::Pending)))
        // A clock that was set back makes nothing wait for ever.
        .filter(delta::Column::Created.between(since, now.0))
        .all(db)
        .await
        .doing("looking for deltas that are being computed")?;
    let base = |row: &delta::Model| parsed("digest", &row.base_onnx);
    rows.iter().map(base).collect()
}

/// What became of the deltas of all versions of a workspace, or of those of one model.
pub async fn views(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: Option<&ModelName>,
) -> Result<BTreeMap<VersionRef, Vec<DeltaView>>, StoreError> {
    let mut select = delta::Entity::find()
        .filter(delta::Column::Workspace.eq(workspace.as_str()))
        .order_by_desc(delta::Column::Base);
    if let Some(model) = model {
        select = select.filter(delta::Column::Model.eq(model.as_str()));
    }
    let rows = select.all(db).await.doing("reading deltas")?;
    let mut views: BTreeMap<VersionRef, Vec<DeltaView>> = BTreeMap::new();
    for row in rows {
        let of = VersionRef {
            model: parsed("model name", &row.model)?,
            version: number(row.version)?,
        };
        views.entry(of).or_default().push(view(&row)?);
    }
    Ok(views)
}

fn view(row: &delta::Model) -> Result<DeltaView, StoreError> {
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    let (bytes, full) = (row.len.map(unsigned), unsigned(row.onnx_len));
    Ok(DeltaView {
        base: number(row.base)?,
        state: from_text(&row.state)?,
        reason: row.reason.clone(),
        bytes,
        full_bytes: full,
        ratio: bytes.map(|bytes| bytes as f64 / full.max(1) as f64),
        took_ms: row.took_ms.map(unsigned),
    })
}

/// Whether a blob is a delta of this workspace. One that made room for others is so until it is
/// removed: devices may have heard of it.
pub async fn ships(
    store: &Store,
    workspace: &WorkspaceId,
    digest: &str,
) -> Result<bool, StoreError> {
    let found = delta::Entity::find()
        .filter(delta::Column::Workspace.eq(workspace.as_str()))
        .filter(delta::Column::Digest.eq(digest))
        .count(store.read())
        .await
        .doing("looking for a delta")?;
    Ok(found > 0)
}

/// Has a delta computed again whose blob is lost; whether there is one of this digest. The digest stays in
/// its row: the same files give the same delta, which devices have heard of.
pub async fn again(app: &App, digest: Digest) -> Result<bool, StoreError> {
    let update = delta::Entity::update_many()
        .col_expr(delta::Column::State, to_text(DeltaState::Pending).into())
        .col_expr(delta::Column::Attempts, 0.into())
        .filter(delta::Column::Digest.eq(digest.to_string()))
        .filter(delta::Column::State.eq(to_text(DeltaState::Ready)));
    let updated = update.exec(app.store.write()).await;
    let updated = updated
        .doing("having a delta computed again")?
        .rows_affected;
    if updated > 0 {
        app.deltas.notify();
    }
    Ok(updated > 0)
}

/// Has deltas computed that failed because a file was missing, and both are there again.
pub async fn retry(app: &App) -> Result<(), StoreError> {
    const DOING: &str = "looking for deltas that failed";
    let failed = delta::Entity::find()
        .filter(delta::Column::State.eq(to_text(DeltaState::Failed)))
        .filter(delta::Column::Reason.starts_with(MISSING))
        .all(app.store.read())
        .await
        .doing(DOING)?;
    for row in failed {
        let there = async |text: &str| -> Result<bool, StoreError> {
            // A disk that does not answer now does at the next look.
            let found = app.blobs.head(parsed("digest", text)?).await;
            Ok(matches!(found, Ok(Some(_))))
        };
        if !there(&row.onnx).await? || !there(&row.base_onnx).await? {
            continue;
        }
        let pending = delta::ActiveModel {
            state: Set(to_text(DeltaState::Pending).into()),
            reason: Set(String::new()),
            attempts: Set(0),
            ..row.into_active_model()
        };
        pending.update(app.store.write()).await.doing(DOING)?;
        app.deltas.notify();
    }
    Ok(())
}

fn number(version: i64) -> Result<ModelVersion, StoreError> {
    let number = u32::try_from(version).ok().and_then(ModelVersion::new);
    number.ok_or_else(|| StoreError::Value {
        what: "version number",
        value: version.to_string(),
    })
}
