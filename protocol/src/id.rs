//! Every id of Tern, in one list. Ids are made by parsing only; swapping two fails to compile.

use alloc::string::String;
use core::{fmt, num::NonZeroU32, str::FromStr};

/// Longest name, in bytes: it fits a certificate's common name (X.520: 64).
pub const NAME_MAX: usize = 64;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a name.
    #[error("`{0}` is not a name: 1 to 64 of a-z A-Z 0-9 . _ - and the first a letter or a digit")]
    Name(String),
    /// Not a name of an account.
    #[error(
        "`{0}` is not an account's name: 1 to 64 of a-z A-Z 0-9 . _ - + @ and the first a letter or a digit"
    )]
    UserName(String),
    /// Not a name of a metric.
    #[error("`{0}` is not a metric's name: 1 to 64 of a-z A-Z 0-9 _ and the first a letter")]
    MetricName(String),
    /// Not a number of the right kind.
    #[error("`{0}` is not a number from 1 up")]
    Number(String),
    /// Not a prediction's number.
    #[error("`{0}` is not a prediction id: BOOT-NUMBER, for example 3-1042")]
    Prediction(String),
}

/// Letters, digits, dot, underscore, hyphen. So a name is one level of an MQTT topic, one segment
/// of a path, and never a wildcard, a parent directory or an option.
fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=NAME_MAX).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(allowed)
}

/// As [`is_name`], and what mail addresses are made of: providers name people by them.
fn is_user_name(text: &str) -> bool {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'@');
    (1..=NAME_MAX).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(allowed)
}

/// What Prometheus takes for a name, without the colon that it keeps for rules, and without the underscore in front
/// that it keeps for itself.
fn is_metric_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=NAME_MAX).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphabetic()
        && text.bytes().all(allowed)
}

/// OpenAPI schema of a type: that of another.
#[cfg(feature = "schema")]
macro_rules! schema_as {
    ($id:ty, $like:ty) => {
        impl utoipa::PartialSchema for $id {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                <$like as utoipa::PartialSchema>::schema()
            }
        }
        impl utoipa::ToSchema for $id {}
    };
}
#[cfg(feature = "schema")]
pub(crate) use schema_as;

/// JSON spelling of a type that has `Display` and `FromStr`: its text.
#[cfg(feature = "rest")]
macro_rules! serde_as_text {
    ($id:ty) => {
        impl serde::Serialize for $id {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $id {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <alloc::string::String as serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
#[cfg(feature = "rest")]
pub(crate) use serde_as_text;

macro_rules! names {
    ($is:ident else $error:ident: $($(#[$doc:meta])* $id:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(String);

        impl $id {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $id {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if $is(text) { Ok(Self(text.into())) } else { Err(IdError::$error(shown(text))) }
            }
        }
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self.0)
            }
        }
        impl<C> minicbor::Encode<C> for $id {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.str(&self.0)?.ok()
            }
        }
        impl<'b, C> minicbor::Decode<'b, C> for $id {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                let at = d.position();
                d.str()?.parse().map_err(|_| {
                    minicbor::decode::Error::message(concat!("not a ", stringify!($id))).at(at)
                })
            }
        }
        #[cfg(feature = "rest")]
        serde_as_text!($id);
        #[cfg(feature = "schema")]
        schema_as!($id, String);
    )+};
}

