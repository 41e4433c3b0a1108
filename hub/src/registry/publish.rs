//! Publishing: blobs that were uploaded before become a version, if the model passes vetting.

use std::time::Duration;

use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait,
    QueryFilter, QueryOrder as _, QuerySelect as _, TransactionTrait, sea_query::OnConflict,
};
use tern_agent::engine::measure::{Comparison, Measurement};
use tern_otlp::SPANS;
use tern_protocol::{
    blob::BlobRef,
    codec,
    digest::Digest,
    id::{DatasetId, ModelName, ModelVersion, WorkspaceId},
    limits,
    manifest::{Base, Manifest, Measured},
    rest::{
        Change, DatasetPick, Finding, NewPostStep, NewPreStep, NewVersion, Transcoded, VersionView,
        Vetting,
    },
    steps::{PreStep, of_input},
};
use tokio::sync::Semaphore;

pub(crate) use super::vetting::Pair;
use super::{
    Beside, Declared, facts, lacking, rows,
    vetting::{self, VettingError},
    view,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    blobs::BlobError,
    datasets::{DatasetError, trained},
    deltas,
    store::{Doing as _, StoreError, chain, parsed},
    trust,
};

/// Largest ONNX file that the hub vets (256 MiB). It is read whole and its graph is optimised in
/// memory, which takes a few times as much; devices of this fleet have less.
pub const ONNX: u64 = 256 * 1024 * 1024;

/// Longest wait for the vetting of another model.
pub const VETTING_WAIT: Duration = Duration::from_mins(1);

/// Longest note for people, in bytes: as long as a publisher's may be.
pub(crate) const NOTE: usize = facts::NOTE;

/// Versions that a delta may start from: a device that is further behind fetches the whole.
const BASES: u64 = 4;

/// Models vetted at the same time. One: vetting measures latency, and takes memory.
static VETTING: Semaphore = Semaphore::const_new(1);

/// Attempts to take the next number of a model. Another attempt is needed only when somebody else
/// published the same model in the milliseconds between.
const ATTEMPTS: usize = 16;

/// What publishing led to.
#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    /// A new version.
    New(VersionView),
    /// The same files were published before; this is their version.
    Known(VersionView),
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The model was vetted and refused.
    #[error("the model was refused: {}", texts(.0))]
    Refused(Vec<Finding>),
    /// Another model is being vetted for too long.
    #[error("another model is being vetted; try again in a minute")]
    Busy,
    /// The process that vets did not start.
    #[error("starting a process to vet the model")]
    Start(#[source] std::io::Error),
    /// A blob could not be read or stored.
    #[error("reading or storing the files of the model")]
    Blob(#[from] BlobError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn texts(findings: &[Finding]) -> String {
    let texts: Vec<_> = findings
        .iter()
        .map(|f| format!("{}: {}", f.subject, f.message))
        .collect();
    texts.join("; ")
}

/// Publishes a version of `model`. A refusal changes nothing.
pub async fn publish(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    new: NewVersion,
) -> Result<Published, PublishError> {
    publish_form(app, by, workspace, model, new, None).await
}

/// As [`publish`], of a version that is another form of one that there is.
pub async fn publish_transcoded(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    new: NewVersion,
    transcoded: &Transcoded,
) -> Result<Published, PublishError> {
    publish_form(app, by, workspace, model, new, Some(transcoded)).await
}

#[tracing::instrument(
    target = SPANS, name = "publish", skip_all, fields(tern.workspace = %workspace, tern.model = %model)
)]
async fn publish_form(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    new: NewVersion,
    transcoded: Option<&Transcoded>,
) -> Result<Published, PublishError> {
    let dataset = match &new.dataset {
        Some(pick) => Some(trained_on(app, workspace, &new, pick).await?),
        None => None,
    };
    if is_understood(&new)
        && let Some(known) = known(app.store.read(), workspace, model, &new).await?
    {
        mended(app, &new, &known).await?;
        if let Some(dataset) = dataset {
            note(app, by, workspace, model, known.version, dataset).await?;
        }
        // The power may have gone between its row and its signature.
        let row = signed(app, workspace, model, known).await?;
        return Ok(Published::Known(view(
            row,
            &Beside::read(&app.store, workspace, Some(model)).await?,
        )?));
    }
    let files = Files::find(app, &new).await?;
    metrics_stay(app, workspace, model, &new).await?;
    let measured = vet(app, &new).await?;
    let row = insert(
        app, by, workspace, model, &new, files, &measured, transcoded, dataset,
    )
    .await?;
    let published = match row {
        Inserted::New(row) => {
            let row = signed(app, workspace, model, row).await?;
            let view = view(
                row,
                &Beside::read(&app.store, workspace, Some(model)).await?,
            )?;
            tracing::info!(%workspace, %model, version = %view.version, bundle = %view.bundle.digest,
                "published a version");
            app.changes.send(
                workspace,
                Change::Model {
                    model: model.clone(),
                },
            );
            app.wake.notify();
            app.deltas.notify();
            Published::New(view)
        }
        Inserted::Known(row) => {
            let row = signed(app, workspace, model, row).await?;
            Published::Known(view(
                row,
                &Beside::read(&app.store, workspace, Some(model)).await?,
            )?)
        }
    };
    Ok(published)
}

