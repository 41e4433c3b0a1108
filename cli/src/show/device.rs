//! Devices, their slots and events.

use tern_protocol::{
    reported::{Phase, Resources, ShadowPhase},
    rest::{
        DeviceView, EventView, Health, ProgressView, ShadowView, SlotView, Stage, TimelineEntry,
        VersionRef,
    },
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Facts, Table},
    words::{ago, bytes, clean, count, date, difference, percent, things},
};

/// Health as a word.
pub(crate) const fn health_word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Updating => "updating",
        Health::Failing => "failing",
        Health::Offline => "offline",
    }
}

/// Health as a tone.
pub(crate) const fn health_tone(health: Health) -> Tone {
    match health {
        Health::Healthy => Tone::Good,
        Health::Updating => Tone::Busy,
        Health::Failing => Tone::Bad,
        Health::Offline => Tone::Quiet,
    }
}

/// `model v3`.
pub(crate) fn version(version: &VersionRef) -> String {
    format!("{} v{}", version.model, version.version)
}

/// `tern device list`.
pub(crate) fn list(devices: &[DeviceView], now: WallTime, look: Look) -> String {
    let headings = [
        "DEVICE",
        "SITE",
        "HEALTH",
        "SERVES",
        "WANTED",
        "SEEN",
        "INFERENCES",
        "WAITING",
    ];
    let mut table = Table::new(look, &headings);
    for device in devices {
        let slots: Vec<_> = device.slots.iter().map(slot_line).collect();
        let serves = if slots.is_empty() {
            Cell::toned("nothing", Tone::Quiet)
        } else {
            slots.join("\n").into()
        };
        table.row([
            Cell::toned(device.id.as_str(), Tone::Strong),
            device.site.as_str().into(),
            Cell::toned(health_word(device.health), health_tone(device.health)),
            serves,
            wanted(device),
            ago(device.last_seen, now).into(),
            Cell::number(count(device.inferences)),
            Cell::number(bytes(device.outbox.bytes)),
        ]);
    }
    table.text()
}

/// What is wanted in each slot, and how far it got.
fn wanted(device: &DeviceView) -> Cell {
    let wanted = device.slots.iter().filter_map(|slot| {
        let (of, stage) = (slot.assigned.as_ref()?, slot.stage?);
        Some((format!("v{}: {}", of.version, stage.word()), stage))
    });
    let wanted: Vec<_> = wanted.collect();
    let Some(least) = wanted.iter().map(|(_, stage)| *stage).min() else {
        return Cell::toned("nothing", Tone::Quiet);
    };
    let tone = if least >= Stage::Serving {
        Tone::Good
    } else {
        Tone::Busy
    };
    let lines: Vec<_> = wanted.into_iter().map(|(line, _)| line).collect();
    Cell::toned(lines.join("\n"), tone)
}

/// What a slot does, in a few words.
fn slot_line(slot: &SlotView) -> String {
    let mut line = match &slot.serving {
        Some(serving) => {
            let but = match (&serving.revoked, serving.proven) {
                (Some(_), _) => " (revoked)",
                (None, false) => " (unproven)",
                (None, true) => "",
            };
            format!("{} v{}{but}", serving.model, serving.version)
        }
        None => "nothing".into(),
    };
    // A slot is often named after its model; saying that twice says nothing more.
    let named_so = slot.serving.as_ref().map(|serving| serving.model.as_str());
    if named_so != Some(slot.slot.as_str()) {
        line = format!("{}: {line}", slot.slot);
    }
    if let Some(progress) = &slot.progress
        && progress.phase == Phase::Fetching
    {
        line += &format!(", v{} {}", progress.version, on_its_way(progress));
    }
    if let Some(rejected) = &slot.rejected {
        line += &format!(", refused v{}: {}", rejected.version, rejected.reason);
    }
    line
}

fn on_its_way(progress: &ProgressView) -> String {
    match (progress.phase, progress.bytes_total) {
        (Phase::Fetching, 0) => "coming".into(),
        (Phase::Fetching, total) => {
            format!("{} here", percent(progress.bytes as f64 / total as f64))
        }
        (Phase::Verified, _) => "verified".into(),
        (Phase::Vetted, _) => "vetted".into(),
        (Phase::Unsigned, _) => "unsigned".into(),
        (Phase::Waiting, _) => "waiting".into(),
    }
}

