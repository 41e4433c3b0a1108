use serde::{Deserialize, Serialize};

use crate::{id::DeviceId, time::WallTime};

/// Why the time of a window is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Doubt {
    /// It is of a start that the hub never heard of, and the device's own clock contradicts what the hub
    /// knows of the starts around it.
    NoClock,
    /// It says to have happened later than it can have.
    Future,
    /// It ends before it begins, lies before any device existed, or is of a start that has not been.
    Impossible,
}

impl Doubt {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoClock, Self::Future, Self::Impossible];

    /// The word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoClock => "no-clock",
            Self::Future => "future",
            Self::Impossible => "impossible",
        }
    }
}

/// Windows of one device whose time is not believed: they count in totals, and no chart draws them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct QuarantineView {
    /// The device.
    pub device: DeviceId,
    /// Why.
    pub doubt: Doubt,
    /// Windows.
    pub windows: u64,
    /// Inferences in them.
    pub inferences: u64,
    /// The earliest that they can have been.
    pub earliest: WallTime,
    /// The latest that they can have been.
    pub latest: WallTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_json() {
        for doubt in Doubt::ALL {
            let json = serde_json::to_string(&doubt).expect("a word");
            assert_eq!(json, alloc::format!("\"{}\"", doubt.word()));
        }
    }
}
