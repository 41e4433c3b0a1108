//! A message on one line; each event, capture and label of a batch on a line of its own below.

use tern_protocol::{
    blob::{ChunkRange, Want},
    desired::Desired,
    log::{Batch, Body, Capture, Entry, Event, Label, NumberLabel},
    reported::{Reported, SlotReport, SlotVersion},
    shadow::ShadowWindow,
    topic::{Channel, Topic},
    window::{Sketch, Window},
};

use super::{Heard, Said, word};
use crate::show::{
    Look, Tone,
    words::{bytes, count, difference, micros, one_line, percent, things, time_of_day},
};

/// Events, captures and labels of one batch that are spelled out; the number of the others follows.
const ENTRIES_SHOWN: usize = 12;

/// Ranges of a want that are spelled out.
const RANGES_SHOWN: usize = 8;

/// Characters of a topic, name or text that are shown.
const TEXT_SHOWN: usize = 160;

/// The message as text, without the last line end.
pub(crate) fn text(heard: &Heard, look: Look) -> String {
    let (who, tone) = who(heard);
    let said = match &heard.said {
        Said::Link(link) => {
            let word = if link.online { "online" } else { "offline" };
            format!("{word}, boot {}", link.boot)
        }
        Said::State(state) => reported(state),
        Said::Log(batch) => self::batch(batch),
        Said::Want(want) => self::want(want),
        Said::Desired(desired) => self::desired(desired),
        Said::Ack(ack) => format!("stored up to {}", ack.stored),
        Said::Chunk(chunk) => {
            format!("chunk {}, {}", chunk.index, bytes(chunk.bytes.len() as u64))
        }
        Said::Roots(roots) => things(roots.roots.len() as u64, "root"),
        Said::Newest(newest) => format!(
            "timestamp, snapshot {}, targets {} ({})",
            newest.snapshot.digest.short(),
            newest.targets.digest.short(),
            bytes(newest.targets.len)
        ),
        Said::Unreadable { why } => {
            format!("cannot be read ({} bytes): {why}", heard.bytes)
        }
    };
    let retained = if heard.retained { " (retained)" } else { "" };
    let time = Tone::Quiet.paint(&time_of_day(heard.at), look);
    let tone = match heard.said {
        Said::Unreadable { .. } => Tone::Bad,
        _ => tone,
    };
    let mut text = format!("{time}  {}  {}", tone.paint(&who, look), safe(&said));
    text += &Tone::Quiet.paint(retained, look);
    if let Said::Log(batch) = &heard.said {
        for line in spelled_out(batch) {
            text += &format!("\n{:14}{}", "", safe(&line));
        }
    }
    text
}

/// Direction, sender or addressee, and channel, in columns.
fn who(heard: &Heard) -> (String, Tone) {
    match &heard.parsed {
        Some(Topic::Device {
            device, channel, ..
        }) => {
            let (arrow, tone) = match channel {
                Channel::Desired | Channel::Ack => ("↓", Tone::Good),
                Channel::Link | Channel::State | Channel::Log | Channel::Want => ("↑", Tone::Plain),
            };
            (
                format!("{arrow} {:<14} {:<7}", device.as_str(), word(*channel)),
                tone,
            )
        }
        Some(Topic::Metadata { role, .. }) => {
            (format!("↓ {:<14} {:<7}", role.level(), "meta"), Tone::Good)
        }
        Some(Topic::Blob { digest, .. }) => (
            format!("↓ {:<14} {:<7}", digest.short(), "blob"),
            Tone::Good,
        ),
        None => (format!("? {}", safe(&heard.topic)), Tone::Bad),
    }
}

fn reported(state: &Reported) -> String {
    let mut parts = vec![format!("at {}", state.site)];
    parts.extend(state.slots.iter().map(slot));
    parts.push(format!("answers revision {}", state.answers));
    let outbox = &state.outbox;
    if outbox.entries > 0 {
        parts.push(format!(
            "{} waiting ({})",
            count(outbox.entries),
            bytes(outbox.bytes)
        ));
    }
    if state.malformed > 0 {
        parts.push(format!("{} malformed", count(state.malformed)));
    }
    parts.push(format!("boot {} {}", state.now.boot, state.now.uptime));
    parts.join(" · ")
}

