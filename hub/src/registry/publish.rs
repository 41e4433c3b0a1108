//! Publishing: blobs that were uploaded before become a version, if the model passes vetting.

mod files;
mod insert;
mod turns;

use sea_orm::TransactionTrait as _;
use tern_otlp::SPANS;
use tern_protocol::{
    id::{DatasetId, ModelName, WorkspaceId},
    rest::{
        Change, DatasetPick, Finding, NewPostStep, NewPreStep, NewVersion, Transcoded, VersionView,
    },
    steps::{PreStep, of_input},
};

pub use self::turns::VETTING_WAIT;
pub(crate) use self::turns::{compare, said};
use self::{
    files::Files,
    insert::{Inserted, insert, known},
    turns::vet,
};
pub(crate) use super::vetting::{Pair, Question};
use super::{Beside, facts, lacking, rows, view};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    blobs::BlobError,
    datasets::{DatasetError, trained},
    store::{Doing as _, StoreError, chain, parsed},
    trust,
};

/// Largest ONNX file that the hub vets (256 MiB). It is read whole and its graph is optimised in
/// memory, which takes a few times as much; devices of this fleet have less.
pub const ONNX: u64 = 256 * 1024 * 1024;

/// Longest note for people, in bytes: as long as a publisher's may be.
pub(crate) const NOTE: usize = facts::NOTE;

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
