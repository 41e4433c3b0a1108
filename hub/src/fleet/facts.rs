//! What a rollout knows of a device and one of its slots, and how that lies in the table `slot`.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, QueryResult, Statement};
use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    id::{DeviceId, ModelName, ModelVersion, RolloutId, SiteName, SlotName, WorkspaceId},
    rest::{Refusal, Stage},
    time::WallTime,
};

use super::{
    rows::slot,
    shadows::{self, ShadowFacts},
    stage,
};
use crate::store::{Doing as _, StoreError, parsed};

/// A version as it can be assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// Its bundle: the blob that holds the manifest.
    pub bundle: BlobRef,
    /// Digest of the ONNX bytes that were published: what proves that a device serves it.
    pub weights: Digest,
}

/// What the hub wants in a slot, and on behalf of which rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// What.
    pub target: Target,
    /// The rollout that assigned it.
    pub rollout: RolloutId,
}

/// What a device says that a slot serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// The bundle.
    pub bundle: Digest,
    /// The weights, as the device computed their digest.
    pub weights: Digest,
}

/// A bundle on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Underway {
    /// The bundle.
    pub bundle: Digest,
    /// Bytes on the device.
    pub bytes: u64,
    /// Bytes in all; 0 before the manifest is there.
    pub total: u64,
}

/// A bundle that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The bundle.
    pub bundle: Digest,
    /// Why; nothing if a newer agent has a reason that this hub does not know.
    pub reason: Option<Refusal>,
    /// Why, for people.
    pub text: String,
}

/// A device with one of its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// The device.
    pub device: DeviceId,
    /// Its site.
    pub site: SiteName,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What the hub wants.
    pub assigned: Option<Assigned>,
    /// What serves.
    pub serving: Option<Served>,
    /// What is on its way.
    pub underway: Option<Underway>,
    /// What it refused last.
    pub refused: Option<Refused>,
    /// How far what the hub wants got.
    pub stage: Option<Stage>,
    /// What it is: operating system and processor; empty before it said so.
    pub platform: String,
    /// Whether it is connected.
    pub online: bool,
    /// When it was last heard of.
    pub last_seen: WallTime,
    /// How often it has started.
    pub boot: i64,
    /// Whether it has answered to what the hub wants by now.
    pub answered: bool,
    /// What runs beside what serves, or is to.
    pub shadow: ShadowFacts,
}

/// All columns that facts are made of, of devices with one slot.
const SELECT: &str = "SELECT d.id, d.site, d.labels, s.assigned_model, s.assigned_version, \
     s.assigned_bundle, s.assigned_len, s.assigned_weights, s.assigned_rollout, s.serving_bundle, \
     s.serving_weights, s.progress_bundle, s.progress_bytes, s.progress_total, \
     s.rejected_bundle, s.rejected_text, s.progress_phase, s.serving_confirmed, \
     s.shadow_model, s.shadow_version, s.shadow_bundle, s.shadow_len, s.shadow_weights, \
     s.shadow_rollout, s.shadow_permille, s.shadow_phase, s.shadow_text, \
     d.platform, d.online, d.last_seen, d.boot, d.reported_revision, d.desired_revision \
     FROM slot s JOIN device d ON d.workspace = s.workspace AND d.id = s.device \
     WHERE s.workspace = $1 AND s.slot = $2";

const DOING: &str = "reading devices for rollouts";

/// Every device of a workspace that has this slot, in the order of their ids, in one query.
pub async fn facts<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    slot: &SlotName,
) -> Result<Vec<DeviceFacts>, StoreError> {
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        format!("{SELECT} ORDER BY s.device"),
        [workspace.as_str().into(), slot.as_str().into()],
    );
    let rows = db.query_all_raw(select).await.doing(DOING)?;
    rows.iter().map(from_row).collect()
}

/// Those of some devices that have this slot, in the order of their ids.
pub async fn facts_of<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    slot: &SlotName,
    devices: &[&DeviceId],
) -> Result<Vec<DeviceFacts>, StoreError> {
    let places: Vec<String> = (3..devices.len() + 3).map(|n| format!("${n}")).collect();
    let names = devices.iter().map(|device| device.as_str().into());
    let values = [workspace.as_str().into(), slot.as_str().into()];
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        format!(
            "{SELECT} AND s.device IN ({}) ORDER BY s.device",
            places.join(", ")
        ),
        values.into_iter().chain(names),
    );
    let rows = db.query_all_raw(select).await.doing(DOING)?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &QueryResult) -> Result<DeviceFacts, StoreError> {
    let text = |column: usize| row.try_get_by_index::<Option<String>>(column).doing(DOING);
    let number = |column: usize| row.try_get_by_index::<Option<i64>>(column).doing(DOING);
    let bytes = |column: usize| row.try_get_by_index::<Option<Vec<u8>>>(column).doing(DOING);
    let slot = slot::Model {
        assigned_model: text(3)?,
        assigned_version: number(4)?,
        assigned_bundle: bytes(5)?,
        assigned_len: number(6)?,
        assigned_weights: bytes(7)?,
        assigned_rollout: number(8)?,
        serving_bundle: bytes(9)?,
        serving_weights: bytes(10)?,
        progress_bundle: bytes(11)?,
        progress_bytes: number(12)?,
        progress_total: number(13)?,
        rejected_bundle: bytes(14)?,
        rejected_text: text(15)?,
        progress_phase: text(16)?,
        serving_confirmed: row.try_get_by_index(17).doing(DOING)?,
        shadow_model: text(18)?,
        shadow_version: number(19)?,
        shadow_bundle: bytes(20)?,
        shadow_len: number(21)?,
        shadow_weights: bytes(22)?,
        shadow_rollout: number(23)?,
        shadow_permille: number(24)?,
        shadow_phase: text(25)?,
        shadow_text: text(26)?,
        ..Default::default()
    };
    let labels: String = row.try_get_by_index(2).doing(DOING)?;
    let id: String = row.try_get_by_index(0).doing(DOING)?;
    let site: String = row.try_get_by_index(1).doing(DOING)?;
    Ok(DeviceFacts {
        device: parsed("device id", &id)?,
        site: parsed("site name", &site)?,
        labels: labels_from(&labels)?,
        assigned: assigned(&slot)?,
        serving: served(&slot)?,
        underway: underway(&slot)?,
        refused: refused(&slot)?,
        stage: stage::stage(&slot),
        platform: text(27)?.unwrap_or_default(),
        online: row.try_get_by_index(28).doing(DOING)?,
        last_seen: WallTime(number(29)?.unwrap_or_default()),
        boot: number(30)?.unwrap_or_default(),
        answered: number(31)? >= number(32)?,
        shadow: shadows::facts(&slot)?,
    })
}

