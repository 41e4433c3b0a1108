//! By which way a blob comes, and what an obstacle on it means. Pure.
//!
//! The same file and bitmap serve both ways, so that changing between them in the middle of a blob loses
//! nothing.

use std::{fmt, time::Duration};

use serde::Deserialize;

use crate::chance::Chance;

/// Bytes that may come for one blob before it is all here, as a multiple of its length: whoever listens
/// to a blob's topic also hears what others lack.
const BUDGET_TIMES: u64 = 4;

/// See [`BUDGET_TIMES`]: for small blobs.
const BUDGET_SLACK: u64 = 4 << 20;

/// Wait after a download that failed; doubles up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_secs(1);

/// Longest wait after a download that failed: a hub that comes back is asked within this time.
const AGAIN_MAX: Duration = Duration::from_mins(5);

/// Wait after a refusal, which only somebody at the hub can change.
const REFUSED: Duration = Duration::from_mins(5);

/// Wait after the hub said that it has no such blob.
const MISSING: Duration = Duration::from_mins(10);

/// Longest that a hub may put a device off.
const PUT_OFF_MAX: Duration = Duration::from_mins(10);

/// Wait after too many bytes came; doubles up to [`PUT_OFF_MAX`].
const OVER_BUDGET: Duration = Duration::from_secs(10);

/// Downloads that may fail in a row before MQTT gets its turn again.
pub const FAILURES_MAX: u32 = 4;

/// Which ways may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// MQTT, and HTTPS when no chunks come.
    #[default]
    Auto,
    /// MQTT alone.
    Mqtt,
    /// HTTPS alone.
    Https,
}

/// By which way a blob comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Chunks on the blob's topic, which all devices share.
    Mqtt,
    /// Ranges from the hub, for this device alone.
    Https,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mqtt => "MQTT",
            Self::Https => "HTTPS",
        })
    }
}

/// What the fetcher has to know besides what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which ways may be gone.
    pub via: Via,
    /// Whether it is known where the hub is reached by HTTPS.
    pub https: bool,
    /// How long chunks may stay away, though they were asked for, before a blob is fetched by HTTPS.
    pub silence: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            via: Via::Auto,
            https: false,
            silence: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// The way that a blob takes first.
    pub const fn first(&self) -> Way {
        match self.via {
            Via::Https => Way::Https,
            Via::Auto | Via::Mqtt => Way::Mqtt,
        }
    }

    /// Whether the other way may be taken when one fails.
    pub const fn may_change(&self) -> bool {
        matches!(self.via, Via::Auto) && self.https
    }
}

/// What kind of obstacle ended a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nobody who is the hub answers.
    Unreachable,
    /// It broke off in the middle.
    Cut,
    /// The hub has no room now (429, 503).
    Busy,
    /// The hub failed (5xx).
    Failed,
    /// The hub does not let this device have it (401, 403).
    Refused,
    /// The hub has no such blob for this device (404, 410).
    Missing,
    /// What came is not what was asked for.
    Malformed,
}

impl Kind {
    /// Its name in logs and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Cut => "cut",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
        }
    }

    /// Whether trying again soon may help.
    pub const fn may_pass(self) -> bool {
        match self {
            Self::Unreachable | Self::Cut | Self::Busy | Self::Failed => true,
            Self::Refused | Self::Missing | Self::Malformed => false,
        }
    }
}

/// Why a download ended before all was here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {text}", kind.name())]
pub struct Setback {
    /// Of which kind.
    pub kind: Kind,
    /// What happened.
    pub text: String,
    /// When the hub says to come again.
    pub again: Option<Duration>,
}

impl Setback {
    /// One without a word of the hub about coming again.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            again: None,
        }
    }

    /// How long to wait after so many in a row.
    pub fn wait(&self, failures: u32, chance: &mut Chance) -> Duration {
        let doubled = AGAIN.saturating_mul(1 << failures.min(16)).min(AGAIN_MAX);
        let wait = match self.kind {
            Kind::Unreachable | Kind::Cut | Kind::Busy | Kind::Failed => doubled,
            Kind::Refused => REFUSED,
            Kind::Missing | Kind::Malformed => MISSING,
        };
        let told = self.again.unwrap_or_default().min(PUT_OFF_MAX);
        // Never sooner than the hub says.
        told + chance.jitter(if told.is_zero() { wait } else { wait.min(told) })
    }
}

/// How many bytes may come for a blob of this length before it is all here.
pub const fn budget(len: u64) -> u64 {
    len.saturating_mul(BUDGET_TIMES)
        .saturating_add(BUDGET_SLACK)
}

/// How long to wait after so many times too many bytes.
pub fn over_budget(times: u32, chance: &mut Chance) -> Duration {
    let doubled = OVER_BUDGET.saturating_mul(1 << times.min(16));
    chance.jitter(doubled.min(PUT_OFF_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_grow_to_minutes_for_ever_and_respect_the_hub(
            failures in 0_u32..1_000,
            told in prop::option::of(0_u64..100_000),
            seed: u64,
        ) {
            let mut chance = Chance::seeded(seed);
            let mut setback = Setback::new(Kind::Busy, "");
            setback.again = told.map(Duration::from_secs);
            let wait = setback.wait(failures, &mut chance);
            prop_assert!(wait >= AGAIN / 2 || told.is_some_and(|told| told > 0));
            prop_assert!(wait <= PUT_OFF_MAX + AGAIN_MAX);
            let told = Duration::from_secs(told.unwrap_or(0)).min(PUT_OFF_MAX);
            prop_assert!(wait >= told, "{wait:?} of {told:?}");
            prop_assert!(over_budget(failures, &mut chance) <= PUT_OFF_MAX);
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again_soon() {
        let mut chance = Chance::seeded(1);
        for kind in [
            Kind::Unreachable,
            Kind::Cut,
            Kind::Busy,
            Kind::Failed,
            Kind::Refused,
            Kind::Missing,
            Kind::Malformed,
        ] {
            let wait = Setback::new(kind, "").wait(0, &mut chance);
            assert_eq!(wait < Duration::from_secs(2), kind.may_pass(), "{kind:?}");
        }
    }
}
