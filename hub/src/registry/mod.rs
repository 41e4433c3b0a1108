//! Models and their immutable versions.
//!
//! Called by the API (publish, list), `rollout` (what to assign), `fleet` (what proves serving),
//! `monitor` (names of classes). Calls the agents' own engine for vetting, `blobs` and the store.
//!
//! Must never break:
//! - a version exists only if its model passed vetting, and all of its blobs are stored;
//! - a version never changes, and its number is never given again;
//! - a refused model changes nothing, and its publisher learns which check failed, on what, and
//!   what to do.

mod facts;
#[cfg(test)]
pub(crate) mod fixture;
pub mod lacking;
mod parts;
pub mod publish;
pub mod rows;
pub mod schema;
#[cfg(test)]
mod tests;
pub mod vetting;

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};
use serde::{Deserialize, Serialize};
use tern_protocol::{
    agent_version::AgentVersion,
    blob::BlobRef,
    codec,
    digest::Digest,
    id::{ModelName, ModelVersion, WorkspaceId},
    limits,
    manifest::Measured,
    metric::MetricSpec,
    profile::Reference,
    rest::{
        DatasetPick, DeltaView, ModelView, NewInputSteps, NewOutputSteps, NewPostStep, NewPreStep,
        NewVersion, Revoked, Stages, TrainedOn, VersionRef, VersionView,
    },
    steps::{InputSteps, OutputSteps},
    tensor::TensorSpec,
    time::WallTime,
};

pub use self::{
    parts::{part_named, parts_of},
    publish::{PublishError, Published, publish, publish_transcoded},
};
use crate::{
    app::App,
    blobs::BlobError,
    datasets, deltas, fleet,
    store::{Doing as _, Store, StoreError, json, parsed},
    trust,
};

/// What a rollout and the proof of serving need of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleFacts {
    /// The blob that holds the manifest.
    pub bundle: BlobRef,
    /// Digest of the ONNX bytes: what a device that serves it reports.
    pub weights: Digest,
    /// Bytes that a device fetches: manifest and parts.
    pub total_bytes: u64,
    /// Whether devices take it: it is signed.
    pub signed: bool,
    /// Whether it is revoked.
    pub revoked: bool,
}

/// What a version asks of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// The oldest agent that may run it.
    pub min_agent: Option<AgentVersion>,
    /// What vetting measured.
    pub measured: Vec<Measured>,
}

/// All models of a workspace, by name.
pub async fn models(store: &Store, workspace: &WorkspaceId) -> Result<Vec<ModelView>, StoreError> {
    let beside = Beside::read(store, workspace, None).await?;
    let models = rows::model::Entity::find()
        .filter(rows::model::Column::Workspace.eq(workspace.as_str()))
        .order_by_asc(rows::model::Column::Name)
        .all(store.read())
        .await
        .doing("reading models")?;
    let versions = rows::version::Entity::find()
        .filter(rows::version::Column::Workspace.eq(workspace.as_str()))
        .order_by_desc(rows::version::Column::Version)
        .all(store.read())
        .await
        .doing("reading versions of models")?;
    let mut by_model: BTreeMap<String, Vec<VersionView>> = BTreeMap::new();
    for row in versions {
        let of = by_model.entry(row.model.clone()).or_default();
        of.push(view(row, &beside)?);
    }
    let views = models.into_iter().map(|row| {
        Ok(ModelView {
            name: parsed("model name", &row.name)?,
            created: WallTime(row.created),
            versions: by_model.remove(&row.name).unwrap_or_default(),
        })
    });
    views.collect()
}

/// One model, if there is one of that name.
pub async fn model(
    store: &Store,
    workspace: &WorkspaceId,
    name: &ModelName,
) -> Result<Option<ModelView>, StoreError> {
    let key = (workspace.to_string(), name.to_string());
    let row = rows::model::Entity::find_by_id(key).one(store.read()).await;
    let Some(row) = row.doing("reading a model")? else {
        return Ok(None);
    };
    let beside = Beside::read(store, workspace, Some(name)).await?;
    let versions = rows::version::Entity::find()
        .filter(rows::version::Column::Workspace.eq(workspace.as_str()))
        .filter(rows::version::Column::Model.eq(name.as_str()))
        .order_by_desc(rows::version::Column::Version)
        .all(store.read())
        .await
        .doing("reading versions of a model")?;
    let versions: Result<_, _> = versions.into_iter().map(|row| view(row, &beside)).collect();
    Ok(Some(ModelView {
        name: name.clone(),
        created: WallTime(row.created),
        versions: versions?,
    }))
}

