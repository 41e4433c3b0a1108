//! Where connections come from: no address takes all handshakes, and none that fails goes on at speed.
//!
//! Must never break:
//! - however many connections of one address are silent, those of another are served;
//! - many devices behind one address get in: they wait for each other, and are not refused;
//! - memory is bounded, whoever knocks.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};

use super::bucket::Bucket;

/// Handshakes at a time of one address, a sixteenth of all. On a good link one takes a few tens of
/// milliseconds, so that a gateway with thousands of devices behind it needs a few at a time.
const HANDSHAKES: usize = 64;

/// Connections of one address that have not finished their handshake: those above, and a queue that
/// a site of some thousand devices fills after a power cut.
const UNFINISHED: usize = 4_096;

/// Handshakes of one address that may fail a second in the long run. A device that was revoked tries
/// every minute or so, so this is a site of a thousand of them.
const FAILED_PER_S: u64 = 20;

/// Handshakes of one address that may fail at once: a link that breaks under a whole site.
const FAILED_BURST: u64 = 400;

/// Addresses that are told apart, at some hundred bytes each. The rest share one lane.
const SOURCES: usize = 65_536;

/// Addresses and their lanes. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Sources(Arc<Mutex<Lanes>>);

#[derive(Debug)]
struct Lanes {
    known: HashMap<IpAddr, Arc<Lane>>,
    others: Arc<Lane>,
}

/// What the connections of one address share.
#[derive(Debug)]
pub(super) struct Lane {
    /// One for each handshake.
    pub(super) turns: Semaphore,
    failed: Mutex<Bucket>,
}

impl Lane {
    fn new(now: Instant) -> Arc<Self> {
        Arc::new(Self {
            turns: Semaphore::new(HANDSHAKES),
            failed: Mutex::new(Bucket::full(FAILED_PER_S, FAILED_BURST, now)),
        })
    }

    /// Counts a handshake that failed; says how long its turn is to be kept, so that the rate holds.
    pub(super) fn failed(&self, now: Instant) -> Duration {
        let mut bucket = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(1, now)
    }
}

impl Sources {
    pub(super) fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Lanes {
            known: HashMap::new(),
            others: Lane::new(now),
        })))
    }

    /// The lane of an address, to be kept until the handshake is over; none if too many keep it.
    pub(super) fn lane(&self, from: IpAddr, now: Instant) -> Option<Arc<Lane>> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let source = source(from);
        if lanes.known.len() >= SOURCES && !lanes.known.contains_key(&source) {
            lanes.known.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        let room = lanes.known.len() < SOURCES || lanes.known.contains_key(&source);
        let lane = if room {
            lanes.known.entry(source).or_insert_with(|| Lane::new(now))
        } else {
            &lanes.others
        };
        (Arc::strong_count(lane) <= UNFINISHED).then(|| Arc::clone(lane))
    }
}

/// What counts as one address: with IPv6 a whole /64, which is what one site or one attacker has.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_is_what_one_site_has() {
        assert_eq!(source(ip("2001:db8::1")), source(ip("2001:db8::ffff:2")));
        assert_ne!(source(ip("2001:db8:0:1::1")), source(ip("2001:db8::1")));
        assert_eq!(source(ip("::ffff:10.0.0.1")), ip("10.0.0.1"));
        assert_ne!(source(ip("10.0.0.1")), source(ip("10.0.0.2")));
    }

    #[test]
    fn lanes_are_bounded_and_apart() {
        let now = Instant::now();
        let sources = Sources::new(now);
        let kept: Vec<_> = (0..UNFINISHED)
            .map(|_| sources.lane(ip("10.0.0.1"), now).expect("there is room"))
            .collect();
        assert!(sources.lane(ip("10.0.0.1"), now).is_none());
        assert!(sources.lane(ip("10.0.0.2"), now).is_some());
        drop(kept);
        assert!(sources.lane(ip("10.0.0.1"), now).is_some());
        for number in 0..SOURCES as u32 + 100 {
            let from = IpAddr::V4((0x0a01_0000 + number).into());
            assert!(sources.lane(from, now).is_some());
        }
        let lanes = sources.0.lock().expect("nobody panicked");
        assert!(lanes.known.len() <= SOURCES);
    }

    #[test]
    fn failures_beyond_the_burst_take_time() {
        let now = Instant::now();
        let lane = Lane::new(now);
        for _ in 0..FAILED_BURST {
            assert_eq!(lane.failed(now), Duration::ZERO);
        }
        assert_eq!(
            lane.failed(now),
            Duration::from_secs(1) / FAILED_PER_S as u32
        );
    }
}
