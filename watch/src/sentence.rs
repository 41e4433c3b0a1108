//! Findings in words: what moved, where, since when, how sure that is, and what to do.

use std::fmt::Write as _;

use crate::{
    column::{Column, Kind, Layout},
    departure::Departure,
    finding::{Attribution, Effect, Finding, Moved, Place},
    hour::{Device, Hour, Site},
};

/// Places that are named; of more it is said how many there are.
const NAMED: usize = 3;

/// What the caller calls devices, sites and classes.
pub trait Names {
    /// A device.
    fn device(&self, device: Device) -> String {
        format!("device {}", device.0)
    }

    /// A site.
    fn site(&self, site: Site) -> String {
        format!("site {}", site.0)
    }

    /// A class.
    fn class(&self, class: u16) -> String {
        format!("class {class}")
    }
}

/// Numbers for names.
#[derive(Debug, Clone, Copy)]
pub struct Numbers;

impl Names for Numbers {}

/// What was found, in one sentence.
pub fn what(finding: &Finding, layout: &Layout, names: &impl Names) -> String {
    let mut text = format!("{}: ", places(&finding.places, names));
    text.push_str(&moved(&finding.moved, layout, names));
    let days = finding.opened.day().saturating_sub(finding.since.day());
    let since = match days {
        0 => "since today".into(),
        1 => "since yesterday".into(),
        days => format!("since about {days} days before it was found"),
    };
    let _ = write!(
        text,
        ", {since}, of about {} inferences. {}",
        finding.samples,
        sure(finding.years)
    );
    text
}

/// Why, as far as can be told, and what to do.
pub fn why(finding: &Finding, names: &impl Names) -> String {
    let all = finding
        .places
        .iter()
        .all(|place| matches!(place, Place::Site(_)));
    match (finding.attribution, finding.kind) {
        (Attribution::Devices, Kind::Errors) => {
            "Devices beside them have no more errors than usual. Look at these devices: their logs, their disks, their power."
        }
        (Attribution::Devices, _) => {
            "Devices beside them see the same and are as usual. Have the sensors of these devices looked at; a new model would not help."
        }
        (Attribution::Sites, Kind::Errors) => {
            "Other sites have no more errors than usual. Look at what these sites have in common: network, power, who calls the model."
        }
        (Attribution::Sites, _) if all && finding.devices <= 2 => {
            "Few devices stand there, so a fault of a device and a change of the site look the same. Have a look at both before a new model is thought of."
        }
        (Attribution::Sites, _) => {
            "Other sites are as usual. Ask what changed there; if it is to stay, capture and label inputs of these sites and train on them."
        }
        (Attribution::Fleet, Kind::Errors) => "It is everywhere at once. Look at what all devices share: what calls the model, and what it is called with.",
        (Attribution::Fleet, _) => {
            "It is everywhere, and no version came when it began. Label a sample of recent inputs; if the model is less right on them, train on them."
        }
        (Attribution::Version(version), _) => {
            return format!(
                "Devices moved when they got version {version}, and {}. Stop the rollout of version {version} and compare it with the one before on captured inputs.",
                if finding.places.iter().any(|place| matches!(place, Place::Version(_))) {
                    "beyond what others did that kept theirs".into()
                } else {
                    format!("these are {}", places(&finding.places, names))
                }
            );
        }
        (Attribution::Mix, _) => {
            "Inputs moved just as they do when other classes come, and each class looks as it did. Check by a few labels; thresholds and priors may need a change, the model most likely not."
        }
    }
    .into()
}

/// What departed, in one sentence. When it began is not said: the caller knows how times are written.
pub fn departed(one: &Departure, layout: &Layout, names: &impl Names) -> String {
    let known = match one.kind {
        Kind::Quality => "most values cannot be used",
        Kind::Errors => "most requests fail",
        Kind::Input | Kind::Prediction | Kind::Confidence => {
            "most inputs lie where training had hardly any"
        }
    };
    format!(
        "{}: {known}, and did not before: {}, in {} inferences of {} {}.",
        places(&one.places, names),
        moved(&one.moved, layout, names),
        one.samples,
        one.devices,
        if one.devices == 1 {
            "device"
        } else {
            "devices"
        }
    )
}

/// Why something departed, as far as can be told, and what to do.
pub fn why_departed(one: &Departure, names: &impl Names) -> String {
    if let (Attribution::Version(version), Kind::Input) = (one.attribution, one.kind) {
        return format!(
            "It began when devices got version {version}, which was trained on other inputs than they see. Go back to the version before, and train on inputs of the field."
        );
    }
    let same = Finding {
        id: one.id,
        kind: one.kind,
        attribution: one.attribution,
        places: one.places.clone(),
        moved: Vec::new(),
        since: Hour(0),
        opened: Hour(0),
        years: 0.0,
        samples: one.samples,
        devices: one.devices,
    };
    why(&same, names)
}

/// How sure it is.
fn sure(years: f64) -> String {
    if years >= 1e6 {
        "By chance alone that would practically never be.".into()
    } else if years >= 10.0 {
        format!("By chance alone there would be such an alarm once in {years:.0} years.")
    } else {
        format!("By chance alone there would be such an alarm once in {years:.1} years.")
    }
}

fn places(all: &[Place], names: &impl Names) -> String {
    let one = |place: &Place| match place {
        Place::Version(version) => format!("devices with version {version}"),
        Place::Fleet => "the whole fleet".into(),
        Place::Site(site) => names.site(*site),
        Place::Device(device) => names.device(*device),
    };
    let named: Vec<String> = all.iter().take(NAMED).map(one).collect();
    let mut text = named.join(", ");
    if all.len() > NAMED {
        let _ = write!(text, " and {} more", all.len() - NAMED);
    }
    text
}

fn moved(all: &[Moved], layout: &Layout, names: &impl Names) -> String {
    let named = all.iter().take(NAMED).map(|one| column(one, layout, names));
    let mut text = named.collect::<Vec<_>>().join("; ");
    if all.len() > NAMED {
        let _ = write!(text, "; and {} more", all.len() - NAMED);
    }
    text
}

fn column(moved: &Moved, layout: &Layout, names: &impl Names) -> String {
    let Effect { value, low, high } = moved.effect;
    let (low, high) = if value >= 0.0 {
        (low, high)
    } else {
        (-high, -low)
    };
    let points = |value: f64| 100.0 * value;
    let between = format!(
        "{:.1} ({:.1} to {:.1})",
        points(value.abs()),
        points(low),
        points(high)
    );
    let way = |up: &'static str, down: &'static str| if value >= 0.0 { up } else { down };
    match moved.column {
        Column::Location(at) => format!(
            "values of {} are {} than usual more often by {between} points of 100",
            layout.feature(at),
            way("larger", "smaller")
        ),
        Column::Spread(at) => format!(
            "values of {} are {} spread by {between} points of 100",
            layout.feature(at),
            way("wider", "narrower")
        ),
        Column::Unusable(at) => format!(
            "{between} points {} values of {} are missing or stuck",
            way("more", "fewer"),
            layout.feature(at)
        ),
        Column::Class(at) => format!(
            "{} is predicted {} often by {between} points",
            names.class(at),
            way("more", "less")
        ),
        Column::Confidence => format!(
            "the mean confidence is {} by {between} points",
            way("higher", "lower")
        ),
        Column::Errors => format!(
            "{between} points {} requests get an error",
            way("more", "fewer")
        ),
    }
}