fn slot(slot: &SlotReport) -> String {
    let mut text = match &slot.serving {
        Some(serving) => format!(
            "{}: {} since {} ({}, {}, golden {})",
            slot.slot,
            version(&serving.version),
            serving.since.uptime,
            things(serving.inferences, "inference"),
            things(serving.errors, "error"),
            difference(serving.golden_difference)
        ),
        None => format!("{}: nothing", slot.slot),
    };
    if let Some(progress) = &slot.progress {
        text += &format!(
            ", {} {} {} of {}",
            version(&progress.version),
            phase(progress.phase),
            bytes(progress.bytes),
            bytes(progress.bytes_total)
        );
    }
    if let Some(rejected) = &slot.rejected {
        let version = version(&rejected.version);
        text += &format!(
            ", refused {version}: {}: {}",
            rejected.reason, rejected.text
        );
    }
    if let Some(shadow) = &slot.shadow {
        text += &format!(", shadow {} {}", version(&shadow.version), shadow.phase);
        if let Some(reason) = shadow.reason {
            text += &format!(": {reason}: {}", shadow.text);
        }
    }
    text
}

pub(super) const fn phase(phase: tern_protocol::reported::Phase) -> &'static str {
    use tern_protocol::reported::Phase;
    match phase {
        Phase::Fetching => "fetching",
        Phase::Verified => "verified",
        Phase::Vetted => "vetted",
        Phase::Unsigned => "unsigned",
        Phase::Waiting => "waiting",
    }
}

fn version(version: &SlotVersion) -> String {
    format!("{} v{}", version.model, version.version)
}

fn want(want: &Want) -> String {
    let range = |range: &ChunkRange| match range.count {
        0 => "none".to_owned(),
        1 => range.first.to_string(),
        count => format!(
            "{}-{}",
            range.first,
            u64::from(range.first) + u64::from(count) - 1
        ),
    };
    let shown: Vec<_> = want.ranges.iter().take(RANGES_SHOWN).map(range).collect();
    let more = want.ranges.len().saturating_sub(RANGES_SHOWN);
    let more = if more > 0 {
        format!(" and {} more", things(more as u64, "range"))
    } else {
        String::new()
    };
    let chunks = want.ranges.iter().map(|range| u64::from(range.count)).sum();
    format!(
        "blob {}: {} ({}{more})",
        want.blob.short(),
        things(chunks, "chunk"),
        shown.join(", ")
    )
}

fn desired(desired: &Desired) -> String {
    let slot = |slot: &tern_protocol::desired::DesiredSlot| {
        format!(
            "{}: {} v{} (bundle {}, {})",
            slot.slot,
            slot.model,
            slot.version,
            slot.bundle.digest.short(),
            bytes(slot.bundle.len)
        )
    };
    let slots: Vec<_> = desired.slots.iter().map(slot).collect();
    let slots = if slots.is_empty() {
        "nothing in any slot".into()
    } else {
        slots.join(" · ")
    };
    let shadow = |shadow: &tern_protocol::desired::DesiredShadow| {
        format!(
            " · beside {}: {} v{} (bundle {}, {} ‰ of a processor)",
            shadow.slot,
            shadow.model,
            shadow.version,
            shadow.bundle.digest.short(),
            shadow.cpu_permille
        )
    };
    let shadows: String = desired.shadows.iter().map(shadow).collect();
    let asked = match desired.requests.len() as u64 {
        0 => String::new(),
        requests => format!(" · {}", things(requests, "capture request")),
    };
    let forget = match desired.erasures.len() as u64 {
        0 => String::new(),
        erasures => format!(" · {} to forget", things(erasures, "deletion")),
    };
    format!(
        "revision {}: {slots}{shadows}{asked}{forget}",
        desired.revision
    )
}

fn batch(batch: &Batch) -> String {
    let (mut windows, mut events, mut captures, mut labels, mut unknown) = (0, 0, 0, 0, 0);
    let mut shadows = 0;
    let (mut inferences, mut errors) = (0u64, 0u64);
    for entry in &batch.entries {
        match &entry.body {
            Body::Window(window) => {
                windows += 1;
                inferences = inferences.saturating_add(window.inferences);
                errors = errors.saturating_add(window.errors);
            }
            Body::Event(_) => events += 1,
            Body::Capture(_) => captures += 1,
            Body::Label(_) | Body::Number(_) => labels += 1,
            Body::Shadow(_) => shadows += 1,
            Body::Unknown => unknown += 1,
        }
    }
    let mut parts = Vec::new();
    if windows > 0 {
        parts.push(format!(
            "{} ({}, {})",
            things(windows, "window"),
            things(inferences, "inference"),
            things(errors, "error")
        ));
    }
    for (number, one) in [
        (events, "event"),
        (captures, "capture"),
        (labels, "label"),
        (shadows, "shadow window"),
    ] {
        if number > 0 {
            parts.push(things(number, one));
        }
    }
    if unknown > 0 {
        parts.push(format!("{} of an unknown kind", count(unknown)));
    }
    if parts.is_empty() {
        parts.push("no entries".into());
    }
    let last = batch
        .entries
        .last()
        .map_or(batch.after, |entry| entry.sequence);
    format!("after {} to {last}: {}", batch.after, parts.join(", "))
}

