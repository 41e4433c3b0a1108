//! Stores what a look led to: events, decisions, tallies and how the rollout stands, in one transaction.

use sea_orm::TransactionTrait as _;
use tern_otlp::SPANS;
use tern_protocol::{
    id::{RolloutId, WorkspaceId},
    rest::{Decision, Deed, Look, RolloutCounts, RolloutState},
};
use tern_rollout::{
    Applied, Phase,
    event::{Batch, Index},
};
use tracing::Span;

use super::{Committed, News, Running};
use crate::{
    app::App,
    rollout::{
        evidence::{
            stored::{self, Memory},
            windows,
        },
        notices,
        plan::Rollout,
        stored::save,
    },
    store::{Doing as _, StoreError},
};

/// Shortest time between two looks that are kept for charts, in milliseconds.
const LOOK: i64 = 10_000;

/// A span of storing decisions, of a look that led to some.
fn deciding(workspace: &WorkspaceId, id: RolloutId, decisions: &[Decision]) -> Option<Span> {
    let last = decisions.last()?;
    Some(tracing::info_span!(
        target: SPANS, "decide", tern.workspace = %workspace, tern.rollout = %id, tern.decision = last.what.word(),
        tern.stage = last.stage, tern.decisions = decisions.len(),
    ))
}

impl Running {
    /// Stores what a look led to, all of it or nothing.
    pub(super) async fn commit(
        &mut self,
        app: &App,
        rollout: &Rollout,
        counts: RolloutCounts,
        batch: &Batch,
        applied: Applied,
        news: News,
    ) -> Result<Committed, StoreError> {
        let (mut stands, reason) = self.stands(rollout, &applied.decisions);
        let nothing = !applied.changed && news.tallies.is_empty() && !self.jumps(&news);
        if nothing && self.begun && stands == *rollout {
            return Ok(Committed {
                rollout: stands,
                reason,
                counts,
                changed: false,
            });
        }
        let (workspace, id) = (&self.workspace, self.id);
        let deciding = deciding(workspace, id, &applied.decisions);
        let txn = app.store.write().begin().await;
        let txn = txn.doing("beginning to store evidence of a rollout")?;
        if applied.changed {
            stored::add_batch(&txn, workspace, id, self.sequence, batch).await?;
        }
        for decision in &applied.decisions {
            stored::add_decision(&txn, workspace, id, decision).await?;
        }
        for index in &news.tallies {
            if let Some(tally) = self.tallies.get(index) {
                stored::save_tally(&txn, workspace, id, Index(*index), tally).await?;
            }
        }
        if let Some(last) = news.heard {
            stored::heard(&txn, last, workspace, id).await?;
        }
        let memory = Memory {
            cursor: news.cursor.unwrap_or(self.memory.cursor),
            shadow_cursor: news.shadow_cursor.unwrap_or(self.memory.shadow_cursor),
            label_cursor: news.label_cursor.unwrap_or(self.memory.label_cursor),
            mix: self.memory.mix.clone(),
        };
        stored::save_memory(&txn, workspace, id, &memory).await?;
        let due = self.looked.is_none_or(|at| batch.at.0 - at.0 >= LOOK);
        if applied.changed
            && (due || !applied.decisions.is_empty())
            && !self.engine.last_verdicts().is_empty()
        {
            let look = Look {
                at: batch.at,
                stage: self.engine.stage() as u32 + 1,
                gates: self.engine.detailed(),
            };
            stored::add_look(&txn, workspace, id, &look).await?;
            self.looked = Some(batch.at);
        }
        if !applied.decisions.is_empty() || stands.state != rollout.state {
            stands.reason.clone_from(&reason);
            stands.counts = counts;
        }
        // A person may have spoken since; what was said is an order, which the next look hears.
        let latest = crate::rollout::stored::find(&txn, workspace, id).await?;
        let mut reason = reason;
        if let Some(latest) = latest
            && (latest.state, latest.moved) != (rollout.state, rollout.moved)
        {
            (stands.state, stands.moved) = (latest.state, latest.moved);
            stands.reason.clone_from(&latest.reason);
            reason = latest.reason;
        }
        if stands != *rollout {
            stands.updated = batch.at;
            save(&txn, &stands).await?;
        }
        for decision in &applied.decisions {
            notices::tell(&txn, rollout, decision).await?;
        }
        txn.commit()
            .await
            .doing("committing evidence of a rollout")?;
        if !applied.decisions.is_empty() {
            app.courier.wake();
        }
        drop(deciding);
        self.begun = true;
        self.memory = memory;
        self.sequence += i64::from(applied.changed);
        for decision in &applied.decisions {
            tracing::info!(%workspace, rollout = %id, what = decision.what.word(), stage = decision.stage,
                reason = decision.sentence, "rollout decided");
        }
        Ok(Committed {
            rollout: stands,
            reason,
            counts,
            changed: true,
        })
    }

    /// Whether so many windows were passed over that to read them again would take long.
    fn jumps(&self, news: &News) -> bool {
        let shadows = news.shadow_cursor;
        let shadows = shadows.is_some_and(|last| last - self.memory.shadow_cursor >= 500);
        let labels = news.label_cursor;
        let labels = labels.is_some_and(|last| last - self.memory.label_cursor >= 5_000);
        shadows
            || labels
            || news
                .cursor
                .is_some_and(|cursor| cursor - self.memory.cursor >= windows::WINDOWS as i64 / 5)
    }

    /// The rollout's row as the engine says that it stands.
    fn stands(&self, rollout: &Rollout, decisions: &[Decision]) -> (Rollout, String) {
        use tern_protocol::rest::Moved;
        let engine = &self.engine;
        let (state, moved) = match engine.phase() {
            Phase::Ended { .. } if rollout.state.is_over() => (rollout.state, rollout.moved),
            Phase::Ended { back: true } => (Self::ended(decisions), Some(Moved::Back)),
            Phase::Ended { back: false } => (Self::ended(decisions), Some(Moved::Stay)),
            // An order that was not heard yet.
            _ if rollout.state.is_over() => (rollout.state, rollout.moved),
            _ if engine.is_paused() => (RolloutState::Paused, None),
            Phase::Asking(_) | Phase::Held => (RolloutState::Waiting, None),
            Phase::Complete => (RolloutState::Complete, None),
            Phase::New | Phase::Moving | Phase::Releasing => (RolloutState::Running, None),
        };
        let reason = match engine.phase() {
            Phase::Moving if !rollout.state.is_over() => engine.standing(),
            _ => decisions.last().map_or_else(
                || rollout.reason.clone(),
                |decision| decision.sentence.clone(),
            ),
        };
        let stands = Rollout {
            state,
            moved,
            stage: (engine.phase() != Phase::New).then(|| engine.stage() as u32 + 1),
            ..rollout.clone()
        };
        (stands, reason)
    }

    /// Who ended it.
    fn ended(decisions: &[Decision]) -> RolloutState {
        let stopped = decisions.iter().any(|one| one.what == Deed::Stop);
        if stopped {
            RolloutState::Stopped
        } else {
            RolloutState::Aborted
        }
    }
}
