//! The signed metadata of each workspace: which versions of models devices may load.
//!
//! Called by `registry` (what was published is to be signed), by the API (who has a key signs, changes
//! keys, revokes), by `access` (what a device pins when it joins). What the documents say is decided in
//! `tern_trust::author`; here they are stored, and told to devices.
//!
//! Must never break:
//! - a document is told to devices only after it is stored, and its blobs before that;
//! - no private key leaves this module;
//! - changes of one workspace come one after another.

mod driver;
mod revoke;
pub mod schema;
mod stored;
mod view;

use std::{num::NonZeroU64, sync::Arc};

use sea_orm::TransactionTrait as _;
use tern_protocol::{
    codec,
    digest::Digest,
    id::{ModelName, ModelVersion, WorkspaceId},
    metadata::{Newest, Roots},
    rest::{Change, RoleKeys, Signatures, TrustPlan, TrustView},
    time::WallTime,
    topic::MetadataRole,
};
use tern_trust::{
    author::{Keys, OfferError, Repository, RootPlan},
    document::{Document, DocumentError},
    key::{KeyError, PublicKey, SigningKey},
    schema::RoleType,
};
use tokio::sync::Mutex;

use self::stored::Stored;
pub use self::{
    driver::{Announcement, announce_all, queue, run},
    revoke::{RevokeError, revoke},
    stored::{is_development, ships},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::{App, Wake},
    blobs::BlobError,
    store::{Doing as _, StoreError},
};

