//! Three kinds of time, never mixed.
//!
//! [`Uptime`] decides, [`Instant`] (boot and uptime) orders what one device did, [`WallTime`] is for
//! people and schedules. Order never comes from wall clocks.

use core::{fmt, time::Duration};

use crate::id::BootId;

macro_rules! milliseconds {
    ($($(#[$doc:meta])* $time:ident($number:ty);)+) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            minicbor::Encode, minicbor::Decode,
        )]
        #[cbor(transparent)]
        #[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "rest", serde(transparent))]
        pub struct $time(#[n(0)] pub $number);

        #[cfg(feature = "schema")]
        crate::id::schema_as!($time, $number);
    )+};
}

milliseconds! {
    /// Milliseconds since the agent started, on a clock that never goes back.
    Uptime(u64);
    /// Milliseconds since 1970-01-01 UTC.
    WallTime(i64);
}

impl Uptime {
    /// Time from `earlier` to this; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This, `wait` later.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}.{:03}s", self.0 / 1000, self.0 % 1000)
    }
}

/// A moment in the life of one device. Ordered by boot, then by uptime.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    minicbor::Encode,
    minicbor::Decode,
)]
pub struct Instant {
    /// In which boot of the agent.
    #[n(0)]
    pub boot: BootId,
    /// How long after its start.
    #[n(1)]
    pub uptime: Uptime,
}