/// `tern device show`.
pub(crate) fn device(
    device: &DeviceView,
    timeline: &[TimelineEntry],
    now: WallTime,
    look: Look,
) -> String {
    let mut text = Tone::Strong.paint(device.id.as_str(), look) + "\n";
    text += &facts(device, now, look).text();
    for slot in &device.slots {
        text += &format!("\nslot {}\n", Tone::Strong.paint(slot.slot.as_str(), look));
        text += &slot_facts(slot, now, look).text();
    }
    if device.slots.is_empty() {
        text += "\nno slot has been reported yet\n";
    }
    if !timeline.is_empty() {
        text += &format!("\n{}\n", Tone::Strong.paint("timeline", look));
        text += &self::timeline(timeline, now, look);
    }
    text
}

/// What happened on a device and why, newest first.
fn timeline(entries: &[TimelineEntry], now: WallTime, look: Look) -> String {
    let mut table = Table::new(look, &["WHEN", "SLOT", "VERSION", "WHAT", "WHY"]);
    for entry in entries {
        let tone = match entry.kind.as_str() {
            "proven" | "confirmed" => Tone::Good,
            "rejected" | "swapped-back" | "revoked" | "unproven" | "captures-dropped" => Tone::Bad,
            "waiting" | "unsigned" => Tone::Busy,
            "away" | "offline" | "started" | "appeared" | "metadata" => Tone::Quiet,
            _ => Tone::Plain,
        };
        table.row([
            ago(entry.at, now).into(),
            Cell::or_none(entry.slot.as_ref()),
            Cell::or_none(entry.version.as_ref().map(version)),
            Cell::toned(format!("{}: {}", entry.kind, entry.says), tone),
            entry.text.as_str().into(),
        ]);
    }
    table.text()
}

fn facts(device: &DeviceView, now: WallTime, look: Look) -> Facts {
    let mut facts = Facts::new(look);
    let mut health = health_word(device.health).to_owned();
    if !device.health_reason.is_empty() {
        health += &format!(": {}", device.health_reason);
    }
    facts.toned("health", &health, health_tone(device.health));
    let link = if device.online {
        "connected"
    } else {
        "not connected"
    };
    let seen = ago(device.last_seen, now);
    facts.fact("link", format!("{link}, last heard of {seen}"));
    facts.fact("first seen", ago(device.first_seen, now));
    facts.fact("site", device.site.as_str());
    let labels = device
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let labels: Vec<_> = labels.collect();
    if !labels.is_empty() {
        facts.fact("labels", labels.join(" "));
    }
    let platform = &device.platform;
    let cpus = things(platform.cpus.into(), "processor");
    let agent = format!(
        "{} on {} {}, {cpus}",
        device.agent, platform.os, platform.arch
    );
    facts.fact("agent", agent);
    facts.fact("resources", resources(&device.resources));
    let behind = if device.reported_revision < device.desired_revision {
        ", not there yet"
    } else {
        ""
    };
    facts.fact(
        "revision",
        format!(
            "{} of {}{behind}",
            device.reported_revision, device.desired_revision
        ),
    );
    facts.fact(
        "counted",
        format!(
            "{} in {}",
            things(device.inferences, "inference"),
            things(device.windows, "window")
        ),
    );
    let outbox = &device.outbox;
    let mut waiting = format!("{} waiting, {}", count(outbox.entries), bytes(outbox.bytes));
    if outbox.merged > 0 {
        waiting += &format!(", {} merged", things(outbox.merged, "window"));
    }
    if outbox.dropped > 0 {
        waiting += &format!(", {} dropped", things(outbox.dropped, "capture"));
    }
    facts.fact("outbox", waiting);
    if let Some(trust) = &device.trust {
        let until = trust.expires.map_or(String::new(), |expires| {
            format!(", until {}", date(expires))
        });
        let text = format!("root {}, targets {}{until}", trust.root, trust.targets);
        facts.fact("metadata", text);
        if let Some(problem) = &trust.problem {
            facts.toned("", &format!("newer refused: {}", clean(problem)), Tone::Bad);
        }
    }
    if let Some(deltas) = &device.deltas {
        let mut text = format!(
            "{} applied, {} did not travel",
            things(deltas.applied, "delta"),
            bytes(deltas.bytes_saved)
        );
        if deltas.failed > 0 {
            text += &format!(", {} of no use", deltas.failed);
        }
        facts.fact("deltas", text);
    }
    if device.malformed > 0 {
        let text = format!(
            "{} that it could not read",
            things(device.malformed, "message")
        );
        facts.toned("malformed", &text, Tone::Busy);
    }
    facts
}

