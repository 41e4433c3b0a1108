//! Copies of the slots' records beside the store, one small file each: a store that is damaged must not
//! cost the model that serves.
//!
//! Must never break: a copy is taken for one only if its checksum holds.

use std::{fs, io, path::PathBuf};

use tern_protocol::{codec, digest::Digest, id::SlotName};

use super::slot::SlotRecord;
use crate::durable;

/// Bytes of the checksum in front: SHA-256.
const SUM: usize = 32;

/// Largest copy that is read.
const COPY_MAX: usize = 64 << 10;

/// The directory of copies.
#[derive(Debug, Clone)]
pub(super) struct Copies(PathBuf);

impl Copies {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Writes a record's copy, durably.
    pub(super) fn write(&self, slot: &SlotName, record: &SlotRecord) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let body = codec::encode(record);
        let mut bytes = Digest::of(&body).as_bytes().to_vec();
        bytes.extend(body);
        durable::replace(&self.0.join(slot.as_str()), &bytes)
    }

    /// The copies that hold.
    pub(super) fn read(&self) -> Vec<(SlotName, SlotRecord)> {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let copies = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let slot = path.file_name()?.to_str()?.parse().ok()?;
            let bytes = fs::read(&path).ok()?;
            let (sum, body) = bytes.split_at_checked(SUM)?;
            let holds = Digest::of(body).as_bytes() == sum;
            let record = codec::decode_within(body, COPY_MAX).ok();
            Some((slot, record.filter(|_| holds)?))
        });
        copies.collect()
    }
}
