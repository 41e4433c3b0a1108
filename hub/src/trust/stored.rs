//! Repositories and keys as rows.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ConnectionTrait, QueryResult, TryGetable, Value};
use tern_protocol::{digest::Digest, id::WorkspaceId};
use tern_trust::{
    author::{self, Keys, Repository},
    document::Document,
    key::SigningKey,
    schema,
};

use super::TrustError;
use crate::store::{Doing as _, Store, StoreError, raw};

const DOING: &str = "reading or writing signed metadata";

/// Names of the rows.
const ROOT: &str = "root";
const TARGETS: &str = "targets";
const SNAPSHOT: &str = "snapshot";
const TIMESTAMP: &str = "timestamp";
const DRAFT_ROOT: &str = "draft-root";
const DRAFT_TARGETS: &str = "draft-targets";

/// What is stored of a workspace.
pub(super) struct Stored {
    pub(super) repository: Repository,
    pub(super) keys: Keys,
}

/// Reads it; none if the workspace has none yet.
pub(super) async fn load<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
) -> Result<Option<Stored>, TrustError> {
    let sql = "SELECT role, bytes FROM trust_document WHERE workspace = $1 ORDER BY version";
    let rows = query(db, sql, [workspace.as_str().into()]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut roots = Vec::new();
    let mut one = BTreeMap::new();
    for row in rows {
        let (role, bytes): (String, Vec<u8>) = (column(&row, "role")?, column(&row, "bytes")?);
        if role == ROOT {
            roots.push(bytes);
        } else {
            one.insert(role, bytes);
        }
    }
    let get = |role: &str| one.get(role).map(Vec::as_slice);
    let needed = |role: &'static str| {
        get(role).ok_or_else(|| StoreError::Value {
            what: "signed metadata",
            value: format!("{role} of {workspace} is missing"),
        })
    };
    let repository = author::read(
        &roots,
        needed(TARGETS)?,
        needed(SNAPSHOT)?,
        needed(TIMESTAMP)?,
        get(DRAFT_ROOT),
        get(DRAFT_TARGETS),
    )?;
    if repository.roots.is_empty() {
        return Err(needed(ROOT).expect_err("there is none").into());
    }
    Ok(Some(Stored {
        repository,
        keys: keys(db, workspace).await?,
    }))
}

async fn keys<C: ConnectionTrait>(db: &C, workspace: &WorkspaceId) -> Result<Keys, TrustError> {
    let sql = "SELECT use, pkcs8 FROM trust_key WHERE workspace = $1";
    let (mut online, mut next_online, mut release, mut root) = (None, None, None, None);
    for row in query(db, sql, [workspace.as_str().into()]).await? {
        let (name, pkcs8): (String, Vec<u8>) = (column(&row, "use")?, column(&row, "pkcs8")?);
        let key = Some(SigningKey::from_pkcs8(&pkcs8)?);
        match name.as_str() {
            "online" => online = key,
            "next-online" => next_online = key,
            "release" => release = key,
            "root" => root = key,
            _ => {}
        }
    }
    let online = online.ok_or_else(|| StoreError::Value {
        what: "key of the hub",
        value: format!("the one of {workspace} is missing"),
    })?;
    Ok(Keys {
        online,
        next_online,
        release,
        root,
    })
}

/// Writes what a workspace has from now on.
pub(super) async fn save<C: ConnectionTrait>(
    txn: &C,
    workspace: &WorkspaceId,
    Stored { repository, keys }: &Stored,
) -> Result<(), StoreError> {
    let name: Value = workspace.as_str().into();
    let sql = "DELETE FROM trust_document WHERE workspace = $1 AND role <> $2";
    execute(txn, sql, [name.clone(), ROOT.into()]).await?;
    for root in &repository.roots {
        write(txn, workspace, ROOT, root).await?;
    }
    write(txn, workspace, TARGETS, &repository.targets).await?;
    write(txn, workspace, SNAPSHOT, &repository.snapshot).await?;
    write(txn, workspace, TIMESTAMP, &repository.timestamp).await?;
    if let Some(root) = &repository.draft.root {
        write(txn, workspace, DRAFT_ROOT, root).await?;
    }
    if let Some(targets) = &repository.draft.targets {
        write(txn, workspace, DRAFT_TARGETS, targets).await?;
    }
    execute(
        txn,
        "DELETE FROM trust_key WHERE workspace = $1",
        [name.clone()],
    )
    .await?;
    let held = [
        ("online", Some(&keys.online)),
        ("next-online", keys.next_online.as_ref()),
        ("release", keys.release.as_ref()),
        ("root", keys.root.as_ref()),
    ];
    for (usage, key) in held {
        let Some(key) = key else { continue };
        let sql = "INSERT INTO trust_key (workspace, use, pkcs8) VALUES ($1, $2, $3)";
        let values = [name.clone(), usage.into(), key.pkcs8().to_vec().into()];
        execute(txn, sql, values).await?;
    }
    Ok(())
}

