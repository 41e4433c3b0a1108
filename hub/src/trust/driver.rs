//! Keeps the metadata fresh, and tells devices of them.

use std::{collections::HashMap, time::Duration};

use tern_protocol::{id::WorkspaceId, topic::MetadataRole};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{TrustError, announcements, show, sync};
use crate::{
    app::App,
    fleet,
    store::{StoreError, chain},
};

/// Longest time between two looks, if nobody asks. A timestamp is made anew every day.
const FULL_PASS: Duration = Duration::from_mins(15);

/// Announcements that wait for the link.
const ANNOUNCEMENTS: usize = 64;

/// What devices of a workspace are told, retained.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// Which workspace.
    pub workspace: WorkspaceId,
    /// About what.
    pub role: MetadataRole,
    /// The message.
    pub payload: Vec<u8>,
}

/// Where announcements are handed in.
pub fn queue() -> (mpsc::Sender<Announcement>, mpsc::Receiver<Announcement>) {
    mpsc::channel(ANNOUNCEMENTS)
}

/// Runs until `stop`.
pub async fn run(app: App, announce: mpsc::Sender<Announcement>, stop: CancellationToken) {
    let mut told = HashMap::new();
    loop {
        if let Err(err) = pass(&app, &announce, &mut told).await {
            tracing::error!(error = chain(&err), "signed metadata wait");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.trust.wake.notified() => {}
            () = tokio::time::sleep(FULL_PASS) => {}
        }
    }
}

async fn pass(
    app: &App,
    announce: &mpsc::Sender<Announcement>,
    told: &mut HashMap<(WorkspaceId, MetadataRole), Vec<u8>>,
) -> Result<(), StoreError> {
    for workspace in fleet::workspaces(&app.store).await? {
        // One workspace's trouble is not another's.
        if let Err(err) = look(app, &workspace, announce, told).await {
            tracing::error!(%workspace, error = chain(&err), "signed metadata wait");
        }
    }
    Ok(())
}

async fn look(
    app: &App,
    workspace: &WorkspaceId,
    announce: &mpsc::Sender<Announcement>,
    told: &mut HashMap<(WorkspaceId, MetadataRole), Vec<u8>>,
) -> Result<(), TrustError> {
    sync(app, workspace).await?;
    if !told.contains_key(&(workspace.clone(), MetadataRole::Root))
        && show(app, workspace).await?.development
    {
        tracing::warn!(
            %workspace,
            "development: this hub holds the keys that sign models; `tern key rotate` takes them out of it"
        );
    }
    for (role, payload) in announcements(app, workspace).await? {
        let key = (workspace.clone(), role);
        if told.get(&key) != Some(&payload) {
            told.insert(key, payload.clone());
            send(announce, workspace, role, payload).await;
        }
    }
    Ok(())
}

/// Hands in what all workspaces' devices are told: the broker may have forgotten it.
pub async fn announce_all(app: App, announce: mpsc::Sender<Announcement>) {
    let workspaces = match fleet::workspaces(&app.store).await {
        Ok(workspaces) => workspaces,
        Err(err) => {
            return tracing::error!(error = chain(&err), "signed metadata were not published");
        }
    };
    for workspace in workspaces {
        match announcements(&app, &workspace).await {
            Ok(all) => {
                for (role, payload) in all {
                    send(&announce, &workspace, role, payload).await;
                }
            }
            Err(err) => {
                tracing::error!(%workspace, error = chain(&err), "signed metadata were not published");
            }
        }
    }
}

async fn send(
    announce: &mpsc::Sender<Announcement>,
    workspace: &WorkspaceId,
    role: MetadataRole,
    payload: Vec<u8>,
) {
    let workspace = workspace.clone();
    // Closed only when the hub stops; its next start says all again.
    let _ = announce
        .send(Announcement {
            workspace,
            role,
            payload,
        })
        .await;
}
