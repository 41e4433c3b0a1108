//! Deleting captures and truths: of a device, of single predictions, of a person who asks for it; with a receipt whose
//! digest stands in the audit log.
//!
//! Must never break: rows, tombstones, receipt and the entry of the audit log are one transaction. What SQLite deletes it
//! writes over as well, so that the file holds nothing of it once its log is written back.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DatabaseBackend, QueryResult, TransactionTrait as _, Value};
use tern_protocol::{
    digest::{Digest, Hasher},
    id::{DeviceId, PredictionId, WorkspaceId},
    limits,
    rest::{Change, DeletionProof, DeletionReceipt, DeletionView, NewCaptureDeletion, Page},
};

use super::{
    CaptureError, next_id,
    requests::{count, known},
};
use crate::{
    access::audit::{self, Actor, AuditFilter, Deed},
    app::App,
    datasets::withdraw,
    monitor::prediction,
    store::{Doing as _, StoreError, parsed, raw},
};

const DOING: &str = "deleting captures";

/// Longest reason, in bytes.
const REASON_MAX: usize = 200;

/// Tables of which rows go: what a person said about a capture is a truth about it, too. Whose predictions are goes last,
/// since the others are found by it.
const GO: [&str; 5] = ["label", "verdict", "lease", "capture", "prediction_subject"];

/// Rows that are read at once while they are digested: 64 KiB each at most.
const PAGE: i64 = 200;

/// Deletions that are listed.
const LISTED: i64 = 500;

/// Deletes.
pub async fn delete(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    new: NewCaptureDeletion,
) -> Result<DeletionView, CaptureError> {
    check(&new)?;
    let txn = app.store.write().begin().await.doing(DOING)?;
    let boot = match &new.device {
        Some(device) => known(&txn, workspace, device).await?,
        None => 0,
    };
    let is_sqlite = app.store.backend() == DatabaseBackend::Sqlite;
    if is_sqlite {
        raw::exec(&txn, DOING, "PRAGMA secure_delete = ON", []).await?;
    }
    let now = app.clock.now();
    let scope = Scope::new(workspace, &new);
    let (digest, captures, labels) = scope.digest(&txn).await?;
    let mut receipt = DeletionReceipt {
        id: next_id(&txn, "capture_deletion", now).await?.unsigned_abs(),
        at: now,
        by: by.name.clone(),
        device: new.device,
        predictions: new.predictions,
        subject: new.subject,
        reason: new.reason,
        captures,
        labels,
        digest,
        datasets: Vec::new(),
    };
    // First: whose predictions are is still known.
    let withdrawn = withdraw::withdraw(&txn, &scope.condition, &scope.values, &receipt).await?;
    receipt.datasets.clone_from(&withdrawn.versions);
    let gone = scope.predictions(&txn, &receipt).await?;
    scope.bury(&txn, &gone).await?;
    for table in GO {
        scope.remove(&txn, table).await?;
    }
    insert(&txn, workspace, &receipt, boot).await?;
    let deed = Deed::new("capture.delete", subject_in_log(receipt.id));
    let deed = deed
        .within(workspace)
        .after(&receipt)
        .detail(told(&receipt));
    audit::record(&txn, &app.clock, by, deed).await?;
    if is_sqlite {
        raw::exec(&txn, DOING, "PRAGMA secure_delete = OFF", []).await?;
    }
    // Whoever writes next looks at what is in memory; see there.
    app.captures.tombstones.add(workspace, &receipt, boot, gone);
    if let Err(err) = txn.commit().await.doing("committing a deletion") {
        app.captures.tombstones.load(&app.store).await?;
        return Err(err.into());
    }
    if is_sqlite {
        // The log still has pages from before. Readers may hold it up; then it is written back later.
        let written = raw::row(
            app.store.write(),
            DOING,
            "PRAGMA wal_checkpoint(TRUNCATE)",
            [],
        );
        if let Err(err) = written.await {
            tracing::warn!(
                error = crate::store::chain(&err),
                "the database's log was not written back"
            );
        }
    }
    withdraw::discard(app, &withdrawn).await;
    app.captures.wake.notify();
    let changed = Change::Telemetry { at: now };
    app.changes.send(workspace, changed);
    show(app, workspace, receipt.id).await
}