async fn write<C: ConnectionTrait, T>(
    txn: &C,
    workspace: &WorkspaceId,
    role: &str,
    document: &Document<T>,
) -> Result<(), StoreError>
where
    T: schema::Role + serde::Serialize + serde::de::DeserializeOwned + Clone + PartialEq,
{
    let sql = "INSERT INTO trust_document (workspace, role, version, digest, bytes) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let values = [
        workspace.as_str().into(),
        role.into(),
        (document.version() as i64).into(),
        document.blob().digest.to_string().into(),
        document.bytes().to_vec().into(),
    ];
    execute(txn, sql, values).await
}

/// Marks which versions of models the metadata in effect list.
pub(super) async fn mark_signed<C: ConnectionTrait>(
    txn: &C,
    workspace: &WorkspaceId,
    repository: &Repository,
) -> Result<(), StoreError> {
    let sql = "SELECT model, version, bundle, signed FROM model_version WHERE workspace = $1";
    let listing: HashMap<_, _> = repository
        .listing()
        .into_iter()
        .map(|((model, version), listed)| {
            let key = (model.to_string(), i64::from(version.get()));
            (key, listed.bundle.digest.to_string())
        })
        .collect();
    for row in query(txn, sql, [workspace.as_str().into()]).await? {
        let (model, version): (String, i64) = (column(&row, "model")?, column(&row, "version")?);
        let (bundle, was): (String, bool) = (column(&row, "bundle")?, column(&row, "signed")?);
        let key = (model, version);
        let is = listing.get(&key) == Some(&bundle);
        let (model, version) = key;
        if is != was {
            let sql = "UPDATE model_version SET signed = $1 \
                       WHERE workspace = $2 AND model = $3 AND version = $4";
            let values = [
                is.into(),
                workspace.as_str().into(),
                model.into(),
                version.into(),
            ];
            execute(txn, sql, values).await?;
        }
    }
    Ok(())
}

/// Whether the hub itself holds a key for roots or for targets, so that whoever takes it over signs models.
pub async fn is_development(store: &Store, workspace: &WorkspaceId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM trust_key WHERE workspace = $1 AND use IN ('release', 'root') LIMIT 1";
    let rows = query(store.read(), sql, [workspace.as_str().into()]).await?;
    Ok(!rows.is_empty())
}

/// Whether a blob is a document of this workspace that devices are told of.
pub async fn ships(
    store: &Store,
    workspace: &WorkspaceId,
    digest: &str,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM trust_document \
               WHERE workspace = $1 AND digest = $2 AND role NOT LIKE 'draft-%' LIMIT 1";
    let values = [workspace.as_str().into(), digest.into()];
    Ok(!query(store.read(), sql, values).await?.is_empty())
}

/// The bytes of a document that devices are told of.
pub(super) async fn document(store: &Store, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM trust_document \
               WHERE digest = $1 AND role NOT LIKE 'draft-%' LIMIT 1";
    let rows = query(store.read(), sql, [digest.to_string().into()]).await?;
    rows.first().map(|row| column(row, "bytes")).transpose()
}

pub(super) async fn execute<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<(), StoreError> {
    raw::exec(db, DOING, sql, values).await.map(drop)
}

pub(super) async fn query<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>, StoreError> {
    raw::rows(db, DOING, sql, values).await
}

pub(super) fn column<T: TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    row.try_get("", name).doing(DOING)
}
