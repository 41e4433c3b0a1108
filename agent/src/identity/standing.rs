//! How the identity stands: what its keeper writes down, and what `GET /status` shows of it.
//!
//! Must never break: no secret is in it.

use rcgen::{KeyPair, PublicKeyData as _};
use serde::Serialize;
use tern_protocol::{
    digest::Digest,
    id::{DeviceId, WorkspaceId},
    time::WallTime,
};
use tokio::sync::watch;

use super::file::Identity;
use crate::clock::Clock;

/// What is known of renewing.
#[derive(Debug, Clone, Default)]
pub(super) struct Renewing {
    /// When the next attempt is.
    pub(super) next: Option<WallTime>,
    /// Why the last attempt failed, if it did.
    pub(super) error: Option<String>,
}

/// The identity as it stands now. Clones see the same.
#[derive(Debug, Clone)]
pub struct Standing {
    key: Digest,
    clock: Clock,
    pub(super) newest: watch::Sender<Identity>,
    pub(super) renewing: watch::Sender<Renewing>,
}

/// What people are told. Times are milliseconds since 1970.
#[derive(Debug, Serialize)]
pub struct Shown {
    workspace: WorkspaceId,
    device: DeviceId,
    /// SHA-256 of the public key, by which the hub knows this device.
    key: Digest,
    not_before: WallTime,
    not_after: WallTime,
    next_renewal: Option<WallTime>,
    renewal_error: Option<String>,
    /// False: the clock is before any time that can be, and is not believed.
    clock_reliable: bool,
}

impl Standing {
    /// Of an identity that was just read.
    pub fn new(identity: Identity, clock: Clock) -> Result<Self, rcgen::Error> {
        let key = KeyPair::from_pem(identity.key_pem())?;
        Ok(Self {
            key: Digest::of(&key.subject_public_key_info()),
            clock,
            newest: watch::Sender::new(identity),
            renewing: watch::Sender::default(),
        })
    }

    /// Hears of each newer identity.
    pub fn newest(&self) -> watch::Receiver<Identity> {
        self.newest.subscribe()
    }

    /// What people may know.
    pub fn shown(&self) -> Shown {
        let credentials = self.newest.borrow().credentials.clone();
        let Renewing { next, error } = self.renewing.borrow().clone();
        let floor = super::floor(Some(credentials.not_before));
        let wall = self.clock.wall();
        Shown {
            workspace: credentials.workspace,
            device: credentials.device,
            key: self.key,
            not_before: credentials.not_before,
            not_after: credentials.not_after,
            next_renewal: next,
            renewal_error: error,
            clock_reliable: wall.is_some_and(|wall| super::now(Some(wall), floor) == wall),
        }
    }
}
