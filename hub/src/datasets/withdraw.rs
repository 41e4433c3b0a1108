//! Versions that hold what was deleted.
//!
//! Called by `captures::deletions` within its transaction. A version cannot be rewritten, since its digest names it, so the
//! whole of it goes: its files are dropped, nothing is made of it or trained on it any more, and the receipt names it.

use sea_orm::{ConnectionTrait, Value};
use tern_protocol::{digest::Digest, id::DatasetId, rest::DeletionReceipt, time::WallTime};

use super::{
    SQL, ask,
    stored::{self, DONE},
};
use crate::{app::App, store::StoreError};

/// What went with a deletion.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Withdrawal {
    /// Versions that were withdrawn, as people name them.
    pub versions: Vec<String>,
    /// Blobs that no version names any more, to be discarded once this is committed.
    pub blobs: Vec<Digest>,
}

/// Withdraws the versions that hold predictions of a condition over `workspace`, `device`, `boot` and `number`, whose
/// places begin at `$1`, the workspace.
pub async fn withdraw(
    txn: &impl ConnectionTrait,
    condition: &str,
    values: &[Value],
    receipt: &DeletionReceipt,
) -> Result<Withdrawal, StoreError> {
    // Whose a prediction is may be forgotten elsewhere, once neither its capture nor its truth is there.
    let mut values = values.to_vec();
    let mut held = condition.to_owned();
    if let Some(subject) = &receipt.subject {
        values.push(subject.as_bytes().to_vec().into());
        held = format!(
            "workspace = $1 AND (({condition}) OR subject = ${})",
            values.len()
        );
    }
    let of = format!(
        "workspace = $1 AND withdrawn IS NULL AND state = {DONE} AND id IN \
         (SELECT dataset FROM dataset_capture WHERE {held}) ORDER BY id"
    );
    let found = stored::all(txn, &of, values.iter().cloned()).await?;
    let mut gone = Withdrawal::default();
    for version in found {
        gone.versions.push(version.view.title());
        gone.blobs.extend(ask::drop_files(txn, version.id()).await?);
        mark(txn, version.id(), receipt.at, receipt.id).await?;
    }
    // What is not known of any more cannot come back by it: neither as a row nor as the digest of its input.
    let ledger = format!(
        "DELETE FROM dataset_split WHERE workspace = $1 AND id IN \
         (SELECT device || '/' || boot || '-' || number FROM dataset_capture WHERE {held})"
    );
    SQL.exec(txn, &ledger, values.iter().cloned()).await?;
    let captures = format!("DELETE FROM dataset_capture WHERE {held}");
    SQL.exec(txn, &captures, values).await?;
    Ok(gone)
}

async fn mark(
    txn: &impl ConnectionTrait,
    id: DatasetId,
    at: WallTime,
    deletion: u64,
) -> Result<(), StoreError> {
    let update = "UPDATE dataset SET withdrawn = $1, withdrawn_why = $2 WHERE id = $3";
    let values: [Value; 3] = [
        at.0.into(),
        format!("captures in it were deleted (deletion {deletion})").into(),
        stored::key(id).into(),
    ];
    SQL.exec(txn, update, values).await.map(drop)
}

/// Removes the files of what was withdrawn, after that was committed.
pub async fn discard(app: &App, gone: &Withdrawal) {
    ask::discard(app, &gone.blobs).await;
    if !gone.versions.is_empty() {
        tracing::warn!(
            versions = gone.versions.join(", "),
            "datasets were withdrawn, since captures in them were deleted"
        );
    }
}
