//! Jobs and computes.

use std::time::Duration;

use tern_protocol::{
    rest::{ComputeView, JobArtifact, JobDetail, JobResources, JobState, JobView},
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Facts, Table},
    words::{ago, bytes, count, duration, things},
};

fn tone(state: JobState) -> Tone {
    match state {
        JobState::Succeeded => Tone::Good,
        JobState::Queued => Tone::Quiet,
        JobState::Preparing | JobState::Running => Tone::Busy,
        JobState::Failed => Tone::Bad,
        JobState::Cancelled => Tone::Plain,
    }
}

fn took(one: &JobView, now: WallTime) -> String {
    let Some(started) = one.started else {
        return "–".into();
    };
    let ended = one.finished.unwrap_or(now);
    let ms = ended.0.saturating_sub(started.0).max(0).unsigned_abs();
    duration(Duration::from_millis(ms))
}

/// Processor time.
fn cost(core_millis: u64) -> String {
    if core_millis == 0 {
        return "–".into();
    }
    format!("{:.1} core-s", core_millis as f64 / 1000.0)
}

/// How it ended, or why it waits.
fn note(one: &JobView) -> String {
    if let Some(why) = &one.waits {
        return why.clone();
    }
    match &one.ended {
        Some(end) if one.state != JobState::Succeeded => end.text.clone(),
        _ => String::new(),
    }
}

/// `tern job list`.
pub(crate) fn jobs(all: &[JobView], now: WallTime, look: Look) -> String {
    let headings = [
        "JOB", "NAME", "STATE", "ON", "BY", "CREATED", "TOOK", "COST", "NOTE",
    ];
    let mut table = Table::new(look, &headings);
    for one in all {
        let name: String = one.name.chars().take(40).collect();
        table.row([
            Cell::number(one.id.to_string()),
            name.into(),
            Cell::toned(one.state.word(), tone(one.state)),
            one.compute.to_string().into(),
            one.by.as_str().into(),
            ago(one.created, now).into(),
            took(one, now).into(),
            Cell::number(cost(one.core_millis)),
            note(one).into(),
        ]);
    }
    table.text()
}

fn resources(of: JobResources) -> String {
    let cores = f64::from(of.cpu_millis) / 1000.0;
    let mut text = format!(
        "{cores} core{}",
        if of.cpu_millis == 1000 { "" } else { "s" }
    );
    if of.memory > 0 {
        text.extend([", ", &bytes(of.memory)]);
    }
    if of.gpus > 0 {
        text.extend([", ", &things(of.gpus.into(), "graphics processor")]);
    }
    text
}

/// `tern job show`.
pub(crate) fn job(of: &JobDetail, now: WallTime, look: Look) -> String {
    let one = &of.view;
    let mut facts = Facts::new(look);
    facts.fact("job", one.id.to_string());
    facts.fact("name", &one.name);
    facts.toned("state", one.state.word(), tone(one.state));
    let note = note(one);
    if !note.is_empty() {
        facts.fact("because", note);
    }
    facts.fact("by", &one.by);
    facts.fact("on", one.compute.as_str());
    facts.fact("command", of.command.join(" "));
    if let Some(entry) = &of.asked.entry {
        facts.fact("entry", &entry.point);
    }
    if let Some(dataset) = &of.asked.dataset {
        facts.fact("dataset", dataset);
    }
    facts.fact("takes", resources(of.asked.resources));
    facts.fact("priority", one.priority.to_string());
    facts.fact("created", ago(one.created, now));
    facts.fact("took", took(one, now));
    facts.fact("cost", cost(one.core_millis));
    if let Some(run) = &one.run {
        facts.fact("run", &run.run);
    }
    if let Some(id) = one.again_of {
        facts.fact("again of", id.to_string());
    }
    let mut text = facts.text();
    if !of.all_attempts.is_empty() {
        let headings = [
            "ATTEMPT", "ON", "BEGUN", "ENDED", "COST", "MEMORY", "LOG", "NOTE",
        ];
        let mut table = Table::new(look, &headings);
        for attempt in &of.all_attempts {
            let ended = attempt.ended.as_ref();
            let mut note = attempt.trouble.clone();
            if attempt.artifacts_left_out && note.is_empty() {
                note = "not all artifacts were kept".into();
            }
            table.row([
                Cell::number(attempt.number.to_string()),
                attempt.compute.to_string().into(),
                ago(attempt.given, now).into(),
                ended
                    .map_or_else(|| attempt.phase.clone(), |end| end.text.clone())
                    .into(),
                Cell::number(cost(attempt.core_millis)),
                Cell::number(if attempt.peak_memory > 0 {
                    bytes(attempt.peak_memory)
                } else {
                    "–".into()
                }),
                Cell::number(bytes(attempt.log_bytes)),
                note.into(),
            ]);
        }
        text.push('\n');
        text.push_str(&table.text());
    }
    if !of.artifacts.is_empty() {
        text.push('\n');
        text.push_str(&artifacts(&of.artifacts, look));
    }
    text
}

