//! What was seen, in words. Pure.

use std::fmt::Write as _;

use tern_protocol::rest::{
    FindingView, Judged, Measured, Metric, MetricCondition, MovedAspect, SilenceCondition,
};

use super::metric::Place;

/// What moved that is named in the evidence of a finding.
const MOVED: usize = 5;

/// The unit of a metric, as that of its chart.
pub(super) const fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::Traffic => "1/s",
        Metric::Latency => "us",
        // That of the bundle, which whoever wrote the rule knows.
        Metric::Custom => "",
        _ => "ratio",
    }
}

fn in_unit(value: f64, unit: &str) -> String {
    match unit {
        "ratio" => format!("{:.1} %", value * 100.0),
        "us" if value < 1e3 => format!("{value:.0} us"),
        "us" if value < 1e6 => format!("{:.1} ms", value / 1e3),
        "us" => format!("{:.1} s", value / 1e6),
        "" => format!("{value:.3}"),
        _ => format!("{value:.1} a second"),
    }
}

fn things(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

/// The summary of a metric that is compared with a level.
pub(super) fn metric(of: &MetricCondition, place: &Place, measured: &Measured) -> String {
    let mut what = match (of.of, &of.part) {
        (Metric::Errors, _) => "errors".to_owned(),
        (Metric::Traffic, _) => "traffic".into(),
        (Metric::Confidence, _) => "mean confidence".into(),
        (Metric::Accuracy, _) => "accuracy".into(),
        (Metric::Latency, part) => format!("latency ({})", part.as_deref().unwrap_or("p90")),
        (Metric::Custom, part) => {
            let name = of.name.as_ref().map_or("a metric", |name| name.as_str());
            match part {
                Some(part) => format!("{name} ({part})"),
                None => name.to_owned(),
            }
        }
        (Metric::Prediction, part) => {
            format!("predictions of {}", part.as_deref().unwrap_or("a class"))
        }
    };
    // Writing to a String cannot fail.
    match (&place.model, place.version) {
        (Some(model), Some(version)) => drop(write!(what, " of {model} v{version}")),
        (Some(model), None) => drop(write!(what, " of {model}")),
        _ => {}
    }
    if let Some(site) = &place.site {
        let _ = write!(what, " at {site}");
    }
    let side = if of.above.is_some() { "above" } else { "below" };
    format!(
        "{what}: {}, {side} {} over {}",
        in_unit(measured.value, &measured.unit),
        in_unit(measured.level, &measured.unit),
        of.window
    )
}

/// What a metric stands on.
pub(super) fn measured(
    of: &MetricCondition,
    measured: &Measured,
    devices: u64,
    of_devices: u64,
    each: bool,
) -> String {
    let unit = measured.unit.as_str();
    let counted = match of.of {
        Metric::Accuracy => "label",
        Metric::Custom => "value",
        _ => "request",
    };
    let mut text = in_unit(measured.value, unit);
    if let (Some(low), Some(high)) = (measured.low, measured.high) {
        let _ = write!(
            text,
            " (95 % interval {} to {})",
            in_unit(low, unit),
            in_unit(high, unit)
        );
    }
    let _ = write!(
        text,
        " of {} in the last {}",
        things(measured.n, counted),
        of.window
    );
    if each {
        let _ = write!(
            text,
            ", from {}; {} above {} by {}",
            things(of_devices, "device"),
            if devices == 1 {
                "1 of them is".into()
            } else {
                format!("{devices} of them are")
            },
            in_unit(measured.level, unit),
            if devices == 1 { "itself" } else { "themselves" }
        );
    } else {
        let _ = write!(text, ", from {} of {of_devices}", things(devices, "device"));
    }
    if of.by == Judged::Interval {
        text.push_str("; judged by the whole interval");
    }
    text
}

/// What helps against a metric, in general.
pub(super) const fn what_to_do(metric: Metric) -> &'static str {
    match metric {
        Metric::Errors => {
            "see which devices fail and since which version (`tern rollout list`, the model's page); take a version back \
             if they began with it"
        }
        Metric::Latency => {
            "see whether devices are loaded by something else, or a version is slower than the one before"
        }
        Metric::Accuracy => {
            "look at wrong captures (`tern capture list`), and train with them if inputs have changed"
        }
        Metric::Prediction | Metric::Confidence => {
            "see whether inputs have changed (`tern distances MODEL VERSION`), and label some captures to know how right \
             answers still are"
        }
        Metric::Custom => {
            "see what the bundle says of this metric, and which sites and versions stand out on its chart"
        }
        Metric::Traffic => "see whether devices are connected and what feeds them",
    }
}

/// The summary of silence.
pub(super) fn silent(site: Option<&str>, silent: u64, devices: u64) -> String {
    let at = site.map(|site| format!(" at {site}")).unwrap_or_default();
    format!("{silent} of {}{at} not heard of", things(devices, "device"))
}

/// What silence stands on.
pub(super) fn unheard(of: &SilenceCondition, silent: u64, devices: u64) -> String {
    format!(
        "{silent} of {} are not connected and were not heard of for {}; more than {} is an alert",
        things(devices, "device"),
        of.after,
        of.above
    )
}

/// What a finding stands on.
pub(super) fn moved(one: &FindingView) -> String {
    let mut parts: Vec<String> = Vec::new();
    for moved in one.moved.iter().take(MOVED) {
        let what = match moved.aspect {
            MovedAspect::Location => "place",
            MovedAspect::Spread => "spread",
            MovedAspect::Unusable => "share missing or stuck",
            MovedAspect::Class => "share of predictions",
            MovedAspect::Confidence => "mean confidence",
            MovedAspect::Errors => "share of errors",
        };
        let name = if moved.name.is_empty() {
            String::new()
        } else {
            format!("{}: ", moved.name)
        };
        let effect = &moved.effect;
        let mut part = format!("{name}{what} {:+.3}", effect.value);
        if let (Some(low), Some(high)) = (effect.low, effect.high) {
            let _ = write!(part, " ({low:+.3} to {high:+.3})");
        }
        parts.push(part);
    }
    if one.moved.len() > MOVED {
        parts.push(format!("{} more", one.moved.len() - MOVED));
    }
    let mut text = parts.join("; ");
    let _ = write!(text, "; on about {}", things(one.samples, "inference"));
    if let Some(years) = one.years {
        let _ = write!(
            text,
            "; chance alone would do this once in {years:.0} years"
        );
    }
    text
}
