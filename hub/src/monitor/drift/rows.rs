//! Watches and findings in the database.

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{ModelVersion, WorkspaceId},
    rest::{Detector, FindingEnd, FindingPlace, FindingView},
    time::WallTime,
};
use tern_watch::Hour;

use super::{pending::Watched, told::Told};
use crate::{
    monitor::findings::{finding, view},
    store::{Doing as _, Store, StoreError, parsed, raw},
};

const DOING: &str = "keeping what is watched";

/// A watch as it is stored.
pub(super) struct Stored {
    pub(super) of: Watched,
    pub(super) since: i64,
    pub(super) first: ModelVersion,
    pub(super) hour: Hour,
    pub(super) state: Vec<u8>,
    pub(super) departures: Vec<u8>,
    /// Up to which window departures were looked for.
    pub(super) departed: i64,
}

/// All watches of a workspace.
pub(super) async fn watches(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<Vec<Stored>, StoreError> {
    const SELECT: &str = "SELECT slot, model, since, first, hour, state, departures, departed \
        FROM drift_watch WHERE workspace = $1";
    let rows = raw::rows(store.read(), DOING, SELECT, [workspace.as_str().into()]).await?;
    let stored = |row: &QueryResult| {
        let text = |at: usize| row.try_get_by_index::<String>(at).doing(DOING);
        let number = |at: usize| row.try_get_by_index::<i64>(at).doing(DOING);
        let bytes = |at: usize| row.try_get_by_index::<Vec<u8>>(at).doing(DOING);
        Ok(Stored {
            of: Watched {
                slot: parsed("slot name", &text(0)?)?,
                model: parsed("model name", &text(1)?)?,
            },
            since: number(2)?,
            first: parsed("version", &number(3)?.to_string())?,
            hour: Hour(u32::try_from(number(4)?).unwrap_or_default()),
            state: bytes(5)?,
            departures: bytes(6)?,
            departed: number(7)?,
        })
    };
    rows.iter().map(stored).collect()
}

/// Stores a watch.
pub(super) async fn write_watch(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    one: Stored,
) -> Result<(), StoreError> {
    const UPSERT: &str = "INSERT INTO drift_watch \
        (workspace, slot, model, since, first, hour, state, departures, departed) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (workspace, slot, model) DO UPDATE SET \
        since = excluded.since, first = excluded.first, hour = excluded.hour, state = excluded.state, \
        departures = excluded.departures, departed = excluded.departed";
    let values = [
        workspace.as_str().into(),
        one.of.slot.as_str().into(),
        one.of.model.as_str().into(),
        one.since.into(),
        i64::from(one.first.get()).into(),
        i64::from(one.hour.0).into(),
        one.state.into(),
        one.departures.into(),
        one.departed.into(),
    ];
    raw::exec(db, DOING, UPSERT, values).await.map(|_| ())
}

/// Up to which window all was taken in, and what of it waits.
pub(super) async fn follow(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<(i64, Vec<u8>), StoreError> {
    const SELECT: &str = "SELECT last, pending FROM drift_follow WHERE workspace = $1";
    let row = raw::row(store.read(), DOING, SELECT, [workspace.as_str().into()]).await?;
    let Some(row) = row else {
        return Ok((0, Vec::new()));
    };
    let last = row.try_get_by_index(0).doing(DOING)?;
    Ok((last, row.try_get_by_index(1).doing(DOING)?))
}

/// Stores up to where all was taken in.
pub(super) async fn write_follow(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    last: i64,
    pending: Vec<u8>,
) -> Result<(), StoreError> {
    const UPSERT: &str = "INSERT INTO drift_follow (workspace, last, pending) VALUES ($1, $2, $3) \
        ON CONFLICT (workspace) DO UPDATE SET last = excluded.last, pending = excluded.pending";
    let values = [workspace.as_str().into(), last.into(), pending.into()];
    raw::exec(db, DOING, UPSERT, values).await.map(|_| ())
}

/// A finding that a person accepted and that goes on.
pub(super) struct AcceptedRow {
    pub(super) of: Watched,
    pub(super) since: i64,
    pub(super) detector: String,
    pub(super) number: u32,
    id: i64,
}

/// Findings that a person accepted and that go on.
pub(super) async fn accepted(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<Vec<AcceptedRow>, StoreError> {
    const SELECT: &str = "SELECT slot, model, watched_since, detector, number, id FROM finding \
        WHERE workspace = $1 AND closed IS NULL AND accepted IS NOT NULL";
    let rows = raw::rows(store.read(), DOING, SELECT, [workspace.as_str().into()]).await?;
    let one = |row: &QueryResult| {
        let text = |at: usize| row.try_get_by_index::<String>(at).doing(DOING);
        let number = |at: usize| row.try_get_by_index::<i64>(at).doing(DOING);
        Ok(AcceptedRow {
            of: Watched {
                slot: parsed("slot name", &text(0)?)?,
                model: parsed("model name", &text(1)?)?,
            },
            since: number(2)?,
            detector: text(3)?,
            number: u32::try_from(number(4)?).unwrap_or(u32::MAX),
            id: number(5)?,
        })
    };
    rows.iter().map(one).collect()
}

/// Ends a finding of which its watch knows nothing more.
pub(super) async fn end_accepted(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    row: &AcceptedRow,
    now: WallTime,
) -> Result<(), StoreError> {
    let found = finding(db, workspace, row.id).await?;
    match found {
        Some(found) => end(db, workspace, found, FindingEnd::Accepted, None, now).await,
        None => Ok(()),
    }
}

/// How a detector is stored.
pub(super) const fn word(detector: Detector) -> &'static str {
    match detector {
        Detector::Drift => "drift",
        Detector::Departure => "departure",
    }
}

/// Stores what became of a finding. A departure that drift says as well is explained by it.
pub(super) async fn write_finding(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    of: &Watched,
    since: i64,
    mut told: Told,
    now: WallTime,
) -> Result<(), StoreError> {
    if let Some(by) = told.explained {
        told.view.explained_by = number(db, workspace, of, since, told.detector, by).await?;
    }
    let others = open(db, workspace, of, since).await?;
    if told.detector == Detector::Departure && told.view.closed.is_none() {
        let by = others.iter().find(|other| covers(other, &told.view));
        if let Some(by) = by {
            told.view.closed = Some(now);
            told.view.end = Some(FindingEnd::Explained);
            told.view.explained_by = Some(by.id);
        }
    }
    let id = upsert(db, workspace, of, since, &told).await?;
    if told.detector == Detector::Drift && told.view.closed.is_none() {
        for other in others {
            if covers(&told.view, &other) {
                end(db, workspace, other, FindingEnd::Explained, Some(id), now).await?;
            }
        }
    }
    Ok(())
}

/// Ends what is open of a watch that begins anew.
pub(super) async fn end_all(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    of: &Watched,
    since: i64,
    now: WallTime,
) -> Result<(), StoreError> {
    for found in open(db, workspace, of, since).await? {
        end(db, workspace, found, FindingEnd::Silent, None, now).await?;
    }
    Ok(())
}

/// Whether what drift found says all that a departure says.
fn covers(drift: &FindingView, departure: &FindingView) -> bool {
    let place = |place: &FindingPlace| {
        drift.places.contains(place)
            || drift.places.contains(&FindingPlace::Fleet) && matches!(place, FindingPlace::Site(_))
    };
    let moved = |name: &str| drift.moved.iter().any(|one| one.name == name);
    drift.detector == Detector::Drift
        && departure.detector == Detector::Departure
        && drift.kind == departure.kind
        && departure.places.iter().all(place)
        && departure.moved.iter().any(|one| moved(&one.name))
}

async fn upsert(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    of: &Watched,
    since: i64,
    told: &Told,
) -> Result<i64, StoreError> {
    const UPSERT: &str = "INSERT INTO finding (workspace, slot, model, watched_since, detector, number, \
        opened, closed, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
        ON CONFLICT (workspace, slot, model, watched_since, detector, number) DO UPDATE SET \
        closed = excluded.closed, body = excluded.body RETURNING id";
    let values = [
        workspace.as_str().into(),
        of.slot.as_str().into(),
        of.model.as_str().into(),
        since.into(),
        word(told.detector).into(),
        i64::from(told.number).into(),
        told.view.opened.0.into(),
        told.view.closed.map(|closed| closed.0).into(),
        body(&told.view).into(),
    ];
    let row = raw::row(db, DOING, UPSERT, values).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0).doing(DOING))
}

