//! The wall clock, for what people read. Nothing is decided by it.

use std::time::{SystemTime, UNIX_EPOCH};

use tern_protocol::time::WallTime;

pub(crate) fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    WallTime(since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }))
}
