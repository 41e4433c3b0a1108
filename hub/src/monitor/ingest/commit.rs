//! Judges a group of batches and stores what is new of them in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    TransactionTrait as _,
};
use tern_protocol::{
    id::{Sequence, WorkspaceId},
    log::Ack,
    rest::Change,
};

use super::{
    Acknowledged, arms,
    collect::{Device, Rows, Totals},
    metrics::Declarations,
    positions::{Key, Positions},
    prepare::{Prepared, ReadyBody},
};
use crate::{
    app::App,
    fleet,
    monitor::{
        accept::{Verdict, judge},
        repair::Timeline,
    },
    store::{Doing as _, StoreError},
};

/// Site of a device that has not said yet where it is.
const NOWHERE: &str = "unknown";

/// Devices asked about in one query.
const DEVICES: usize = 500;

/// Commits groups; remembers where outboxes stand.
pub(super) struct Committer {
    app: App,
    positions: Positions,
    /// Workspaces that exist. Rows of others would break the whole group's transaction.
    workspaces: BTreeSet<WorkspaceId>,
    /// What versions declare.
    declarations: Declarations,
    /// Whether the fate of the last commit is not known. On a server it may be decided a moment after its
    /// connection was lost; whoever gets the connection that writes knows it, since that session has ended.
    is_unsure: bool,
}

impl Committer {
    pub(super) fn new(app: App) -> Self {
        Self {
            app,
            positions: Positions::default(),
            workspaces: BTreeSet::new(),
            declarations: Declarations::default(),
            is_unsure: false,
        }
    }

    /// Stores what is new of a group; gives what to acknowledge. On an error nothing is stored and
    /// nothing may be acknowledged.
    pub(super) async fn commit(
        &mut self,
        group: Vec<Prepared>,
    ) -> Result<Vec<Acknowledged>, StoreError> {
        let group = self.of_known_workspaces(group).await?;
        let keys: Vec<Key> = group.iter().map(key).collect();
        let store = &self.app.store;
        let db = if self.is_unsure {
            store.write()
        } else {
            store.read()
        };
        self.positions.load(db, keys.iter()).await?;
        self.is_unsure = false;
        let mut judged = self.judge(group, &keys);
        if !judged.taken.is_empty() {
            let stored = self.store(&mut judged).await;
            if stored.is_err() {
                self.positions.forget();
                self.is_unsure = true;
            }
            let totals = stored?;
            self.positions.moved(std::mem::take(&mut judged.moved));
            self.count(&totals, &judged);
        }
        Ok(self.acks(keys, &judged))
    }

    /// Leaves out batches of workspaces that do not exist.
    async fn of_known_workspaces(
        &mut self,
        mut group: Vec<Prepared>,
    ) -> Result<Vec<Prepared>, StoreError> {
        if group
            .iter()
            .any(|batch| !self.workspaces.contains(&batch.workspace))
        {
            self.workspaces = fleet::workspaces(&self.app.store)
                .await?
                .into_iter()
                .collect();
        }
        let before = group.len();
        group.retain(|batch| self.workspaces.contains(&batch.workspace));
        self.app
            .counters
            .malformed
            .add((before - group.len()) as u64);
        Ok(group)
    }

    /// Decides batch by batch; a later batch of the group stands on an earlier one of its outbox.
    fn judge(&self, group: Vec<Prepared>, keys: &[Key]) -> Judged {
        let mut judged = Judged::default();
        for (mut batch, key) in group.into_iter().zip(keys) {
            let stored = judged.moved.get(key).copied();
            let stored = stored.unwrap_or_else(|| self.positions.get(key));
            match judge(stored, batch.claim) {
                Verdict::Take { over, last } => {
                    let before = batch.entries.len();
                    batch.entries.retain(|entry| entry.sequence > over);
                    self.app
                        .counters
                        .duplicates
                        .add((before - batch.entries.len()) as u64);
                    judged.moved.insert(key.clone(), last);
                    judged.stand.insert(key.clone(), last);
                    judged.taken.push(batch);
                }
                Verdict::Known => {
                    self.app.counters.duplicates.add(batch.entries.len() as u64);
                    judged.stand.insert(key.clone(), stored);
                }
                Verdict::Gap => {
                    self.app.counters.batches_gapped.one();
                    judged.stand.insert(key.clone(), stored);
                }
            }
        }
        judged
    }

