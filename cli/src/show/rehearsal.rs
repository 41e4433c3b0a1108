//! What came of a rehearsal.

use tern_protocol::rest::{Chance, ProgressAt, Rehearsed, Spread};

use super::{
    Look, Tone,
    table::{Cell, Facts, Table},
    words::{count, things},
};

/// Lines of the picture, about.
const LINES: usize = 20;

/// Width of the picture, in characters.
const WIDTH: usize = 40;

fn span(ms: f64) -> String {
    let minutes = ms / 60_000.0;
    if minutes < 90.0 {
        format!("{minutes:.0} min")
    } else if minutes < 48.0 * 60.0 {
        format!("{:.1} h", minutes / 60.0)
    } else {
        format!("{:.1} d", minutes / 1440.0)
    }
}

fn chance(chance: &Chance) -> String {
    format!(
        "{} of {} runs: {:.1} to {:.1} %",
        count(chance.times),
        count(chance.of),
        chance.low * 100.0,
        chance.high * 100.0
    )
}

fn spread(spread: &Spread, text: fn(f64) -> String) -> String {
    format!(
        "{} ({} to {} in nine of ten)",
        text(spread.median),
        text(spread.low),
        text(spread.high)
    )
}

fn whole(value: f64) -> String {
    count(value.round() as u64)
}

fn mib(value: f64) -> String {
    format!("{:.1} MiB", value / f64::from(1 << 20))
}

/// `tern rollout rehearse`.
pub(crate) fn rehearsed(rehearsed: &Rehearsed, look: Look) -> String {
    let rehearsal = &rehearsed.rehearsal;
    let devices = things(rehearsal.devices, "device");
    let fleet = if rehearsed.recorded {
        format!("{devices}, as they were recorded")
    } else {
        format!("{devices}, as described")
    };
    let mut facts = Facts::new(look);
    facts.fact("fleet", fleet);
    for unknown in &rehearsed.unknown {
        facts.toned("not known", unknown, Tone::Quiet);
    }
    facts.fact("reaches all", chance(&rehearsal.finished));
    if let Some(took) = &rehearsal.took_ms {
        facts.fact("takes", spread(took, span));
    }
    if let Some(bytes) = &rehearsal.bytes {
        facts.fact("fetches", spread(bytes, mib));
    }
    facts.fact("stopped wrongly", chance(&rehearsal.false_stops));
    facts.fact("asks a person", chance(&rehearsal.asked));
    let title = Tone::Strong.paint("a version that does no harm", look);
    let mut text = format!("{title}\n{}", facts.text());
    text += "\n";
    text += &picture(&rehearsal.progress);
    let title = Tone::Strong.paint("versions that do harm", look);
    text += &format!("\n{title}\n");
    let headings = [
        "HARM",
        "STOPPED",
        "ASKED",
        "REACHED ALL",
        "HURT BEFORE",
        "HAD IT",
        "AFTER",
    ];
    let mut table = Table::new(look, &headings);
    for harm in &rehearsal.harms {
        let share = |chance: &Chance| {
            format!(
                "{:.0} %",
                100.0 * chance.times as f64 / chance.of.max(1) as f64
            )
        };
        let shown = |of: &Option<Spread>, text: fn(f64) -> String| {
            of.map(|of| format!("{} (to {})", text(of.median), text(of.high)))
        };
        table.row([
            Cell::toned(harm.name.as_str(), Tone::Strong),
            share(&harm.stopped).into(),
            share(&harm.asked).into(),
            share(&harm.finished).into(),
            Cell::or_none(shown(&harm.hurt, whole)),
            Cell::or_none(shown(&harm.touched, whole)),
            Cell::or_none(shown(&harm.took_ms, span)),
        ]);
    }
    text + &table.text()
}

/// How many devices serve it for good, over time.
fn picture(progress: &[ProgressAt]) -> String {
    let mut text = String::new();
    // Every so many, and the end.
    let step = progress.len().div_ceil(LINES).max(1);
    let last = progress.len().saturating_sub(1);
    let told = progress.iter().enumerate();
    let told = told.filter(|(index, _)| index % step == 0 || *index == last);
    for (_, at) in told {
        let place = |share: f64| (share.clamp(0.0, 1.0) * WIDTH as f64).round() as usize;
        let (low, middle, high) = (
            place(at.done.low),
            place(at.done.median),
            place(at.done.high),
        );
        let bar: String = (0..WIDTH)
            .map(|x| {
                if x < low.min(middle) {
                    '█'
                } else if x < middle {
                    '▓'
                } else if x < high {
                    '░'
                } else {
                    '·'
                }
            })
            .collect();
        text += &format!(
            "  {:>9}  {bar}  {:3.0} %\n",
            span(at.after_ms as f64),
            at.done.median * 100.0
        );
    }
    text
}
