//! How often one address may ask to join or to renew: each request costs a signature check.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::problem::ApiError;
use crate::access::principal::Principal;

/// Requests at once from one address: a site behind one address starts many devices together.
const BURST: f64 = 50.0;

/// Requests a second from one address, in the long run.
const PER_S: f64 = 10.0;

/// Addresses that are remembered. Those that have not asked for long are forgotten first.
const ADDRESSES: usize = 10_000;

/// After this a bucket is full again and need not be remembered.
const FULL: Duration = Duration::from_secs((BURST / PER_S) as u64);

/// Who asked how often. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Throttle(Arc<Mutex<HashMap<Option<IpAddr>, Bucket>>>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Throttle {
    /// Whether an address may ask now; whoever comes without one shares a bucket.
    fn take(&self, from: Option<IpAddr>, now: Instant) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = from.map(network);
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&from) {
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < FULL);
            if buckets.len() >= ADDRESSES {
                return false;
            }
        }
        let full = Bucket {
            left: BURST,
            at: now,
        };
        let bucket = buckets.entry(from).or_insert(full);
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since * PER_S).min(BURST);
        bucket.at = now;
        let may = bucket.left >= 1.0;
        if may {
            bucket.left -= 1.0;
        }
        may
    }
}

/// An address as it counts: of IPv6 the first 64 bits, since one host has all those behind them.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Lets a request through, or asks its sender to wait.
pub(super) async fn throttle(
    State(throttle): State<Throttle>,
    principal: Option<Extension<Principal>>,
    request: Request,
    next: Next,
) -> Response {
    let from = principal.and_then(|Extension(principal)| principal.from);
    if throttle.take(from, Instant::now()) {
        return next.run(request).await;
    }
    ApiError::too_many("too many requests from this address; try again in a few seconds")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_gets_in_and_a_flood_waits() {
        let throttle = Throttle::default();
        let (now, site) = (Instant::now(), Some(IpAddr::from([192, 0, 2, 1])));
        let taken = (0..100).filter(|_| throttle.take(site, now)).count();
        assert_eq!(taken, 50);
        assert!(throttle.take(None, now), "others are not held up");
        assert!(throttle.take(site, now + Duration::from_millis(150)));
    }

    #[test]
    fn memory_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..20_000_u32 {
            throttle.take(Some(IpAddr::from(n.to_be_bytes())), now);
        }
        let held = throttle.0.lock().expect("not poisoned").len();
        assert!(held <= ADDRESSES);
        assert!(throttle.take(Some(IpAddr::from([9, 9, 9, 9])), now + FULL));
    }
}