/// What the audit log calls a deletion.
fn subject_in_log(id: u64) -> String {
    format!("capture deletion {id}")
}

/// What the audit log tells of it.
fn told(receipt: &DeletionReceipt) -> String {
    let of = match (&receipt.device, &receipt.subject, receipt.predictions.len()) {
        (Some(device), _, 0) => format!("all of device {device}"),
        (Some(device), _, count) => format!("{count} predictions of device {device}"),
        (None, Some(subject), _) => format!("subject {subject}"),
        (None, None, _) => String::new(),
    };
    let DeletionReceipt {
        captures, labels, ..
    } = receipt;
    let mut text = format!("{of}: {captures} captures, {labels} truths");
    if !receipt.datasets.is_empty() {
        let _ = write!(text, "; withdrawn: {}", receipt.datasets.join(", "));
    }
    match receipt.reason.as_str() {
        "" => text,
        reason => format!("{text}; {reason}"),
    }
}

fn check(new: &NewCaptureDeletion) -> Result<(), CaptureError> {
    let impossible = |text: String| Err(CaptureError::Impossible(text));
    if new.device.is_some() == new.subject.is_some() {
        return impossible("say either of which `device` or of which `subject`".into());
    }
    if new.device.is_none() && !new.predictions.is_empty() {
        return impossible("`predictions` are those of a `device`".into());
    }
    let most = limits::ERASED_PREDICTIONS;
    if new.predictions.len() > most {
        return impossible(format!("at most {most} `predictions` at once"));
    }
    if new.reason.len() > REASON_MAX {
        return impossible(format!("a `reason` has at most {REASON_MAX} bytes"));
    }
    Ok(())
}

async fn insert(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    receipt: &DeletionReceipt,
    boot: i64,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO capture_deletion \
        (id, workspace, at, device, boot, subject, predictions, receipt) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values: [Value; 8] = [
        (receipt.id as i64).into(),
        workspace.as_str().into(),
        receipt.at.0.into(),
        receipt.device.as_ref().map(DeviceId::as_str).into(),
        boot.into(),
        receipt
            .subject
            .map(|subject| subject.as_bytes().to_vec())
            .into(),
        json(&receipt.predictions).into(),
        json(receipt).into(),
    ];
    raw::exec(txn, DOING, insert, values).await.map(drop)
}

/// Which rows a deletion is about: a condition over `workspace`, `device`, `boot` and `number`, whose places begin at
/// `$1`, the workspace.
struct Scope {
    condition: String,
    values: Vec<Value>,
}

impl Scope {
    fn new(workspace: &WorkspaceId, new: &NewCaptureDeletion) -> Self {
        let mut values = vec![Value::from(workspace.as_str())];
        let mut condition = "workspace = $1".to_owned();
        if let Some(subject) = &new.subject {
            values.push(subject.as_bytes().to_vec().into());
            condition += " AND (device, boot, number) IN (SELECT device, boot, number \
                FROM prediction_subject WHERE workspace = $1 AND subject = $2)";
        }
        if let Some(device) = &new.device {
            values.push(device.as_str().into());
            condition += " AND device = $2";
        }
        for (place, prediction) in new.predictions.iter().enumerate() {
            let number = values.len() + 1;
            let open = if place == 0 { " AND (" } else { " OR " };
            write!(
                condition,
                "{open}(boot = ${number} AND number = ${})",
                number + 1
            )
            .expect("writing to a String cannot fail");
            values.push(i64::from(prediction.boot.0).into());
            values.push(prediction.number.cast_signed().into());
        }
        if !new.predictions.is_empty() {
            condition.push(')');
        }
        Self { condition, values }
    }