/// `tern job artifacts`.
pub(crate) fn artifacts(all: &[JobArtifact], look: Look) -> String {
    let mut table = Table::new(look, &["ARTIFACT", "SIZE", "ATTEMPT", "SHA-256"]);
    for one in all {
        table.row([
            one.path.as_str().into(),
            Cell::number(bytes(one.bytes)),
            Cell::number(one.attempt.to_string()),
            one.digest.to_string()[..16].into(),
        ]);
    }
    table.text()
}

/// How a job ended, in one line.
pub(crate) fn ended(one: &JobView) -> String {
    let how = match &one.ended {
        Some(end) => end.text.clone(),
        None => one.state.word().into(),
    };
    format!("job {} {how}; {}", one.id, cost(one.core_millis))
}

/// What a job does that says nothing.
pub(crate) fn waiting(one: &JobView) -> String {
    match (&one.waits, one.state) {
        (Some(why), _) => format!("job {} waits: {why}", one.id),
        (None, JobState::Queued) => format!("job {} waits for its turn", one.id),
        (None, JobState::Preparing) => format!("job {} is being made ready", one.id),
        _ => String::new(),
    }
}

/// `tern compute list`.
pub(crate) fn computes(all: &[ComputeView], look: Look) -> String {
    let headings = ["NAME", "KIND", "UNITS", "OF ONE", "RUNS", "WAITS", "NOTE"];
    let mut table = Table::new(look, &headings);
    for one in all {
        let scaling = &one.scaling;
        let note = match (&one.trouble, one.paused) {
            (Some(trouble), _) => Cell::toned(trouble.as_str(), Tone::Bad),
            (None, true) => Cell::toned("paused", Tone::Quiet),
            (None, false) => "".into(),
        };
        table.row([
            one.name.to_string().into(),
            one.kind.word().into(),
            format!("{} ({} to {})", one.units, scaling.min, scaling.max).into(),
            resources(one.unit).into(),
            Cell::number(count(one.running)),
            Cell::number(count(one.waiting)),
            note,
        ]);
    }
    table.text()
}

/// `tern compute show`.
pub(crate) fn compute(one: &ComputeView, look: Look) -> String {
    let mut facts = Facts::new(look);
    facts.fact("name", one.name.as_str());
    facts.fact("kind", one.kind.word());
    if let Some(url) = &one.url {
        facts.fact("at", url);
        facts.fact("token", if one.token { "set" } else { "none" });
    }
    if let Some(of) = &one.kubernetes {
        facts.fact("namespace", &of.namespace);
        facts.fact("image", &of.image);
    }
    facts.fact("one unit", resources(one.unit));
    let scaling = &one.scaling;
    facts.fact(
        "units",
        format!(
            "{} now, {} to {}; more after {} s, less after {} s",
            one.units, scaling.min, scaling.max, scaling.up_after, scaling.idle_after
        ),
    );
    facts.fact(
        "runs",
        format!("{}, which take {}", count(one.running), resources(one.used)),
    );
    facts.fact("waits", count(one.waiting));
    if one.paused {
        facts.toned("paused", "nothing new starts", Tone::Quiet);
    }
    if let Some(trouble) = &one.trouble {
        facts.toned("trouble", trouble, Tone::Bad);
    }
    facts.text()
}
