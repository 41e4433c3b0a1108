//! Says that something changed, so that open pages and streams ask again, and rollouts read again only what changed.
//!
//! Sent to by every part after it has committed; listened to by the server-sent events, and asked by what keeps facts
//! of devices ([`crate::fleet::kept`]). Must never break: sending never waits, whoever listens too slowly misses changes
//! and is told so, and nothing in the hub is wrong for good because a change was not seen.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    rest::Change,
};
use tokio::sync::broadcast;

/// Changes that a slow listener may lag behind before it misses some. A missed change costs a page
/// one refresh, so a short queue is enough.
const LAG: usize = 1024;

/// Devices of one workspace that are remembered one by one; of more, to read all is as fast.
const TOUCHED_MAX: usize = 10_000;

/// Devices that changed since somebody asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// These.
    Some(BTreeSet<DeviceId>),
    /// So many that nobody kept count.
    Many,
}

impl Default for Touched {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl Touched {
    fn add(&mut self, device: &DeviceId) {
        let Self::Some(devices) = self else { return };
        devices.insert(device.clone());
        if devices.len() > TOUCHED_MAX {
            *self = Self::Many;
        }
    }

    /// Whether a device is one of them.
    pub fn contains(&self, device: &DeviceId) -> bool {
        match self {
            Self::Some(devices) => devices.contains(device),
            Self::Many => true,
        }
    }
}

/// Where changes are announced. Clones announce to the same listeners.
#[derive(Debug, Clone)]
pub struct Changes {
    listeners: broadcast::Sender<(WorkspaceId, Change)>,
    touched: Arc<Mutex<HashMap<WorkspaceId, Touched>>>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            listeners: broadcast::channel(LAG).0,
            touched: Arc::default(),
        }
    }
}

impl Changes {
    /// Nobody listens yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces that something of a workspace changed.
    pub fn send(&self, workspace: &WorkspaceId, change: Change) {
        if let Change::Device { device } = &change {
            let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
            touched.entry(workspace.clone()).or_default().add(device);
        }
        // An error says that nobody listens, which is how most hubs spend their nights.
        let _ = self.listeners.send((workspace.clone(), change));
    }

    /// Devices of a workspace that were announced since this was asked last. There is one that asks: what keeps
    /// facts for rollouts. Whoever reads a device after this sees at least what was announced of it.
    pub fn take_touched(&self, workspace: &WorkspaceId) -> Touched {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.remove(workspace).unwrap_or_default()
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<(WorkspaceId, Change)> {
        self.listeners.subscribe()
    }
}