/// A metric means the same in all versions of a model that declare it.
async fn metrics_stay(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    new: &NewVersion,
) -> Result<(), PublishError> {
    if new.metrics.is_empty() {
        return Ok(());
    }
    let before = super::metrics(app.store.read(), workspace, Some(model)).await?;
    let findings = new.metrics.iter().filter_map(|spec| {
        // The newest decides: an older one may have been left behind under another name.
        let (of, known) = before.iter().rev().find_map(|(of, known)| {
            let known = known.iter().find(|known| known.name == spec.name)?;
            Some((of, known))
        })?;
        let same = (known.kind, &known.bins) == (spec.kind, &spec.bins);
        (!same).then(|| facts::metric_changed(spec, of.version))
    });
    let findings: Vec<Finding> = findings.collect();
    if findings.is_empty() {
        Ok(())
    } else {
        Err(PublishError::Refused(findings))
    }
}

/// The dataset that a version was trained on. Steps that its rows went through have to be declared: a device that did
/// others, or none, would get other answers than those that training saw.
async fn trained_on(
    app: &App,
    workspace: &WorkspaceId,
    new: &NewVersion,
    pick: &DatasetPick,
) -> Result<DatasetId, PublishError> {
    let finding = |message: String, remedy: &str| {
        PublishError::Refused(vec![facts::finding(
            "manifest",
            "dataset",
            message,
            remedy.to_owned(),
        )])
    };
    let refused = |err: DatasetError| match err {
        DatasetError::Store(err) => PublishError::Store(err),
        DatasetError::Blob(err) => PublishError::Blob(err),
        other => finding(
            other.to_string(),
            "name one that is done: `tern dataset list` shows them",
        ),
    };
    let found = trained::meant(app, workspace, pick)
        .await
        .map_err(refused)?;
    let steps = trained::steps(app, &found).await.map_err(refused)?;
    let declared = new.known_pre();
    let first = new.inputs.first().map(|input| input.name.as_str());
    let declared = first.map_or(&[][..], |first| of_input(&declared, first));
    if !steps.is_empty() && declared != steps {
        let shown = |steps: &[PreStep]| {
            let texts: Vec<_> = steps.iter().map(ToString::to_string).collect();
            texts.join(", ")
        };
        return Err(finding(
            format!(
                "rows of {} went through [{}], and the version declares [{}]",
                found.view.title(),
                shown(&steps),
                shown(declared)
            ),
            "declare in `pre` what `prepared.pre` of the dataset's manifest says; `tern model publish --dataset` does it \
             where publish.json declares no `pre`",
        ));
    }
    Ok(found.id())
}