fn spelled_out(batch: &Batch) -> Vec<String> {
    let mut lines: Vec<_> = batch
        .entries
        .iter()
        .take(ENTRIES_SHOWN)
        .map(entry)
        .collect();
    let more = batch.entries.len().saturating_sub(ENTRIES_SHOWN);
    if more > 0 {
        lines.push(format!("… and {} more", count(more as u64)));
    }
    lines
}

fn entry(entry: &Entry) -> String {
    let said = match &entry.body {
        Body::Window(window) => self::window(window),
        Body::Event(event) => self::event(event),
        Body::Capture(capture) => self::capture(capture),
        Body::Label(label) => self::label(label),
        Body::Number(label) => number(label),
        Body::Shadow(window) => self::shadow(window),
        Body::Unknown => "of a kind that this version does not know".into(),
    };
    format!("{:>6} {said}", entry.sequence)
}

/// Mean of a window's latency in microseconds.
pub(super) fn mean_latency(latency: &Sketch) -> f64 {
    let counts = latency.bins.iter().map(|bin| bin.count);
    let values = counts.fold(latency.zeros, u64::saturating_add);
    latency.sum / values as f64
}

fn shadow(window: &ShadowWindow) -> String {
    let length = window.closed.uptime.since(window.opened.uptime);
    format!(
        "shadow  {} {} v{} beside v{}: {} compared, {} agreed, {}, {} skipped in {}, latency mean {}, \
         that of what serves {}",
        window.slot,
        window.model,
        window.version,
        window.live_version,
        count(window.compared),
        count(window.agreed),
        things(window.errors, "error"),
        count(window.skipped),
        crate::show::words::duration(length),
        micros(mean_latency(&window.latency)),
        micros(mean_latency(&window.live_latency)),
    )
}

fn window(window: &Window) -> String {
    let length = window.closed.uptime.since(window.opened.uptime);
    let classes: Vec<_> = window.classes.iter().map(u64::to_string).collect();
    let classes = if classes.is_empty() {
        String::new()
    } else {
        format!(", classes {}", classes.join(" "))
    };
    format!(
        "window  {} {} v{}: {}, {} in {}, latency mean {} max {}{classes}",
        window.slot,
        window.model,
        window.version,
        things(window.inferences, "inference"),
        things(window.errors, "error"),
        crate::show::words::duration(length),
        micros(mean_latency(&window.latency)),
        micros(window.latency.max),
    )
}

fn event(event: &Event) -> String {
    let mut text = format!("event   {}", event.kind);
    if let Some(slot) = &event.slot {
        text += &format!(" in {slot}");
    }
    if let Some(model) = &event.model {
        text += &format!(" {model}");
    }
    if let Some(version) = &event.version {
        text += &format!(" v{version}");
    }
    if !event.text.is_empty() {
        text += &format!(": {}", event.text);
    }
    text
}

fn capture(capture: &Capture) -> String {
    let why = tern_protocol::rest::CaptureReason::among(capture.reasons).into_iter();
    let why: Vec<_> = why.map(tern_protocol::rest::CaptureReason::word).collect();
    let said = match &capture.number {
        Some(number) => format!("said {}", number.value),
        None => format!(
            "class {} at {}",
            capture.class,
            percent(capture.confidence.into())
        ),
    };
    format!(
        "capture {} by {} v{}: {said}, input {} {:?}, kept with probability {}{}{}",
        capture.prediction,
        capture.model,
        capture.version,
        capture.input.dtype,
        capture.input.shape.iter().take(8).collect::<Vec<_>>(),
        capture.probability,
        if why.is_empty() { "" } else { ", " },
        why.join(" and ")
    )
}

fn label(label: &Label) -> String {
    let right = if label.class == label.truth {
        "right"
    } else {
        "wrong"
    };
    format!(
        "label   {} by {} v{}: said {}, is {} ({right})",
        label.prediction, label.model, label.version, label.class, label.truth
    )
}

fn number(label: &NumberLabel) -> String {
    format!(
        "label   {} by {} v{}: said {}, is {}",
        label.prediction, label.model, label.version, label.predicted, label.truth
    )
}

/// Text from outside on one line of bounded length.
fn safe(text: &str) -> String {
    let line = one_line(text);
    // A state of many slots may be long and is worth reading; a text a stranger sent is not.
    let most = TEXT_SHOWN * 8;
    if line.chars().count() > most {
        let mut cut: String = line.chars().take(most).collect();
        cut.push('…');
        cut
    } else {
        line
    }
}
