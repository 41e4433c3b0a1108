//! What one device saw of late, beside what it saw before: block by block of so many inferences.

use minicbor::{Decode, Encode};
use tern_protocol::id::ModelVersion;

use crate::{column::Column, hour::Site};

/// Where a value of training would lie that is larger, or smaller, than nine of ten others: 1.8 standard deviations.
const EDGE: f32 = 0.1;

/// The share of unusable values, or of errors, above which most of them are.
const MOST: f32 = 0.5;

/// By how much a value has to have moved since before, of 1: 0.9 standard deviations where it began in the middle.
const MOVED: f32 = 0.25;

/// Blocks that have to be known of before.
const KNOWN: u16 = 2;

/// Blocks that what is usual is a mean of at most: a slow drift does not become usual within an hour.
const MEMORY: u16 = 200;

/// Blocks in a row for a departure to stand, and for it to be over.
const ROW: u16 = 3;

/// First blocks of a version in which a departure is taken to have come with it.
const YOUNG: u32 = 3;

/// A device.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Member {
    #[n(0)]
    pub(super) site: Site,
    #[n(1)]
    pub(super) version: ModelVersion,
    /// Blocks with this version; as many as there are numbers, of the first version that it was seen with.
    #[n(2)]
    pub(super) blocks: u32,
    /// When the last block ended, in milliseconds since 1970.
    #[n(3)]
    pub(super) heard: i64,
    /// One a watched column.
    #[n(4)]
    pub(super) rows: Vec<Row>,
}

/// A watched column of a device.
#[derive(Debug, Clone, Copy, PartialEq, Default, Encode, Decode)]
pub(super) struct Row {
    #[n(0)]
    usual: f32,
    #[n(1)]
    known: u16,
    #[n(2)]
    now: f32,
    #[n(3)]
    back: u16,
    #[n(4)]
    pub(super) away: Option<Away>,
}

/// Values that lie where they hardly ever did.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub(super) struct Away {
    /// When the first such block ended.
    #[n(0)]
    pub(super) since: i64,
    /// When the last one did.
    #[n(1)]
    last: i64,
    #[n(2)]
    blocks: u16,
    /// Inferences in them.
    #[n(3)]
    pub(super) samples: u64,
    /// By how much they moved, as a mean over blocks.
    #[n(4)]
    pub(super) effect: f32,
    /// Whether it began with a version.
    #[n(5)]
    pub(super) young: bool,
}

impl Away {
    /// Whether it has been so for long enough.
    pub(super) fn stands(&self, hold: i64) -> bool {
        self.blocks >= ROW && self.last.saturating_sub(self.since) >= hold
    }
}

/// A block: so many inferences of one device with one version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) site: Site,
    pub(super) version: ModelVersion,
    pub(super) at: i64,
    pub(super) samples: u64,
    /// One a watched column; not a number where it says nothing.
    pub(super) values: &'a [f32],
}

impl Member {
    /// A device of which nothing is known.
    pub(super) fn new(site: Site, version: ModelVersion, columns: usize) -> Self {
        Self {
            site,
            version,
            blocks: u32::MAX,
            heard: i64::MIN,
            rows: vec![Row::default(); columns],
        }
    }

    /// Takes a block in. One of before the last is passed over.
    pub(super) fn take(&mut self, columns: &[Column], block: &Block<'_>) {
        if block.at < self.heard {
            return;
        }
        self.heard = block.at;
        if self.site != block.site {
            // Elsewhere something else is usual.
            self.site = block.site;
            self.rows.fill(Row::default());
        }
        if self.version != block.version {
            self.version = block.version;
            self.blocks = 0;
        }
        self.blocks = self.blocks.saturating_add(1);
        let young = self.blocks <= YOUNG;
        for ((row, column), value) in self.rows.iter_mut().zip(columns).zip(block.values) {
            if value.is_finite() {
                row.take(*column, *value, block, young);
            }
        }
    }
}

impl Row {
    fn take(&mut self, column: Column, value: f32, block: &Block<'_>, young: bool) {
        self.now = value;
        let moved = value - self.usual;
        let away = self.known >= KNOWN && is_away(column, value) && moved.abs() >= MOVED;
        match (&mut self.away, away) {
            (Some(state), true) => {
                state.last = block.at;
                state.blocks = state.blocks.saturating_add(1);
                state.samples = state.samples.saturating_add(block.samples);
                state.effect += (moved - state.effect) / f32::from(state.blocks);
                self.back = 0;
            }
            (Some(state), false) => {
                self.back += 1;
                if state.blocks < ROW || self.back >= ROW {
                    self.away = None;
                    self.back = 0;
                }
            }
            (None, true) => {
                self.away = Some(Away {
                    since: block.at,
                    last: block.at,
                    blocks: 1,
                    samples: block.samples,
                    effect: moved,
                    young,
                });
            }
            (None, false) => {
                self.known = (self.known + 1).min(MEMORY);
                self.usual += moved / f32::from(self.known);
            }
        }
    }

    /// What it does of late is usual from now on.
    pub(super) fn accept(&mut self) {
        if self.away.take().is_some() {
            self.usual = self.now;
            self.known = self.known.max(KNOWN);
            self.back = 0;
        }
    }
}

/// Whether a value lies where training, or sound operation, has next to none.
fn is_away(column: Column, value: f32) -> bool {
    match column {
        Column::Location(_) => !(EDGE..=1.0 - EDGE).contains(&value),
        Column::Unusable(_) | Column::Errors => value > MOST,
        Column::Spread(_) | Column::Class(_) | Column::Confidence => false,
    }
}

/// Whether departures are looked for in a column.
pub(super) fn is_watched(column: Column) -> bool {
    matches!(
        column,
        Column::Location(_) | Column::Unusable(_) | Column::Errors
    )
}
