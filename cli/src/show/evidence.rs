//! What a rollout knows, and what it decided.

use tern_protocol::{
    rest::{
        Against, Decision, EvidenceView, Freeze, GateVerdict, PlanCheck, PlanTemplate, Replay,
        Verdict,
    },
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::{ago, count, things},
};

const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Inconclusive => Tone::Busy,
        Verdict::Fail => Tone::Bad,
    }
}

fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Gates and decisions of a rollout.
pub(crate) fn evidence(view: &EvidenceView, now: WallTime, look: Look) -> String {
    let mut text = String::new();
    if let Some(lacking) = &view.lacking {
        text += &format!("the stage lacks: {lacking}\n");
    }
    if view.waiting > 0 {
        let waiting = things(view.waiting, "device");
        text += &format!("{waiting} wait for pace, calendar or budget\n");
    }
    if !view.gates.is_empty() {
        text += &gates(&view.gates, look);
    }
    if !view.decisions.is_empty() {
        text += "\n";
        text += &decisions(&view.decisions, now, look);
    }
    text
}

/// Gates with their verdicts.
pub(crate) fn gates(gates: &[GateVerdict], look: Look) -> String {
    let headings = [
        "GATE",
        "VERDICT",
        "WITH IT",
        "CONTROL",
        "DIFFERENCE",
        "95 % FOR ALL TIME",
        "ALLOWED",
        "P",
    ];
    let mut table = Table::new(look, &headings);
    for gate in gates {
        let mean = |mean: Option<f64>, devices: u64| {
            mean.map(|mean| format!("{} ({})", share(mean), count(devices)))
        };
        let between = gate.between;
        let difference = between.filter(|_| gate.against == Against::Control);
        let interval = between.map(|one| format!("{} to {}", share(one.low), share(one.high)));
        let allowed = match gate.against {
            Against::Control => format!("+{}", share(gate.allowed)),
            Against::Limit => share(gate.allowed),
            Against::Others => String::new(),
        };
        table.row([
            Cell::toned(gate.gate.as_str(), Tone::Strong),
            Cell::toned(gate.verdict.word(), tone(gate.verdict)),
            Cell::or_none(mean(gate.treated_mean, gate.treated)),
            Cell::or_none(mean(gate.control_mean, gate.control)),
            Cell::or_none(difference.map(|one| share(one.mean))),
            Cell::or_none(interval),
            allowed.into(),
            format!("{:.3}", gate.p).into(),
        ]);
    }
    let mut text = table.text();
    for gate in gates.iter().filter(|gate| gate.verdict != Verdict::Pass) {
        text += &format!("{}\n", gate.sentence);
    }
    text
}

/// Decisions, the oldest first.
pub(crate) fn decisions(decisions: &[Decision], now: WallTime, look: Look) -> String {
    let mut table = Table::new(look, &["#", "WHEN", "STAGE", "DECIDED", "BY", "WHY"]);
    for decision in decisions {
        let stage = Some(decision.stage).filter(|stage| *stage > 0);
        table.row([
            decision.number.to_string().into(),
            ago(decision.at, now).into(),
            Cell::or_none(stage.map(|stage| stage.to_string())),
            Cell::toned(decision.what.word(), Tone::Strong),
            decision.by.as_deref().unwrap_or("the evidence").into(),
            decision.sentence.as_str().into(),
        ]);
    }
    table.text()
}

/// `tern rollout replay`.
pub(crate) fn replay(replay: &Replay, now: WallTime, look: Look) -> String {
    let read = format!(
        "{} with {} read, {} computed",
        things(replay.batches, "batch").replace("batchs", "batches"),
        things(replay.events, "event"),
        things(replay.decisions.len() as u64, "decision"),
    );
    let verdict = if replay.same {
        Tone::Good.paint("every decision came out again, byte for byte", look)
    } else {
        Tone::Bad.paint("what came out is not what is stored", look)
    };
    let mut text = format!("{verdict}: {read}\n");
    if let Some(difference) = &replay.difference {
        for (what, one) in [
            ("stored", &difference.stored),
            ("computed", &difference.computed),
        ] {
            let said = one.as_ref().map_or("nothing".into(), |one| {
                format!("{} {}: {}", one.number, one.what.word(), one.sentence)
            });
            text += &format!("  {what}: {said}\n");
        }
    }
    text += "\n";
    text + &decisions(&replay.decisions, now, look)
}

/// `tern rollout plan --check`.
pub(crate) fn check(check: &PlanCheck, look: Look) -> String {
    let mut text = String::new();
    for problem in &check.problems {
        text += &format!("{} {problem}\n", Tone::Bad.paint("wrong:", look));
    }
    for warning in &check.warnings {
        text += &format!("{} {warning}\n", Tone::Busy.paint("warning:", look));
    }
    text += &format!(
        "{} selected now, {} kept as control\n",
        things(check.selected, "device"),
        count(check.control)
    );
    for (number, devices) in check.stages.iter().enumerate() {
        text += &format!("stage {}: {}\n", number + 1, things(*devices, "device"));
    }
    if check.problems.is_empty() {
        text += &format!("{}\n", Tone::Good.paint("it can be carried out", look));
    }
    text
}

/// `tern rollout template list`.
pub(crate) fn templates(templates: &[PlanTemplate], now: WallTime, look: Look) -> String {
    let mut table = Table::new(look, &["NAME", "SLOT", "STAGES", "GATES", "CHANGED", "BY"]);
    for one in templates {
        let stages = one.plan.stages.iter().map(|stage| stage.to.to_string());
        let gates = one.plan.gates.iter().map(tern_protocol::rest::Gate::name);
        table.row([
            Cell::toned(one.name.as_str(), Tone::Strong),
            one.plan.slot.as_str().into(),
            stages.collect::<Vec<_>>().join(", ").into(),
            gates.collect::<Vec<_>>().join(", ").into(),
            ago(one.updated, now).into(),
            one.by.as_str().into(),
        ]);
    }
    table.text()
}

/// `tern freeze`.
pub(crate) fn frozen(freeze: &Freeze, now: WallTime, look: Look) -> String {
    let word = Tone::Bad.paint("frozen", look);
    let reason = match freeze.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    format!(
        "{word}: no device is moved until `tern thaw`; {} by {}{reason}\n",
        ago(freeze.since, now),
        freeze.by
    )
}
