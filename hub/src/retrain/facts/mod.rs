//! What is known of a model now, read anew at every look.
//!
//! Figures and labels are dear: they are kept for a while and read again when labels came, or after a time. All else is
//! read each time. Must never break: what is kept is only ever older than what is stored, never other.

mod figures;
mod labels;

use std::collections::BTreeMap;

use tern_protocol::{
    id::{ModelName, ModelVersion, WorkspaceId},
    rest::{FindingPlace, FindingView},
    time::WallTime,
};
use tern_retrain::{
    Comparison, Facts, Key, Loop, Step, Work,
    fact::{Champion, OpenFinding},
    state::Stage,
};

use super::{
    desk::Of,
    letting_out, making, questions,
    sql::{SQL, of as values_of},
    stored::{self, LookError},
    training,
    work::{self, State},
};
use crate::{
    app::App,
    monitor::{self, FindingQuery},
    registry,
    store::StoreError,
};

use self::{figures::Figures, labels::Counted};

/// Findings that are read, the newest.
const FINDINGS: u64 = 1_000;

/// What of a model is kept from look to look.
#[derive(Debug)]
pub(super) struct Kept {
    labels: Option<Counted>,
    figures: Option<Figures>,
    /// For how long figures are kept, in milliseconds.
    figures_ms: i64,
}

impl Kept {
    /// Nothing is kept yet; figures are to be for so long.
    pub(super) fn new(figures: std::time::Duration) -> Self {
        Self {
            labels: None,
            figures: None,
            figures_ms: i64::try_from(figures.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// All that is known of a model now.
pub(super) async fn read(
    app: &App,
    of: &Of,
    known: &Loop,
    kept: &mut Kept,
) -> Result<Facts, LookError> {
    let (workspace, model) = of;
    let db = app.store.read();
    let champion = champion(app, workspace, model).await?;
    let round = known.open().map_or(known.rounds(), |open| open.number);
    // What is watched after a rollout is the new version, also where most of the fleet was not meant to get it.
    let watched = known
        .open()
        .filter(|open| open.stage == Stage::Watching)
        .and_then(|open| open.version);
    let measured = watched.or(champion.map(|champion| champion.version));
    let figures = match measured {
        Some(version) => Figures::of(app, of, version, kept).await?,
        None => Figures::default(),
    };
    let mut facts = Facts {
        champion,
        asked: stored::asked(db, workspace, model).await?,
        findings: findings(app, workspace, model).await?,
        accuracy: figures.accuracy,
        estimate: figures.estimate,
        error: figures.error,
        labels: Counted::of(app, of, known.cut(), measured, &mut kept.labels).await?,
        ..Facts::default()
    };
    let said = questions::said(db, workspace, model, round).await?;
    facts.words = questions::for_machine(&said);
    let asked = questions::of_round(db, workspace, model, round).await?;
    facts.told = asked.iter().map(|row| row.key).collect();
    facts.labels.queued = labels::queued(app, of, &asked).await?;
    for row in work::that_matters(db, workspace, model, round).await? {
        add(app, of, &mut facts, &row).await?;
    }
    Ok(facts)
}

/// Adds how a piece of work stands.
async fn add(app: &App, of: &Of, facts: &mut Facts, row: &work::Row) -> Result<(), StoreError> {
    let key = row.key;
    let running = app.retraining.is_running(of, key);
    match key.step {
        Step::Build => {
            put(
                &mut facts.datasets,
                key,
                making::stands(app, of, row).await?,
            );
        }
        Step::Train => {
            let (work, core_seconds) = training::stands(app, of, row).await?;
            put(&mut facts.trainings, key, work);
            if let Some(core_seconds) = core_seconds {
                facts.core_seconds.insert(key, core_seconds);
            }
        }
        Step::Compare => {
            let done: Option<Comparison> = row.gave("comparison")?;
            put(&mut facts.comparisons, key, here(row, done, running));
        }
        Step::Register => {
            let version = row.number.and_then(|number| u32::try_from(number).ok());
            let version = version.and_then(ModelVersion::new);
            put(&mut facts.versions, key, here(row, version, running));
        }
        Step::RollOut => {
            put(
                &mut facts.rollouts,
                key,
                letting_out::stands(app, of, row).await?,
            );
        }
        // These are no work.
        Step::Labels | Step::Propose | Step::AskUnknown | Step::AskRegister | Step::AskRollOut => {}
    }
    Ok(())
}

fn put<T>(all: &mut BTreeMap<Key, Work<T>>, key: Key, work: Option<Work<T>>) {
    if let Some(work) = work {
        all.insert(key, work);
    }
}

/// How work stands that this process does itself: what is not done and does not run was not begun.
fn here<T>(row: &work::Row, done: Option<T>, running: bool) -> Option<Work<T>> {
    match row.state {
        State::Ordered if running => Some(Work::Running),
        _ => row.settled(done),
    }
}

/// What most of the fleet is meant to have; of two of which as many are, the older one.
async fn champion(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Option<Champion>, StoreError> {
    let db = app.store.read();
    let sql = "SELECT assigned_version, COUNT(DISTINCT device) AS devices FROM slot \
               WHERE workspace = $1 AND assigned_model = $2 AND assigned_version IS NOT NULL \
               GROUP BY assigned_version ORDER BY devices DESC, assigned_version LIMIT 1";
    let Some(row) = SQL.row(db, sql, values_of(workspace, model)).await? else {
        return Ok(None);
    };
    let number: i64 = SQL.at(&row, 0)?;
    let version = u32::try_from(number).ok().and_then(ModelVersion::new);
    let Some(version) = version else {
        return Ok(None);
    };
    let since = registry::created(db, workspace, model, version).await?;
    Ok(since.map(|since| Champion { version, since }))
}

/// Findings that are open, as far as they are not explained by others and nobody called them usual.
async fn findings(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Vec<OpenFinding>, StoreError> {
    let query = FindingQuery {
        model: Some(model.clone()),
        open: Some(true),
        limit: Some(FINDINGS),
        ..FindingQuery::default()
    };
    let found = monitor::findings(&app.store, workspace, &query).await?;
    let calls = |one: &FindingView| one.explained_by.is_none() && one.accepted_by.is_none();
    // The oldest first, so that evidence is in the order in which it came.
    let each = found.items.into_iter().rev().filter(calls);
    Ok(each.map(finding).collect())
}

fn finding(view: FindingView) -> OpenFinding {
    let (mut sites, mut at_devices) = (Vec::new(), Vec::new());
    for place in view.places {
        match place {
            FindingPlace::Site(site) => sites.push(site),
            FindingPlace::Device(device) => at_devices.push(device),
            FindingPlace::Fleet | FindingPlace::Version(_) => {}
        }
    }
    OpenFinding {
        id: view.id,
        kind: view.kind,
        attribution: view.attribution,
        sites,
        at_devices,
        since: view.since,
        opened: view.opened,
        devices: view.devices,
        of_devices: view.of_devices,
        text: view.text,
    }
}

/// Whether something that was read at a moment is still young at another.
fn is_young(read: WallTime, now: WallTime, for_ms: i64) -> bool {
    (0..for_ms).contains(&now.0.saturating_sub(read.0))
}