/// Why the metadata were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// What was handed in is not taken.
    #[error("{0}")]
    Offer(#[from] OfferError),
    /// What was handed in, or stored, is not a document.
    #[error("{0}")]
    Document(#[from] DocumentError),
    /// A public key that is none, or no random numbers.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// A threshold of nothing.
    #[error("at least one key has to sign")]
    Threshold,
    /// Nothing would change.
    #[error("the plan says nothing; name keys for `root` or `release`, or `online`")]
    EmptyPlan,
    /// There is no root that waits for signatures.
    #[error("no change of keys waits for signatures")]
    NoDraft,
    /// A document could not be stored as a blob.
    #[error("storing signed metadata")]
    Blob(#[from] BlobError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the parts of a hub share about signed metadata.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Whoever changes something has it.
    turn: Arc<Mutex<()>>,
    /// Makes the driver look again.
    wake: Wake,
}

/// The newest root of a workspace, as JSON text: what a device pins.
pub async fn root(app: &App, workspace: &WorkspaceId) -> Result<String, TrustError> {
    let stored = ensured(app, workspace).await?;
    Ok(text(stored.repository.root().bytes()))
}

/// How a workspace's metadata stand.
pub async fn show(app: &App, workspace: &WorkspaceId) -> Result<TrustView, TrustError> {
    let stored = ensured(app, workspace).await?;
    Ok(view::view(&stored))
}

/// Adds versions that were published and are not listed yet, and makes anew what expires soon.
pub async fn sync(app: &App, workspace: &WorkspaceId) -> Result<(), TrustError> {
    let published = published(app, workspace).await?;
    change(app, workspace, None, |stored, now| {
        let Stored { repository, keys } = stored;
        for (model, version, bundle) in published {
            if !repository.drafted().contains_key(&(model.clone(), version)) {
                repository.add(&model, version, bundle, keys, now);
            }
        }
        repository.refresh(keys, now);
        Ok(())
    })
    .await
    .map(drop)
}

/// Plans other keys. What the hub can sign, it signs; the rest waits.
pub async fn plan(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    plan: TrustPlan,
) -> Result<TrustView, TrustError> {
    if plan == TrustPlan::default() {
        return Err(TrustError::EmptyPlan);
    }
    let deed = Deed::new("trust.plan", format!("keys of {workspace}"))
        .within(workspace)
        .after(&plan);
    let plan = RootPlan {
        root: plan.root.as_ref().map(keys_of).transpose()?,
        release: plan.release.as_ref().map(keys_of).transpose()?,
        online: plan.online,
    };
    let stored = change(app, workspace, Some((by, deed)), |stored, now| {
        if plan.online {
            stored.keys.next_online = Some(SigningKey::generate()?);
        }
        Ok(stored.repository.plan(&plan, &stored.keys, now)?)
    });
    Ok(view::view(&stored.await?))
}

/// Takes documents that somebody signed.
pub async fn sign(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    signatures: Signatures,
) -> Result<TrustView, TrustError> {
    let read = |text: String| Document::read(text.as_bytes());
    let deed = Deed::new("trust.sign", format!("metadata of {workspace}"))
        .within(workspace)
        .after(&signatures);
    let root = signatures.root.map(read).transpose()?;
    let read = |text: String| Document::read(text.as_bytes());
    let targets = signatures.targets.map(read).transpose()?;
    let stored = change(app, workspace, Some((by, deed)), |stored, now| {
        Ok(stored.repository.offer(root, targets, &stored.keys, now)?)
    });
    Ok(view::view(&stored.await?))
}

/// Takes back a change of keys that waits for signatures.
pub async fn withdraw(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
) -> Result<TrustView, TrustError> {
    let deed = Deed::new("trust.withdraw", format!("keys of {workspace}")).within(workspace);
    let stored = change(app, workspace, Some((by, deed)), |stored, _| {
        let draft = stored.repository.draft.root.take();
        stored.keys.next_online = None;
        draft.map(drop).ok_or(TrustError::NoDraft)
    });
    Ok(view::view(&stored.await?))
}

fn keys_of(keys: &RoleKeys) -> Result<(Vec<PublicKey>, NonZeroU64), TrustError> {
    let threshold = NonZeroU64::new(keys.threshold).ok_or(TrustError::Threshold)?;
    let keys: Result<Vec<PublicKey>, _> = keys.keys.iter().map(|key| key.parse()).collect();
    Ok((keys?, threshold))
}

/// What devices are told of a workspace.
pub async fn announcements(
    app: &App,
    workspace: &WorkspaceId,
) -> Result<Vec<(MetadataRole, Vec<u8>)>, TrustError> {
    let Some(Stored { repository, .. }) = stored::load(app.store.read(), workspace).await? else {
        return Ok(Vec::new());
    };
    let roots = Roots {
        roots: repository.roots.iter().map(Document::blob).collect(),
    };
    let newest = Newest {
        timestamp: repository.timestamp.bytes().to_vec(),
        snapshot: repository.snapshot.blob(),
        targets: repository.targets.blob(),
    };
    Ok(vec![
        (MetadataRole::Root, codec::encode(&roots)),
        (MetadataRole::Timestamp, codec::encode(&newest)),
    ])
}

async fn ensured(app: &App, workspace: &WorkspaceId) -> Result<Stored, TrustError> {
    if let Some(stored) = stored::load(app.store.read(), workspace).await? {
        return Ok(stored);
    }
    change(app, workspace, None, |_, _| Ok(())).await
}

/// Changes a workspace's metadata, and makes them if there are none yet. Nothing changes if `change`
/// fails.
async fn change(
    app: &App,
    workspace: &WorkspaceId,
    deed: Option<(&Actor, Deed)>,
    change: impl FnOnce(&mut Stored, WallTime) -> Result<(), TrustError>,
) -> Result<Stored, TrustError> {
    let _turn = app.trust.turn.lock().await;
    let now = app.clock.now();
    let known = stored::load(app.store.read(), workspace).await?;
    let before = known.as_ref().map(|stored| stored.repository.clone());
    let mut stored = if let Some(stored) = known {
        stored
    } else {
        let keys = Keys::development()?;
        let repository = Repository::create(&keys, now);
        Stored { repository, keys }
    };
    change(&mut stored, now)?;
    if before.as_ref() == Some(&stored.repository) {
        return Ok(stored);
    }
    retire(&mut stored);
    // Before the rows: what devices are told of can be fetched.
    for bytes in documents(&stored.repository) {
        app.blobs.put_bytes(bytes.to_vec().into()).await?;
    }
    let txn = app.store.write().begin().await;
    let txn = txn.doing("beginning to change signed metadata")?;
    stored::save(&txn, workspace, &stored).await?;
    stored::mark_signed(&txn, workspace, &stored.repository).await?;
    // Under the lock of writers, which whoever collects garbage takes as well: what is gone meanwhile is put
    // again, and what was there for long is in use from here on.
    for bytes in documents(&stored.repository) {
        if app.blobs.claim(Digest::of(bytes)).await?.is_none() {
            app.blobs.put_bytes(bytes.to_vec().into()).await?;
        }
    }
    if let Some((by, deed)) = deed {
        audit::record(&txn, &app.clock, by, deed).await?;
    }
    txn.commit().await.doing("committing signed metadata")?;
    tracing::info!(
        %workspace,
        root = stored.repository.root().version(),
        targets = stored.repository.targets.version(),
        waiting = stored.repository.draft.root.is_some() || stored.repository.draft.targets.is_some(),
        "signed metadata changed"
    );
    app.trust.wake.notify();
    // Rollouts may have waited for a signature.
    app.wake.notify();
    app.changes.send(workspace, Change::Trust);
    Ok(stored)
}

/// Stores a signed document again as a blob, from the database; whether there is one of this digest.
pub async fn rewrite(app: &App, digest: Digest) -> Result<bool, TrustError> {
    match stored::document(&app.store, digest).await? {
        // A row that is damaged is no way to mend a blob.
        Some(bytes) if Digest::of(&bytes) == digest => {
            app.blobs.put_bytes(bytes.into()).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn documents(repository: &Repository) -> impl Iterator<Item = &[u8]> {
    let rest = [repository.targets.bytes(), repository.snapshot.bytes()];
    repository.roots.iter().map(Document::bytes).chain(rest)
}

/// Lets go of keys that count for nothing any more.
fn retire(stored: &mut Stored) {
    let Stored { repository, keys } = stored;
    let counts = |role, key: &SigningKey| repository.counts(role, &key.public());
    if keys
        .next_online
        .as_ref()
        .is_some_and(|key| counts(RoleType::Timestamp, key))
        && let Some(next) = keys.next_online.take()
    {
        keys.online = next;
    }
    keys.release = keys
        .release
        .take()
        .filter(|key| counts(RoleType::Targets, key));
    keys.root = keys.root.take().filter(|key| counts(RoleType::Root, key));
}

async fn published(
    app: &App,
    workspace: &WorkspaceId,
) -> Result<Vec<(ModelName, ModelVersion, tern_protocol::blob::BlobRef)>, StoreError> {
    let models = crate::registry::models(&app.store, workspace).await?;
    let versions = models.into_iter().flat_map(|model| model.versions);
    let mut versions: Vec<_> = versions
        .map(|version| (version.model, version.version, version.bundle))
        .collect();
    versions.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    Ok(versions)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
