//! What of tracking is kept in memory: which workspaces have their first experiment, and how much room artifacts have.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use tern_protocol::id::WorkspaceId;

use super::{TrackingError, experiment, turns::Turns};
use crate::app::App;

/// Bytes of artifacts of one workspace, unless the operator says otherwise.
pub const QUOTA: u64 = 64 * 1024 * 1024 * 1024;

/// Clones share what is known.
#[derive(Debug, Clone)]
pub struct Desk {
    begun: Arc<Mutex<HashSet<WorkspaceId>>>,
    pub(super) turns: Turns,
    /// Bytes of artifacts of one workspace.
    pub quota: u64,
}

impl Default for Desk {
    fn default() -> Self {
        Self::new(QUOTA)
    }
}

impl Desk {
    /// With so many bytes for the artifacts of a workspace.
    pub fn new(quota: u64) -> Self {
        Self {
            begun: Arc::default(),
            turns: Turns::default(),
            quota,
        }
    }

    /// Makes sure that a workspace has its experiment 0, in which runs are that name none. A workspace is made in more
    /// than one way; whoever asks for its experiments comes by here.
    pub async fn begin(&self, app: &App, workspace: &WorkspaceId) -> Result<(), TrackingError> {
        let begun = || self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun().contains(workspace) {
            return Ok(());
        }
        experiment::make_default(app, workspace).await?;
        begun().insert(workspace.clone());
        Ok(())
    }
}
