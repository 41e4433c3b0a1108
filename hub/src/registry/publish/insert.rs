//! A version becomes a row, with its number and its manifest.

use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait,
    QueryFilter, QueryOrder as _, QuerySelect as _, TransactionTrait as _, sea_query::OnConflict,
};
use tern_agent::engine::measure::Measurement;
use tern_protocol::{
    blob::BlobRef,
    codec,
    id::{DatasetId, ModelName, ModelVersion, WorkspaceId},
    limits,
    manifest::{Base, Manifest, Measured},
    rest::{NewVersion, Transcoded, Vetting},
};

use super::{
    super::{Declared, facts, rows},
    PublishError,
    files::Files,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    datasets::trained,
    deltas,
    store::{Doing as _, StoreError},
};

/// Versions that a delta may start from: a device that is further behind fetches the whole.
const BASES: u64 = 4;

/// Attempts to take the next number of a model. Another attempt is needed only when somebody else
/// published the same model in the milliseconds between.
const ATTEMPTS: usize = 16;

/// What an insert found in the table.
pub(super) enum Inserted {
    New(rows::version::Model),
    Known(rows::version::Model),
}

/// Stores the manifest, then gives the number and writes the row in one transaction. The manifest
/// holds the number, so if somebody else took it meanwhile, the next one is tried; a manifest that
/// no row names harms nobody.
#[expect(
    clippy::too_many_arguments,
    reason = "a row has many columns; this only hands them on"
)]
pub(super) async fn insert(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    new: &NewVersion,
    files: Files,
    measured: &Measurement,
    transcoded: Option<&Transcoded>,
    dataset: Option<DatasetId>,
) -> Result<Inserted, PublishError> {
    for _ in 0..ATTEMPTS {
        let version = next_number(app.store.read(), workspace, model).await?;
        let bases = bases(app.store.read(), workspace, model).await?;
        let bundle = store_manifest(app, model, version, new, files, measured, &bases).await?;
        let row = row(
            app, workspace, model, version, new, files, bundle, measured, &bases, transcoded,
        )?;

        let txn = app
            .store
            .write()
            .begin()
            .await
            .doing("beginning to publish")?;
        if let Some(row) = known(&txn, workspace, model, new).await? {
            return Ok(Inserted::Known(row));
        }
        if next_number(&txn, workspace, model).await? != version {
            continue;
        }
        take_number(&txn, workspace, model, version, app.clock.now().0).await?;
        // From here on nobody else writes, whoever collects garbage among them: what is there now is
        // there when the row is.
        files.claim(app, Some(bundle)).await?;
        let row = row
            .insert(&txn)
            .await
            .doing("writing a version of a model")?;
        if let Some(dataset) = dataset {
            trained::note(&txn, workspace, model, version, dataset).await?;
        }
        let published = deltas::Published {
            workspace,
            model,
            version,
            onnx: files.onnx,
            bases: &bases,
            at: app.clock.now(),
        };
        deltas::plan(&txn, published).await?;
        let deed = Deed::new("model.publish", format!("model {model} version {version}"))
            .within(workspace)
            .after(new)
            .detail(format!("bundle {}", bundle.digest));
        audit::record(&txn, &app.clock, by, deed).await?;
        txn.commit()
            .await
            .doing("publishing a version of a model")?;
        return Ok(Inserted::New(row));
    }
    Err(PublishError::Busy)
}

/// Builds the manifest and stores it.
async fn store_manifest(
    app: &App,
    model: &ModelName,
    version: ModelVersion,
    new: &NewVersion,
    files: Files,
    measured: &Measurement,
    bases: &[Base],
) -> Result<BlobRef, PublishError> {
    let manifest = codec::encode(&Manifest {
        model: model.clone(),
        version,
        onnx: files.onnx,
        golden: files.golden,
        reference: files.reference,
        inputs: new.inputs.clone(),
        outputs: new.outputs.clone(),
        classes: new.classes.clone(),
        pre: new.known_pre(),
        post: new.known_post(),
        min_agent: new.min_agent,
        operators: measured.operators.clone(),
        measured: vec![of_target(measured)],
        bases: bases.to_vec(),
        metrics: new.metrics.clone(),
    });
    if manifest.len() > limits::MANIFEST {
        return Err(PublishError::Refused(vec![facts::manifest_too_large(
            manifest.len(),
        )]));
    }
    Ok(app.blobs.put_bytes(manifest.into()).await?)
}

/// What vetting measured, for the class of target that the hub itself is.
fn of_target(measured: &Measurement) -> Measured {
    Measured {
        target: std::env::consts::ARCH.into(),
        latency_us: measured.latency_us.round() as u64,
        load_us: measured.load_us.round() as u64,
        peak_rss: measured.peak_rss,
        p95_us: Some(measured.p95_us.round() as u64),
    }
}

