//! What must not come back: kept in memory over its tables, since every entry that devices send is looked up.
//!
//! The tables are the truth. A deletion adds to what is in memory while it holds the only connection that writes and
//! before it commits; ingest looks here while it holds that connection. So no entry slips in between.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use sea_orm::ConnectionTrait;
use tern_protocol::{
    digest::Digest,
    id::{BootId, DeviceId, PredictionId, WorkspaceId},
    rest::DeletionReceipt,
};

use super::deletions::subject_of;
use crate::store::{Doing as _, Store, StoreError, parsed, raw};

const DOING: &str = "reading what was deleted";

/// Tombstones read at once.
const PAGE: i64 = 10_000;

/// What an entry of a device is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The prediction.
    pub prediction: PredictionId,
    /// Whose it is.
    pub subject: Option<&'a Digest>,
    /// In which boot it was written.
    pub boot: BootId,
    /// When, repaired by the hub's clock, in milliseconds.
    pub at: i64,
    /// Whether the device sent it in the boot in which it wrote it, so that its time is right.
    pub is_certain: bool,
}

/// All that a device had told was deleted.
#[derive(Debug, Clone, Copy, Default)]
struct Whole {
    at: i64,
    boot: i64,
}

#[derive(Debug, Default)]
struct OfWorkspace {
    devices: HashMap<DeviceId, Whole>,
    predictions: HashSet<(DeviceId, PredictionId)>,
    subjects: HashSet<Digest>,
}

/// All of them; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Tombstones(Arc<RwLock<HashMap<WorkspaceId, OfWorkspace>>>);

impl Tombstones {
    /// Whether an entry is about what was deleted.
    ///
    /// Of a device all of whose data were deleted, that is what it wrote until then. An entry that was sent in a later
    /// boot than it was written in has a time that may be a guess: one of an earlier boot than the deletion saw is taken
    /// for older, whatever that time says.
    pub fn cover(&self, workspace: &WorkspaceId, device: &DeviceId, about: &About<'_>) -> bool {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(of) = all.get(workspace) else {
            return false;
        };
        let whole = of.devices.get(device).is_some_and(|whole| {
            about.at <= whole.at || (!about.is_certain && i64::from(about.boot.0) < whole.boot)
        });
        whole
            || about
                .subject
                .is_some_and(|subject| of.subjects.contains(subject))
            || (!of.predictions.is_empty()
                && of.predictions.contains(&(device.clone(), about.prediction)))
    }

    /// Adds what a deletion leaves: its device as a whole, its subject, and single predictions.
    pub(super) fn add(
        &self,
        workspace: &WorkspaceId,
        receipt: &DeletionReceipt,
        boot: i64,
        predictions: Vec<(DeviceId, PredictionId)>,
    ) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of = all.entry(workspace.clone()).or_default();
        of.predictions.extend(predictions);
        of.subjects.extend(receipt.subject);
        if let Some(device) = &receipt.device
            && receipt.predictions.is_empty()
        {
            let whole = of.devices.entry(device.clone()).or_default();
            whole.at = whole.at.max(receipt.at.0);
            whole.boot = whole.boot.max(boot);
        }
    }

    /// Reads all of them.
    pub async fn load(&self, store: &Store) -> Result<(), StoreError> {
        let db = store.read();
        let fresh = Self::default();
        let select =
            "SELECT workspace, at, device, boot, subject, predictions FROM capture_deletion";
        for row in raw::rows(db, DOING, select, []).await? {
            let workspace: String = row.try_get_by_index(0).doing(DOING)?;
            let at: i64 = row.try_get_by_index(1).doing(DOING)?;
            let device: Option<String> = row.try_get_by_index(2).doing(DOING)?;
            let boot: i64 = row.try_get_by_index(3).doing(DOING)?;
            let subject: Option<Vec<u8>> = row.try_get_by_index(4).doing(DOING)?;
            let predictions: String = row.try_get_by_index(5).doing(DOING)?;
            let mut all = fresh.0.write().unwrap_or_else(PoisonError::into_inner);
            let of = all.entry(parsed("workspace id", &workspace)?).or_default();
            of.subjects.extend(subject.map(subject_of).transpose()?);
            if let Some(device) = device
                && predictions == "[]"
            {
                let whole = of.devices.entry(parsed("device id", &device)?).or_default();
                whole.at = whole.at.max(at);
                whole.boot = whole.boot.max(boot);
            }
        }
        fresh.load_predictions(db).await?;
        let read = std::mem::take(&mut *fresh.0.write().unwrap_or_else(PoisonError::into_inner));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    async fn load_predictions(&self, db: &impl ConnectionTrait) -> Result<(), StoreError> {
        let select = "SELECT workspace, device, boot, number FROM capture_tombstone \
            ORDER BY workspace, device, boot, number LIMIT $1 OFFSET $2";
        let mut offset = 0;
        loop {
            let rows = raw::rows(db, DOING, select, [PAGE.into(), offset.into()]).await?;
            let read = rows.len() as i64;
            for row in rows {
                let workspace: String = row.try_get_by_index(0).doing(DOING)?;
                let device: String = row.try_get_by_index(1).doing(DOING)?;
                let boot: i64 = row.try_get_by_index(2).doing(DOING)?;
                let number: i64 = row.try_get_by_index(3).doing(DOING)?;
                let prediction = PredictionId {
                    boot: BootId(u32::try_from(boot).unwrap_or(u32::MAX)),
                    number: number.cast_unsigned(),
                };
                let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
                let of = all.entry(parsed("workspace id", &workspace)?).or_default();
                of.predictions
                    .insert((parsed("device id", &device)?, prediction));
            }
            if read < PAGE {
                return Ok(());
            }
            offset += read;
        }
    }
}
