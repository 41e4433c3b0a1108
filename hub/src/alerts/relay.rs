//! Keeps every Alertmanager told what stands: when it changes, and again every minute.
//!
//! Level-triggered: each look reads what stands and what each took last. Must never break: what fired and is over is
//! said to be over, also if the hub was killed in between, for as long as an Alertmanager may still show it.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use tern_protocol::{
    digest::Digest,
    id::WorkspaceId,
    rest::{AlertState, AlertView},
    time::WallTime,
};
use tokio_util::sync::CancellationToken;

use super::views::{self, AlertQuery};
use crate::{
    app::App,
    notify::{
        self,
        alertmanager::{self, AGAIN, Alert, Receiver},
    },
    store::{StoreError, chain},
};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// How long what is over is still said to be over.
const OVER: Duration = Duration::from_mins(15);

/// Alerts that one Alertmanager is told at a time.
const MOST: u64 = 1_000;

/// Tells until the hub stops.
pub async fn run(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let look = async {
            if let Err(err) = look(&app).await {
                tracing::warn!(error = chain(&err), "Alertmanagers were not told");
            }
            tokio::select! {
                () = app.relaying.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = look => {}
        }
    }
}

async fn look(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now();
    let mut by_workspace: BTreeMap<WorkspaceId, Vec<Receiver>> = BTreeMap::new();
    for receiver in alertmanager::receivers(&app.store).await? {
        if receiver.due_at <= now {
            by_workspace
                .entry(receiver.workspace.clone())
                .or_default()
                .push(receiver);
        }
    }
    for (workspace, receivers) in by_workspace {
        let standing = standing(app, &workspace, now).await?;
        let digest = digest(&standing);
        let alerts: Vec<Alert> = standing
            .iter()
            .map(|one| alert(app, &workspace, one, now))
            .collect();
        // Each may take its time: they are told at once.
        let told = receivers
            .iter()
            .filter(|one| is_due(one, &digest, alerts.len(), now));
        let told = told.map(|one| app.courier.relay(&app.store, one, &alerts, &digest, now));
        let mut changed = false;
        for done in futures::future::join_all(told).await {
            changed |= !done? || digest != EMPTY;
        }
        if changed {
            app.changes
                .send(&workspace, tern_protocol::rest::Change::Notifications);
        }
    }
    Ok(())
}

/// What nothing at all looks like in short.
const EMPTY: &str = "";

fn is_due(receiver: &Receiver, digest: &str, alerts: usize, now: WallTime) -> bool {
    let took = receiver.took.as_deref().unwrap_or(EMPTY);
    let again = i64::try_from(AGAIN.as_millis()).unwrap_or(i64::MAX);
    let passed = receiver
        .sent_at
        .is_none_or(|sent| now.0.saturating_sub(sent.0).abs() >= again);
    took != digest || alerts > 0 && passed
}

/// What fires and is not held back, and what fired and was over a while ago.
async fn standing(
    app: &App,
    workspace: &WorkspaceId,
    now: WallTime,
) -> Result<Vec<AlertView>, StoreError> {
    let of = |state| AlertQuery {
        state: Some(state),
        limit: Some(MOST),
        ..AlertQuery::default()
    };
    let mut firing = views::alerts(app, workspace, &of(AlertState::Firing))
        .await?
        .items;
    for one in &mut firing {
        // To an Alertmanager what is held back is over.
        if one.silenced_by.is_some() {
            one.resolved = Some(now);
        }
    }
    let over = views::alerts(app, workspace, &of(AlertState::Resolved))
        .await?
        .items;
    let since = now
        .0
        .saturating_sub(i64::try_from(OVER.as_millis()).unwrap_or(i64::MAX));
    let recent = |one: &AlertView| one.resolved.is_some_and(|at| at.0 >= since);
    let again = |one: &AlertView| {
        firing
            .iter()
            .any(|live| live.facts.labels == one.facts.labels)
    };
    // Of what came back the one that fires counts: both look the same to an Alertmanager.
    let over: Vec<_> = over
        .into_iter()
        .filter(|one| recent(one) && !again(one))
        .collect();
    firing.extend(over);
    Ok(firing)
}

/// What stands, in short: which, whether over, and what is said about it by people.
fn digest(standing: &[AlertView]) -> String {
    if standing.is_empty() {
        return EMPTY.into();
    }
    let mut text = String::new();
    for one in standing {
        let by = one
            .acknowledged
            .as_ref()
            .map_or("", |known| known.by.as_str());
        // Writing to a String cannot fail.
        let _ = write!(text, "{}/{}/{by};", one.id, one.resolved.is_some());
    }
    Digest::of(text.as_bytes()).to_string()
}

fn alert(app: &App, workspace: &WorkspaceId, one: &AlertView, now: WallTime) -> Alert {
    let facts = &one.facts;
    let mut labels = facts.labels.clone();
    labels.insert("alertname".into(), one.rule.to_string());
    labels.retain(|_, value| !value.is_empty());
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), facts.summary.clone()),
        (
            "description".to_owned(),
            format!("{} of {} devices", facts.devices, facts.of_devices),
        ),
        ("evidence".to_owned(), facts.evidence.clone()),
        ("suggested_action".to_owned(), facts.action.clone()),
    ]);
    if let Some(known) = &one.acknowledged {
        let text = if known.comment.is_empty() {
            known.by.clone()
        } else {
            format!("{}: {}", known.by, known.comment)
        };
        annotations.insert("acknowledged".into(), text);
    }
    let link = notify::link(&app.reach, workspace, &format!("/alerts/{}", one.id));
    Alert::new(
        labels,
        annotations,
        one.fired.unwrap_or(one.since),
        one.resolved,
        link,
        now,
    )
}
