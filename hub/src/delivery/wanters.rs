//! Which devices have wanted which blob: enough to tell a loss from a first want, in bounded memory.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use tern_protocol::id::DeviceId;

use super::flow::Flow;

/// Devices that are remembered in each of two generations, in 24 bytes each: less than a megabyte.
/// Of more, the oldest are forgotten: their next want counts as a first one.
const GENERATION: usize = 8_192;

/// Devices by the blob that they want. Forgets who has not asked for long.
#[derive(Debug, Default)]
pub struct Wanters {
    young: HashMap<u64, u64>,
    old: HashMap<u64, u64>,
    hasher: RandomState,
}

/// What a want is to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its place, for [`Wanters::loses`].
    key: u64,
    /// Whether the device wanted the blob before.
    pub again: bool,
}

impl Wanters {
    /// A device wants a blob; `blob` numbers the blobs of the carousel.
    pub fn wants(&mut self, blob: u64, device: &DeviceId) -> Known {
        let key = self.hasher.hash_one((blob, device.as_str()));
        let lost = self.young.get(&key).copied();
        let lost = lost.or_else(|| self.old.get(&key).copied());
        self.put(key, lost.unwrap_or(u64::MAX));
        let again = lost.is_some();
        Known { key, again }
    }

    /// It lost something; whether for the first time in this span of time.
    pub fn loses(&mut self, known: Known, now: Duration) -> bool {
        let span = Flow::span(now);
        self.put(known.key, span) != Some(span)
    }

    fn put(&mut self, key: u64, lost: u64) -> Option<u64> {
        if self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: usize) -> DeviceId {
        format!("meter-{number}").parse().expect("a name")
    }

    #[test]
    fn a_device_is_known_again_and_loses_once_in_a_span() {
        let mut wanters = Wanters::default();
        assert!(!wanters.wants(1, &device(1)).again);
        assert!(!wanters.wants(2, &device(1)).again, "another blob");
        let known = wanters.wants(1, &device(1));
        assert!(known.again);
        let now = Duration::from_mins(1);
        assert!(wanters.loses(known, now));
        assert!(!wanters.loses(known, now));
        assert!(wanters.loses(known, now * 2));
    }

    #[test]
    fn a_million_devices_take_no_more_room_than_a_few_thousand() {
        let mut wanters = Wanters::default();
        for number in 0..100_000 {
            wanters.wants(1, &device(number));
        }
        assert!(wanters.young.len() + wanters.old.len() <= 2 * GENERATION);
        assert!(wanters.wants(1, &device(99_000)).again);
        assert!(!wanters.wants(1, &device(1)).again, "long forgotten");
    }
}
