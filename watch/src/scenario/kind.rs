//! What happens in a scenario, and what is to be found.

use crate::{
    column::Kind,
    finding::{Attribution, Place},
    hour::{Device, Site},
    scenario::world::{FIRST, SECOND},
};

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Nothing happens.
    Quiet(Quiet),
    /// Two features of all sites jump, by 0.8 standard deviations.
    Sudden,
    /// One feature of all sites drifts, by one standard deviation in three weeks.
    Gradual,
    /// Two features of one site jump, by 0.9 standard deviations.
    OneSite,
    /// The sensor of one device is off by one and a half standard deviations, sticks, or is gone a third of the time.
    Sensor,
    /// The mix of classes changes everywhere, and each class looks as it did.
    Mix,
    /// A third of the devices of each site get a version that takes a wrong mean off one feature.
    BadVersion,
    /// All devices get it within a day.
    BadVersionAtOnce,
}

/// Scenarios in which nothing is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quiet {
    /// Weather, days and weeks as in the others, for 90 days.
    Plain,
    /// Patterns of days and weeks twice as strong.
    Seasonal,
    /// Devices get a version that answers as the one before, with a reference on other bins.
    GoodVersion,
    /// A site is offline for three weeks, has something odd for four days meanwhile, and brings it all at once.
    LongOver,
    /// Three sites of one to three devices.
    Small,
}

/// All of them.
pub const ALL: [Scenario; 12] = [
    Scenario::Quiet(Quiet::Plain),
    Scenario::Quiet(Quiet::Seasonal),
    Scenario::Quiet(Quiet::GoodVersion),
    Scenario::Quiet(Quiet::LongOver),
    Scenario::Quiet(Quiet::Small),
    Scenario::Sudden,
    Scenario::Gradual,
    Scenario::OneSite,
    Scenario::Sensor,
    Scenario::Mix,
    Scenario::BadVersion,
    Scenario::BadVersionAtOnce,
];

/// What is true of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// The day on which it begins.
    pub onset: u32,
    /// Kinds in which it shows: what else is found is wrong.
    pub kinds: Vec<Kind>,
    /// Where.
    pub place: Place,
    /// Why.
    pub attribution: Attribution,
}

impl Scenario {
    /// How many days it lasts.
    pub fn days(self) -> u32 {
        match self {
            Self::Quiet(_) => 90,
            _ => 70,
        }
    }

    /// A name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet(Quiet::Plain) => "nothing, 90 days",
            Self::Quiet(Quiet::Seasonal) => "strong days and weeks, 90 days",
            Self::Quiet(Quiet::GoodVersion) => "good version, 90 days",
            Self::Quiet(Quiet::LongOver) => "odd while offline, long over, 90 days",
            Self::Quiet(Quiet::Small) => "nothing, 6 devices, 90 days",
            Self::Sudden => "sudden, all sites",
            Self::Gradual => "gradual, all sites",
            Self::OneSite => "one site",
            Self::Sensor => "sensor of one device",
            Self::Mix => "other mix of classes",
            Self::BadVersion => "bad version on a third",
            Self::BadVersionAtOnce => "bad version on all",
        }
    }

    /// What is to be found; nothing in quiet ones. `site` and `device` are those to which it happens.
    pub(super) fn truth(self, onset: u32, site: Site, device: Device) -> Option<Truth> {
        let all = vec![
            Kind::Input,
            Kind::Quality,
            Kind::Prediction,
            Kind::Confidence,
        ];
        let (place, attribution) = match self {
            Self::Quiet(_) => return None,
            Self::Sudden | Self::Gradual => (Place::Fleet, Attribution::Fleet),
            Self::OneSite => (Place::Site(site), Attribution::Sites),
            Self::Sensor => (Place::Device(device), Attribution::Devices),
            Self::Mix => (Place::Fleet, Attribution::Mix),
            Self::BadVersion => (Place::Version(SECOND), Attribution::Version(SECOND)),
            Self::BadVersionAtOnce => (Place::Fleet, Attribution::Version(SECOND)),
        };
        debug_assert!(FIRST < SECOND);
        Some(Truth {
            onset,
            kinds: all,
            place,
            attribution,
        })
    }
}
