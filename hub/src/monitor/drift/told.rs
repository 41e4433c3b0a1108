//! Findings as they are told: names for numbers, sentences for columns. Pure.

use tern_protocol::{
    rest::{
        Attribution, Detector, FindingEnd, FindingKind, FindingPlace, FindingView, Interval,
        MovedAspect, MovedView,
    },
    time::WallTime,
};
use tern_watch::{
    Change, DepartureChange,
    column::{Column, Kind, Layout},
    finding::{self, Moved, Place, Why},
    sentence,
};

use super::{
    names::Called,
    pending::{HOUR, Watched},
};

/// What became of a finding: to be stored.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) detector: Detector,
    /// Its number within what is watched.
    pub(super) number: u32,
    /// The number of the one that explains it.
    pub(super) explained: Option<u32>,
    pub(super) view: FindingView,
}

/// What the engine found.
pub(super) fn drift(
    of: &Watched,
    change: &Change,
    layout: &Layout,
    called: &Called<'_>,
    of_devices: u64,
    now: WallTime,
) -> Told {
    let found = change.finding();
    let (end, explained) = match change {
        Change::Closed(_, why) => ended(*why),
        Change::Opened(_) | Change::Changed(_) => (None, None),
    };
    let (attribution, version) = attributed(found.attribution);
    let view = FindingView {
        id: 0,
        slot: of.slot.clone(),
        model: of.model.clone(),
        detector: Detector::Drift,
        kind: kind(found.kind),
        attribution,
        version,
        places: places(&found.places, called),
        moved: moved(&found.moved, layout, called),
        since: WallTime(i64::from(found.since.0) * HOUR),
        opened: WallTime((i64::from(found.opened.0) + 1) * HOUR),
        closed: end.map(|_| now),
        end,
        explained_by: None,
        accepted_by: None,
        years: Some(found.years),
        samples: found.samples,
        devices: found.devices.into(),
        of_devices: of_devices.max(found.devices.into()),
        text: sentence::what(found, layout, called),
        advice: sentence::why(found, called),
    };
    Told {
        detector: Detector::Drift,
        number: found.id,
        explained,
        view,
    }
}

/// What departed.
pub(super) fn departure(
    of: &Watched,
    change: &DepartureChange,
    layout: &Layout,
    called: &Called<'_>,
    of_devices: u64,
    now: WallTime,
) -> Told {
    let found = change.departure();
    let (end, explained) = match change {
        DepartureChange::Closed(_, why) => ended(*why),
        DepartureChange::Opened(_) | DepartureChange::Changed(_) => (None, None),
    };
    let (attribution, version) = attributed(found.attribution);
    let view = FindingView {
        id: 0,
        slot: of.slot.clone(),
        model: of.model.clone(),
        detector: Detector::Departure,
        kind: kind(found.kind),
        attribution,
        version,
        places: places(&found.places, called),
        moved: moved(&found.moved, layout, called),
        since: WallTime(found.since),
        opened: WallTime(found.opened),
        closed: end.map(|_| now),
        end,
        explained_by: None,
        accepted_by: None,
        years: None,
        samples: found.samples,
        devices: found.devices.into(),
        of_devices: of_devices.max(found.devices.into()),
        text: sentence::departed(found, layout, called),
        advice: sentence::why_departed(found, called),
    };
    Told {
        detector: Detector::Departure,
        number: found.id,
        explained,
        view,
    }
}

fn ended(why: Why) -> (Option<FindingEnd>, Option<u32>) {
    match why {
        Why::Recovered => (Some(FindingEnd::Recovered), None),
        Why::Accepted => (Some(FindingEnd::Accepted), None),
        Why::Explained(by) => (Some(FindingEnd::Explained), Some(by)),
        Why::Silent => (Some(FindingEnd::Silent), None),
    }
}

fn attributed(
    attribution: finding::Attribution,
) -> (Attribution, Option<tern_protocol::id::ModelVersion>) {
    match attribution {
        finding::Attribution::Devices => (Attribution::Devices, None),
        finding::Attribution::Sites => (Attribution::Sites, None),
        finding::Attribution::Fleet => (Attribution::Fleet, None),
        finding::Attribution::Version(version) => (Attribution::Version, Some(version)),
        finding::Attribution::Mix => (Attribution::Mix, None),
    }
}

fn kind(kind: Kind) -> FindingKind {
    match kind {
        Kind::Input => FindingKind::Input,
        Kind::Quality => FindingKind::Quality,
        Kind::Prediction => FindingKind::Prediction,
        Kind::Confidence => FindingKind::Confidence,
        Kind::Errors => FindingKind::Errors,
    }
}

fn places(places: &[Place], called: &Called<'_>) -> Vec<FindingPlace> {
    let place = |place: &Place| match place {
        Place::Fleet => Some(FindingPlace::Fleet),
        Place::Version(version) => Some(FindingPlace::Version(*version)),
        Place::Site(site) => called
            .names
            .site_name(*site)
            .cloned()
            .map(FindingPlace::Site),
        Place::Device(device) => {
            let name = called.names.device_name(*device).cloned();
            name.map(FindingPlace::Device)
        }
    };
    let mut named: Vec<FindingPlace> = places.iter().filter_map(place).collect();
    named.sort();
    named
}

fn moved(moved: &[Moved], layout: &Layout, called: &Called<'_>) -> Vec<MovedView> {
    let one = |moved: &Moved| {
        let (name, aspect) = match moved.column {
            Column::Location(at) => (layout.feature(at), MovedAspect::Location),
            Column::Spread(at) => (layout.feature(at), MovedAspect::Spread),
            Column::Unusable(at) => (layout.feature(at), MovedAspect::Unusable),
            Column::Class(class) => {
                let name = called.versions.class(class).cloned();
                (
                    name.unwrap_or_else(|| class.to_string()),
                    MovedAspect::Class,
                )
            }
            Column::Confidence => (String::new(), MovedAspect::Confidence),
            Column::Errors => (String::new(), MovedAspect::Errors),
        };
        MovedView {
            name,
            aspect,
            effect: Interval {
                value: moved.effect.value,
                low: Some(moved.effect.low),
                high: Some(moved.effect.high),
            },
        }
    };
    moved.iter().map(one).collect()
}