/// Notes what a version that there is was trained on.
async fn note(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: i64,
    dataset: DatasetId,
) -> Result<(), StoreError> {
    const DOING: &str = "noting what a version was trained on";
    let version = super::number(version)?;
    let db = app.store.read();
    if trained::of(db, workspace, model, version).await? == Some(dataset) {
        return Ok(());
    }
    let txn = app.store.write().begin().await.doing(DOING)?;
    trained::note(&txn, workspace, model, version, dataset).await?;
    let deed = Deed::new(
        "model.trained-on",
        format!("model {model} version {version}"),
    );
    let deed = deed.within(workspace).detail(format!("dataset {dataset}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing(DOING)
}

/// Makes sure that a version that is published again has all of its files.
async fn mended(
    app: &App,
    new: &NewVersion,
    known: &rows::version::Model,
) -> Result<(), PublishError> {
    Files::find(app, new).await?;
    let bundle = parsed("digest", &known.bundle)?;
    if app.blobs.claim(bundle).await?.is_none() && !lacking::manifest_again(app, bundle).await? {
        return Err(PublishError::Blob(BlobError::Missing(bundle)));
    }
    Ok(())
}

/// Has a version signed, if this hub may sign and has not yet; its row after that.
async fn signed(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    row: rows::version::Model,
) -> Result<rows::version::Model, StoreError> {
    if row.signed {
        return Ok(row);
    }
    // What does not get there now is signed at the next look.
    if let Err(err) = trust::sync(app, workspace).await {
        tracing::error!(
            error = chain(&err),
            "a version that was published is not signed yet"
        );
    }
    let number = super::number(row.version)?;
    let now = super::row(app.store.read(), workspace, model, number).await?;
    Ok(now.unwrap_or(row))
}

/// Whether all of its steps are steps; a declaration that is not understood is like no other.
fn is_understood(new: &NewVersion) -> bool {
    let pre = new.pre.iter().flat_map(|of| &of.steps);
    let post = new.post.iter().flat_map(|of| &of.steps);
    pre.into_iter()
        .all(|step| matches!(step, NewPreStep::Known(_)))
        && post
            .into_iter()
            .all(|step| matches!(step, NewPostStep::Known(_)))
}

/// The uploaded files of a version.
#[derive(Clone, Copy)]
struct Files {
    onnx: BlobRef,
    golden: BlobRef,
    reference: Option<BlobRef>,
}

impl Files {
    /// Finds all files, or says which were not uploaded or are too large.
    async fn find(app: &App, new: &NewVersion) -> Result<Self, PublishError> {
        let wanted = [
            ("onnx", Some(new.onnx), ONNX),
            ("golden", Some(new.golden), limits::PROFILE as u64),
            ("reference", new.reference, limits::PROFILE as u64),
        ];
        let mut found = [None; 3];
        let mut findings = Vec::new();
        for (place, (name, digest, limit)) in found.iter_mut().zip(wanted) {
            let Some(digest) = digest else { continue };
            match app.blobs.claim_known(digest).await?.map(|blob| blob.len) {
                None => findings.push(not_uploaded(name, digest)),
                Some(len) if len > limit => findings.push(Finding {
                    check: "manifest".into(),
                    subject: name.into(),
                    message: format!("the file has {len} bytes, the limit is {limit}"),
                    remedy: "publish a smaller model; a device of this fleet could not run it"
                        .into(),
                }),
                Some(len) => *place = Some(BlobRef { digest, len }),
            }
        }
        match found {
            [Some(onnx), Some(golden), reference] if findings.is_empty() => Ok(Self {
                onnx,
                golden,
                reference,
            }),
            _ => Err(PublishError::Refused(findings)),
        }
    }
}

impl Files {
    /// Makes sure that all of them are there, and a bundle, and stay for a while.
    async fn claim(&self, app: &App, bundle: Option<BlobRef>) -> Result<(), PublishError> {
        let all = [
            ("onnx", Some(self.onnx)),
            ("golden", Some(self.golden)),
            ("reference", self.reference),
            ("bundle", bundle),
        ];
        for (name, blob) in all {
            let Some(BlobRef { digest, .. }) = blob else {
                continue;
            };
            if app.blobs.claim(digest).await?.is_none() {
                return Err(PublishError::Refused(vec![not_uploaded(name, digest)]));
            }
        }
        Ok(())
    }
}

fn not_uploaded(name: &str, digest: Digest) -> Finding {
    facts::finding(
        "manifest",
        name,
        format!("blob {digest} was not uploaded"),
        format!("upload the file with PUT /blobs/{digest}, then publish again"),
    )
}

/// Reads the files and has them vetted, one model at a time.
async fn vet(app: &App, new: &NewVersion) -> Result<Measurement, PublishError> {
    let turn = tokio::time::timeout(VETTING_WAIT, VETTING.acquire()).await;
    let turn = turn
        .map_err(|_| PublishError::Busy)?
        .expect("the semaphore is never closed");
    let profile = limits::PROFILE as u64;
    let candidate = vetting::Candidate {
        onnx: app.blobs.read_all(new.onnx, ONNX).await?,
        golden: app.blobs.read_all(new.golden, profile).await?,
        reference: match new.reference {
            Some(digest) => Some(app.blobs.read_all(digest, profile).await?),
            None => None,
        },
        facts: new.clone(),
    };
    let program = app.vetting.clone();
    // The turn goes with the thread: whoever asked may leave, and still no other is vetted beside it.
    let vetted = tokio::task::spawn_blocking(move || {
        let vetted = vetting::vet(&program, &candidate, vetting::Limits::DEFAULT);
        drop(turn);
        vetted
    });
    match vetted.await {
        Ok(Ok(measured)) => Ok(measured),
        Ok(Err(VettingError::Refused(findings))) => Err(PublishError::Refused(findings)),
        Ok(Err(VettingError::Start(err))) => Err(PublishError::Start(err)),
        Err(ended) => Err(PublishError::Start(std::io::Error::other(ended))),
    }
}

/// Has two forms of a model compared, in turn with all that is vetted.
pub(crate) async fn compare(app: &App, pair: Pair) -> Result<Comparison, PublishError> {
    let turn = tokio::time::timeout(VETTING_WAIT, VETTING.acquire()).await;
    let turn = turn
        .map_err(|_| PublishError::Busy)?
        .expect("the semaphore is never closed");
    let program = app.vetting.clone();
    let limits = vetting::Limits {
        // Both forms are in memory at once.
        memory: 2 * vetting::Limits::DEFAULT.memory,
        ..vetting::Limits::DEFAULT
    };
    let compared = tokio::task::spawn_blocking(move || {
        let compared = vetting::compare(&program, &pair, limits);
        drop(turn);
        compared
    });
    match compared.await {
        Ok(Ok(compared)) => Ok(compared),
        Ok(Err(VettingError::Refused(findings))) => Err(PublishError::Refused(findings)),
        Ok(Err(VettingError::Start(err))) => Err(PublishError::Start(err)),
        Err(ended) => Err(PublishError::Start(std::io::Error::other(ended))),
    }
}

/// What an insert found in the table.
enum Inserted {
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
async fn insert(
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
            version: super::number(row.version)?,
            onnx: super::blob_ref(&row.onnx, row.onnx_len)?,
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
        Ok(super::number(row.last_version)?.next())
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
async fn known(
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
