//! Looks at all models that are trained anew, again and again.
//!
//! Level-triggered: a look reads everything, whatever woke it. What follows is stored before any of it is carried out;
//! what is carried out shows as a fact at a later look, or is ordered again.

use std::{collections::HashMap, time::Duration};

use tern_protocol::{id::WorkspaceId, rest::Change};
use tern_retrain::{Loop, Stepped};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{
    act,
    desk::Of,
    facts::{self, Kept},
    notices,
    sql::SQL,
    stored::{self, LookError},
    work,
};
use crate::{
    app::App,
    fleet, notify,
    store::{StoreError, chain},
};

/// The state is stored at least this often, in milliseconds, although nothing but the time changed: a clock that is set
/// back is noticed by what was stored.
const TIME: i64 = 60_000;

/// Shortest time between two looks: a rollout of a large fleet changes many times a second.
const BREATH: Duration = Duration::from_millis(250);

/// Looks every so often, and when work that rounds wait for changes, until the hub stops.
pub async fn run(app: App, every: Duration, stop: CancellationToken) {
    let mut all: HashMap<Of, Kept> = HashMap::new();
    let mut changes = app.changes.subscribe();
    loop {
        if let Err(err) = look(&app, every, &mut all).await {
            tracing::warn!(
                error = chain(&err),
                "models that are trained anew were not looked at"
            );
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(BREATH) => {}
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = app.retraining.wake.notified() => {}
            () = stirred(&mut changes) => {}
            () = tokio::time::sleep(every) => {}
        }
    }
    app.retraining.abort_all();
}

/// Returns once something changed that a round may wait for. It carries no data: the look reads what it needs.
async fn stirred(changes: &mut Receiver<(WorkspaceId, Change)>) {
    loop {
        match changes.recv().await {
            Ok((_, Change::Job { .. } | Change::Datasets | Change::Rollout { .. }))
            | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            // The hub stops.
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

async fn look(app: &App, every: Duration, all: &mut HashMap<Of, Kept>) -> Result<(), StoreError> {
    for workspace in fleet::workspaces(&app.store).await? {
        for of in models(app, &workspace).await? {
            let kept = all
                .entry(of.clone())
                // Figures are dear, and nothing that they decide is in a hurry.
                .or_insert_with(|| Kept::new(every.saturating_mul(2)));
            if let Err(err) = look_at(app, &of, kept).await {
                app.retraining.wait(&of, chain(&err));
                tracing::warn!(error = chain(&err), workspace = %of.0, model = %of.1, "a model that is trained anew was not looked at");
            }
        }
    }
    Ok(())
}

async fn models(app: &App, workspace: &WorkspaceId) -> Result<Vec<Of>, StoreError> {
    let models = stored::models(app.store.read(), workspace).await?;
    Ok(models
        .into_iter()
        .map(|model| (workspace.clone(), model))
        .collect())
}

/// One look at one model.
pub(super) async fn look_at(app: &App, of: &Of, kept: &mut Kept) -> Result<(), LookError> {
    let (workspace, model) = of;
    let db = app.store.read();
    let policy = stored::policy(db, workspace, model).await?;
    let policy = policy.map(|written| written.policy);
    let known = stored::state(db, workspace, model).await?;
    let facts = facts::read(app, of, &known, kept).await?;
    let stepped = known.step(policy.as_ref(), &facts, app.clock.now());
    commit(app, of, &known, &stepped).await?;
    app.retraining.wait(of, stepped.waits.clone());
    for action in &stepped.actions {
        act::carry_out(app, of, action).await?;
    }
    Ok(())
}

/// Stores what is known now, what was learned and what is ordered, all or nothing.
async fn commit(app: &App, of: &Of, before: &Loop, stepped: &Stepped) -> Result<(), StoreError> {
    let (workspace, model) = of;
    let next = &stepped.next;
    let ordered = stepped.actions.iter().any(|one| work::is_work(&one.act));
    let later = next.latest().0.saturating_sub(before.latest().0);
    if !ordered
        && stepped.ended.is_none()
        && before.is_but_later(next)
        && (0..TIME).contains(&later)
    {
        return Ok(());
    }
    let now = app.clock.now();
    let txn = SQL.begin(&app.store).await?;
    stored::keep(&txn, workspace, model, next).await?;
    work::order(&txn, workspace, model, &stepped.actions, now).await?;
    if let Some(lesson) = &stepped.ended {
        stored::teach(&txn, workspace, model, lesson).await?;
        work::forget(&txn, workspace, model, lesson.round).await?;
        super::challenger::forget(&txn, workspace, model, lesson).await?;
        notify::enqueue(&txn, workspace, &notices::over(model, lesson)).await?;
        tracing::info!(%workspace, %model, round = lesson.round, outcome = lesson.outcome.text(), "a round of retraining is over");
    }
    SQL.commit(txn).await?;
    if stepped.ended.is_some() {
        app.courier.wake();
    }
    if !before.is_but_later(next) {
        super::announce(app, workspace, model);
    }
    Ok(())
}
