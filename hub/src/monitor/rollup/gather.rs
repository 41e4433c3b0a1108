//! Windows on their way into roll-ups, merged in memory. Pure.

use std::collections::{BTreeMap, btree_map::Entry};

use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, SiteName, SlotName},
    time::WallTime,
    window::Window,
};
use tern_stats::window::merge;

use super::level::{Level, middle};
use crate::{config::Retention, monitor::follow::Followed};

/// What part its device had in a rollout while a window was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) enum Arm {
    /// None, or nobody knows.
    #[default]
    None,
    /// It had the version that was rolled out.
    Treatment,
    /// It was compared with those.
    Control,
}

impl Arm {
    /// As it is stored and asked for.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Treatment => "treatment",
            Self::Control => "control",
        }
    }
}

/// What windows are merged by, besides time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) slot: SlotName,
    pub(super) model: ModelName,
    pub(super) version: ModelVersion,
    /// Of one site; of all if absent.
    pub(super) site: Option<SiteName>,
    pub(super) arm: Arm,
}

/// A row of a device's days.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DeviceDay {
    pub(super) device: DeviceId,
    pub(super) slot: SlotName,
    pub(super) model: ModelName,
    pub(super) version: ModelVersion,
    pub(super) start: i64,
}

/// Windows that became one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Merged {
    pub(super) windows: u64,
    pub(super) body: Window,
    /// Windows that do not merge: their bins are others, though their version is the same.
    pub(super) refused: u64,
}

impl Merged {
    fn one(body: Window) -> Self {
        Self {
            windows: 1,
            body,
            refused: 0,
        }
    }

    /// Adds others.
    pub(super) fn merge(&mut self, other: &Self) {
        self.refused += other.refused;
        match merge(&mut self.body, &other.body) {
            Ok(()) => self.windows += other.windows,
            Err(_) => self.refused += other.windows,
        }
    }
}

/// Roll-ups by level, where they begin, and group.
pub(super) type Groups = BTreeMap<(Level, i64, Group), Merged>;

/// Roll-ups of the windows that were added.
pub(super) struct Gathered {
    /// Before which nothing is kept, by level.
    kept_from: [i64; 3],
    devices_from: i64,
    minutes: BTreeMap<(i64, Group), Merged>,
    /// Of windows whose minute is kept no more.
    older: Groups,
    devices: BTreeMap<DeviceDay, Merged>,
}

impl Gathered {
    pub(super) fn new(now: WallTime, retention: &Retention) -> Self {
        let from = |kept: std::time::Duration| {
            let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
            now.0.saturating_sub(kept)
        };
        Self {
            kept_from: [
                from(retention.minutes),
                from(retention.hours),
                from(retention.days),
            ],
            devices_from: from(retention.devices),
            minutes: BTreeMap::new(),
            older: BTreeMap::new(),
            devices: BTreeMap::new(),
        }
    }

    /// Adds a window.
    pub(super) fn add(&mut self, followed: Followed<Window>, arm: Arm) {
        let at = middle(followed.opened.0, followed.closed.0);
        self.add_to_device(&followed, at);
        let window = followed.window;
        let group = Group {
            slot: window.slot.clone(),
            model: window.model.clone(),
            version: window.version,
            site: Some(followed.site),
            arm,
        };
        let one = Merged::one(window);
        if at >= self.kept_from[0] {
            put(&mut self.minutes, (Level::Minute.start(at), group), one);
            return;
        }
        for (level, from) in Level::ALL.into_iter().zip(self.kept_from).skip(1) {
            if at >= from {
                let key = (level, level.start(at), group.clone());
                put_copy(&mut self.older, key, &one);
            }
        }
    }

    /// How many sums it holds that say all of their windows; those of devices are thin.
    pub(super) fn len(&self) -> usize {
        self.minutes.len() + self.older.len()
    }

    /// A device's day is thin: its inputs are in the roll-ups of its site.
    fn add_to_device(&mut self, followed: &Followed<Window>, at: i64) {
        if at < self.devices_from {
            return;
        }
        let window = &followed.window;
        let key = DeviceDay {
            device: followed.device.clone(),
            slot: window.slot.clone(),
            model: window.model.clone(),
            version: window.version,
            start: Level::Day.start(at),
        };
        put(&mut self.devices, key, Merged::one(thin(window)));
    }

    /// The rows that all of it adds to: of groups, and of devices.
    pub(super) fn rows(self) -> (Groups, BTreeMap<DeviceDay, Merged>) {
        let mut rows = self.older;
        // Many windows made a minute; hours, days and all sites add minutes, which are few.
        for ((start, group), merged) in self.minutes {
            for level in Level::ALL.into_iter().skip(1) {
                let key = (level, level.start(start), group.clone());
                put_copy(&mut rows, key, &merged);
            }
            put(&mut rows, (Level::Minute, start, group), merged);
        }
        let mut of_all = BTreeMap::new();
        for ((level, start, group), merged) in &rows {
            let group = Group {
                site: None,
                ..group.clone()
            };
            put_copy(&mut of_all, (*level, *start, group), merged);
        }
        rows.append(&mut of_all);
        (rows, self.devices)
    }
}

/// A window without what it says of inputs, which is most of it and so is not even copied.
fn thin(window: &Window) -> Window {
    Window {
        slot: window.slot.clone(),
        model: window.model.clone(),
        version: window.version,
        bundle: window.bundle,
        opened: window.opened,
        closed: window.closed,
        inferences: window.inferences,
        errors: window.errors,
        latency: window.latency.clone(),
        classes: window.classes.clone(),
        confidence: window.confidence.clone(),
        features: Vec::new(),
        rss: window.rss,
        cpu_ms: window.cpu_ms,
        parts: None,
        margin: window.margin.clone(),
        repeated: Vec::new(),
        values: window.values.clone(),
        signals: Vec::new(),
        temperature: window.temperature,
        metrics: window.metrics.clone(),
    }
}

/// Adds what is needed no more afterwards.
fn put<K: Ord>(rows: &mut BTreeMap<K, Merged>, key: K, merged: Merged) {
    match rows.entry(key) {
        Entry::Vacant(free) => {
            free.insert(merged);
        }
        Entry::Occupied(mut sum) => sum.get_mut().merge(&merged),
    }
}

fn put_copy<K: Ord>(rows: &mut BTreeMap<K, Merged>, key: K, merged: &Merged) {
    match rows.entry(key) {
        Entry::Vacant(free) => {
            free.insert(merged.clone());
        }
        Entry::Occupied(mut sum) => sum.get_mut().merge(merged),
    }
}
