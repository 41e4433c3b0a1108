//! Who this device is to the hub, and how it knows the hub.
//!
//! Must never break: inference does not depend on anything here.

pub mod file;
pub mod https;
pub mod join;
pub mod renew;
pub mod standing;
pub mod tls;

use std::time::Duration;

use tern_protocol::time::WallTime;

/// When this program was built at the earliest, if the build does not say: 2026-11-01.
const BUILT: u64 = 1_793_491_200;

/// The least that the time can be, since 1970: this program exists, and so does its newest
/// certificate.
pub fn floor(not_before: Option<WallTime>) -> Duration {
    let built = option_env!("TERN_BUILD_EPOCH").and_then(|text| text.parse().ok());
    let built = Duration::from_secs(built.unwrap_or(BUILT));
    let newest = not_before.and_then(|time| u64::try_from(time.0).ok());
    built.max(Duration::from_millis(newest.unwrap_or(0)))
}

/// The time, as far as one can know: never before the floor.
fn now(wall: Option<WallTime>, floor: Duration) -> WallTime {
    let floor = WallTime(i64::try_from(floor.as_millis()).unwrap_or(i64::MAX));
    wall.map_or(floor, |wall| wall.max(floor))
}
