//! The one place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use tern_protocol::time::WallTime;

/// Now, as this machine believes.
pub(crate) fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    WallTime(since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }))
}
