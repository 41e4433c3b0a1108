//! Versions whose files the hub lacks: damaged on its disk, or gone.
//!
//! Called by `monitor` and the API (what a person sees) and `scrub` (what the hub makes again by itself).
//! A version that lacks files does not ship, and says which; the same files published again mend it.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use tern_protocol::{
    blob::BlobRef,
    codec,
    digest::Digest,
    id::WorkspaceId,
    manifest::Manifest,
    rest::{BlobPart, ModelView, Transcoded, VersionRef, VersionView, Vetting},
};

use super::{Declared, PublishError, blob_ref, json, number, rows};
use crate::{
    app::App,
    blobs::BlobError,
    store::{Doing as _, StoreError, parsed},
};

/// What a version lacks.
#[derive(Debug, Clone, PartialEq)]
pub struct Lacks {
    /// The files.
    pub parts: Vec<BlobPart>,
    /// Of which version it is another form, if it was made by transcoding: nobody else has its files.
    pub transcoded: Option<Transcoded>,
}

/// The versions of a workspace that lack files. Those that are revoked go nowhere, and are left out.
pub async fn versions(
    app: &App,
    workspace: &WorkspaceId,
) -> Result<BTreeMap<VersionRef, Lacks>, StoreError> {
    let lacking = app.blobs.lacking();
    if lacking.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = rows::version::Entity::find()
        .filter(rows::version::Column::Workspace.eq(workspace.as_str()))
        .filter(rows::version::Column::Revoked.is_null())
        .order_by_asc(rows::version::Column::Version)
        .all(app.store.read())
        .await
        .doing("reading versions of models")?;
    let mut found = BTreeMap::new();
    for row in rows {
        let parts = parts(&row, &lacking)?;
        if parts.is_empty() {
            continue;
        }
        let of = VersionRef {
            model: parsed("model name", &row.model)?,
            version: number(row.version)?,
        };
        let transcoded = match row.transcoded.as_str() {
            "" => None,
            text => Some(json("transcoding", text)?),
        };
        found.insert(of, Lacks { parts, transcoded });
    }
    Ok(found)
}

fn parts(
    row: &rows::version::Model,
    lacking: &BTreeSet<Digest>,
) -> Result<Vec<BlobPart>, StoreError> {
    let mut parts = Vec::new();
    for (part, text) in [
        (BlobPart::Manifest, &row.bundle),
        (BlobPart::Model, &row.onnx),
        (BlobPart::Golden, &row.golden),
        (BlobPart::Reference, &row.reference),
    ] {
        if !text.is_empty() && lacking.contains(&parsed("digest", text)?) {
            parts.push(part);
        }
    }
    Ok(parts)
}

/// Says in views of versions what each lacks.
pub async fn mark<'a>(
    app: &App,
    workspace: &WorkspaceId,
    views: impl IntoIterator<Item = &'a mut VersionView>,
) -> Result<(), StoreError> {
    let mut lacking = versions(app, workspace).await?;
    if lacking.is_empty() {
        return Ok(());
    }
    for view in views {
        let of = VersionRef {
            model: view.model.clone(),
            version: view.version,
        };
        view.lacks = lacking
            .remove(&of)
            .map(|lacks| lacks.parts)
            .unwrap_or_default();
    }
    Ok(())
}

/// As [`mark`], in views of models.
pub async fn mark_models(
    app: &App,
    workspace: &WorkspaceId,
    models: &mut [ModelView],
) -> Result<(), StoreError> {
    let views = models.iter_mut().flat_map(|model| &mut model.versions);
    mark(app, workspace, views).await
}

/// Makes the manifest of a version again, from its row and the lengths of its files; whether that gave the
/// bytes that this digest names. Not while a file is missing, and not if another hub wrote it otherwise.
pub async fn manifest_again(app: &App, bundle: Digest) -> Result<bool, PublishError> {
    let row = rows::version::Entity::find()
        .filter(rows::version::Column::Bundle.eq(bundle.to_string()))
        .one(app.store.read())
        .await
        .doing("looking for the version of a manifest")?;
    let Some(row) = row else {
        return Ok(false);
    };
    let file = async |text: &str| -> Result<Option<BlobRef>, PublishError> {
        match app.blobs.find(parsed("digest", text)?).await {
            Ok(blob) => Ok(Some(blob)),
            Err(BlobError::Missing(_)) => Ok(None),
            Err(err) => Err(err.into()),
        }
    };
    let Some(golden) = file(&row.golden).await? else {
        return Ok(false);
    };
    let reference = match row.reference.as_str() {
        "" => None,
        text => match file(text).await? {
            None => return Ok(false),
            found => found,
        },
    };
    let declared = Declared::read(&row.declared)?;
    let vetting: Vetting = json("vetting", &row.vetting)?;
    let manifest = codec::encode(&Manifest {
        model: parsed("model name", &row.model)?,
        version: number(row.version)?,
        onnx: blob_ref(&row.onnx, row.onnx_len)?,
        golden,
        reference,
        inputs: json("inputs", &row.inputs)?,
        outputs: json("outputs", &row.outputs)?,
        classes: json("classes", &row.classes)?,
        pre: declared.pre,
        post: declared.post,
        min_agent: declared.min_agent,
        operators: vetting.operators,
        measured: json("measurements", &row.measured)?,
        bases: json("bases", &row.bases)?,
        metrics: declared.metrics,
    });
    if Digest::of(&manifest) != bundle {
        return Ok(false);
    }
    app.blobs.put_bytes(manifest.into()).await?;
    Ok(true)
}