    /// A digest of all that will go, and how many captures and truths that is.
    async fn digest(&self, txn: &impl ConnectionTrait) -> Result<(Digest, u64, u64), StoreError> {
        let mut hasher = Hasher::new();
        let (mut captures, mut after) = (0, 0i64);
        loop {
            let select = format!(
                "SELECT id, device, boot, number, input FROM capture WHERE {} AND id > ${} \
                 ORDER BY id LIMIT {PAGE}",
                self.condition,
                self.values.len() + 1
            );
            let values = self.values.iter().cloned().chain([after.into()]);
            let rows = raw::rows(txn, DOING, &select, values).await?;
            for row in &rows {
                after = row.try_get_by_index(0).doing(DOING)?;
                let (device, prediction) = predicted(row, 1)?;
                let input: Vec<u8> = row.try_get_by_index(4).doing(DOING)?;
                let line = format!("capture {device} {prediction} {}\n", Digest::of(&input));
                hasher.update(line.as_bytes());
            }
            captures += rows.len() as u64;
            if (rows.len() as i64) < PAGE {
                break;
            }
        }
        let mut labels = 0;
        loop {
            let select = format!(
                "SELECT device, boot, number, truth, truth_number FROM label WHERE {} \
                 ORDER BY device, boot, number LIMIT {PAGE} OFFSET {labels}",
                self.condition
            );
            let rows = raw::rows(txn, DOING, &select, self.values.iter().cloned()).await?;
            for row in &rows {
                let (device, prediction) = predicted(row, 0)?;
                let class: i64 = row.try_get_by_index(3).doing(DOING)?;
                let number: Option<f64> = row.try_get_by_index(4).doing(DOING)?;
                let truth = number.map_or_else(|| class.to_string(), |number| number.to_string());
                hasher.update(format!("truth {device} {prediction} {truth}\n").as_bytes());
            }
            labels += rows.len() as u64;
            if (rows.len() as i64) < PAGE {
                break;
            }
        }
        Ok((hasher.finish(), captures, labels))
    }

    /// Single predictions that must not come back: those that are named, and those of a subject, since a truth may come
    /// later that does not say whose it is. A device as a whole needs none.
    async fn predictions(
        &self,
        txn: &impl ConnectionTrait,
        receipt: &DeletionReceipt,
    ) -> Result<Vec<(DeviceId, PredictionId)>, StoreError> {
        if let Some(device) = &receipt.device {
            let named = receipt.predictions.iter();
            return Ok(named.map(|named| (device.clone(), *named)).collect());
        }
        let select = format!(
            "SELECT device, boot, number FROM prediction_subject WHERE {}",
            self.condition
        );
        let rows = raw::rows(txn, DOING, &select, self.values.iter().cloned()).await?;
        rows.iter().map(|row| predicted(row, 0)).collect()
    }

    /// Writes tombstones.
    async fn bury(
        &self,
        txn: &impl ConnectionTrait,
        gone: &[(DeviceId, PredictionId)],
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO capture_tombstone (workspace, device, boot, number) \
            VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        for (device, prediction) in gone {
            let values: [Value; 4] = [
                self.values[0].clone(),
                device.as_str().into(),
                i64::from(prediction.boot.0).into(),
                prediction.number.cast_signed().into(),
            ];
            raw::exec(txn, DOING, insert, values).await?;
        }
        Ok(())
    }

    async fn remove(&self, txn: &impl ConnectionTrait, table: &str) -> Result<(), StoreError> {
        let delete = format!("DELETE FROM {table} WHERE {}", self.condition);
        let gone = raw::exec(txn, DOING, &delete, self.values.iter().cloned());
        gone.await.map(drop)
    }
}

fn predicted(row: &QueryResult, from: usize) -> Result<(DeviceId, PredictionId), StoreError> {
    let device: String = row.try_get_by_index(from).doing(DOING)?;
    let boot: i64 = row.try_get_by_index(from + 1).doing(DOING)?;
    let number: i64 = row.try_get_by_index(from + 2).doing(DOING)?;
    Ok((parsed("device id", &device)?, prediction(boot, number)))
}

/// A subject as the database has it.
pub(crate) fn subject_of(bytes: Vec<u8>) -> Result<Digest, StoreError> {
    let value = format!("{} bytes", bytes.len());
    let bytes = bytes.try_into().map_err(|_| StoreError::Value {
        what: "subject",
        value,
    })?;
    Ok(Digest::from_bytes(bytes))
}

/// The newest deletions, newest first, without their proofs.
pub async fn list(app: &App, workspace: &WorkspaceId) -> Result<Page<DeletionView>, StoreError> {
    let select =
        "SELECT receipt FROM capture_deletion WHERE workspace = $1 ORDER BY id DESC LIMIT $2";
    let values = [workspace.as_str().into(), LISTED.into()];
    let rows = raw::rows(app.store.read(), DOING, select, values).await?;
    let views = rows.iter().map(|row| {
        Ok(DeletionView {
            receipt: receipt(row)?,
            proof: None,
        })
    });
    let items = views.collect::<Result<_, StoreError>>()?;
    Ok(Page { items, next: None })
}