/// Labels from their column.
pub(super) fn labels_from(text: &str) -> Result<BTreeMap<String, String>, StoreError> {
    if text == "{}" {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(text).map_err(|_| StoreError::Value {
        what: "set of labels",
        value: text.chars().take(80).collect(),
    })
}

/// A digest from its column.
pub fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| StoreError::Value {
        what: "digest",
        value: format!("{} bytes", bytes.len()),
    })?;
    Ok(Digest::from_bytes(bytes))
}

/// A model's name and version from their columns.
pub fn named_version(
    model: Option<&str>,
    version: Option<i64>,
) -> Result<Option<(ModelName, ModelVersion)>, StoreError> {
    let (Some(model), Some(number)) = (model, version) else {
        return Ok(None);
    };
    let version = u32::try_from(number).ok().and_then(ModelVersion::new);
    let version = version.ok_or_else(|| StoreError::Value {
        what: "version of a model",
        value: number.to_string(),
    })?;
    Ok(Some((parsed("model name", model)?, version)))
}

/// What the hub wants in a slot.
pub(super) fn assigned(row: &slot::Model) -> Result<Option<Assigned>, StoreError> {
    assigned_from(
        named_version(row.assigned_model.as_deref(), row.assigned_version)?,
        row.assigned_bundle.as_deref(),
        row.assigned_len,
        row.assigned_weights.as_deref(),
        row.assigned_rollout,
    )
}

/// What is or was wanted, from its columns; nothing if one of them is empty.
pub fn assigned_from(
    named: Option<(ModelName, ModelVersion)>,
    bundle: Option<&[u8]>,
    len: Option<i64>,
    weights: Option<&[u8]>,
    rollout: Option<i64>,
) -> Result<Option<Assigned>, StoreError> {
    let (Some((model, version)), Some(bundle), Some(len), Some(weights)) =
        (named, bundle, len, weights)
    else {
        return Ok(None);
    };
    let bundle = BlobRef {
        digest: digest(bundle)?,
        len: len.max(0).unsigned_abs(),
    };
    let rollout = rollout.and_then(|id| u32::try_from(id).ok());
    Ok(Some(Assigned {
        target: Target {
            model,
            version,
            bundle,
            weights: digest(weights)?,
        },
        rollout: RolloutId(rollout.unwrap_or_default()),
    }))
}

/// Writes what the hub wants into a slot's row.
pub(super) fn assign(row: &mut slot::Model, assigned: Option<&Assigned>) {
    let target = assigned.map(|assigned| &assigned.target);
    row.assigned_model = target.map(|target| target.model.to_string());
    row.assigned_version = target.map(|target| i64::from(target.version.get()));
    row.assigned_bundle = target.map(|target| target.bundle.digest.as_bytes().to_vec());
    row.assigned_len = target.map(|target| i64::try_from(target.bundle.len).unwrap_or(i64::MAX));
    row.assigned_weights = target.map(|target| target.weights.as_bytes().to_vec());
    row.assigned_rollout = assigned.map(|assigned| i64::from(assigned.rollout.0));
}

/// What a slot serves.
pub(super) fn served(row: &slot::Model) -> Result<Option<Served>, StoreError> {
    let (Some(bundle), Some(weights)) = (&row.serving_bundle, &row.serving_weights) else {
        return Ok(None);
    };
    Ok(Some(Served {
        bundle: digest(bundle)?,
        weights: digest(weights)?,
    }))
}

fn underway(row: &slot::Model) -> Result<Option<Underway>, StoreError> {
    let Some(bundle) = &row.progress_bundle else {
        return Ok(None);
    };
    Ok(Some(Underway {
        bundle: digest(bundle)?,
        bytes: row.progress_bytes.unwrap_or(0).max(0).unsigned_abs(),
        total: row.progress_total.unwrap_or(0).max(0).unsigned_abs(),
    }))
}

fn refused(row: &slot::Model) -> Result<Option<Refused>, StoreError> {
    let Some(bundle) = &row.rejected_bundle else {
        return Ok(None);
    };
    let text = row.rejected_text.clone().unwrap_or_default();
    let reason = text
        .split_once(": ")
        .map_or(text.as_str(), |(word, _)| word);
    Ok(Some(Refused {
        bundle: digest(bundle)?,
        reason: Refusal::from_word(reason),
        text,
    }))
}