async fn end(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    mut found: FindingView,
    end: FindingEnd,
    by: Option<i64>,
    now: WallTime,
) -> Result<(), StoreError> {
    const UPDATE: &str =
        "UPDATE finding SET closed = $1, body = $2 WHERE workspace = $3 AND id = $4";
    found.closed = Some(now);
    found.end = Some(end);
    found.explained_by = by;
    let values = [
        now.0.into(),
        body(&found).into(),
        workspace.as_str().into(),
        found.id.into(),
    ];
    raw::exec(db, DOING, UPDATE, values).await.map(|_| ())
}

fn body(view: &FindingView) -> String {
    serde_json::to_string(view).expect("a finding has no map with other keys than text")
}

async fn number(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    of: &Watched,
    since: i64,
    detector: Detector,
    number: u32,
) -> Result<Option<i64>, StoreError> {
    const SELECT: &str = "SELECT id FROM finding WHERE workspace = $1 AND slot = $2 AND model = $3 \
        AND watched_since = $4 AND detector = $5 AND number = $6";
    let values = [
        workspace.as_str().into(),
        of.slot.as_str().into(),
        of.model.as_str().into(),
        since.into(),
        word(detector).into(),
        i64::from(number).into(),
    ];
    let row = raw::row(db, DOING, SELECT, values).await?;
    row.map(|row| row.try_get_by_index(0).doing(DOING))
        .transpose()
}

async fn open(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    of: &Watched,
    since: i64,
) -> Result<Vec<FindingView>, StoreError> {
    const SELECT: &str = "SELECT id, closed, accepted, body FROM finding WHERE workspace = $1 \
        AND closed IS NULL AND slot = $2 AND model = $3 AND watched_since = $4";
    let values = [
        workspace.as_str().into(),
        of.slot.as_str().into(),
        of.model.as_str().into(),
        since.into(),
    ];
    let rows = raw::rows(db, DOING, SELECT, values).await?;
    rows.iter().map(view).collect()
}
