//! Comparisons in words, with their numbers.

use super::{
    Comparison, Part, PartResult, Reason, Slice, SliceOf, Source, Terms, Verdict,
    paired::Difference,
};

/// Slices that are named.
const NAMED: usize = 3;

/// All of a comparison in words: what follows and why first.
pub(super) fn sentences(comparison: &Comparison, reason: Reason, terms: &Terms<'_>) -> Vec<String> {
    let mut all = vec![why(comparison, reason, terms)];
    all.push(part(
        "On the held-out part",
        &comparison.held_out,
        terms.bounds.samples,
    ));
    all.push(part(
        "On recent labels",
        &comparison.recent,
        terms.bounds.samples,
    ));
    if let Some(without) = &comparison.recent_without {
        all.push(part(
            "Without those that deviate",
            without,
            terms.bounds.samples,
        ));
    }
    all.extend(comparison.deviating.iter().map(source));
    let told = comparison
        .slices
        .iter()
        .filter(|one| one.verdict == Verdict::Worse);
    all.extend(told.take(NAMED).map(|one| slice(one, terms)));
    if comparison.slices_known > 0 {
        let worse = comparison
            .slices
            .iter()
            .filter(|one| one.verdict == Verdict::Worse)
            .count();
        all.push(format!(
            "Of {} sites and classes with samples enough {worse} are worse by more than {}.",
            comparison.slices_known, terms.bounds.slice
        ));
    }
    all
}

fn why(comparison: &Comparison, reason: Reason, terms: &Terms<'_>) -> String {
    match reason {
        Reason::WorseHeldOut => {
            let more = if comparison.recent.verdict == Verdict::Better {
                ", although recent labels say that it is better: they may be wrong, or it forgot what it knew"
            } else {
                ""
            };
            format!("Worse: more than {} on the held-out part{more}.", terms.bounds.held_out)
        }
        Reason::WorseSlice => {
            let worst = comparison.slices.first();
            let at = worst.map_or_else(String::new, |one| name(one, terms));
            format!("Worse: more than {} at {at}.", terms.bounds.slice)
        }
        Reason::WorseRecent => format!("Worse: more than {} on recent labels.", terms.bounds.recent_margin),
        Reason::SourcesDisagree => {
            let names: Vec<_> = comparison.deviating.iter().map(|one| one.name.as_str()).collect();
            format!(
                "Unknown: labels disagree; what recent labels say depends on those of {}. Check some of them.",
                names.join(", ")
            )
        }
        Reason::PartsDisagree => {
            "Unknown: labels disagree; the held-out part says better and recent labels say worse. Check some of the recent ones.".into()
        }
        Reason::UnknownHeldOut => too_few("the held-out part", &comparison.held_out, terms, terms.bounds.held_out.of_one()),
        Reason::UnknownRecent => too_few("recent labels", &comparison.recent, terms, terms.bounds.recent_margin.of_one()),
        Reason::UnknownSite => {
            let unknown = comparison.slices.iter().filter(|one| one.moved && one.verdict == Verdict::Unknown);
            let names: Vec<_> = unknown.take(NAMED).map(|one| name(one, terms)).collect();
            format!(
                "Unknown: fewer than {} labels of {}, which moved.",
                terms.bounds.slice_samples,
                names.join(", ")
            )
        }
        Reason::NoWorse => "No worse: within the bounds on both parts, and not shown to be better on recent labels.".into(),
        Reason::Better => "Better on recent labels, and within the bounds elsewhere.".into(),
    }
}

/// What it would take to know.
fn too_few(what: &str, part: &PartResult, terms: &Terms<'_>, margin: f64) -> String {
    let least = terms.bounds.samples;
    match part.difference {
        Some(one) if one.n >= least && one.value > -margin => {
            let half = one.value - one.low;
            let factor = (half / (one.value + margin)).powi(2);
            let need = (one.n as f64 * factor).ceil().min(1e9);
            format!(
                "Unknown: {} samples of {what} do not tell whether it is worse by {}; about {need} would.",
                one.n,
                points(margin)
            )
        }
        Some(one) if one.n >= least => {
            format!(
                "Unknown: it looks worse on {what}, which may be chance: {}.",
                interval(&one)
            )
        }
        one => format!(
            "Unknown: {} samples of {what}, and fewer than {least} say nothing.",
            one.map_or(0, |one| one.n)
        ),
    }
}

fn part(what: &str, part: &PartResult, least: u64) -> String {
    match &part.difference {
        None => format!("{what}: nothing to compare."),
        Some(one) if one.n < least => format!("{what}: {} samples, too few.", one.n),
        Some(one) => format!(
            "{what}: {} (of {} samples of {} devices).",
            interval(one),
            one.n,
            one.devices
        ),
    }
}

fn interval(one: &Difference) -> String {
    let side = if one.value < 0.0 { "worse" } else { "better" };
    format!(
        "{} {side} ({} to {})",
        points(one.value.abs()),
        signed(one.low),
        signed(one.high)
    )
}

fn slice(one: &Slice, terms: &Terms<'_>) -> String {
    match &one.difference {
        Some(difference) => {
            format!(
                "At {}: {}, of {} samples.",
                name(one, terms),
                interval(difference),
                difference.n
            )
        }
        None => format!("At {}: nothing to compare.", name(one, terms)),
    }
}

fn name(one: &Slice, terms: &Terms<'_>) -> String {
    let part = match one.part {
        Part::HeldOut => "of the held-out part",
        Part::Recent => "of recent labels",
    };
    match &one.of {
        SliceOf::Site(site) => format!("site {site} {part}"),
        SliceOf::Class(class) => match terms.classes.get(usize::from(*class)) {
            Some(name) => format!("class {name} {part}"),
            None => format!("class {class} {part}"),
        },
    }
}

fn source(one: &Source) -> String {
    let more = if one.contradicts < 0.0 {
        "less"
    } else {
        "more"
    };
    let better = if one.favours < 0.0 { "worse" } else { "better" };
    format!(
        "Beside {} labels of others at the same sites, the {} of {} contradict both models {} {more} often, and find the challenger {} {better}.",
        one.others,
        one.n,
        one.name,
        points(one.contradicts.abs()),
        points(one.favours.abs())
    )
}

/// `3.1 points`: of accuracy, or hundredths of the champion's error.
fn points(value: f64) -> String {
    format!("{:.1} points", value * 100.0)
}

fn signed(value: f64) -> String {
    format!("{:+.1}", value * 100.0)
}