/// One version, if there is one.
pub async fn version(
    store: &Store,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<VersionView>, StoreError> {
    let Some(row) = row(store.read(), workspace, model, version).await? else {
        return Ok(None);
    };
    let beside = Beside::read(store, workspace, Some(model)).await?;
    view(row, &beside).map(Some)
}

/// What a version was published as, to publish it in another form.
pub async fn as_published(
    store: &Store,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<NewVersion>, StoreError> {
    let Some(row) = row(store.read(), workspace, model, version).await? else {
        return Ok(None);
    };
    let declared = Declared::read(&row.declared)?;
    let pre = declared.pre.into_iter().map(|of| NewInputSteps {
        input: of.input,
        steps: of.steps.into_iter().map(NewPreStep::Known).collect(),
    });
    let post = declared.post.into_iter().map(|of| NewOutputSteps {
        output: of.output,
        steps: of.steps.into_iter().map(NewPostStep::Known).collect(),
    });
    let reference = Some(&row.reference).filter(|reference| !reference.is_empty());
    Ok(Some(NewVersion {
        onnx: parsed("digest", &row.onnx)?,
        golden: parsed("digest", &row.golden)?,
        reference: reference.map(|text| parsed("digest", text)).transpose()?,
        inputs: json("inputs", &row.inputs)?,
        outputs: json("outputs", &row.outputs)?,
        classes: json("classes", &row.classes)?,
        pre: pre.collect(),
        post: post.collect(),
        min_agent: declared.min_agent,
        metrics: declared.metrics,
        note: row.note,
        validation_accuracy: row.validation_accuracy,
        dataset: datasets::trained::of(store.read(), workspace, model, version)
            .await?
            .map(DatasetPick::Id),
    }))
}

/// Whether a version of a model of this workspace names a blob, or it is a delta or signed metadata of its:
/// only such blobs leave the hub for its devices.
pub async fn ships(
    store: &Store,
    workspace: &WorkspaceId,
    digest: Digest,
) -> Result<bool, StoreError> {
    let digest = digest.to_string();
    let names = Condition::any()
        .add(rows::version::Column::Bundle.eq(&digest))
        .add(rows::version::Column::Onnx.eq(&digest))
        .add(rows::version::Column::Golden.eq(&digest))
        .add(rows::version::Column::Reference.eq(&digest));
    let found = rows::version::Entity::find()
        .filter(rows::version::Column::Workspace.eq(workspace.as_str()))
        .filter(names)
        .count(store.read())
        .await
        .doing("looking for a version that names a blob")?;
    Ok(found > 0
        || deltas::ships(store, workspace, &digest).await?
        || trust::ships(store, workspace, &digest).await?)
}

/// What a rollout assigns and what proves that a device serves it.
pub async fn bundle_of(
    store: &Store,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<BundleFacts>, StoreError> {
    bundle_within(store.read(), workspace, model, version).await
}

/// As [`bundle_of`], for callers that are inside a transaction.
pub async fn bundle_within(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<BundleFacts>, StoreError> {
    let Some(row) = row(db, workspace, model, version).await? else {
        return Ok(None);
    };
    Ok(Some(BundleFacts {
        bundle: blob_ref(&row.bundle, row.bundle_len)?,
        weights: parsed("digest", &row.onnx)?,
        total_bytes: row.total_bytes.max(0).unsigned_abs(),
        signed: row.signed,
        revoked: row.revoked.is_some(),
    }))
}

/// When a version was published; nothing if there is no such version.
pub async fn created(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<WallTime>, StoreError> {
    let row = row(db, workspace, model, version).await?;
    Ok(row.map(|row| WallTime(row.created)))
}

/// What a version asks of a device; nothing if there is no such version.
pub async fn needs(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Needs, StoreError> {
    let Some(row) = row(db, workspace, model, version).await? else {
        return Ok(Needs::default());
    };
    Ok(Needs {
        min_agent: Declared::read(&row.declared)?.min_agent,
        measured: json("measurements", &row.measured)?,
    })
}

/// Names of the classes of each version of each model; what charts and captures show.
pub async fn classes(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: Option<&ModelName>,
) -> Result<BTreeMap<VersionRef, Vec<String>>, StoreError> {
    let mut find = rows::version::Entity::find()
        .filter(rows::version::Column::Workspace.eq(workspace.as_str()));
    if let Some(model) = model {
        find = find.filter(rows::version::Column::Model.eq(model.as_str()));
    }
    let rows = find.all(db).await.doing("reading classes of models")?;
    let named = rows.into_iter().map(|row| {
        let of = VersionRef {
            model: parsed("model name", &row.model)?,
            version: number(row.version)?,
        };
        Ok((of, json("classes", &row.classes)?))
    });
    named.collect()
}

/// What requests to the newest version of a model carry; nothing if there is none.
pub async fn newest_inputs(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Option<(ModelVersion, Vec<TensorSpec>)>, StoreError> {
    let newest = rows::version::Entity::find()
        .filter(rows::version::Column::Workspace.eq(workspace.as_str()))
        .filter(rows::version::Column::Model.eq(model.as_str()))
        .order_by_desc(rows::version::Column::Version)
        .one(db)
        .await
        .doing("reading the newest version of a model")?;
    newest
        .map(|row| Ok((number(row.version)?, json("inputs", &row.inputs)?)))
        .transpose()
}

/// Metrics that each version of each model declares.
pub async fn metrics(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: Option<&ModelName>,
) -> Result<BTreeMap<VersionRef, Vec<MetricSpec>>, StoreError> {
    let mut find = rows::version::Entity::find()
        .filter(rows::version::Column::Workspace.eq(workspace.as_str()))
        .filter(rows::version::Column::Declared.contains("\"metrics\":"));
    if let Some(model) = model {
        find = find.filter(rows::version::Column::Model.eq(model.as_str()));
    }
    let rows = find.all(db).await.doing("reading metrics of models")?;
    let declared = rows.into_iter().map(|row| {
        let of = VersionRef {
            model: parsed("model name", &row.model)?,
            version: number(row.version)?,
        };
        Ok((of, Declared::read(&row.declared)?.metrics))
    });
    declared.collect()
}

/// Metrics that a version declares; nothing if there is no such version.
pub async fn metrics_of(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<Vec<MetricSpec>>, StoreError> {
    let row = row(db, workspace, model, version).await?;
    row.map(|row| Ok(Declared::read(&row.declared)?.metrics))
        .transpose()
}

/// The reference profile of a version: nothing if there is no such version, and nothing in it if it came without one.
pub async fn reference(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<Option<Digest>>, StoreError> {
    let Some(row) = row(db, workspace, model, version).await? else {
        return Ok(None);
    };
    let digest = Some(row.reference.as_str()).filter(|digest| !digest.is_empty());
    let digest = digest.map(|digest| parsed("digest", digest));
    digest.transpose().map(Some)
}

/// Why a reference profile cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Its blob is damaged or gone.
    #[error("the reference profile cannot be read")]
    Blob(#[from] BlobError),
    /// The database failed, or the blob is no profile.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// As [`reference()`], read.
pub async fn profile(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<Option<Reference>>, ProfileError> {
    let digest = match reference(app.store.read(), workspace, model, version).await? {
        None => return Ok(None),
        Some(None) => return Ok(Some(None)),
        Some(Some(digest)) => digest,
    };
    let bytes = app.blobs.read_all(digest, limits::PROFILE as u64).await?;
    let read = codec::decode_within(&bytes, limits::PROFILE);
    let read = read.map_err(|source| StoreError::Message {
        what: "reference profile",
        source,
    })?;
    Ok(Some(Some(read)))
}

async fn row(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<rows::version::Model>, StoreError> {
    let key = (
        workspace.to_string(),
        model.to_string(),
        i64::from(version.get()),
    );
    let row = rows::version::Entity::find_by_id(key).one(db).await;
    row.doing("reading a version of a model")
}

/// What is known of versions beside their rows, and changes.
struct Beside {
    /// How many devices serve each now.
    serving: BTreeMap<VersionRef, u64>,
    /// How far devices got with each.
    stages: BTreeMap<VersionRef, Stages>,
    /// What became of the deltas to each.
    deltas: BTreeMap<VersionRef, Vec<DeltaView>>,
    /// What each was trained on.
    datasets: BTreeMap<VersionRef, TrainedOn>,
}

impl Beside {
    /// Of all versions of a workspace, or of those of one model.
    async fn read(
        store: &Store,
        workspace: &WorkspaceId,
        model: Option<&ModelName>,
    ) -> Result<Self, StoreError> {
        let (counts, stages) = tokio::try_join!(
            fleet::serving_counts(store, workspace),
            fleet::stages(store, workspace),
        )?;
        let counts = counts
            .into_iter()
            .filter_map(|c| Some((c.version?, c.devices)));
        Ok(Self {
            serving: counts.collect(),
            stages: stages.by_version,
            deltas: deltas::views(store.read(), workspace, model).await?,
            datasets: datasets::trained::all(store.read(), workspace, model).await?,
        })
    }
}

fn view(row: rows::version::Model, beside: &Beside) -> Result<VersionView, StoreError> {
    let of = VersionRef {
        model: parsed("model name", &row.model)?,
        version: number(row.version)?,
    };
    let declared = Declared::read(&row.declared)?;
    let devices_serving = beside.serving.get(&of).copied().unwrap_or(0);
    let stages = beside.stages.get(&of).copied().unwrap_or_default();
    let deltas = beside.deltas.get(&of).cloned().unwrap_or_default();
    let dataset = beside.datasets.get(&of).cloned();
    Ok(VersionView {
        model: of.model,
        version: of.version,
        created: WallTime(row.created),
        bundle: blob_ref(&row.bundle, row.bundle_len)?,
        onnx: blob_ref(&row.onnx, row.onnx_len)?,
        total_bytes: row.total_bytes.max(0).unsigned_abs(),
        inputs: json("inputs", &row.inputs)?,
        outputs: json("outputs", &row.outputs)?,
        classes: json("classes", &row.classes)?,
        pre: declared.pre,
        post: declared.post,
        min_agent: declared.min_agent,
        metrics: declared.metrics,
        measured: json("measurements", &row.measured)?,
        bases: json("bases", &row.bases)?,
        deltas,
        note: row.note,
        validation_accuracy: row.validation_accuracy,
        vetting: json("vetting", &row.vetting)?,
        devices_serving,
        stages,
        signed: row.signed,
        transcoded: if row.transcoded.is_empty() {
            None
        } else {
            Some(json("transcoding", &row.transcoded)?)
        },
        dataset,
        revoked: revoked(row.revoked, row.revoked_at, row.replacement)?,
        lacks: Vec::new(),
    })
}

fn revoked(
    reason: Option<String>,
    at: Option<i64>,
    replacement: Option<i64>,
) -> Result<Option<Revoked>, StoreError> {
    let replacement = replacement.map(number).transpose()?;
    Ok(reason.map(|reason| Revoked {
        reason,
        at: WallTime(at.unwrap_or(0)),
        replacement,
    }))
}

/// What a publisher declares beyond the files, and what tells versions of the same files apart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Declared {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pre: Vec<InputSteps>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    post: Vec<OutputSteps>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_agent: Option<AgentVersion>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricSpec>,
}

impl Declared {
    fn of(new: &NewVersion) -> Self {
        Self {
            pre: new.known_pre(),
            post: new.known_post(),
            min_agent: new.min_agent,
            metrics: new.metrics.clone(),
        }
    }

    /// As it is stored: nothing for nothing, as versions have it that are older than steps.
    fn text(&self) -> String {
        if *self == Self::default() {
            String::new()
        } else {
            serde_json::to_string(self).expect("declarations are JSON")
        }
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        if text.is_empty() {
            Ok(Self::default())
        } else {
            json("declarations", text)
        }
    }
}

fn blob_ref(digest: &str, len: i64) -> Result<BlobRef, StoreError> {
    Ok(BlobRef {
        digest: parsed("digest", digest)?,
        len: len.max(0).unsigned_abs(),
    })
}

fn number(version: i64) -> Result<ModelVersion, StoreError> {
    let number = u32::try_from(version).ok().and_then(ModelVersion::new);
    number.ok_or_else(|| StoreError::Value {
        what: "version number",
        value: version.to_string(),
    })
}
