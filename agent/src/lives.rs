//! The lives of the node: it is put together, works until its store fails, and is put together anew when the
//! store can be used again. Requests are answered all the while.
//!
//! Must never break: a disk that is full or broken takes no model away. Who cannot open the store serves
//! what the copies of the slots' records name, and what was counted meanwhile goes into the store later.

use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use tern_agent::{
    capture::Captures,
    chain,
    chance::Chance,
    clock::Clock,
    config::Config,
    fetch::{
        Blobs,
        download::Downloads,
        files::{Files, free_bytes},
    },
    link::{Heard, Identity, Link, Settings},
    node::{Ears, Failed, Input, Node, NodeError, Parts, board::Board},
    outbox::Outbox,
    room::{self, Level, Reserve},
    slots::{Slots, Trial, bundle},
    state::{Opening, StateError, Store, slot::SlotRecord},
    trust::{self, Trust},
};
use tern_protocol::{id::BootId, log::Entry};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep},
};

use super::ways::Ways;

/// Messages from the link that wait for the node: a megabyte of chunks.
const HEARD: usize = 16;

/// Wait before the store is tried again; doubles up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_secs(1);

/// Longest wait before the store is tried again.
const AGAIN_MAX: Duration = Duration::from_mins(1);

/// A node that worked for so long did not fail because of how it began.
const GOOD_LIFE: Duration = Duration::from_mins(5);

/// Entries that wait for a store, at most: what a node that fails again and again could not save.
const UNSAVED_MAX: usize = 4096;

/// What all lives share.
pub struct Lives {
    /// What was set.
    pub config: Config,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub chance: Chance,
    /// What serves.
    pub slots: Arc<Slots>,
    /// What `serve` shows.
    pub board: Arc<Board>,
    /// Which inputs are kept.
    pub captures: Arc<Captures>,
    /// How hub and broker are reached.
    pub ways: Ways,
}

/// Opens the store. If it cannot be opened now, what its slots served is loaded without it; an error if
/// that is nothing, since then there is nothing to stay for.
pub fn first_store(config: &Config, clock: Clock, slots: &Slots) -> anyhow::Result<Option<Store>> {
    let err = match open(config, clock) {
        Ok(store) => return Ok(Some(store)),
        Err(err) if !err.may_pass() => return Err(err.into()),
        Err(err) => err,
    };
    if serve_without_store(config, clock, slots) == 0 {
        return Err(err.into());
    }
    tracing::error!(
        "{}; what served before is served, and the store is tried again",
        chain(&err)
    );
    Ok(None)
}

/// In which life of the agent predictions are numbered: the boot, or without a store a number that no boot
/// has.
pub fn numbers(clock: Clock) -> anyhow::Result<BootId> {
    if clock.is_counted() {
        return Ok(clock.boot());
    }
    let random = getrandom::u32().context("drawing a number for predictions")?;
    Ok(BootId(random | 1 << 31))
}

/// Opens the store and counts the boot, if that was not done before. The reserve is given up for it.
fn open(config: &Config, clock: Clock) -> Result<Store, StateError> {
    let reserve = Reserve::below(&config.state);
    let level = free_bytes(&config.state).map(|free| room::judge(Level::Enough, free));
    if level == Some(Level::Full) {
        reserve.release();
    }
    let opened = try_to_open(config, clock);
    match opened {
        Err(err) if err.may_pass() && reserve.release() => {
            tracing::warn!("{}; trying again without the reserve", chain(&err));
            try_to_open(config, clock)
        }
        opened => opened,
    }
}

fn try_to_open(config: &Config, clock: Clock) -> Result<Store, StateError> {
    let (store, opening) = Store::open(&config.state, config.store_limit())?;
    match opening {
        Opening::Usual => {}
        Opening::WentBack => tracing::error!(
            "the store was damaged: it forgot what it knew; its slots are as their copies say, \
             and entries that waited for the hub may be lost"
        ),
        Opening::Fresh { aside, reason } => {
            tracing::error!(aside = %aside.display(), "the store was damaged, a fresh one is used: {reason}");
        }
    }
    if !clock.is_counted() {
        clock.count(store.next_boot()?);
    }
    Ok(store)
}

/// Loads what the copies of the slots' records name; how many slots serve.
fn serve_without_store(config: &Config, clock: Clock, slots: &Slots) -> usize {
    let files = Files::at(blobs(&config.state));
    let mut serving = 0;
    for (name, record) in Store::slots_without_store(&config.state) {
        let Some(slot) = slots.get(name.as_str()) else {
            continue;
        };
        for kept in candidates(&record) {
            match bundle::load(&files, &name, kept, &clock, Trial::None) {
                Ok(loaded) => {
                    slot.swap(Some(Arc::new(loaded)));
                    serving += 1;
                    break;
                }
                Err(refusal) => tracing::error!(slot = %name, "{}", refusal.text),
            }
        }
    }
    serving
}

/// What may serve, best first. What is on trial counts its starts in the store, so it comes second.
fn candidates(record: &SlotRecord) -> impl Iterator<Item = &tern_agent::state::slot::Kept> {
    let (first, second) = match record.trial {
        None => (&record.current, &record.previous),
        Some(_) => (&record.previous, &record.current),
    };
    first.iter().chain(second)
}

