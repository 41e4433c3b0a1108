//! Says that something changed, so that open pages and streams ask again.
//!
//! Sent to by every part after it has committed; listened to by the server-sent events. Must never
//! break: sending never waits, whoever listens too slowly misses changes and is told so, and nothing
//! in the hub depends on a change being seen.

use tern_protocol::{id::WorkspaceId, rest::Change};
use tokio::sync::broadcast;

/// Changes that a slow listener may lag behind before it misses some. A missed change costs a page
/// one refresh, so a short queue is enough.
const LAG: usize = 1024;

/// Where changes are announced. Clones announce to the same listeners.
#[derive(Debug, Clone)]
pub struct Changes(broadcast::Sender<(WorkspaceId, Change)>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::channel(LAG).0)
    }
}

impl Changes {
    /// Nobody listens yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces that something of a workspace changed.
    pub fn send(&self, workspace: &WorkspaceId, change: Change) {
        // An error says that nobody listens, which is how most hubs spend their nights.
        let _ = self.0.send((workspace.clone(), change));
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<(WorkspaceId, Change)> {
        self.0.subscribe()
    }
}
