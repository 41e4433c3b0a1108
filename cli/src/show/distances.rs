//! How far inputs and answers are from training.

use tern_protocol::rest::{Counted, CountedDistance, DistancesView, Interval};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::{count, percent},
};

/// From this Jensen-Shannon distance on a row stands out: half a standard deviation of a normal shift.
const FAR: f64 = 0.2;

/// `tern distances`.
pub(crate) fn distances(view: &DistancesView, top: usize, look: Look) -> String {
    if view.places.is_empty() {
        return "nothing to compare: no window of this version in that time, or none in the week before\n".into();
    }
    let headings = [
        "SITE",
        "WHAT",
        "JENSEN-SHANNON",
        "95 % INTERVAL",
        "PSI",
        "MISSING",
        "REPEATED",
        "VALUES",
    ];
    let mut table = Table::new(look, &headings);
    for place in &view.places {
        for one in place.distances.iter().take(top) {
            let site = match &place.site {
                Some(site) => site.as_str().into(),
                None => Cell::toned("all sites", Tone::Strong),
            };
            let js = format!("{:.3}", one.jensen_shannon.value);
            let far = one.jensen_shannon.low.unwrap_or(0.0) >= FAR;
            let share = |share: Option<f64>| share.map_or_else(|| "–".into(), percent);
            table.row([
                site,
                what(one).into(),
                if far {
                    Cell::toned(js, Tone::Bad)
                } else {
                    Cell::number(js)
                },
                between(&one.jensen_shannon).into(),
                Cell::number(format!("{:.3}", one.psi.value)),
                Cell::number(share(one.missing)),
                Cell::number(share(one.repeated)),
                Cell::number(count(one.n)),
            ]);
        }
    }
    table.text()
}

fn what(one: &CountedDistance) -> String {
    let kind = match one.counted {
        Counted::Feature => "feature",
        Counted::Signal => "signal",
        Counted::Prediction => "predicted classes",
        Counted::Confidence => "confidence",
        Counted::Margin => "margin",
    };
    if one.name.is_empty() {
        kind.into()
    } else {
        format!("{kind} {}", one.name)
    }
}

fn between(interval: &Interval) -> String {
    match (interval.low, interval.high) {
        (Some(low), Some(high)) => format!("{low:.3} to {high:.3}"),
        _ => "–".into(),
    }
}
