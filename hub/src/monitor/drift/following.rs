//! The watch over one workspace: windows in, findings out.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::TransactionTrait as _;
use tern_protocol::{
    id::{ModelVersion, WorkspaceId},
    rest::Change as Announced,
    time::WallTime,
    window::Window,
};
use tern_watch::{Change, DepartureChange, Departures, Hour, Watch};

use super::{
    Settings,
    model::Versions,
    names::{Called, Names},
    pending::{Due, HOUR, Pending, Watched},
    rows::{self, Stored},
    told::{self, Told},
};
use crate::{
    app::App,
    monitor::{
        follow::{self, Followed},
        rollup,
    },
    registry::ProfileError,
    store::{Doing as _, StoreError, chain},
};

/// Windows that are read in one pass: others get their turn.
const TOGETHER: usize = 10_000;

/// Models in slots that are watched in one workspace.
const WATCHED: usize = 1_000;

/// Departures are looked at when windows came, and so long after the last look, in milliseconds: silence ends some.
const IDLE: i64 = 60_000;

/// Windows that closed earlier are no departures any more, whenever they come: a day.
const FRESH: i64 = 24 * HOUR;

/// Windows that closed earlier are not judged: two months.
const OLD: i64 = 60 * 24 * HOUR;

/// Devices that were heard of within this time are all that there are: two days.
const HEARD: i64 = 48 * HOUR;

/// What is known of one workspace.
pub(super) struct Following {
    names: Names,
    /// The last window that was read.
    last: i64,
    pending: Pending,
    watched: BTreeMap<Watched, One>,
    /// Of which the first version's profile cannot be read: without it nothing that is stored of them could be, and to
    /// begin anew would forget it. They are passed over until the hub starts again.
    unread: BTreeSet<Watched>,
}

/// A model in a slot.
struct One {
    since: i64,
    versions: Versions,
    watch: Watch,
    departures: Departures,
    /// When departures were looked at; `None` if something came since.
    looked: Option<WallTime>,
    /// The last hour that was looked at.
    hour: Hour,
    /// Windows up to this one were looked at for departures before the hub started.
    departed: i64,
}

/// What has to be stored.
#[derive(Default)]
struct Outcome {
    told: Vec<(Watched, i64, Told)>,
    changed: BTreeSet<Watched>,
    /// Whether hours were judged.
    judged: bool,
}

impl Following {
    /// As it was when it was stored last.
    pub(super) async fn read(
        app: &App,
        workspace: &WorkspaceId,
        settings: &Settings,
    ) -> Result<Self, StoreError> {
        let now = app.clock.now();
        let names = Names::read(&app.store, workspace).await?;
        let (last, pending) = rows::follow(&app.store, workspace).await?;
        let pending = Pending::restore(settings.grace(), &pending, now).unwrap_or_else(|err| {
            tracing::error!(%workspace, error = chain(&err), "hours that waited to be judged are lost");
            Pending::new(settings.grace())
        });
        let (mut watched, mut unread) = (BTreeMap::new(), BTreeSet::new());
        for stored in rows::watches(&app.store, workspace).await? {
            let of = stored.of.clone();
            let versions = Versions::new(app, workspace, &of.model, stored.first).await;
            let Some(versions) = readable(versions, &of)? else {
                unread.insert(of);
                continue;
            };
            let one = One::restore(app, workspace, settings, versions, stored, now).await?;
            if let Some(one) = one {
                watched.insert(of, one);
            }
        }
        Ok(Self {
            names,
            last,
            pending,
            watched,
            unread,
        })
    }

    /// Takes in what came, and says and stores what follows; whether there is more to be read at once.
    pub(super) async fn pass(
        &mut self,
        app: &App,
        workspace: &WorkspaceId,
        settings: &Settings,
    ) -> Result<bool, StoreError> {
        let mut read = 0;
        loop {
            let page =
                follow::believed(app.store.read(), workspace, self.last, follow::PAGE_MAX).await?;
            for window in &page.windows {
                self.take(app, workspace, settings, window).await?;
            }
            self.last = page.up_to;
            read += page.read;
            tokio::task::yield_now().await;
            if page.read < follow::PAGE_MAX as usize {
                break;
            }
            if read >= TOGETHER {
                // Nothing is judged before all that came is known.
                return Ok(true);
            }
        }
        let now = app.clock.now();
        let mut outcome = Outcome::default();
        self.look_for_departures(now, &mut outcome);
        let due = self.pending.take(now);
        self.judge(due, now, &mut outcome).await;
        self.accept(app, workspace, now, &mut outcome).await?;
        self.commit(app, workspace, now, outcome).await?;
        Ok(false)
    }

