//! What moves to devices, counted in memory until it is written down.
//!
//! Told by the driver (wants, chunks), the downloads of the API and the fleet's intake (who has all of a
//! version); emptied once a second by [`super::history`], which keeps it for good.
//!
//! Must never break: nothing here waits for the database, and what is held between two writes is bounded
//! by what devices can say in a second; what does not fit is not counted, and nothing else is lost by it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, SlotName, WorkspaceId},
    time::WallTime,
};
use tokio::time::Instant;

use super::{carousel::Key, rate::Rate};

/// Devices with a blob each that are told of between two writes, at most: some 10 MiB.
const DEVICES: usize = 65_536;

/// Blobs whose rates are remembered; those that rest longest are forgotten.
const RATES: usize = 512;

/// What has not moved for so long is not on its way any more.
const REST: Duration = Duration::from_secs(10);

/// Where what moves is counted. Clones count in the same place.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Mutex<Inner>>,
    start: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    news: News,
    rates: HashMap<Key, Rates>,
    /// How the carousel stood when it was last looked at.
    waves: Vec<Wave>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Rates {
    touched: Duration,
    published: Rate,
    downloaded: Rate,
}

/// What was told since the last write.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) blobs: BTreeMap<Key, Moved>,
    pub(super) asked: BTreeMap<(Key, DeviceId), Asked>,
    pub(super) stored: Vec<Stored>,
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.asked.is_empty() && self.stored.is_empty()
    }
}

/// What moved of a blob.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) len: u64,
    pub(super) published: u64,
    pub(super) repeated: u64,
    pub(super) chunks: u64,
    pub(super) chunks_repeated: u64,
    pub(super) downloaded: u64,
}

/// What a device said of a blob that it fetches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) len: u64,
    /// When it first asked, or began to download.
    pub(super) since: WallTime,
    /// The most that it lacked.
    pub(super) lacked: u64,
    /// What it lacks still, as it last said; nothing if it only downloads.
    pub(super) lacks: Option<u64>,
    /// What it downloaded by HTTPS.
    pub(super) downloaded: u64,
}

/// A device that has all of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) workspace: WorkspaceId,
    pub(super) device: DeviceId,
    pub(super) slot: SlotName,
    pub(super) model: ModelName,
    pub(super) version: ModelVersion,
}

/// How a blob stands on the carousel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// Which blob.
    pub key: Key,
    /// Its length.
    pub len: u64,
    /// Chunks that it has.
    pub chunks: u64,
    /// Chunks that were sent at least once.
    pub sent: u64,
    /// Chunks that wait to be sent to somebody who has not lost them.
    pub waiting: u64,
    /// Chunks that wait to be sent again.
    pub lost: u64,
    /// Devices that asked.
    pub devices: u64,
    /// Bytes a second of repeats, while they are held back.
    pub repeats_per_s: Option<u64>,
}

/// Bytes a second of a blob.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerSecond {
    /// By MQTT.
    pub published: u64,
    /// By HTTPS.
    pub downloaded: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            inner: Arc::default(),
            start: Instant::now(),
        }
    }
}

impl Ledger {
    /// A device wants so many bytes of a blob.
    pub(super) fn asked(&self, key: Key, device: &DeviceId, at: WallTime, len: u64, lacks: u64) {
        let mut inner = self.lock();
        if let Some(asked) = inner.news.of(key, device, at, len) {
            asked.lacked = asked.lacked.max(lacks);
            asked.lacks = Some(lacks);
        }
    }

    /// A chunk was published.
    pub(super) fn published(&self, key: Key, len: u64, bytes: u64, again: Again) {
        let now = self.start.elapsed();
        let mut inner = self.lock();
        if let Some(rates) = inner.rates(&key, now) {
            rates.published.add(now, bytes);
        }
        let moved = inner.news.blobs.entry(key).or_default();
        moved.len = len;
        moved.published += bytes;
        moved.chunks += 1;
        if again == Again::Yes {
            moved.repeated += bytes;
            moved.chunks_repeated += 1;
        }
    }

    /// A device downloaded so many bytes of a blob; a device that is not known is none of the fleet's.
    pub fn downloaded(
        &self,
        key: Key,
        device: Option<&DeviceId>,
        at: WallTime,
        len: u64,
        bytes: u64,
    ) {
        let now = self.start.elapsed();
        let mut inner = self.lock();
        if let Some(rates) = inner.rates(&key, now) {
            rates.downloaded.add(now, bytes);
        }
        let moved = inner.news.blobs.entry(key.clone()).or_default();
        moved.len = len;
        moved.downloaded += bytes;
        if let Some(asked) = device.and_then(|device| inner.news.of(key, device, at, len)) {
            asked.downloaded += bytes;
        }
    }

    /// A device has all of a version.
    pub fn stored(
        &self,
        workspace: &WorkspaceId,
        device: &DeviceId,
        slot: &SlotName,
        (model, version): (ModelName, ModelVersion),
    ) {
        let mut inner = self.lock();
        if inner.news.stored.len() < DEVICES {
            inner.news.stored.push(Stored {
                workspace: workspace.clone(),
                device: device.clone(),
                slot: slot.clone(),
                model,
                version,
            });
        }
    }

