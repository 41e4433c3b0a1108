//! What leaves the hub for devices, by MQTT and by HTTPS: one limit over both, and places for downloads.
//!
//! Shared by the driver of the carousel and the downloads of the API.
//!
//! Must never break:
//! - all together stay under the limit;
//! - downloads never have more than half of it while the carousel wants more, however many they are;
//! - no device has more than [`EACH`] of the places.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tern_protocol::id::IdentityId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::pace::Pace;

/// Downloads of one device at a time: as many blobs as an agent fetches at once.
pub const EACH: u32 = 4;

/// The limit and the places. Clones share them.
#[derive(Debug, Clone)]
pub struct Egress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Bytes a second.
    rate: Option<u64>,
    downloads: usize,
    start: Instant,
    pace: Mutex<Pace>,
    /// Held by the download that waits for its bytes, so that all downloads are one beside the carousel.
    turn: tokio::sync::Mutex<()>,
    places: Arc<Semaphore>,
    of: Mutex<HashMap<IdentityId, u32>>,
}

/// A place of one download; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    inner: Arc<Inner>,
    of: Option<IdentityId>,
}

impl Egress {
    /// At most `rate` bytes a second, and `downloads` at a time.
    pub fn new(rate: Option<u64>, downloads: usize) -> Self {
        Self(Arc::new(Inner {
            rate,
            downloads,
            start: Instant::now(),
            pace: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            places: Arc::new(Semaphore::new(downloads)),
            of: Mutex::default(),
        }))
    }

    /// Bytes a second that may go, if that is limited.
    pub fn rate(&self) -> Option<u64> {
        self.0.rate
    }

    /// Downloads that there may be at a time.
    pub fn places(&self) -> usize {
        self.0.downloads
    }

    /// Takes so many bytes; says when they may go.
    pub fn take(&self, bytes: usize) -> Instant {
        let Some(rate) = self.0.rate else {
            return Instant::now();
        };
        let mut pace = self.0.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let at = pace.take(self.0.start.elapsed(), bytes as u64, rate);
        self.0.start + at
    }

    /// Returns when so many bytes of a download may go.
    pub async fn pass(&self, bytes: usize) {
        if self.0.rate.is_none() {
            return;
        }
        let _turn = self.0.turn.lock().await;
        sleep_until(self.take(bytes)).await;
    }

    /// A place for a download of an identity, if one is free.
    pub fn place(&self, of: Option<IdentityId>) -> Option<Place> {
        let permit = Arc::clone(&self.0.places).try_acquire_owned().ok()?;
        if let Some(identity) = of {
            let mut counts = self.0.of.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(identity).or_default();
            if *count >= EACH {
                return None;
            }
            *count += 1;
        }
        Some(Place {
            _permit: permit,
            inner: Arc::clone(&self.0),
            of,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(identity) = self.of else { return };
        let mut counts = self.inner.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&identity) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&identity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn places_are_few_and_come_back() {
        let egress = Egress::new(None, 6);
        let one = Some(IdentityId(1));
        let held: Vec<_> = (0..EACH).map(|_| egress.place(one)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(egress.place(one).is_none(), "one device has its share");
        let other = [
            egress.place(Some(IdentityId(2))),
            egress.place(Some(IdentityId(2))),
        ];
        assert!(other.iter().all(Option::is_some));
        assert!(egress.place(Some(IdentityId(3))).is_none(), "all are taken");
        drop(held);
        assert!(egress.place(one).is_some());
        assert_eq!(egress.0.of.lock().expect("not poisoned").len(), 1);
    }

    #[tokio::test]
    async fn ten_downloads_are_one_beside_the_carousel() {
        let egress = Egress::new(Some(2_000_000), 64);
        let downloaded = Arc::new(AtomicU64::new(0));
        let downloads: Vec<_> = (0..10)
            .map(|_| {
                let (egress, downloaded) = (egress.clone(), Arc::clone(&downloaded));
                tokio::spawn(async move {
                    loop {
                        egress.pass(20_000).await;
                        downloaded.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        // The first ones use up what may go ahead of the limit.
        for _ in 0..10 {
            sleep_until(egress.take(20_000)).await;
        }
        downloaded.store(0, Ordering::Relaxed);
        for _ in 0..60 {
            sleep_until(egress.take(20_000)).await;
        }
        let downloaded = downloaded.load(Ordering::Relaxed);
        downloads.iter().for_each(tokio::task::JoinHandle::abort);
        assert!((20..180).contains(&downloaded), "{downloaded} beside 60");
    }
}
