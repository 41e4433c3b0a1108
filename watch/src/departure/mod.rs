//! Departures: within minutes, most of what a place sees lies where training had next to none, and it did not before.
//!
//! The engine of the rest of this crate takes a day and more, since it has to know the weather first and bears that one
//! day is odd. What is gross need not wait: here nothing is said of chance. A device has *departed* in a feature when
//! nine of ten values of training lie on one side of its own values' middle, when that moved by a quarter of all of
//! training since before, in three blocks of at least 50 inferences in a row, and for longer than [`Settings::hold`].
//! The same holds for values of which most are missing or stuck, and for requests most of which fail. Half of the
//! devices of a site are the site; four of five sites are the fleet; what begins with a version is the version's. Values
//! are read on the scale of what the serving version was trained on: a version that was trained on fog knows fog.
//!
//! Told windows as they come ([`Departures::hear`]) and asked what follows ([`Departures::look`]). Must never break:
//! what was so from the beginning is no departure; nothing grows but with the number of devices; nothing panics
//! whatever arrives.

mod gather;
mod member;

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use tern_protocol::codec;

use crate::{
    RestoreError,
    column::{Column, Kind, Layout, Model, ModelError},
    finding::{Attribution, Moved, Place, Why},
    hour::{Device, DeviceHour},
    settings,
};
use gather::Standing;
use member::{Block, Member};

/// Inferences of a block at least: the mean rank of so many is off by 0.08 at most, 19 of 20 times.
pub(crate) const BLOCK: u64 = 50;

/// Milliseconds after which a device that is not heard of has no say any more: a week.
const SILENT: i64 = 7 * 24 * 3_600_000;

/// What an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// For how long, in milliseconds, a device has to have departed before it is told.
    pub hold: i64,
}

impl Default for Settings {
    /// Five minutes: a lorry before the lens is gone again.
    fn default() -> Self {
        Self { hold: 5 * 60_000 }
    }
}

/// A departure that goes on, or went on.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Departure {
    /// Its number; never given twice.
    #[n(0)]
    pub id: u32,
    /// What departed.
    #[n(1)]
    pub kind: Kind,
    /// Why, as far as can be told.
    #[n(2)]
    pub attribution: Attribution,
    /// Where; one place, or several of one sort.
    #[n(3)]
    pub places: Vec<Place>,
    /// Columns, the largest effect first. There is no evidence: it is no matter of chance.
    #[n(4)]
    pub moved: Vec<Moved>,
    /// When the first block ended that had departed, in milliseconds since 1970.
    #[n(5)]
    pub since: i64,
    /// When it was found.
    #[n(6)]
    pub opened: i64,
    /// Inferences that had departed.
    #[n(7)]
    pub samples: u64,
    /// Devices that had departed.
    #[n(8)]
    pub devices: u32,
}

/// What became of a departure.
#[derive(Debug, Clone, PartialEq)]
pub enum DepartureChange {
    /// There is a new one.
    Opened(Departure),
    /// It has other places or columns than before.
    Changed(Departure),
    /// It is over.
    Closed(Departure, Why),
}