fn blobs(state: &Path) -> std::path::PathBuf {
    state.join("blobs")
}

/// From the serving thread, and who says stop.
type Outside = (
    mpsc::Receiver<Input>,
    Arc<Notify>,
    watch::Receiver<bool>,
    watch::Receiver<bool>,
);

impl Lives {
    /// Lives until it is to stop.
    pub async fn run(
        mut self,
        mut store: Option<Store>,
        (inputs, wake, stop, served): Outside,
    ) -> anyhow::Result<()> {
        let (heard_in, heard) = mpsc::channel(HEARD);
        let mut ears = Ears {
            heard,
            inputs,
            wake,
            stop,
            served,
        };
        let mut unsaved: VecDeque<Entry> = VecDeque::new();
        let mut wait = AGAIN;
        loop {
            let began = Instant::now();
            let (config, clock) = (self.config.clone(), self.clock);
            let (chance, first) = (self.chance.split(), store.take());
            let (rest, opened) = blocking(move || {
                let opened = OnDisk::open(&config, clock, chance, first, &mut unsaved);
                (unsaved, opened)
            })
            .await?;
            unsaved = rest;
            let failed = match opened {
                Ok(disk) => {
                    let parts = self.parts(disk, &heard_in);
                    Node::run(parts, &mut ears).await
                }
                Err(err) => Err(Failed {
                    err,
                    unsaved: Vec::new(),
                }),
            };
            let Err(failed) = failed else {
                return Ok(());
            };
            if self.slots.iter().all(|slot| slot.serving().is_none()) {
                return Err(failed.err).context("the agent cannot keep its state");
            }
            unsaved.extend(failed.unsaved);
            let lost = unsaved.len().saturating_sub(UNSAVED_MAX);
            if lost > 0 {
                unsaved.drain(..lost);
                tracing::error!(lost, "entries are lost: the store took none for too long");
            }
            if began.elapsed() >= GOOD_LIFE {
                wait = AGAIN;
            }
            tracing::error!(
                "{}; requests are answered, and it is tried again in {} s",
                chain(&failed.err),
                wait.as_secs()
            );
            let now = self.clock.uptime();
            let trouble = chain(&failed.err);
            self.board.without_node(trouble, &self.slots, now);
            let (mut stop, mut served) = (ears.stop.clone(), ears.served.clone());
            tokio::select! {
                () = sleep(wait) => wait = (wait * 2).min(AGAIN_MAX),
                _ = stop.wait_for(|stop| *stop) => {
                    return Err(failed.err).context("the agent could not keep its state");
                }
                _ = served.wait_for(|served| *served) => return Ok(()),
            }
        }
    }

    /// What a node is made of.
    fn parts(&mut self, disk: OnDisk, heard: &mpsc::Sender<Heard>) -> Parts {
        let config = self.config.clone();
        let identity = Identity {
            workspace: config.workspace.clone(),
            device: config.device.clone(),
            boot: self.clock.boot(),
        };
        let settings = Settings {
            way: self.ways.way.clone(),
            keep_alive: config.mqtt.keep_alive.0,
            doubt: Arc::clone(&self.ways.doubt),
        };
        let route = self.ways.route.clone();
        let downloads = Downloads::new(config.workspace.clone(), route, heard.clone());
        let link = Link::start(identity, settings, heard.clone(), self.chance.split());
        Parts {
            config,
            clock: self.clock,
            store: disk.store,
            blobs: disk.blobs,
            trust: disk.trust,
            downloads,
            outbox: disk.outbox,
            slots: Arc::clone(&self.slots),
            link,
            board: Arc::clone(&self.board),
            captures: Arc::clone(&self.captures),
        }
    }
}

/// What a node has on disk.
struct OnDisk {
    store: Store,
    blobs: Blobs,
    trust: Trust,
    outbox: Outbox,
}

impl OnDisk {
    /// Opens it all; takes its time. What an earlier node could not save is saved.
    fn open(
        config: &Config,
        clock: Clock,
        mut chance: Chance,
        store: Option<Store>,
        unsaved: &mut VecDeque<Entry>,
    ) -> Result<Self, NodeError> {
        let store = match store {
            Some(store) => store,
            None => open(config, clock)?,
        };
        let blobs = Blobs::open(Files::open(blobs(&config.state))?, chance.split())?;
        let blobs = blobs.by(config.fetching(), chance.split());
        let pinned = config.joined.as_ref();
        let pinned = pinned.and_then(|joined| joined.credentials.root.clone());
        let trust = Trust::open(
            trust::directory(&config.state),
            pinned.map(String::into_bytes),
            store.clone(),
        )?;
        let limit = config.outbox.limit.0;
        let mut outbox = Outbox::open(store.clone(), limit, chance.split())?;
        outbox.ring(config.captures.ring.0);
        if let Err(err) = outbox.save(unsaved) {
            unsaved.extend(outbox.into_unsaved());
            return Err(err.into());
        }
        Ok(Self {
            store,
            blobs,
            trust,
            outbox,
        })
    }
}

/// Runs what takes its time where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.context("the work on the disk ended badly")
}