/// The newest versions of a model before the next.
async fn bases(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Vec<Base>, StoreError> {
    let newest = rows::version::Entity::find()
        .filter(rows::version::Column::Workspace.eq(workspace.as_str()))
        .filter(rows::version::Column::Model.eq(model.as_str()))
        .order_by_desc(rows::version::Column::Version)
        .limit(BASES)
        .all(db)
        .await
        .doing("reading versions of a model")?;
    let base = |row: rows::version::Model| {
        Ok(Base {
            version: super::super::number(row.version)?,
            onnx: super::super::blob_ref(&row.onnx, row.onnx_len)?,
        })
    };
    newest.into_iter().map(base).collect()
}

#[expect(
    clippy::too_many_arguments,
    reason = "a row has many columns; this only fills them"
)]
fn row(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
    new: &NewVersion,
    files: Files,
    bundle: BlobRef,
    measured: &Measurement,
    bases: &[Base],
    transcoded: Option<&Transcoded>,
) -> Result<rows::version::ActiveModel, StoreError> {
    let parts = [
        Some(bundle),
        Some(files.onnx),
        Some(files.golden),
        files.reference,
    ];
    let total: u64 = parts.into_iter().flatten().map(|blob| blob.len).sum();
    let text = |what, value: Result<String, serde_json::Error>| {
        value.map_err(|err| StoreError::Value {
            what,
            value: err.to_string(),
        })
    };
    let vetting = Vetting {
        operators: measured.operators.clone(),
        golden_samples: measured.golden_samples,
        golden_difference: measured.golden_difference,
        latency_us: measured.latency_us,
        load_ms: measured.load_us / 1e3,
    };
    Ok(rows::version::ActiveModel {
        workspace: Set(workspace.to_string()),
        model: Set(model.to_string()),
        version: Set(version.get().into()),
        created: Set(app.clock.now().0),
        bundle: Set(bundle.digest.to_string()),
        bundle_len: Set(bundle.len as i64),
        onnx: Set(files.onnx.digest.to_string()),
        onnx_len: Set(files.onnx.len as i64),
        golden: Set(files.golden.digest.to_string()),
        reference: Set(reference_key(new)),
        total_bytes: Set(total as i64),
        inputs: Set(text("inputs", serde_json::to_string(&new.inputs))?),
        outputs: Set(text("outputs", serde_json::to_string(&new.outputs))?),
        classes: Set(text("classes", serde_json::to_string(&new.classes))?),
        note: Set(new.note.clone()),
        validation_accuracy: Set(new.validation_accuracy),
        vetting: Set(text("vetting", serde_json::to_string(&vetting))?),
        signed: Set(false),
        revoked: Set(None),
        revoked_at: Set(None),
        replacement: Set(None),
        declared: Set(Declared::of(new).text()),
        measured: Set(text(
            "measurements",
            serde_json::to_string(&[of_target(measured)]),
        )?),
        bases: Set(text("bases", serde_json::to_string(bases))?),
        transcoded: Set(match transcoded {
            Some(transcoded) => text("transcoding", serde_json::to_string(transcoded))?,
            None => String::new(),
        }),
    })
}

/// The number that the next version of a model gets.
async fn next_number(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<ModelVersion, StoreError> {
    let key = (workspace.to_string(), model.to_string());
    let row = rows::model::Entity::find_by_id(key)
        .one(db)
        .await
        .doing("reading a model")?;
    row.map_or(Ok(ModelVersion::FIRST), |row| {
        Ok(super::super::number(row.last_version)?.next())
    })
}

/// Marks the number as given; makes the model with its first.
async fn take_number(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
    now: i64,
) -> Result<(), StoreError> {
    let row = rows::model::ActiveModel {
        workspace: Set(workspace.to_string()),
        name: Set(model.to_string()),
        created: Set(now),
        last_version: Set(version.get().into()),
    };
    let key = [rows::model::Column::Workspace, rows::model::Column::Name];
    let taken = OnConflict::columns(key)
        .update_column(rows::model::Column::LastVersion)
        .to_owned();
    let upsert = rows::model::Entity::insert(row).on_conflict(taken);
    upsert
        .exec_without_returning(txn)
        .await
        .doing("numbering a version of a model")?;
    Ok(())
}

/// The version that the same files were published as.
pub(super) async fn known(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    new: &NewVersion,
) -> Result<Option<rows::version::Model>, StoreError> {
    rows::version::Entity::find()
        .filter(rows::version::Column::Workspace.eq(workspace.as_str()))
        .filter(rows::version::Column::Model.eq(model.as_str()))
        .filter(rows::version::Column::Onnx.eq(new.onnx.to_string()))
        .filter(rows::version::Column::Golden.eq(new.golden.to_string()))
        .filter(rows::version::Column::Reference.eq(reference_key(new)))
        .filter(rows::version::Column::Declared.eq(Declared::of(new).text()))
        .one(db)
        .await
        .doing("looking for the same files")
}

fn reference_key(new: &NewVersion) -> String {
    new.reference
        .map(|digest| digest.to_string())
        .unwrap_or_default()
}