impl DepartureChange {
    /// The departure.
    pub fn departure(&self) -> &Departure {
        match self {
            Self::Opened(one) | Self::Changed(one) | Self::Closed(one, _) => one,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
struct State {
    #[n(0)]
    devices: BTreeMap<Device, Member>,
    #[n(1)]
    departures: Vec<Departure>,
    #[n(2)]
    next: u32,
}

/// The watch for departures of one model in one slot of a fleet.
#[derive(Debug, Clone)]
pub struct Departures {
    settings: Settings,
    layout: Layout,
    watched: Vec<usize>,
    columns: Vec<Column>,
    state: State,
    /// Blocks that have not enough inferences yet. Not stored: a restart loses a few inferences here.
    blocks: BTreeMap<Device, DeviceHour>,
}

impl Departures {
    /// Nothing is known yet.
    pub fn new(settings: Settings, model: &Model) -> Result<Self, ModelError> {
        let layout = Layout::of_own_training(model, &settings::Settings::default())?;
        let all = layout.columns().iter().enumerate();
        let (watched, columns) = all
            .filter(|(_, column)| member::is_watched(**column))
            .map(|(at, column)| (at, *column))
            .unzip();
        Ok(Self {
            settings,
            layout,
            watched,
            columns,
            state: State::default(),
            blocks: BTreeMap::new(),
        })
    }

    /// As it was stored by [`Self::to_bytes`].
    pub fn restore(settings: Settings, model: &Model, bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut one = Self::new(settings, model)?;
        one.state = codec::decode_within(bytes, usize::MAX)?;
        let expected = one.columns.len();
        let mut rows = one.state.devices.values().map(|member| member.rows.len());
        match rows.find(|stored| *stored != expected) {
            Some(stored) => Err(RestoreError::Columns { stored, expected }),
            None => Ok(one),
        }
    }

    /// The state, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(&self.state)
    }

    /// The model has new versions. The first one has to stay the first.
    pub fn set_model(&mut self, model: &Model) -> Result<(), RestoreError> {
        let other = Self::new(self.settings, model)?;
        let (stored, expected) = (self.columns.len(), other.columns.len());
        if stored != expected {
            return Err(RestoreError::Columns { stored, expected });
        }
        self.layout = other.layout;
        Ok(())
    }

    /// What is watched, for reading columns.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Departures that go on.
    pub fn departures(&self) -> &[Departure] {
        &self.state.departures
    }

    /// Devices that were heard of since a moment, in milliseconds since 1970.
    pub fn devices_since(&self, since: i64) -> usize {
        let all = self.state.devices.values();
        all.filter(|member| member.heard >= since).count()
    }

    /// A window of a device, closed at `at`, in milliseconds since 1970.
    pub fn hear(&mut self, at: i64, window: &DeviceHour) {
        let same =
            |block: &DeviceHour| (block.site, block.version) == (window.site, window.version);
        let block = match self.blocks.get_mut(&window.device) {
            Some(block) if same(block) => {
                block.merge(window);
                block
            }
            _ => {
                self.blocks.insert(window.device, window.clone());
                match self.blocks.get_mut(&window.device) {
                    Some(block) => block,
                    None => return,
                }
            }
        };
        let samples = block.inferences.saturating_add(block.errors);
        if samples < BLOCK {
            return;
        }
        let mut values = Vec::new();
        self.layout.values(block, &mut values);
        let values: Vec<f32> = self.watched.iter().map(|at| values[*at]).collect();
        let fresh = || Member::new(window.site, window.version, self.columns.len());
        let member = self.state.devices.entry(window.device);
        let block = Block {
            site: window.site,
            version: window.version,
            at,
            samples,
            values: &values,
        };
        member.or_insert_with(fresh).take(&self.columns, &block);
        self.blocks.remove(&window.device);
    }

    /// A person says that what was found is usual from now on. Nothing if there is no such departure.
    pub fn accept(&mut self, id: u32) -> Option<DepartureChange> {
        let at = self.state.departures.iter().position(|one| one.id == id)?;
        let one = self.state.departures.remove(at);
        for (device, member) in &mut self.state.devices {
            let inside = one.places.iter().any(|place| match place {
                Place::Fleet => true,
                Place::Version(version) => member.version == *version,
                Place::Site(site) => member.site == *site,
                Place::Device(place) => device == place,
            });
            if !inside {
                continue;
            }
            for (row, column) in member.rows.iter_mut().zip(&self.columns) {
                if column.kind() == one.kind {
                    row.accept();
                }
            }
        }
        Some(DepartureChange::Closed(one, Why::Accepted))
    }

    /// What follows, at `now` in milliseconds since 1970. May be called as often as one likes.
    pub fn look(&mut self, now: i64) -> Vec<DepartureChange> {
        let heard = now.saturating_sub(SILENT);
        self.state.devices.retain(|_, member| member.heard >= heard);
        let mut changes = Vec::new();
        let standing =
            gather::standing(&self.state.devices, &self.columns, self.settings.hold, now);
        self.end(&standing, &mut changes);
        for one in standing {
            self.open(now, one, &mut changes);
        }
        gather::once(changes)
    }

    /// Takes places out of departures that have not departed any more.
    fn end(&mut self, standing: &[Standing], changes: &mut Vec<DepartureChange>) {
        let mut left = Vec::new();
        for mut one in std::mem::take(&mut self.state.departures) {
            let before = one.places.clone();
            one.places
                .retain(|place| self.is_away(one.kind, *place, &one.moved));
            // What more than it stands for says it better.
            let above = standing.iter().find(|above| {
                above.kind == one.kind
                    && !above.places.is_empty()
                    && before.iter().all(|place| self.is_within(*place, above))
            });
            if above.is_some() {
                one.places = before;
                // The number of the one that is above is known only once it is open.
                changes.push(DepartureChange::Closed(one, Why::Explained(u32::MAX)));
            } else if one.places.is_empty() {
                one.places = before;
                changes.push(DepartureChange::Closed(one, Why::Recovered));
            } else {
                if one.places.len() < before.len() {
                    changes.push(DepartureChange::Changed(one.clone()));
                }
                left.push(one);
            }
        }
        self.state.departures = left;
    }

    /// Whether a place is a part of what stands, and not the same.
    fn is_within(&self, place: Place, above: &Standing) -> bool {
        above.places.iter().any(|of| match (*of, place) {
            (Place::Fleet | Place::Version(_), Place::Site(_) | Place::Device(_)) => true,
            (Place::Site(site), Place::Device(device)) => self
                .state
                .devices
                .get(&device)
                .is_some_and(|member| member.site == site),
            _ => false,
        })
    }

    /// Whether any device of a place is still away in what departed there.
    fn is_away(&self, kind: Kind, place: Place, moved: &[Moved]) -> bool {
        let of = |device: Device, member: &Member| match place {
            Place::Fleet => true,
            Place::Version(version) => member.version == version,
            Place::Site(site) => member.site == site,
            Place::Device(one) => device == one,
        };
        let mut rows = self
            .state
            .devices
            .iter()
            .filter(|(device, member)| of(**device, member))
            .flat_map(|(_, member)| member.rows.iter().zip(&self.columns));
        rows.any(|(row, column)| {
            row.away.is_some()
                && column.kind() == kind
                && moved.iter().any(|one| one.column == *column)
        })
    }

    fn open(&mut self, now: i64, new: Standing, changes: &mut Vec<DepartureChange>) {
        let sort = |place: Option<&Place>| place.map(std::mem::discriminant);
        let known = self.state.departures.iter_mut().find(|one| {
            one.kind == new.kind
                && sort(one.places.first()) == sort(new.places.first())
                && one.attribution == new.attribution
                && (one.places.iter().any(|place| new.places.contains(place))
                    || one
                        .moved
                        .iter()
                        .any(|a| new.moved.iter().any(|b| a.column == b.column)))
        });
        if let Some(one) = known {
            let mut news = false;
            for place in new.places {
                if !one.places.contains(&place) {
                    one.places.push(place);
                    news = true;
                }
            }
            for moved in new.moved {
                let known = one.moved.iter_mut().find(|old| old.column == moved.column);
                if let Some(old) = known {
                    *old = moved;
                } else {
                    one.moved.push(moved);
                    news = true;
                }
            }
            one.places.sort();
            one.moved
                .sort_by(|a, b| b.effect.value.abs().total_cmp(&a.effect.value.abs()));
            one.since = one.since.min(new.since);
            one.samples = one.samples.max(new.samples);
            one.devices = new.devices;
            if news {
                changes.push(DepartureChange::Changed(one.clone()));
            }
            return;
        }
        let one = Departure {
            id: self.state.next,
            kind: new.kind,
            attribution: new.attribution,
            places: new.places,
            moved: new.moved,
            since: new.since,
            opened: now,
            samples: new.samples,
            devices: new.devices,
        };
        self.state.next += 1;
        changes.push(DepartureChange::Opened(one.clone()));
        self.state.departures.push(one);
    }
}