fn receipt(row: &QueryResult) -> Result<DeletionReceipt, StoreError> {
    let text: String = row.try_get_by_index(0).doing(DOING)?;
    serde_json::from_str(&text).map_err(|err| StoreError::Value {
        what: "receipt of a deletion",
        value: err.to_string(),
    })
}

/// A deletion, and whether what its receipt says holds.
pub async fn show(
    app: &App,
    workspace: &WorkspaceId,
    id: u64,
) -> Result<DeletionView, CaptureError> {
    let db = app.store.read();
    let select = "SELECT receipt FROM capture_deletion WHERE workspace = $1 AND id = $2";
    let values = [workspace.as_str().into(), (id as i64).into()];
    let Some(row) = raw::row(db, DOING, select, values).await? else {
        return Err(CaptureError::NotFound(format!("deletion {id}")));
    };
    let receipt = receipt(&row)?;
    let filter = AuditFilter {
        workspace: Some(workspace.clone()),
        action: Some("capture.delete".into()),
        subject: Some(subject_in_log(id)),
        ..AuditFilter::default()
    };
    let entries = audit::list(&app.store, &filter).await?.items;
    let entry = entries
        .into_iter()
        .find(|entry| entry.subject == subject_in_log(id));
    let Some(entry) = entry else {
        return Err(CaptureError::NotFound(format!(
            "entry of the audit log about deletion {id}"
        )));
    };
    let broken = if entry.after == Some(audit::digest(&receipt)) {
        let verdict = audit::verify_from(&app.store, entry.seq).await?;
        verdict
            .broken
            .map(|broken| format!("entry {} of the audit log: {}", broken.seq, broken.text))
    } else {
        Some("the audit log has the digest of another receipt".into())
    };
    let (devices, confirmed, too_old) = confirmed(db, workspace, &receipt).await?;
    let proof = DeletionProof {
        entry: entry.seq,
        hash: entry.hash,
        whole: broken.is_none(),
        broken,
        left: left(db, workspace, &receipt).await?,
        devices,
        confirmed,
        too_old,
    };
    Ok(DeletionView {
        receipt,
        proof: Some(proof),
    })
}

/// Captures and truths that are there and should not be.
async fn left(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    receipt: &DeletionReceipt,
) -> Result<u64, StoreError> {
    let scope = Scope::new(
        workspace,
        &NewCaptureDeletion {
            device: receipt.device.clone(),
            predictions: receipt.predictions.clone(),
            subject: receipt.subject,
            reason: String::new(),
        },
    );
    // What a device tells later is not of a deletion of all that it had told until then.
    let is_whole = receipt.device.is_some() && receipt.predictions.is_empty();
    let mut left = 0;
    for (table, time) in [
        ("capture", "at"),
        ("label", "predicted_at"),
        ("verdict", "at"),
    ] {
        let mut select = format!("SELECT COUNT(*) FROM {table} WHERE {}", scope.condition);
        let mut values = scope.values.clone();
        if is_whole {
            values.push(receipt.at.0.into());
            write!(select, " AND {time} <= ${}", values.len())
                .expect("writing to a String cannot fail");
        }
        left += count(db, &select, values).await?;
    }
    Ok(left)
}

/// Devices that have to forget, those that did, those that cannot be told.
async fn confirmed(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    receipt: &DeletionReceipt,
) -> Result<(u64, u64, u64), StoreError> {
    let mut values: Vec<Value> = vec![workspace.as_str().into()];
    let mut of = "FROM device WHERE workspace = $1".to_owned();
    if let Some(device) = &receipt.device {
        values.push(device.as_str().into());
        of += " AND id = $2";
    }
    let all = count(db, &format!("SELECT COUNT(*) {of}"), values.iter().cloned()).await?;
    let old = format!("SELECT COUNT(*) {of} AND erased IS NULL");
    let old = count(db, &old, values.iter().cloned()).await?;
    let did = format!("SELECT COUNT(*) {of} AND erased >= ${}", values.len() + 1);
    let did = count(
        db,
        &did,
        values.into_iter().chain([(receipt.id as i64).into()]),
    )
    .await?;
    Ok((all, did, old))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("REST types are always JSON")
}
