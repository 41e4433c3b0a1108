//! Whose turn it is, among all that wait for all computes, and who pays for what runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tern_compute::{
    job::Next,
    schedule::{self, Owner, Placed, Rules, Usage, View, Waiting, Why},
};
use tern_protocol::{
    id::{ComputeName, JobId, WorkspaceId},
    rest::Change,
    time::WallTime,
};

use super::{
    super::{
        JobsError, SQL,
        computes::{self, Compute},
        rows::{self, JobRow},
    },
    memory::Memory,
};
use crate::app::App;

/// Whoever runs something pays for the time since the last look.
pub(super) fn charge(
    memory: &mut Memory,
    all: &[JobRow],
    computes: &[Compute],
    app: &App,
    now: WallTime,
) {
    if let Some((since, paid)) = memory.charged.take() {
        let ms = now.0.saturating_sub(since.0).clamp(0, 60_000);
        let time = Duration::from_millis(ms.unsigned_abs());
        for (owner, share) in &paid {
            memory.usage.charge(now, owner, *share, time);
        }
    }
    let scheduled: Vec<_> = computes.iter().map(|one| one.scheduled(app)).collect();
    let running = all.iter().filter(|row| row.open().is_some());
    let paid = running.map(|row| (owner(row), schedule::share(&scheduled, row.needs)));
    memory.charged = Some((now, paid.collect()));
}

fn owner(row: &JobRow) -> Owner {
    Owner {
        workspace: row.workspace.clone(),
        person: row.person.clone(),
    }
}

/// Gives each in its turn to a compute; how many were.
pub(super) async fn deal(
    app: &App,
    usage: &Usage,
    all: &[JobRow],
    computes: &[Compute],
    now: WallTime,
) -> Result<usize, JobsError> {
    let mut waits = BTreeMap::new();
    let usable: Vec<&Compute> = computes
        .iter()
        .filter(|one| !(one.settings.paused || one.is_local() && app.jobs.local().is_err()))
        .collect();
    let (mut waiting, mut placed) = (Vec::new(), Vec::new());
    for row in all {
        if let Some(open) = row.open() {
            placed.push(Placed {
                key: row.attempt_key(open.number),
                owner: owner(row),
                needs: row.needs,
                on: open.compute.clone(),
                gpus: open.gpus.clone(),
            });
            continue;
        }
        match row.life().next(now) {
            Next::Schedule { attempt } => {
                let Some(on) = usable.iter().find(|one| one.name == row.compute) else {
                    waits.insert(row.id, unusable(app, computes, &row.compute));
                    continue;
                };
                let since = row.attempts.last().and_then(|one| one.ended.as_ref());
                waiting.push(Waiting {
                    key: row.attempt_key(attempt),
                    owner: owner(row),
                    needs: row.needs,
                    priority: row.priority,
                    since: since.map_or(row.created, |(_, at)| *at),
                    on: Some(on.name.clone()),
                });
            }
            Next::Wait { until } => {
                let seconds = until.0.saturating_sub(now.0).max(0) / 1000 + 1;
                let text =
                    format!("its last attempt ended badly; the next one begins in {seconds} s");
                waits.insert(row.id, text);
            }
            Next::Observe { .. } | Next::Cancel { .. } => {}
            // It is over, or the hub was killed before that was written.
            Next::Nothing => {
                rows::settle(app.store.write(), row.id, now).await?;
                app.changes.send(&row.workspace, Change::Job { id: row.id });
            }
        }
    }
    let names: BTreeMap<JobId, &JobRow> = all.iter().map(|row| (row.id, row)).collect();
    let view = View {
        computes: usable.iter().map(|one| one.scheduled(app)).collect(),
        waiting,
        placed,
        usage: usage.clone(),
    };
    let wanted = view.waiting.len();
    let plan = if wanted == 0 && view.placed.is_empty() && usable.iter().all(|one| !one.is_local())
    {
        schedule::Plan::default()
    } else {
        let planned =
            tokio::task::spawn_blocking(move || schedule::plan(&view, &Rules::default(), now));
        match planned.await {
            Ok(plan) => plan,
            Err(err) => {
                tracing::error!(%err, "no plan was made");
                schedule::Plan::default()
            }
        }
    };
    let given = give_all(app, &names, &plan, now).await?;
    for (name, wanted) in &plan.wanted {
        app.jobs.know(name, |known| known.wanted = *wanted);
    }
    for (name, units) in &plan.scale {
        tracing::info!(compute = %name, units, "slots for jobs");
        app.jobs.know(name, |known| known.units = *units);
    }
    for (key, why) in &plan.waits {
        let on = names.get(&key.job).map(|row| &row.compute);
        waits.insert(key.job, told(why, on));
    }
    let all_workspaces: BTreeSet<&WorkspaceId> = all.iter().map(|row| &row.workspace).collect();
    if app.jobs.set_waits(waits) || !plan.scale.is_empty() {
        for workspace in all_workspaces {
            app.changes.send(workspace, Change::Computes);
        }
    }
    Ok(given)
}

async fn give_all(
    app: &App,
    names: &BTreeMap<JobId, &JobRow>,
    plan: &schedule::Plan,
    now: WallTime,
) -> Result<usize, JobsError> {
    if plan.starts.is_empty() {
        return Ok(0);
    }
    let txn = SQL.begin(&app.store).await?;
    let mut given = Vec::new();
    // What was removed since this look began would keep an attempt for ever.
    let there = computes::all(app, &txn).await?;
    for start in &plan.starts {
        let is_there = there.iter().any(|one| one.name == start.on);
        if is_there && rows::give(&txn, start.key, &start.on, &start.gpus, now).await? {
            given.push(start);
        }
    }
    SQL.commit(txn).await?;
    for start in &given {
        if let Some(row) = names.get(&start.key.job) {
            app.changes.send(&row.workspace, Change::Job { id: row.id });
            tracing::info!(attempt = %start.key, compute = %start.on, workspace = %row.workspace, "a job begins");
        }
    }
    Ok(given.len())
}

/// Why a compute starts nothing.
fn unusable(app: &App, computes: &[Compute], name: &ComputeName) -> String {
    match computes.iter().find(|one| one.name == *name) {
        None => format!("there is no compute `{name}` any more"),
        Some(one) if one.settings.paused => format!("`{name}` is paused"),
        Some(_) => match app.jobs.local() {
            Err(why) => format!("`{name}` runs nothing: {why}"),
            Ok(_) => format!("`{name}` runs nothing"),
        },
    }
}

fn told(why: &Why, on: Option<&ComputeName>) -> String {
    let on = on.map_or("the compute", ComputeName::as_str);
    match why {
        Why::Busy => format!("no room on `{on}` now"),
        Why::KeptFor(name) => format!("waited long enough: `{name}` is kept free for it"),
        Why::Kept(other) => format!(
            "`{on}` is kept free for job {}, which waits for longer",
            other.job
        ),
        Why::TooLarge => format!("`{on}` could never hold it: it asks for more than there is"),
    }
}
