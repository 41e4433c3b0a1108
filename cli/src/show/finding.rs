//! What moved.

use tern_protocol::{
    rest::{Detector, FindingEnd, FindingPlace, FindingView, MovedAspect, MovedView},
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::{ago, count, percent},
};

/// Places that a row names.
const NAMED: usize = 4;

/// `tern finding list`.
pub(crate) fn findings(all: &[FindingView], now: WallTime, look: Look) -> String {
    let headings = [
        "ID", "SINCE", "STATE", "MODEL", "WHAT", "WHERE", "WHY", "DEVICES",
    ];
    let mut table = Table::new(look, &headings);
    for one in all {
        table.row([
            one.id.to_string().into(),
            ago(one.since, now).into(),
            state(one),
            one.model.as_str().into(),
            what(one).into(),
            places(&one.places).into(),
            one.attribution.word().into(),
            Cell::number(format!("{} of {}", one.devices, one.of_devices)),
        ]);
    }
    table.text()
}

/// `tern finding show`.
pub(crate) fn finding(one: &FindingView, now: WallTime, look: Look) -> String {
    let mut text = format!("{}\n\n{}\n\n", one.text, one.advice);
    let mut facts = Table::new(look, &["FACT", "VALUE"]);
    let detector = match one.detector {
        Detector::Drift => "drift, against what is usual there",
        Detector::Departure => "departure, from what the version was trained on",
    };
    let places = one.places.iter().map(place).collect::<Vec<_>>().join(", ");
    facts.row(["finding".into(), one.id.to_string().into()]);
    facts.row(["state".into(), state(one)]);
    facts.row([
        "model".into(),
        format!("{} in {}", one.model, one.slot).into(),
    ]);
    facts.row(["found as".into(), detector.into()]);
    facts.row(["where".into(), places.into()]);
    facts.row(["why".into(), one.attribution.word().into()]);
    facts.row(["since".into(), ago(one.since, now).into()]);
    facts.row(["found".into(), ago(one.opened, now).into()]);
    let devices = format!("{} of {}", one.devices, one.of_devices);
    facts.row(["devices".into(), devices.into()]);
    facts.row(["inferences".into(), count(one.samples).into()]);
    if let Some(by) = one.explained_by {
        facts.row(["explained by".into(), by.to_string().into()]);
    }
    if let Some(by) = &one.accepted_by {
        facts.row(["accepted by".into(), by.as_str().into()]);
    }
    text.push_str(&facts.text());
    text.push('\n');
    let mut moved = Table::new(look, &["MOVED", "BY", "95 % INTERVAL"]);
    for of in &one.moved {
        let between = match (of.effect.low, of.effect.high) {
            (Some(low), Some(high)) => format!("{} to {}", signed(low), signed(high)),
            _ => "–".into(),
        };
        let by = Cell::number(signed(of.effect.value));
        moved.row([column(of).into(), by, between.into()]);
    }
    text.push_str(&moved.text());
    text
}

fn signed(share: f64) -> String {
    let sign = if share < 0.0 { "−" } else { "+" };
    format!("{sign}{}", percent(share.abs()))
}

fn state(one: &FindingView) -> Cell {
    match (one.closed, one.end, &one.accepted_by) {
        (None, _, None) => Cell::toned("open", Tone::Bad),
        (None, _, Some(_)) => Cell::toned("being accepted", Tone::Busy),
        (Some(_), Some(FindingEnd::Accepted), _) => Cell::toned("accepted", Tone::Quiet),
        (Some(_), Some(FindingEnd::Explained), _) => Cell::toned("explained", Tone::Quiet),
        (Some(_), Some(FindingEnd::Silent), _) => Cell::toned("silent", Tone::Quiet),
        (Some(_), Some(FindingEnd::Recovered) | None, _) => Cell::toned("recovered", Tone::Good),
    }
}

fn what(one: &FindingView) -> String {
    let first = one.moved.first().map_or_else(String::new, column);
    match one.moved.len() {
        0 | 1 => first,
        many => format!("{first} and {} more", many - 1),
    }
}

fn column(one: &MovedView) -> String {
    let aspect = match one.aspect {
        MovedAspect::Location => "values of",
        MovedAspect::Spread => "spread of",
        MovedAspect::Unusable => "missing or stuck values of",
        MovedAspect::Class => "predictions of",
        MovedAspect::Confidence => "confidence",
        MovedAspect::Errors => "errors",
    };
    if one.name.is_empty() {
        aspect.into()
    } else {
        format!("{aspect} {}", one.name)
    }
}

fn places(all: &[FindingPlace]) -> String {
    let mut text = all
        .iter()
        .take(NAMED)
        .map(place)
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > NAMED {
        text.push_str(&format!(" and {} more", all.len() - NAMED));
    }
    text
}

fn place(one: &FindingPlace) -> String {
    match one {
        FindingPlace::Fleet => "the fleet".into(),
        FindingPlace::Version(version) => format!("devices with v{version}"),
        FindingPlace::Site(site) => site.to_string(),
        FindingPlace::Device(device) => device.to_string(),
    }
}