fn resources(resources: &Resources) -> String {
    let parts = [
        ("agent", resources.agent_rss),
        ("memory", resources.memory),
        ("disk free", resources.disk_free),
    ];
    let said: Vec<_> = parts
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", bytes(value?))))
        .collect();
    if said.is_empty() {
        "not said".into()
    } else {
        said.join(", ")
    }
}

fn slot_facts(slot: &SlotView, now: WallTime, look: Look) -> Facts {
    let mut facts = Facts::new(look);
    let got = slot.stage.map_or(String::new(), |stage| match stage {
        Stage::Assigned => String::new(),
        stage => format!(", {}", stage.word()),
    });
    let assigned = slot.assigned.as_ref();
    let assigned = assigned.map_or("nothing".into(), |of| format!("{}{got}", version(of)));
    facts.fact("assigned", assigned);
    match &slot.serving {
        None => facts.toned("serving", "nothing", Tone::Busy),
        Some(serving) => {
            let (proof, tone) = if serving.proven {
                ("proven by its weights", Tone::Good)
            } else {
                ("its weights are not those published", Tone::Bad)
            };
            let trial = if serving.confirmed {
                "confirmed"
            } else {
                "on trial"
            };
            let text = format!("{} v{}, {proof}, {trial}", serving.model, serving.version);
            facts.toned("serving", &text, tone);
            if let Some(reason) = &serving.revoked {
                facts.toned("", &format!("revoked: {}", clean(reason)), Tone::Bad);
            }
            let since = serving
                .since
                .map_or(String::new(), |since| format!(" {},", ago(since, now)));
            let counts = format!(
                "loaded{since} {}, {}, golden difference {}",
                things(serving.inferences, "inference"),
                things(serving.errors, "error"),
                difference(serving.golden_difference)
            );
            facts.fact("", counts);
            facts.fact("weights", serving.weights.to_string());
        }
    }
    if let Some(previous) = &slot.previous {
        facts.fact("previous", version(previous));
    }
    if let Some(progress) = &slot.progress {
        let text = format!(
            "{} v{} {}, {} of {}",
            progress.model,
            progress.version,
            on_its_way(progress),
            bytes(progress.bytes),
            bytes(progress.bytes_total)
        );
        facts.toned("coming", &text, Tone::Busy);
    }
    if let Some(rejected) = &slot.rejected {
        let text = format!(
            "{} v{}, {}: {}",
            rejected.model, rejected.version, rejected.reason, rejected.text
        );
        facts.toned("refused", &text, Tone::Bad);
    }
    if let Some(shadow) = &slot.shadow {
        let (text, tone) = shadow_facts(shadow);
        facts.toned("shadow", &text, tone);
    }
    facts
}

/// What runs beside what serves.
fn shadow_facts(shadow: &ShadowView) -> (String, Tone) {
    let of = format!("{} v{}", shadow.model, shadow.version);
    let share = shadow.cpu_permille.map_or_else(
        || ", not wanted any more".into(),
        |permille| {
            let permille = permille.min(1000);
            format!(
                ", up to {}.{} % of a processor",
                permille / 10,
                permille % 10
            )
        },
    );
    let refused = shadow.reason.map_or(String::new(), |reason| {
        format!(", {reason}: {}", clean(&shadow.text))
    });
    let (phase, tone) = match shadow.phase {
        None => ("assigned".into(), Tone::Plain),
        Some(ShadowPhase::Running) => ("runs beside what serves".into(), Tone::Good),
        Some(ShadowPhase::Rejected) => ("refused".into(), Tone::Bad),
        Some(phase) => (phase.to_string(), Tone::Busy),
    };
    (format!("{of} {phase}{refused}{share}"), tone)
}

/// Events of a fleet, newest first.
pub(crate) fn events(events: &[EventView], now: WallTime, look: Look) -> String {
    let headings = ["WHEN", "DEVICE", "EVENT", "SLOT", "VERSION", "DETAILS"];
    let mut table = Table::new(look, &headings);
    for event in events {
        let tone = match event.kind.as_str() {
            "serving" => Tone::Good,
            "rejected" | "swapped-back" | "captures-dropped" => Tone::Bad,
            _ => Tone::Plain,
        };
        table.row([
            ago(event.at, now).into(),
            Cell::toned(event.device.as_str(), Tone::Strong),
            Cell::toned(event.kind.as_str(), tone),
            Cell::or_none(event.slot.as_ref()),
            Cell::or_none(event.version.as_ref().map(version)),
            event.text.as_str().into(),
        ]);
    }
    table.text()
}