    async fn store(&mut self, judged: &mut Judged) -> Result<Totals, StoreError> {
        let mut taken = std::mem::take(&mut judged.taken);
        judged.batches = taken.len() as u64;
        let read = self.app.store.read();
        let sites = sites(read, &taken).await?;
        let mut undeclared = 0;
        for batch in &mut taken {
            for entry in &mut batch.entries {
                if let ReadyBody::Window(window) = &mut entry.body {
                    let declared = &mut self.declarations;
                    undeclared += declared.apply(read, &batch.workspace, window).await?;
                }
            }
        }
        let mut timed = Vec::with_capacity(taken.len());
        for mut batch in taken {
            let timeline = timeline(read, &batch).await?;
            arms::note(&self.app, &mut batch, &timeline).await;
            timed.push((batch, timeline));
        }
        let txn = self
            .app
            .store
            .write()
            .begin()
            .await
            .doing("beginning to store telemetry")?;
        // While nobody else writes: what is deleted after this is deleted with these rows.
        let mut rows = Rows::default();
        for (batch, timeline) in timed {
            let device = (batch.workspace.clone(), batch.device.clone());
            let site = sites.get(&device).map_or(NOWHERE, String::as_str);
            rows.add(
                batch,
                &device,
                &timeline,
                site,
                &self.app.captures.tombstones,
            );
        }
        let mut totals = rows.write(&txn, self.app.clock.now()).await?;
        totals.undeclared = undeclared;
        Positions::write(&txn, &judged.moved).await?;
        txn.commit().await.doing("committing telemetry")?;
        Ok(totals)
    }

    fn count(&self, totals: &Totals, judged: &Judged) {
        let counters = &self.app.counters;
        counters.ingest_commits.one();
        counters.batches.add(judged.batches);
        counters.entries_unknown.add(totals.unknown);
        counters.quarantined.add(totals.quarantined);
        counters.metrics_undeclared.add(totals.undeclared);
        counters.shadow_windows.add(totals.shadows);
        counters.entries_deleted.add(totals.buried);
        for (workspace, tally) in &totals.tallies {
            counters.windows.add(tally.windows);
            counters.captures.add(tally.captures);
            counters.labels.add(tally.labels);
            self.app.changes.send(
                workspace,
                Change::Telemetry {
                    at: self.app.clock.now(),
                },
            );
        }
    }

    /// One acknowledgement an outbox that was heard of: also one that brought nothing new, since its
    /// device may have missed the last, and one with a gap, which goes back to what is stored.
    fn acks(&self, keys: Vec<Key>, judged: &Judged) -> Vec<Acknowledged> {
        let keys: BTreeSet<Key> = keys.into_iter().collect();
        let acks = keys.into_iter().map(|key| {
            let stored = judged.stand.get(&key).copied();
            let stored = stored.unwrap_or_else(|| self.positions.get(&key));
            let (workspace, device, outbox) = key;
            (workspace, device, Ack { outbox, stored })
        });
        acks.collect()
    }
}

fn key(batch: &Prepared) -> Key {
    (batch.workspace.clone(), batch.device.clone(), batch.outbox)
}

/// A group after judgement.
#[derive(Default)]
struct Judged {
    /// Batches with something new, reduced to that.
    taken: Vec<Prepared>,
    /// How many they were.
    batches: u64,
    /// Outboxes that will have moved.
    moved: BTreeMap<Key, Sequence>,
    /// Where each outbox of the group stands afterwards.
    stand: BTreeMap<Key, Sequence>,
}

/// Where the devices of a group are.
async fn sites(
    db: &impl ConnectionTrait,
    batches: &[Prepared],
) -> Result<HashMap<Device, String>, StoreError> {
    use fleet::rows::device::{Column, Entity};
    let mut asked: BTreeMap<&WorkspaceId, BTreeSet<&str>> = BTreeMap::new();
    for batch in batches {
        asked
            .entry(&batch.workspace)
            .or_default()
            .insert(batch.device.as_str());
    }
    let mut sites = HashMap::new();
    for (workspace, devices) in asked {
        let devices: Vec<&str> = devices.into_iter().collect();
        for devices in devices.chunks(DEVICES) {
            let select = Entity::find()
                .select_only()
                .columns([Column::Id, Column::Site])
                .filter(Column::Workspace.eq(workspace.as_str()))
                .filter(Column::Id.is_in(devices.iter().copied()))
                .into_tuple::<(String, String)>();
            for (device, site) in select.all(db).await.doing("reading sites of devices")? {
                let device = crate::store::parsed("device id", &device)?;
                sites.insert((workspace.clone(), device), site);
            }
        }
    }
    Ok(sites)
}

/// The time of a batch's device. Only entries of earlier boots need the database.
async fn timeline(db: &impl ConnectionTrait, batch: &Prepared) -> Result<Timeline, StoreError> {
    let mut timeline = Timeline::new(batch.now, batch.received);
    if batch
        .entries
        .iter()
        .all(|entry| entry.at.boot == batch.now.boot)
    {
        return Ok(timeline);
    }
    timeline.learn(fleet::anchors(db, &batch.workspace, &batch.device).await?);
    for entry in &batch.entries {
        if let Some(wall) = entry.wall {
            timeline.hear(entry.at, wall);
        }
    }
    Ok(timeline)
}
