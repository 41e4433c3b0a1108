//! What trainings gave: packages whose files are blobs from the moment they were taken.
//!
//! A challenger is called by the digest of its ONNX file. Must never break: what is compared, what becomes a version and
//! what the training left are the same bytes.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use tern_protocol::{
    digest::Digest,
    id::{JobId, ModelName, WorkspaceId},
    limits,
    rest::{DESCRIPTION, DESCRIPTION_MAX, JobArtifact, PackageDescription},
};
use tern_retrain::{Lesson, fact::Again};

use super::{
    desk::Of,
    sql::{SQL, json, of as values_of, to_json},
    training::PACKAGE,
};
use crate::{
    app::App,
    blobs::BlobError,
    jobs::{self, JobsError},
    registry::publish::ONNX,
    store::{StoreError, chain, parsed},
};

/// A package that a training left.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Challenger {
    pub(super) onnx: Digest,
    /// Golden samples, if the trainer wrote some.
    pub(super) golden: Option<Digest>,
    pub(super) reference: Option<Digest>,
    pub(super) description: PackageDescription,
}

/// Why a package was not taken, and whether it helps to train again.
type Refused = (String, Again);

/// Takes the package that a job left; what it is called.
pub(super) async fn take(
    app: &App,
    of: &Of,
    job: JobId,
) -> Result<Result<Digest, Refused>, StoreError> {
    let detail = match jobs::one(app, &of.0, job).await {
        Ok(detail) => detail,
        Err(JobsError::Store(err)) => return Err(err),
        Err(err) => return Ok(Err((chain(&err), Again::MayHelp))),
    };
    // Those of later attempts take the place of earlier ones.
    let files: BTreeMap<String, JobArtifact> = detail
        .artifacts
        .into_iter()
        .map(|one| (one.path.clone(), one))
        .collect();
    let read = match read(app, &files).await {
        Ok(read) => read,
        Err(refused) => return Ok(Err(refused)),
    };
    keep(app, of, &read).await?;
    Ok(Ok(read.onnx))
}

async fn read(app: &App, files: &BTreeMap<String, JobArtifact>) -> Result<Challenger, Refused> {
    let useless = |why: String| (why, Again::IsUseless);
    let file = |name: &str, most: u64| {
        let path = format!("{PACKAGE}/{}", name.trim_start_matches("./"));
        let found = files.get(&path).ok_or_else(|| {
            useless(format!(
                "the training ended well and left no file `{path}`; a trainer writes what `tern model publish` takes \
                 into `{PACKAGE}/`"
            ))
        })?;
        if found.bytes > most {
            return Err(useless(format!(
                "`{path}` has {} bytes, the limit is {most}",
                found.bytes
            )));
        }
        Ok(found.digest)
    };
    let description = file(DESCRIPTION, DESCRIPTION_MAX)?;
    let text = app.blobs.read_all(description, DESCRIPTION_MAX).await;
    let text = text.map_err(|err| (chain(&err), Again::MayHelp))?;
    let description: PackageDescription = serde_json::from_slice(&text)
        .map_err(|err| useless(format!("`{PACKAGE}/{DESCRIPTION}`: {err}")))?;
    let profile = limits::PROFILE as u64;
    let golden = description.golden.as_deref();
    let reference = description.reference.as_deref();
    Ok(Challenger {
        onnx: file(&description.onnx, ONNX)?,
        golden: golden.map(|name| file(name, profile)).transpose()?,
        reference: reference.map(|name| file(name, profile)).transpose()?,
        description,
    })
}

/// Names its blobs in a row, so that they stay.
async fn keep(app: &App, (workspace, model): &Of, of: &Challenger) -> Result<(), StoreError> {
    let sql = "INSERT INTO retrain_challenger (workspace, model, onnx, golden, reference, body, at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workspace, model, onnx) DO UPDATE SET \
               golden = excluded.golden, reference = excluded.reference, body = excluded.body, at = excluded.at";
    let text = |digest: Option<Digest>| digest.map_or_else(String::new, |one| one.to_string());
    let [in_workspace, of_model] = values_of(workspace, model);
    let values = [
        in_workspace,
        of_model,
        of.onnx.to_string().into(),
        text(of.golden).into(),
        text(of.reference).into(),
        to_json(&of.description).into(),
        app.clock.now().0.into(),
    ];
    SQL.exec(app.store.write(), sql, values).await.map(drop)
}

/// The challenger that is called so.
pub(super) async fn find(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    bundle: &str,
) -> Result<Option<Challenger>, StoreError> {
    let sql = "SELECT onnx, golden, reference, body FROM retrain_challenger \
               WHERE workspace = $1 AND model = $2 AND onnx = $3";
    let [workspace, model] = values_of(workspace, model);
    let Some(row) = SQL.row(db, sql, [workspace, model, bundle.into()]).await? else {
        return Ok(None);
    };
    let digest = |name: &str| {
        let text: String = SQL.column(&row, name)?;
        let given = Some(text).filter(|text| !text.is_empty());
        given.map(|text| parsed("digest", &text)).transpose()
    };
    Ok(Some(Challenger {
        onnx: parsed("digest", bundle)?,
        golden: digest("golden")?,
        reference: digest("reference")?,
        description: json("package", &SQL.column::<String>(&row, "body")?)?,
    }))
}

/// Forgets challengers of rounds that are over, but for that of the last: what became a version is named by it.
pub(super) async fn forget(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    lesson: &Lesson,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM retrain_challenger WHERE workspace = $1 AND model = $2 AND onnx <> $3";
    let last = lesson.challenger.as_ref();
    let last = last.map_or("", |one| one.bundle.as_str());
    let [workspace, model] = values_of(workspace, model);
    SQL.exec(db, sql, [workspace, model, last.into()])
        .await
        .map(drop)
}

/// A blob could not be read: whether that may pass.
pub(super) const fn passes(err: &BlobError) -> Again {
    match err {
        BlobError::Storage { .. } => Again::MayHelp,
        _ => Again::IsUseless,
    }
}
