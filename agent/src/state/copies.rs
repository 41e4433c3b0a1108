//! Copies of the slots' records beside the store, one small file each: a store that is damaged must not
//! cost the model that serves. They also bear witness: a store that knows less than they do went back in
//! time, which sled does without a word when a byte of its log is damaged.
//!
//! Must never break: a copy is taken for one only if its checksum holds.

use std::{fs, io, path::PathBuf};

use minicbor::{Decode, Encode};
use tern_protocol::{
    codec,
    digest::Digest,
    id::{BootId, SlotName},
};

use super::slot::SlotRecord;
use crate::durable;

/// Bytes of the checksum in front: SHA-256.
const SUM: usize = 32;

/// Largest copy that is read.
const COPY_MAX: usize = 64 << 10;

/// The file that says which boot was the last; no slot can have this name.
const BOOT: &str = ".boot";

/// A slot's record with what the store had counted when it was written.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(super) struct Copy {
    /// Records that had been written into the store.
    #[n(0)]
    pub(super) written: u64,
    /// The record.
    #[n(1)]
    pub(super) record: SlotRecord,
}

/// The directory of copies.
#[derive(Debug, Clone)]
pub(super) struct Copies(PathBuf);

impl Copies {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Writes a record's copy, durably; `written` counts what was written into the store.
    pub(super) fn write(
        &self,
        slot: &SlotName,
        record: &SlotRecord,
        written: u64,
    ) -> io::Result<()> {
        let record = record.clone();
        self.put(slot.as_str(), &Copy { written, record })
    }

    /// The copies that hold.
    pub(super) fn read(&self) -> Vec<(SlotName, Copy)> {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let copies = entries.filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let slot = name.to_str()?.parse().ok()?;
            Some((slot, self.get(name.to_str()?)?))
        });
        copies.collect()
    }

    /// Writes down which boot this is.
    pub(super) fn write_boot(&self, boot: BootId) -> io::Result<()> {
        self.put(BOOT, &boot)
    }

    /// The last boot that was written down.
    pub(super) fn boot(&self) -> Option<BootId> {
        self.get(BOOT)
    }

    fn put(&self, name: &str, value: &impl Encode<()>) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let body = codec::encode(value);
        let mut bytes = Digest::of(&body).as_bytes().to_vec();
        bytes.extend(body);
        durable::replace(&self.0.join(name), &bytes)
    }

    fn get<T: for<'b> Decode<'b, ()>>(&self, name: &str) -> Option<T> {
        let bytes = fs::read(self.0.join(name)).ok()?;
        let (sum, body) = bytes.split_at_checked(SUM)?;
        let holds = Digest::of(body).as_bytes() == sum;
        let value = codec::decode_within(body, COPY_MAX).ok();
        value.filter(|_| holds)
    }
}
