//! What of a rollout's decisions is told to people.

use std::fmt::Write as _;

use sea_orm::DatabaseTransaction;
use tern_protocol::rest::{Decision, Deed, NoticeKind};

use super::plan::Rollout;
use crate::{
    notify::{self, Notice},
    store::StoreError,
};

/// Writes the notices of a decision, in the transaction that stores it.
pub(super) async fn tell(
    txn: &DatabaseTransaction,
    rollout: &Rollout,
    decision: &Decision,
) -> Result<(), StoreError> {
    let Some((kind, happened)) = kind(decision.what) else {
        return Ok(());
    };
    let id = rollout.id;
    let (model, version) = (&rollout.target.model, rollout.target.version);
    let mut text = decision.sentence.clone();
    if kind == NoticeKind::RolloutWaits {
        let _ = write!(
            text,
            "\n\nLook: tern rollout show {id}\nGo on: tern rollout approve {id}\nEnd: tern rollout abort {id}"
        );
    }
    let notice = Notice {
        kind,
        subject: format!("rollout {id} of {model} v{version} {happened}"),
        text,
        link_path: format!("/rollouts/{id}"),
        at: decision.at,
        key: format!("rollout/{id}/decision/{}", decision.number),
    };
    notify::enqueue(txn, &rollout.workspace, &notice).await?;
    Ok(())
}

fn kind(what: Deed) -> Option<(NoticeKind, &'static str)> {
    match what {
        Deed::Stop => Some((
            NoticeKind::RolloutStopped,
            "was stopped by evidence of harm",
        )),
        Deed::Hold => Some((NoticeKind::RolloutStopped, "is held: harm is proven")),
        Deed::Abort => Some((NoticeKind::RolloutStopped, "was aborted")),
        Deed::Ask => Some((NoticeKind::RolloutWaits, "waits for a person")),
        Deed::Advance | Deed::Approve | Deed::Release => {
            Some((NoticeKind::RolloutAdvanced, "went on"))
        }
        Deed::Complete => Some((NoticeKind::RolloutComplete, "is complete")),
        Deed::Start | Deed::Pause | Deed::Resume => None,
    }
}
