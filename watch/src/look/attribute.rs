//! Why a place moved: by what it is part of, by what came when it moved, by what inputs say of classes.

use tern_protocol::id::ModelVersion;

use crate::{
    Device, Watch,
    column::Kind,
    finding::{Attribution, Place},
    fold::SITES_BESIDE,
    hour::Hour,
    member::Member,
    mix,
};

/// Devices of a place whose version changed when it moved, as a share, for the version to be the reason.
const SWITCHED: f64 = 0.8;

/// How a place is part of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    None,
    /// Part of it, but judged by what it does beyond it.
    Of,
    /// What it does is what the other one does.
    Same,
}

impl Watch {
    /// Whether a place is part of another one.
    pub(super) fn part(&self, place: Place, of: Place) -> Part {
        let of_version = |version| match place {
            Place::Device(device) => self
                .state
                .devices
                .get(&device)
                .is_some_and(|one| one.version == version),
            Place::Site(site) => {
                self.share(|one| one.site == site, |one| one.version == version) >= 0.5
            }
            _ => self.share(|_| true, |one| one.version == version) >= 0.5,
        };
        match (of, place) {
            (Place::Version(version), _) if of_version(version) => Part::Same,
            // Few sites are not judged beside the fleet: they do what it does.
            (Place::Fleet, Place::Site(_)) if self.state.sites.len() < SITES_BESIDE => Part::Same,
            (Place::Fleet, Place::Site(_) | Place::Device(_)) => Part::Of,
            (Place::Site(site), Place::Device(device)) => {
                let at = self.state.devices.get(&device).map(|one| one.site);
                if at == Some(site) {
                    Part::Of
                } else {
                    Part::None
                }
            }
            _ => Part::None,
        }
    }

    /// The share of devices of a place for which something holds.
    pub(super) fn share(
        &self,
        of: impl Fn(&Member) -> bool,
        holds: impl Fn(&Member) -> bool,
    ) -> f64 {
        let (mut all, mut held) = (0.0, 0.0);
        for member in self.state.devices.values().filter(|member| of(member)) {
            all += 1.0;
            held += f64::from(u8::from(holds(member)));
        }
        if all > 0.0 { held / all } else { 0.0 }
    }

    /// Why a place moved, as far as can be told.
    pub(super) fn attribute(&self, place: Place, kind: Kind, since: Hour) -> Attribution {
        if let Place::Version(version) = place {
            return Attribution::Version(version);
        }
        if let Some(version) = self.switched(place, since) {
            return Attribution::Version(version);
        }
        if matches!(kind, Kind::Input | Kind::Prediction | Kind::Confidence) && self.is_mix(place) {
            return Attribution::Mix;
        }
        match place {
            Place::Device(_) => Attribution::Devices,
            Place::Site(_) => Attribution::Sites,
            Place::Fleet | Place::Version(_) => Attribution::Fleet,
        }
    }

    /// The version to which nearly all devices of a place changed when it moved, if they did.
    pub(super) fn switched(&self, place: Place, since: Hour) -> Option<ModelVersion> {
        let of = |device: Device, one: &Member| match place {
            Place::Device(wanted) => device == wanted,
            Place::Site(site) => one.site == site,
            _ => true,
        };
        let mut members = self
            .state
            .devices
            .iter()
            .filter(|(device, one)| of(**device, one))
            .map(|(_, one)| one);
        let newest = members
            .clone()
            .filter(|one| one.since > Hour(0))
            .max_by_key(|one| (one.since, one.version))?
            .version;
        let near = |one: &Member| {
            one.version == newest
                && one.since.day() <= since.day() + 2
                && since.day() <= one.since.day() + 2
        };
        let all = members.clone().count() as f64;
        let switched = members.by_ref().filter(|one| near(one)).count() as f64;
        (switched >= SWITCHED * all).then_some(newest)
    }

    pub(super) fn is_mix(&self, place: Place) -> bool {
        let streams = match place {
            Place::Fleet => &self.state.fleet.streams,
            Place::Site(site) => match self.state.sites.get(&site) {
                Some(site) => &site.streams,
                None => return false,
            },
            _ => return false,
        };
        let deviations: Vec<f64> = streams
            .iter()
            .map(|stream| f64::from(stream.now()))
            .collect();
        let whole = deviations.len() == self.layout.columns().len();
        whole && mix::explains(&self.layout, &deviations, self.settings.matters.prediction)
    }
}
