//! Which keys may speak for which devices, in memory: asked at every connection and every message.
//!
//! Loaded at the hub's start, changed after each commit by whoever changes the tables. Changes are
//! made one at a time, from before the transaction until they stand here, so that memory and tables
//! never disagree on the order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::pki_types::CertificateDer;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use tern_protocol::{
    digest::Digest,
    id::{DeviceId, IdentityId, SiteName, WorkspaceId},
    rest::IdentityState,
};
use tokio::sync::{Mutex, MutexGuard, broadcast};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::rows::{digest_of, identity, identity_view, state_text};
use crate::{
    access::authority::{Authorities, common_name},
    store::{Doing as _, Store, StoreError, parsed},
};

/// Ends that wait to be heard. Whoever falls behind asks [`Registry::is_active`] for each session.
const ENDED: usize = 1_024;

/// The identities that may speak. Clones share them.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    authorities: Authorities,
    active: RwLock<Active>,
    ended: broadcast::Sender<IdentityId>,
    turn: Mutex<()>,
}

#[derive(Default)]
struct Active {
    /// By the common name of its certificate.
    by_name: HashMap<String, Speaker>,
    names: HashMap<IdentityId, String>,
}

#[derive(Clone)]
struct Speaker {
    admitted: Admitted,
    key: Digest,
    bound: Bound,
}

/// Somebody who may speak for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// By which identity.
    pub identity: IdentityId,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// For which device.
    pub device: DeviceId,
}

/// Site and labels that a device is bound to, whatever it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bound {
    /// The site; none if the device says it.
    pub site: Option<SiteName>,
    /// The labels; others are the device's own.
    pub labels: BTreeMap<String, String>,
}

/// Why a certificate does not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none, or it cannot be read.
    #[error("there is no certificate that can be read")]
    Certificate,
    /// Its name is no active identity's.
    #[error("its name is not that of a device that has joined and may speak")]
    Name,
    /// The key is not that of the identity.
    #[error("its key is not the one that speaks for the device")]
    Key,
    /// The authority may not vouch for this workspace.
    #[error("its authority does not vouch for devices of this workspace")]
    Authority,
}

impl Registry {
    /// Reads who may speak.
    pub async fn load(store: &Store, authorities: Authorities) -> Result<Self, StoreError> {
        let rows = identity::Entity::find()
            .filter(identity::Column::State.eq(state_text(IdentityState::Active)))
            .all(store.read())
            .await
            .doing("reading identities")?;
        let mut active = Active::default();
        for row in &rows {
            active.put(row)?;
        }
        Ok(Self(Arc::new(Inner {
            authorities,
            active: RwLock::new(active),
            ended: broadcast::Sender::new(ENDED),
            turn: Mutex::new(()),
        })))
    }

    /// Who this is, by its (already verified) certificate chain, leaf first.
    pub fn admit(&self, chain: &[CertificateDer<'_>]) -> Result<Admitted, Refusal> {
        let leaf = chain.first().ok_or(Refusal::Certificate)?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| Refusal::Certificate)?;
        let mut names = parsed.subject().iter_common_name();
        // Two names would be read differently by different readers.
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(Refusal::Certificate);
        };
        let name = name.as_str().map_err(|_| Refusal::Certificate)?;
        let speaker = self.read(|active| active.by_name.get(name).cloned());
        let speaker = speaker.ok_or(Refusal::Name)?;
        if Digest::of(parsed.public_key().raw) != speaker.key {
            return Err(Refusal::Key);
        }
        let trusted = self.0.authorities.trusted();
        if trusted.vouch(leaf, &speaker.admitted.workspace) {
            Ok(speaker.admitted)
        } else {
            Err(Refusal::Authority)
        }
    }

    /// Identities that may no longer speak, as it happens: their sessions are cut.
    pub fn ended(&self) -> broadcast::Receiver<IdentityId> {
        self.0.ended.subscribe()
    }

    /// Whether an identity may (still) speak. Checked once more after registering a session, so that
    /// a revocation in between is not missed.
    pub fn is_active(&self, identity: IdentityId) -> bool {
        self.read(|active| active.names.contains_key(&identity))
    }

    /// Site and labels that a device is bound to; none if no identity speaks for it.
    pub fn bound(&self, workspace: &WorkspaceId, device: &DeviceId) -> Option<Bound> {
        let name = common_name(workspace, device)?;
        self.read(|active| Some(active.by_name.get(&name)?.bound.clone()))
    }

    /// Whether an active identity speaks for a device.
    pub fn speaks(&self, workspace: &WorkspaceId, device: &DeviceId) -> bool {
        let name = common_name(workspace, device);
        name.is_some_and(|name| self.read(|active| active.by_name.contains_key(&name)))
    }

    /// The right to change identities, in the tables and here.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// An identity may speak from now on, in place of the one before it: committed.
    pub(super) fn begin(&self, row: &identity::Model) -> Result<(), StoreError> {
        let active = &self.0.active;
        let mut active = active.write().unwrap_or_else(PoisonError::into_inner);
        active.put(row)
    }

    /// An identity may not speak any more: committed.
    pub(super) fn end(&self, identity: IdentityId) {
        {
            let active = &self.0.active;
            let mut active = active.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(name) = active.names.remove(&identity) {
                let same = active.by_name.get(&name);
                if same.is_some_and(|speaker| speaker.admitted.identity == identity) {
                    active.by_name.remove(&name);
                }
            }
        }
        // An error says that nobody listens: there are no sessions.
        let _ = self.0.ended.send(identity);
    }

    fn read<T>(&self, look: impl FnOnce(&Active) -> T) -> T {
        look(&self.0.active.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Active {
    fn put(&mut self, row: &identity::Model) -> Result<(), StoreError> {
        let view = identity_view(row)?;
        let workspace: WorkspaceId = parsed("workspace id", &row.workspace)?;
        let name = common_name(&workspace, &view.device).ok_or_else(|| StoreError::Value {
            what: "name of an identity",
            value: row.device.clone(),
        })?;
        let speaker = Speaker {
            admitted: Admitted {
                identity: view.id,
                workspace,
                device: view.device,
            },
            key: digest_of(&row.key)?,
            bound: Bound {
                site: view.site,
                labels: view.labels,
            },
        };
        if let Some(before) = self.by_name.insert(name.clone(), speaker) {
            self.names.remove(&before.admitted.identity);
        }
        self.names.insert(view.id, name);
        Ok(())
    }
}
