//! Who sits behind which connection: the door proves who a device is and says so here, before the
//! device's first byte reaches the broker.
//!
//! Must never break: a connection that is not in here is nobody's.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::rules::Speaker;
use crate::door::bucket::Bucket;

/// Messages that one device may send a second, in the long run. A healthy agent sends one in many
/// seconds; one that fetches a model or empties a long outbox sends some tens.
pub const MESSAGES_PER_S: u32 = 100;

/// Messages that one device may send at once after a silence.
pub const MESSAGES_BURST: u32 = 500;

/// All seats that are taken.
#[derive(Debug, Clone, Default)]
pub struct Seats(Arc<Mutex<HashMap<SocketAddr, Taken>>>);

#[derive(Debug)]
struct Taken {
    speaker: Arc<Speaker>,
    messages: Bucket,
}

impl Seats {
    /// Says who sits behind a connection, while what it returns lives. `from` is the connection's
    /// address as the broker sees it.
    pub fn take(&self, from: SocketAddr, speaker: Speaker) -> Seat {
        let messages = Bucket::full(MESSAGES_PER_S.into(), MESSAGES_BURST.into(), Instant::now());
        let speaker = Arc::new(speaker);
        self.lock().insert(from, Taken { speaker, messages });
        let seats = self.clone();
        Seat { seats, from }
    }

    /// Who sits behind a connection.
    pub fn at(&self, from: SocketAddr) -> Option<Arc<Speaker>> {
        let seats = self.lock();
        seats.get(&from).map(|taken| Arc::clone(&taken.speaker))
    }

    /// Counts a message, and says how long to wait before it is handled.
    pub fn message(&self, from: SocketAddr) -> Duration {
        let mut seats = self.lock();
        let taken = seats.get_mut(&from);
        taken.map_or(Duration::ZERO, |taken| {
            taken.messages.take(1, Instant::now())
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Taken>> {
        // A map is whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seat that is taken until this is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    from: SocketAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().remove(&self.from);
    }
}