    /// How the carousel stands now.
    pub(super) fn show(&self, waves: Vec<Wave>) {
        self.lock().waves = waves;
    }

    /// The blobs of a workspace that are on the carousel or being downloaded, with their rates.
    pub(super) fn waves(&self, workspace: &WorkspaceId) -> Vec<(Wave, PerSecond)> {
        let now = self.start.elapsed();
        let inner = self.lock();
        let of = |key: &Key| {
            let rates = inner.rates.get(key).copied().unwrap_or_default();
            PerSecond {
                published: rates.published.per_s(now),
                downloaded: rates.downloaded.per_s(now),
            }
        };
        let lately = |key: &Key| {
            let rates = inner.rates.get(key);
            rates.is_some_and(|rates| now.saturating_sub(rates.touched) < REST)
        };
        let waves = inner.waves.iter().filter(|wave| {
            let waits = wave.waiting + wave.lost > 0;
            wave.key.0 == *workspace && (waits || lately(&wave.key))
        });
        waves.map(|wave| (wave.clone(), of(&wave.key))).collect()
    }

    /// Takes what was told since the last time.
    pub(super) fn take(&self) -> News {
        std::mem::take(&mut self.lock().news)
    }

    /// Gives back what could not be written.
    pub(super) fn give_back(&self, news: News) {
        self.lock().news.add(news);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a chunk was sent before in its wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It was.
    Yes,
    /// It is the first time.
    No,
}

impl Inner {
    fn rates(&mut self, key: &Key, now: Duration) -> Option<&mut Rates> {
        if self.rates.len() >= RATES && !self.rates.contains_key(key) {
            self.rates
                .retain(|_, rates| now.saturating_sub(rates.touched) < REST);
            if self.rates.len() >= RATES {
                return None;
            }
        }
        let rates = self.rates.entry(key.clone()).or_default();
        rates.touched = now;
        Some(rates)
    }
}

impl News {
    fn of(&mut self, key: Key, device: &DeviceId, at: WallTime, len: u64) -> Option<&mut Asked> {
        let place = (key, device.clone());
        if self.asked.len() >= DEVICES && !self.asked.contains_key(&place) {
            return None;
        }
        let first = Asked {
            since: at,
            ..Asked::default()
        };
        let asked = self.asked.entry(place).or_insert(first);
        asked.len = len;
        Some(asked)
    }

    /// What `older` told comes before what is here.
    fn add(&mut self, older: Self) {
        for (key, moved) in older.blobs {
            let sum = self.blobs.entry(key).or_default();
            sum.len = moved.len;
            sum.published += moved.published;
            sum.repeated += moved.repeated;
            sum.chunks += moved.chunks;
            sum.chunks_repeated += moved.chunks_repeated;
            sum.downloaded += moved.downloaded;
        }
        for (key, asked) in older.asked {
            let sum = self.asked.entry(key).or_default();
            sum.since = asked.since;
            sum.len = asked.len;
            sum.lacked = sum.lacked.max(asked.lacked);
            sum.lacks = sum.lacks.or(asked.lacks);
            sum.downloaded += asked.downloaded;
        }
        let newer = std::mem::replace(&mut self.stored, older.stored);
        self.stored.extend(newer);
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::digest::Digest;

    use super::*;

    fn key() -> Key {
        ("default".parse().expect("a name"), Digest::of(b"blob"))
    }

    const AT: WallTime = WallTime(7);

    fn device(number: u32) -> DeviceId {
        format!("meter-{number}").parse().expect("a name")
    }

    #[test]
    fn a_device_lacks_less_and_less_and_downloads_the_rest() {
        let ledger = Ledger::default();
        ledger.asked(key(), &device(1), AT, 100, 80);
        ledger.asked(key(), &device(1), AT, 100, 30);
        ledger.downloaded(key(), Some(&device(1)), AT, 100, 30);
        let asked = ledger.take().asked[&(key(), device(1))];
        let expected = Asked {
            len: 100,
            since: AT,
            lacked: 80,
            lacks: Some(30),
            downloaded: 30,
        };
        assert_eq!(asked, expected);
        assert!(ledger.take().is_empty());
    }

    #[test]
    fn what_could_not_be_written_is_not_lost() {
        let ledger = Ledger::default();
        ledger.published(key(), 100, 60, Again::No);
        ledger.asked(key(), &device(1), AT, 100, 80);
        let unwritten = ledger.take();
        ledger.published(key(), 100, 60, Again::Yes);
        ledger.asked(key(), &device(1), AT, 100, 20);
        ledger.give_back(unwritten);
        let news = ledger.take();
        let moved = news.blobs[&key()];
        assert_eq!(
            (moved.published, moved.repeated, moved.chunks),
            (120, 60, 2)
        );
        let asked = news.asked[&(key(), device(1))];
        assert_eq!((asked.lacked, asked.lacks), (80, Some(20)));
    }
}
