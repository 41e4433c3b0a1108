//! What devices and hub say to each other, for whoever listens.
//!
//! Sent to by [`crate::link`], listened to by the API. Must never break: sending never waits, and costs
//! next to nothing while nobody listens; whoever listens too slowly misses messages and is told so.

use bytes::Bytes;
use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    time::WallTime,
};
use tokio::sync::broadcast;

/// Messages that a slow listener may lag behind before it misses some: at 64 KiB a chunk, 16 MiB that
/// all listeners share.
const LAG: usize = 256;

/// A message that goes by.
#[derive(Debug, Clone)]
pub struct Passing {
    /// When.
    pub at: WallTime,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// From or to which device; none for a chunk, which is for all that want it.
    pub device: Option<DeviceId>,
    /// Its topic.
    pub topic: String,
    /// Whether the broker keeps it, or had kept it.
    pub retained: bool,
    /// The message itself.
    pub payload: Bytes,
}

/// Where messages go by. Clones are the same place.
#[derive(Debug, Clone)]
pub struct Tap(broadcast::Sender<Passing>);

impl Default for Tap {
    fn default() -> Self {
        Self(broadcast::channel(LAG).0)
    }
}

impl Tap {
    /// Tells a message, which is made only if somebody listens.
    pub fn tell(&self, passing: impl FnOnce() -> Passing) {
        if self.0.receiver_count() > 0 {
            // An error says that the last listener has just left.
            let _ = self.0.send(passing());
        }
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Passing> {
        self.0.subscribe()
    }
}