    async fn take(
        &mut self,
        app: &App,
        workspace: &WorkspaceId,
        settings: &Settings,
        followed: &Followed<Window>,
    ) -> Result<(), StoreError> {
        let now = app.clock.now();
        let window = &followed.window;
        let age = now.0.saturating_sub(followed.closed.0);
        if age > OLD || window.inferences == 0 && window.errors == 0 {
            return Ok(());
        }
        let of = Watched {
            slot: window.slot.clone(),
            model: window.model.clone(),
        };
        if !self
            .meets(app, workspace, settings, &of, window.version)
            .await?
        {
            return Ok(());
        }
        let device = self.names.device(&followed.device);
        let site = self.names.site(&followed.site);
        let Some(one) = self.watched.get_mut(&of) else {
            return Ok(());
        };
        let part = one.versions.read(window, device, site);
        if followed.id > one.departed && age <= FRESH {
            one.departures.hear(followed.closed.0, &part);
            one.looked = None;
        }
        let at = rollup::middle(followed.opened.0, followed.closed.0);
        if let Ok(hour) = u32::try_from(at.div_euclid(HOUR)) {
            self.pending.add(&of, Hour(hour), part, now);
        }
        Ok(())
    }

    /// Makes sure that a version is watched; whether it is.
    async fn meets(
        &mut self,
        app: &App,
        workspace: &WorkspaceId,
        settings: &Settings,
        of: &Watched,
        version: ModelVersion,
    ) -> Result<bool, StoreError> {
        let full = self.watched.len() >= WATCHED;
        match self.watched.get_mut(of) {
            Some(one) if one.versions.knows(version) => Ok(true),
            Some(one) => {
                one.versions.add(app, workspace, &of.model, version).await?;
                let model = one.versions.model();
                let watched = one.watch.set_model(model);
                let departures = one.departures.set_model(model);
                if let Err(err) = watched.and(departures) {
                    tracing::error!(model = %of.model, %version, error = chain(&err), "a version is not watched");
                }
                Ok(true)
            }
            None if full || self.unread.contains(of) => Ok(false),
            None => {
                let now = app.clock.now();
                let versions = Versions::new(app, workspace, &of.model, version).await;
                let Some(versions) = readable(versions, of)? else {
                    self.unread.insert(of.clone());
                    return Ok(false);
                };
                if let Some(one) = One::new(versions, settings, now) {
                    self.watched.insert(of.clone(), one);
                    return Ok(true);
                }
                Ok(false)
            }
        }
    }

    fn look_for_departures(&mut self, now: WallTime, outcome: &mut Outcome) {
        for (of, one) in &mut self.watched {
            // A look goes through all devices.
            let idle = |looked: WallTime| (0..IDLE).contains(&now.0.saturating_sub(looked.0));
            if one.looked.is_some_and(idle) {
                continue;
            }
            let changes = one.departures.look(now.0);
            one.looked = Some(now);
            if !changes.is_empty() {
                let told = one.told_departures(of, &changes, &self.names, now);
                outcome.add(of, one.since, told);
            }
        }
    }

    async fn judge(&mut self, mut due: Due, now: WallTime, outcome: &mut Outcome) {
        let newest = self.pending.newest(now);
        for (of, one) in &mut self.watched {
            let hours = due.remove(of).unwrap_or_default();
            if hours.is_empty() && newest <= one.hour {
                continue;
            }
            let mut changes = Vec::new();
            for (hour, rows) in &hours {
                one.watch.hour(*hour, rows);
                if *hour > one.hour {
                    one.hour = *hour;
                    changes.extend(one.watch.look(*hour));
                }
                // Arithmetic without a pause: others get their turn.
                tokio::task::yield_now().await;
            }
            one.hour = one.hour.max(newest);
            changes.extend(one.watch.look(one.hour));
            let told = one.told_drift(of, &changes, &self.names, now);
            outcome.add(of, one.since, told);
            outcome.judged = true;
        }
    }

    /// Takes in what persons accepted.
    async fn accept(
        &mut self,
        app: &App,
        workspace: &WorkspaceId,
        now: WallTime,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        for row in rows::accepted(&app.store, workspace).await? {
            let one = self.watched.get_mut(&row.of);
            let told = one
                .filter(|one| one.since == row.since)
                .map(|one| {
                    let told = if row.detector == rows::word(tern_protocol::rest::Detector::Drift) {
                        let change = one.watch.accept(row.number);
                        one.told_drift(&row.of, change.as_slice(), &self.names, now)
                    } else {
                        let change = one.departures.accept(row.number);
                        one.told_departures(&row.of, change.as_slice(), &self.names, now)
                    };
                    (one.since, told)
                })
                .filter(|(_, told)| !told.is_empty());
            if let Some((since, told)) = told {
                outcome.add(&row.of, since, told);
            } else {
                let db = app.store.write();
                rows::end_accepted(db, workspace, &row, now).await?;
            }
        }
        Ok(())
    }

