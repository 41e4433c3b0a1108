//! What a blob is to the versions of a workspace.

use sea_orm::{ConnectionTrait, Statement};
use tern_protocol::{
    digest::Digest,
    id::{ModelName, ModelVersion, WorkspaceId},
    rest::BlobPart,
};

use super::{number, row};
use crate::store::{Doing as _, StoreError, parsed};

/// Which part of which version a blob is; nothing if no version names it.
///
/// Versions share parts. Of several the newest that is wanted on a device is meant, or else the newest:
/// that is the one for which the blob moves.
pub async fn part_named(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    digest: Digest,
) -> Result<Option<(ModelName, ModelVersion, BlobPart)>, StoreError> {
    const DOING: &str = "looking for the version that a blob is part of";
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT v.model, v.version, CASE $2 WHEN v.bundle THEN 'manifest' WHEN v.onnx THEN 'model' \
         WHEN v.golden THEN 'golden' ELSE 'reference' END AS part FROM model_version v \
         WHERE v.workspace = $1 AND $2 IN (v.bundle, v.onnx, v.golden, v.reference) \
         ORDER BY EXISTS (SELECT 1 FROM slot s WHERE s.workspace = v.workspace \
         AND s.assigned_model = v.model AND s.assigned_version = v.version) DESC, v.version DESC \
         LIMIT 1",
        [workspace.as_str().into(), digest.to_string().into()],
    );
    let Some(row) = db.query_one_raw(select).await.doing(DOING)? else {
        return delta_named(db, workspace, digest).await;
    };
    let model: String = row.try_get("", "model").doing(DOING)?;
    let version: i64 = row.try_get("", "version").doing(DOING)?;
    let word: String = row.try_get("", "part").doing(DOING)?;
    let part = BlobPart::ALL.into_iter().find(|part| part.word() == word);
    Ok(Some((
        parsed("model name", &model)?,
        number(version)?,
        part.unwrap_or(BlobPart::Model),
    )))
}

/// To which version a delta leads. Of several with the same bytes the newest is meant.
async fn delta_named(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    digest: Digest,
) -> Result<Option<(ModelName, ModelVersion, BlobPart)>, StoreError> {
    const DOING: &str = "looking for the version that a delta leads to";
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT model, version FROM delta WHERE workspace = $1 AND digest = $2 \
         ORDER BY version DESC LIMIT 1",
        [workspace.as_str().into(), digest.to_string().into()],
    );
    let Some(row) = db.query_one_raw(select).await.doing(DOING)? else {
        return Ok(None);
    };
    let model: String = row.try_get("", "model").doing(DOING)?;
    let version: i64 = row.try_get("", "version").doing(DOING)?;
    let model = parsed("model name", &model)?;
    Ok(Some((model, number(version)?, BlobPart::Delta)))
}

/// A blob of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which blob.
    pub digest: Digest,
    /// What it is.
    pub part: BlobPart,
    /// Bytes that a device spares which takes it: of a delta, how much shorter it is than the ONNX file.
    pub spares: u64,
}

/// The blobs of a version: its manifest and what that names, and the deltas that lead to it. None if there
/// is no such version.
pub async fn parts_of(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Vec<Part>, StoreError> {
    const DOING: &str = "reading the deltas to a version";
    let Some(row) = row(db, workspace, model, version).await? else {
        return Ok(Vec::new());
    };
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT digest, onnx_len - len AS spares FROM delta \
         WHERE workspace = $1 AND model = $2 AND version = $3 AND digest IS NOT NULL",
        [
            workspace.as_str().into(),
            model.as_str().into(),
            i64::from(version.get()).into(),
        ],
    );
    let mut parts = Vec::new();
    for (part, text) in [
        (BlobPart::Manifest, row.bundle),
        (BlobPart::Model, row.onnx),
        (BlobPart::Golden, row.golden),
        (BlobPart::Reference, row.reference),
    ] {
        if !text.is_empty() {
            let digest = parsed("digest", &text)?;
            parts.push(Part {
                digest,
                part,
                spares: 0,
            });
        }
    }
    for row in db.query_all_raw(select).await.doing(DOING)? {
        let digest: String = row.try_get("", "digest").doing(DOING)?;
        let spares: Option<i64> = row.try_get("", "spares").doing(DOING)?;
        parts.push(Part {
            digest: parsed("digest", &digest)?,
            part: BlobPart::Delta,
            spares: spares.unwrap_or(0).max(0).unsigned_abs(),
        });
    }
    Ok(parts)
}
