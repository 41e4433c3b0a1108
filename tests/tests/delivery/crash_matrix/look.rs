//! What must hold of a state that a power cut left, before any agent runs on it: opened in this process
//! by the agent's own library.

use std::{collections::BTreeSet, path::Path};

use tern_agent::{
    chance::Chance,
    fetch::bitmap::Bitmap,
    outbox::Outbox,
    state::{Opening, Store},
};
use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    id::{BootId, Sequence},
    limits::CHUNK,
    log::{Ack, Body, Entry, Event, EventKind},
    time::{Instant, Uptime},
};
use tern_tests::{agent::SLOT, powercut::cells::State};

use super::recorded::Update;

/// More than any store here has.
const LIMIT: u64 = 64 << 20;

/// Looks at a state, written to `dir`; what its outbox holds.
pub fn look(update: &Update, state: &State, dir: &Path) -> Result<Vec<Entry>, String> {
    blobs(update, state)?;
    let (store, opening) = Store::open(dir, LIMIT).map_err(|err| tern_agent::chain(&err))?;
    if let Opening::Fresh { reason, .. } = opening {
        return Err(format!("the store is taken for damaged: {reason}"));
    }
    serving(update, state, &store)?;
    outbox(update, state, &store)
}

/// What is whole has the bytes that its name says, and what is marked as here is here.
fn blobs(update: &Update, state: &State) -> Result<(), String> {
    for path in state.tree.0.keys() {
        let Ok(name) = path.strip_prefix("blobs") else {
            continue;
        };
        let name = name.to_string_lossy();
        let bytes = |suffix: &str| state.tree.file(&format!("blobs/{name}{suffix}"));
        if let Ok(digest) = name.parse::<Digest>() {
            let found = bytes("").map(|bytes| Digest::of(&bytes));
            if found != Some(digest) {
                return Err(format!("the blob {name} has other bytes"));
            }
        }
        let Some(digest) = name.strip_suffix(".map") else {
            continue;
        };
        let name = digest;
        let whole = update.recording.after.file(&format!("blobs/{name}"));
        let map = state.tree.file(&format!("blobs/{name}.map"));
        let part = state.tree.file(&format!("blobs/{name}.part"));
        let (Some(whole), Some(map), Some(part)) = (whole, map, part) else {
            continue;
        };
        let chunks = BlobRef::of(&whole).chunks();
        // Of another length it is not trusted.
        let have = Bitmap::from_bytes(&map, chunks).filter(|_| part.len() == whole.len());
        for index in 0..chunks {
            let range = index as usize * CHUNK..whole.len().min((index as usize + 1) * CHUNK);
            let claimed = have.as_ref().is_some_and(|have| have.has(index));
            if claimed && part[range.clone()] != whole[range] {
                return Err(format!("chunk {index} of {name} is marked and not here"));
            }
        }
    }
    Ok(())
}

/// The record names one of the two models, and all of its files are here.
fn serving(update: &Update, state: &State, store: &Store) -> Result<(), String> {
    let slot = SLOT.parse().expect("a name");
    let record = store.slot(&slot).map_err(|err| err.to_string())?;
    let current = record.current.ok_or("the slot is empty")?;
    let version = current.version.version.get() as usize;
    let blobs = &update.blobs[version - 1];
    if current.bundle.digest != blobs[0] {
        return Err(format!("version {version} is another bundle"));
    }
    let missing = blobs
        .iter()
        .find(|digest| state.tree.file(&format!("blobs/{digest}")).is_none());
    match missing {
        Some(digest) => Err(format!(
            "version {version} serves without its blob {digest}"
        )),
        None => Ok(()),
    }
}

/// The outbox has whatever may not be at the hub, and will not use a number twice.
fn outbox(update: &Update, state: &State, store: &Store) -> Result<Vec<Entry>, String> {
    let failed = |err: &dyn std::error::Error| tern_agent::chain(err);
    let chance = Chance::seeded(1);
    let mut outbox = Outbox::open(store.clone(), LIMIT, chance).map_err(|err| failed(&err))?;
    let id = store.outbox_id().map_err(|err| failed(&err))?;
    let at = Instant {
        boot: BootId(u32::MAX),
        uptime: Uptime(u64::MAX / 2),
    };
    let event = Event {
        kind: EventKind::Started,
        slot: None,
        model: None,
        version: None,
        text: String::new(),
    };
    let own = Body::Event(event.into());
    outbox.append(own, at, None).map_err(|err| failed(&err))?;
    let mut entries = Vec::new();
    loop {
        outbox.hurry();
        let Some(batch) = outbox.poll(at).map_err(|err| failed(&err))? else {
            break;
        };
        let stored = batch
            .entries
            .last()
            .map_or(batch.after, |last| last.sequence);
        entries.extend(batch.entries);
        let ack = Ack { outbox: id, stored };
        outbox.ack(&ack).map_err(|err| failed(&err))?;
    }
    // The last one is what was put in just now.
    let own = entries.pop().ok_or("the outbox does not send")?;
    let sent = update.sent_before(state.index);
    let sent = sent.flat_map(|sent| sent.batch.entries.iter().map(|entry| entry.sequence));
    let sent: BTreeSet<Sequence> = sent.collect();
    if sent.last().is_some_and(|last| own.sequence <= *last) {
        return Err(format!("{:?} was used before and is again", own.sequence));
    }
    let here: BTreeSet<_> = entries.iter().map(|entry| entry.sequence).collect();
    let acked = update.acked_before(state.index);
    match sent.iter().find(|it| **it > acked && !here.contains(it)) {
        Some(lost) => Err(format!("{lost:?} was sent, not acknowledged, and is lost")),
        None => Ok(entries),
    }
}
