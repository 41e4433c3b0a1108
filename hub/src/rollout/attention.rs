//! What of rollouts needs a person.

use tern_protocol::{
    id::WorkspaceId,
    rest::{Attention, AttentionKind, RolloutState, VersionRef},
};

use super::{freeze, plan::Rollout, stored};
use crate::{app::App, store::StoreError};

/// How long a rollout that was stopped is told, in milliseconds: a day.
const TOLD: i64 = 86_400_000;

/// Rollouts that are looked at, the newest first.
const NEWEST: u64 = 100;

/// All that needs a person, the worst first.
pub async fn attention(app: &App, workspace: &WorkspaceId) -> Result<Vec<Attention>, StoreError> {
    let db = app.store.read();
    let rollouts = stored::newest(db, workspace, NEWEST).await?;
    let now = app.clock.now().0;
    let mut all = Vec::new();
    for rollout in &rollouts {
        let recent = now.saturating_sub(rollout.updated.0) < TOLD;
        if rollout.state == RolloutState::Stopped && recent {
            all.push(about(
                rollout,
                AttentionKind::RolloutStopped,
                "look at its evidence; its devices go back by themselves",
                "show",
            ));
        }
    }
    for rollout in &rollouts {
        if rollout.state == RolloutState::Waiting {
            all.push(about(
                rollout,
                AttentionKind::RolloutWaits,
                "approve its next stage, or abort it",
                "show",
            ));
        }
    }
    if let Some(frozen) = freeze::find(db, workspace).await? {
        let reason = match frozen.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        all.push(Attention {
            kind: AttentionKind::Frozen,
            text: format!(
                "{} froze the workspace, so no device is moved{reason}",
                frozen.by
            ),
            remedy: "thaw it once it is over".into(),
            command: Some("tern thaw".into()),
            devices: 0,
            version: None,
        });
    }
    Ok(all)
}

fn about(rollout: &Rollout, kind: AttentionKind, remedy: &str, command: &str) -> Attention {
    let target = &rollout.target;
    Attention {
        kind,
        text: format!(
            "rollout {} of {} v{}: {}",
            rollout.id, target.model, target.version, rollout.reason
        ),
        remedy: remedy.into(),
        command: Some(format!("tern rollout {command} {}", rollout.id)),
        devices: rollout.counts.targeted,
        version: Some(VersionRef {
            model: target.model.clone(),
            version: target.version,
        }),
    }
}
