//! How far each feature is from training at each site, as a map: where it is dark, something moved.

use maud::{Markup, html};
use tern_protocol::rest::{Counted, CountedDistance, DistancesView, PlaceDistances};

use super::{format, parts, scope::Scope};

/// Features that have a row; those that are farthest anywhere.
const ROWS: usize = 20;

/// Sites that have a column: those where anything is farthest.
const COLUMNS: usize = 24;

/// Steps of colour; the last one is for this Jensen-Shannon distance and above.
const STEPS: f64 = 9.0;
const DARKEST: f64 = 0.6;

/// The map.
pub(super) fn map(scope: &Scope, view: &DistancesView) -> Markup {
    let rows = rows(view);
    let mut places: Vec<&PlaceDistances> = view.places.iter().collect();
    let farthest = |place: &PlaceDistances| {
        let each = place.distances.iter().map(|one| one.jensen_shannon.value);
        each.fold(0.0, f64::max)
    };
    // All sites first, whatever they are.
    places.sort_by(|a, b| {
        (a.site.is_some(), farthest(b))
            .partial_cmp(&(b.site.is_some(), farthest(a)))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let left_out = places.len().saturating_sub(COLUMNS);
    places.truncate(COLUMNS);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Distances from training by feature and site" {
            table.distances {
                thead { tr {
                    td {}
                    @for place in &places {
                        th scope="col" {
                            @match &place.site { Some(site) => { (parts::site(scope, site)) } None => { "all sites" } }
                            small.dim { (format::count(place.inferences)) }
                        }
                    }
                } }
                tbody {
                    @for (counted, name) in &rows {
                        tr data-key={ (kind(*counted)) (name) } {
                            th scope="row" { span.dim { (kind(*counted)) } " " (name) }
                            @for place in &places { (cell(place, *counted, name)) }
                        }
                    }
                }
            }
        }
        @if left_out > 0 {
            p.small.dim { "and " (left_out) " sites where nothing is farther: `tern distances " (view.model) " " (view.version) "` has all" }
        }
    }
}

/// What is counted anywhere, the farthest first.
fn rows(view: &DistancesView) -> Vec<(Counted, &str)> {
    let mut farthest: Vec<(f64, Counted, &str)> = Vec::new();
    for one in view.places.iter().flat_map(|place| &place.distances) {
        let far = one.jensen_shannon.value;
        let known = farthest
            .iter_mut()
            .find(|(_, counted, name)| (*counted, *name) == (one.counted, one.name.as_str()));
        match known {
            Some(known) => known.0 = known.0.max(far),
            None => farthest.push((far, one.counted, &one.name)),
        }
    }
    farthest.sort_by(|a, b| b.0.total_cmp(&a.0));
    farthest.truncate(ROWS);
    farthest
        .into_iter()
        .map(|(_, counted, name)| (counted, name))
        .collect()
}

fn cell(place: &PlaceDistances, counted: Counted, name: &str) -> Markup {
    let found = place
        .distances
        .iter()
        .find(|one| (one.counted, one.name.as_str()) == (counted, name));
    let Some(one) = found else {
        return html! { td.h0 { span.dim { (format::NOTHING) } } };
    };
    let class = format!("h{}", step(one.jensen_shannon.value));
    html! {
        td.(class) title=(more(one)) {
            (format!("{:.2}", one.jensen_shannon.value))
            @if one.missing.is_some_and(|share| share > 0.05) { small { " " (format::percent(one.missing.unwrap_or(0.0))) " missing" } }
        }
    }
}

fn step(distance: f64) -> u8 {
    (distance / DARKEST * STEPS).clamp(0.0, STEPS) as u8
}

fn more(one: &CountedDistance) -> String {
    let between = match (one.jensen_shannon.low, one.jensen_shannon.high) {
        (Some(low), Some(high)) => format!(", 95 % interval {low:.2} to {high:.2}"),
        _ => String::new(),
    };
    format!(
        "Jensen-Shannon {:.3}{between}; PSI {:.3}; of {} values",
        one.jensen_shannon.value,
        one.psi.value,
        format::count(one.n)
    )
}

fn kind(counted: Counted) -> &'static str {
    match counted {
        Counted::Feature => "feature",
        Counted::Signal => "signal",
        Counted::Prediction => "predicted classes",
        Counted::Confidence => "confidence",
        Counted::Margin => "margin",
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::{
        rest::{Baseline, Interval},
        time::WallTime,
    };

    use super::*;

    #[test]
    fn what_is_far_is_first_and_dark() {
        let of = |name: &str, value| CountedDistance {
            counted: Counted::Signal,
            name: name.into(),
            n: 1_000,
            jensen_shannon: Interval {
                value,
                low: None,
                high: None,
            },
            psi: Interval {
                value,
                low: None,
                high: None,
            },
            kolmogorov_smirnov: None,
            cramers_v: None,
            missing: None,
            repeated: None,
        };
        let place = |site: Option<&str>, contrast, light| PlaceDistances {
            site: site.map(|site| site.parse().expect("a name")),
            from: WallTime(0),
            to: WallTime(1),
            inferences: 1_000,
            distances: vec![of("light", light), of("contrast", contrast)],
        };
        let view = DistancesView {
            model: "digits".parse().expect("a name"),
            version: tern_protocol::id::ModelVersion::FIRST,
            baseline: Baseline::Training,
            from: WallTime(0),
            to: WallTime(1),
            places: vec![
                place(None, 0.2, 0.1),
                place(Some("hill"), 0.0, 0.05),
                place(Some("harbour"), 0.7, 0.1),
            ],
        };
        assert_eq!(
            rows(&view),
            [(Counted::Signal, "contrast"), (Counted::Signal, "light")]
        );
        let html = map(&Scope::unprefixed(), &view).into_string();
        let at = |text: &str| {
            html.find(text)
                .unwrap_or_else(|| panic!("{text} in {html}"))
        };
        assert!(at("all sites") < at("harbour") && at("harbour") < at("hill"));
        assert!(
            html.contains("<td class=\"h9\"") && html.contains("<td class=\"h0\""),
            "{html}"
        );
        assert_eq!((step(f64::NAN), step(-1.0), step(9.0)), (0, 0, 9));
    }
}