    async fn commit(
        &mut self,
        app: &App,
        workspace: &WorkspaceId,
        now: WallTime,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        const DOING: &str = "storing what is watched";
        if outcome.changed.is_empty() {
            return Ok(());
        }
        let txn = app.store.write().begin().await.doing(DOING)?;
        self.names.write(&txn, workspace).await?;
        for (of, one) in &self.watched {
            if outcome.judged || outcome.changed.contains(of) {
                let stored = one.stored(of.clone(), self.last);
                rows::write_watch(&txn, workspace, stored).await?;
            }
        }
        if outcome.judged {
            let pending = self.pending.to_bytes();
            rows::write_follow(&txn, workspace, self.last, pending).await?;
        }
        let news = !outcome.told.is_empty();
        for (of, since, told) in outcome.told {
            tracing::info!(
                %workspace, model = %of.model, detector = rows::word(told.detector),
                over = told.view.closed.is_some(), "{}", told.view.text
            );
            rows::write_finding(&txn, workspace, &of, since, told, now).await?;
        }
        txn.commit().await.doing(DOING)?;
        self.names.written();
        if news {
            app.changes
                .send(workspace, Announced::Telemetry { at: now });
        }
        Ok(())
    }
}

/// Versions of which the first one's profile could be read; a database that fails is an error.
fn readable(
    versions: Result<Versions, ProfileError>,
    of: &Watched,
) -> Result<Option<Versions>, StoreError> {
    match versions {
        Ok(versions) => Ok(Some(versions)),
        Err(ProfileError::Store(err)) if !matches!(err, StoreError::Message { .. }) => Err(err),
        Err(err) => {
            tracing::error!(model = %of.model, error = chain(&err), "a model is not watched until the hub starts again");
            Ok(None)
        }
    }
}

impl Outcome {
    fn add(&mut self, of: &Watched, since: i64, told: Vec<Told>) {
        self.changed.insert(of.clone());
        let told = told.into_iter().map(|told| (of.clone(), since, told));
        self.told.extend(told);
    }
}

impl One {
    /// Nothing if the model cannot be watched.
    fn new(versions: Versions, settings: &Settings, now: WallTime) -> Option<Self> {
        let watch = Watch::new(settings.watch(), versions.model());
        let departures = Departures::new(settings.departures(), versions.model());
        match (watch, departures) {
            (Ok(watch), Ok(departures)) => Some(Self {
                since: now.0,
                versions,
                watch,
                departures,
                looked: None,
                hour: Hour::default(),
                departed: 0,
            }),
            (Err(err), _) | (_, Err(err)) => {
                tracing::warn!(error = chain(&err), "a model is not watched");
                None
            }
        }
    }

    /// As it was stored; begun anew if that cannot be read, and nothing if the model cannot be watched any more.
    async fn restore(
        app: &App,
        workspace: &WorkspaceId,
        settings: &Settings,
        versions: Versions,
        stored: Stored,
        now: WallTime,
    ) -> Result<Option<Self>, StoreError> {
        let of = &stored.of;
        let model = versions.model();
        let watch = Watch::restore(settings.watch(), model, &stored.state);
        let departures = Departures::restore(settings.departures(), model, &stored.departures);
        match (watch, departures) {
            (Ok(watch), Ok(departures)) => Ok(Some(Self {
                since: stored.since,
                versions,
                watch,
                departures,
                looked: None,
                hour: stored.hour,
                departed: stored.departed,
            })),
            (Err(err), _) | (_, Err(err)) => {
                tracing::error!(
                    model = %of.model, error = chain(&err),
                    "what was known of a model cannot be read: it is learned anew"
                );
                rows::end_all(app.store.write(), workspace, of, stored.since, now).await?;
                Ok(Self::new(versions, settings, now))
            }
        }
    }

    fn stored(&self, of: Watched, last: i64) -> Stored {
        Stored {
            of,
            since: self.since,
            first: self.versions.first(),
            hour: self.hour,
            state: self.watch.to_bytes(),
            departures: self.departures.to_bytes(),
            departed: last,
        }
    }

    fn devices(&self, now: WallTime) -> u64 {
        let devices = self.departures.devices_since(now.0.saturating_sub(HEARD));
        devices as u64
    }

    fn told_drift(
        &self,
        of: &Watched,
        changes: &[Change],
        names: &Names,
        now: WallTime,
    ) -> Vec<Told> {
        let called = Called {
            names,
            versions: &self.versions,
        };
        let layout = self.watch.layout();
        let devices = self.devices(now);
        let told = |change| told::drift(of, change, layout, &called, devices, now);
        changes.iter().map(told).collect()
    }

    fn told_departures(
        &self,
        of: &Watched,
        changes: &[DepartureChange],
        names: &Names,
        now: WallTime,
    ) -> Vec<Told> {
        let called = Called {
            names,
            versions: &self.versions,
        };
        let layout = self.departures.layout();
        let devices = self.devices(now);
        let told = |change| told::departure(of, change, layout, &called, devices, now);
        changes.iter().map(told).collect()
    }
}