macro_rules! counters {
    ($($(#[$doc:meta])* $id:ident($number:ty);)+) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            minicbor::Encode, minicbor::Decode,
        )]
        #[cbor(transparent)]
        #[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "rest", serde(transparent))]
        pub struct $id(#[n(0)] pub $number);

        impl $id {
            /// The next one. It stays where it is at the end of its range, which no real counter
            /// reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        #[cfg(feature = "schema")]
        schema_as!($id, $number);
    )+};
}

names! {
    is_name else Name:
    /// Groups everything and carries permissions.
    WorkspaceId;
    /// One agent with an identity.
    DeviceId;
    /// Where a device is.
    SiteName;
    /// A named place on a device that serves one model.
    SlotName;
    /// A model; its versions are numbered.
    ModelName;
    /// A rule by which something is an alert.
    RuleName;
    /// A place where jobs run.
    ComputeName;
    /// How challengers of a model are trained: a job that is kept under a name.
    TrainingName;
    /// What models are trained on; its versions are numbered.
    DatasetName;
    /// A place where files to import are.
    DatastoreName;
}

names! {
    is_user_name else UserName:
    /// A person's account.
    UserName;
}

names! {
    is_metric_name else MetricName:
    /// A metric that a bundle declares.
    MetricName;
}

counters! {
    /// Counts the desired states of one device; strictly rising. 0: none yet.
    Revision(u64);
    /// Rises by one at each start of the agent; with an `Uptime` it orders a device's events.
    BootId(u32);
    /// Place of an entry in a device's outbox, from 1; 0: before the first.
    Sequence(u64);
    /// One life of a device's outbox: drawn at random when its store is made, so that a device
    /// that lost its disk is not taken for one that repeats itself.
    OutboxId(u64);
    /// One rollout in a workspace.
    RolloutId(u32);
    /// One token with which devices join.
    InvitationId(u64);
    /// One key that speaks, or wants to speak, for a device.
    IdentityId(u64);
    /// One API token.
    TokenId(u64);
    /// One receiver of notices.
    SubscriptionId(u64);
    /// One alert.
    AlertId(u64);
    /// One silence in which alerts are not told.
    SilenceId(u64);
    /// One job: a command that runs on a compute.
    JobId(u64);
    /// One question that a round of retraining puts to people.
    ProposalId(u64);
    /// One version of a dataset, over all datasets of a hub.
    DatasetId(u64);
}

/// 1, 2, 3 …; never reused, not even after deletion.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
#[cbor(transparent)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(transparent))]
pub struct ModelVersion(#[n(0)] NonZeroU32);

impl ModelVersion {
    /// The first version of a model.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The version with this number, unless it is 0.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ModelVersion {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix('v').unwrap_or(text);
        digits
            .parse()
            .map(Self)
            .map_err(|_| IdError::Number(shown(text)))
    }
}

/// One prediction of one device: the boot it was made in and its number in that boot. It joins a
/// prediction with its capture and its label. Written `BOOT-NUMBER`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
pub struct PredictionId {
    /// The boot in which it was made.
    #[n(0)]
    pub boot: BootId,
    /// Its number in that boot, from 1, over all slots.
    #[n(1)]
    pub number: u64,
}

impl fmt::Display for PredictionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.boot, self.number)
    }
}

impl FromStr for PredictionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parts = text.split_once('-').and_then(|(boot, number)| {
            Some(Self {
                boot: BootId(boot.parse().ok()?),
                number: number.parse().ok()?,
            })
        });
        parts.ok_or_else(|| IdError::Prediction(shown(text)))
    }
}

#[cfg(feature = "rest")]
serde_as_text!(PredictionId);
#[cfg(feature = "schema")]
schema_as!(PredictionId, String);
#[cfg(feature = "schema")]
schema_as!(ModelVersion, u32);

/// What an error shows of a bad id: never more than a line of it.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "+",
            "#",
            "$SYS",
            "-v",
            "a b",
            "é",
            &"x".repeat(65),
        ] {
            assert!(
                bad.parse::<DeviceId>().is_err(),
                "{bad:?} was taken for a name"
            );
        }
        for good in ["a", "meter-07", "0.1_b", &"x".repeat(64)] {
            assert_eq!(good.parse::<DeviceId>().map(|id| id.0), Ok(good.into()));
        }
    }

    #[test]
    fn accounts_may_be_mail_addresses() {
        assert!("ada@example.org".parse::<UserName>().is_ok());
        for bad in ["", "@a", "a b", "a/b", "a\nb", "<a>"] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn names_of_metrics_are_those_of_prometheus() {
        for good in ["a", "belt_speed", "X9", &"x".repeat(64)] {
            assert!(good.parse::<MetricName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "_a",
            "9a",
            "a-b",
            "a.b",
            "a:b",
            "é",
            "a b",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<MetricName>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn versions_start_at_one() {
        assert_eq!(
            "v3".parse(),
            Ok(ModelVersion(NonZeroU32::new(3).expect("3 > 0")))
        );
        assert!("0".parse::<ModelVersion>().is_err());
        assert!("-1".parse::<ModelVersion>().is_err());
    }

    #[test]
    fn prediction_ids_read_back() {
        let id = PredictionId {
            boot: BootId(3),
            number: 1042,
        };
        assert_eq!(alloc::format!("{id}").parse(), Ok(id));
        assert!("3".parse::<PredictionId>().is_err());
    }
}
