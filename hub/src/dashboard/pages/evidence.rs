//! What a rollout with a plan knows and decided: its stages as lanes of devices, its gates with how their evidence
//! grew, its decisions with their reasons.

use maud::{Markup, html};
use tern_protocol::{
    rest::{
        Against, EvidenceView, GateVerdict, Look, Part, Plan, RolloutDevice, RolloutDeviceState,
        RolloutState, RolloutView, Verdict,
    },
    time::WallTime,
};

use crate::dashboard::{format, icon::Icon, parts, scope::Scope};

/// Devices drawn in one lane; the number of the others follows.
const DRAWN: usize = 400;

/// Size of a drawing of evidence in its own units.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 96.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = HEIGHT - 16.0;
const TOP: f64 = 6.0;

/// All of it.
pub(super) fn rooms(scope: &Scope, rollout: &RolloutView) -> Markup {
    let (Some(plan), Some(evidence)) = (&rollout.plan, &rollout.evidence) else {
        return html! {};
    };
    html! {
        section aria-labelledby="lanes-title" {
            h2.apart #lanes-title { "Stages" }
            div #lanes.card data-live { (lanes(scope, rollout, plan, evidence)) }
        }
        section aria-labelledby="gates-title" {
            h2.apart #gates-title { "Gates" }
            div #gates.gates data-live {
                @if evidence.gates.is_empty() {
                    (parts::empty(&html! { "Nobody has looked at evidence yet." }))
                }
                @for gate in &evidence.gates { (gate_card(gate, &evidence.looks)) }
            }
        }
        section aria-labelledby="decisions-title" {
            h2.apart #decisions-title { "Decisions" }
            div #decisions.card.flush data-live { (decisions(evidence)) }
        }
    }
}

/// The stages, each a lane of its devices, and the control beside them.
fn lanes(scope: &Scope, rollout: &RolloutView, plan: &Plan, evidence: &EvidenceView) -> Markup {
    let now = rollout.stage.map_or(0, |stage| stage.number);
    html! {
        @if let Some(lacking) = &evidence.lacking { p.lacks { "Stage " (now) " still needs: " b { (lacking) } } }
        ol.lanes {
            @for (index, stage) in plan.stages.iter().enumerate() {
                @let number = index as u32 + 1;
                @let devices = in_stage(rollout, number);
                li data-key=(number) .now[number == now] .later[number > now] {
                    div.row {
                        span.name { "Stage " (number) " " span.dim { "to " (stage.to) @if stage.shadow { ", as a shadow" } } }
                        span.dim {
                            @if number == now && !rollout.state.is_over() {
                                @if let Some(since) = evidence.since { "since " (parts::ago(since)) }
                            } @else if number < now || rollout.state == RolloutState::Complete { "passed" }
                            @else if !rollout.state.is_over() { "to come" }
                            @else if number == now { "ended here" }
                            @else { "not reached" }
                            @if stage.approval { ", then a person approves" }
                        }
                    }
                    (dots(scope, &devices))
                }
            }
            @let control: Vec<&RolloutDevice> = rollout.devices.iter()
                .filter(|one| one.part == Some(Part::Control) && one.admitted.is_none()).collect();
            @if !control.is_empty() {
                li data-key="control" {
                    div.row { span.name { "Control" } span.dim { "keeps what it has until the last stage has passed" } }
                    (dots(scope, &control))
                }
            }
        }
        ul.legend {
            li { span.dot.off {} span.name { "waiting" } }
            li { span.dot.busy {} span.name { "on its way" } }
            li { span.dot.ok {} span.name { "serving" } }
            li { span.dot.bad {} span.name { "failed" } }
        }
        @if evidence.waiting > 0 {
            p.dim { (format::count(evidence.waiting)) " devices wait for the pace, the calendar or a budget" }
        }
    }
}

fn in_stage(rollout: &RolloutView, number: u32) -> Vec<&RolloutDevice> {
    let devices = rollout.devices.iter();
    devices.filter(|one| one.admitted == Some(number)).collect()
}

fn dots(scope: &Scope, devices: &[&RolloutDevice]) -> Markup {
    html! {
        div.dots {
            @for one in devices.iter().take(DRAWN) {
                @let (tone, word) = match one.state {
                    RolloutDeviceState::Waiting => ("off", "waiting"),
                    RolloutDeviceState::Assigned => ("busy", "assigned"),
                    RolloutDeviceState::InProgress => ("busy", "in progress"),
                    RolloutDeviceState::Serving => ("ok", "serving"),
                    RolloutDeviceState::Failed => ("bad", "failed"),
                };
                a.dot.(tone) data-key=(one.device) href=(scope.page(&format!("/devices/{}", one.device)))
                    title={ (one.device) ": " (word) } aria-label={ (one.device) ": " (word) } {}
            }
            @if devices.len() > DRAWN { span.dim { "and " (format::count((devices.len() - DRAWN) as u64)) " more" } }
            @if devices.is_empty() { span.dim { "no device yet" } }
        }
    }
}

fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Pass => parts::badge("ok", Icon::Check, "pass"),
        Verdict::Inconclusive => parts::badge("warn", Icon::Dot, "inconclusive"),
        Verdict::Fail => parts::badge("bad", Icon::Cross, "fail"),
    }
}

/// One gate: what it says, and how its evidence grew.
fn gate_card(gate: &GateVerdict, looks: &[Look]) -> Markup {
    let key = format!("{}-{:?}", gate.gate, gate.against).to_lowercase();
    html! {
        article.card data-key=(key) {
            div.row { h3 { (gate.gate) " " span.dim { (against(gate)) } } (verdict(gate.verdict)) }
            p.why { (gate.sentence) }
            @if let (Some(treated), Some(between)) = (gate.treated_mean, gate.between) {
                dl.facts {
                    (parts::fact("With the version", &html! { (format::percent(treated)) span.dim { " on " (format::count(gate.treated)) } }))
                    @if let Some(control) = gate.control_mean {
                        (parts::fact("Control", &html! { (format::percent(control)) span.dim { " on " (format::count(gate.control)) } }))
                    }
                    (parts::fact(if gate.against == Against::Control { "Difference" } else { "Interval" }, &html! {
                        (format::percent(between.low)) " to " (format::percent(between.high))
                    }))
                }
                (growth(gate, looks))
            }
        }
    }
}

fn against(gate: &GateVerdict) -> Markup {
    html! {
        @match gate.against {
            Against::Control => { "at most " (format::percent(gate.allowed)) " over the control" }
            Against::Limit => { @if gate.gate == "accuracy" { "wrong predictions " } "at most " (format::percent(gate.allowed)) }
            Against::Others => { "asked of another program" }
        }
    }
}

/// A moment of a drawing: when, estimate, interval.
struct Moment {
    at: WallTime,
    mean: f64,
    low: f64,
    high: f64,
}

/// How the interval that holds at all times shrank, against what is allowed.
fn growth(gate: &GateVerdict, looks: &[Look]) -> Markup {
    let same = |one: &&GateVerdict| (&one.gate, one.against) == (&gate.gate, gate.against);
    let mut moments: Vec<Moment> = looks
        .iter()
        .filter_map(|look| {
            let between = look.gates.iter().find(same)?.between?;
            Some(Moment {
                at: look.at,
                mean: between.mean,
                low: between.low,
                high: between.high,
            })
        })
        .collect();
    // One look alone is drawn as if it had lasted, or nothing of it would be seen.
    if let [only] = &moments[..] {
        let lasted = Moment {
            at: WallTime(only.at.0.saturating_add(1)),
            mean: only.mean,
            low: only.low,
            high: only.high,
        };
        moments.push(lasted);
    }
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
        return html! {};
    };
    let span = (last.at.0 - first.at.0).max(1) as f64;
    let x = |at: WallTime| LEFT + (at.0 - first.at.0) as f64 / span * (WIDTH - LEFT - 4.0);
    let extremes = moments.iter().flat_map(|one| [one.low, one.high]);
    let (low, high) = extremes.fold(
        (gate.allowed.min(0.0), gate.allowed),
        |(low, high), value| (low.min(value), high.max(value)),
    );
    let room = (high - low).max(0.01);
    let y = |value: f64| BOTTOM - (value - low) / room * (BOTTOM - TOP);
    let point = |at: WallTime, value: f64| format!("{:.1},{:.1}", x(at), y(value));
    let there = moments.iter().map(|one| point(one.at, one.high));
    let back = moments.iter().rev().map(|one| point(one.at, one.low));
    let band: Vec<String> = there.chain(back).collect();
    let line: Vec<String> = moments.iter().map(|one| point(one.at, one.mean)).collect();
    let label = format!(
        "{}: from {} to {}, the interval went from {} … {} to {} … {}; {} is allowed",
        gate.gate,
        format::utc(first.at),
        format::utc(last.at),
        format::percent(first.low),
        format::percent(first.high),
        format::percent(last.low),
        format::percent(last.high),
        format::percent(gate.allowed)
    );
    html! {
        svg.growth viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            line.zero x1=(LEFT) x2=(WIDTH - 4.0) y1=(format!("{:.1}", y(0.0))) y2=(format!("{:.1}", y(0.0))) {}
            polygon.band points=(band.join(" ")) {}
            polyline.line points=(line.join(" ")) {}
            line.allowed x1=(LEFT) x2=(WIDTH - 4.0) y1=(format!("{:.1}", y(gate.allowed))) y2=(format!("{:.1}", y(gate.allowed))) {}
            g.axis.values {
                @for value in [low, gate.allowed, high] {
                    text x=(LEFT - 5.0) y=(format!("{:.1}", y(value))) { (format::percent(value)) }
                }
            }
            g.axis.times {
                text.first x=(LEFT) y=(HEIGHT - 3.0) { (format::hour_minute(first.at)) }
                text.last x=(WIDTH - 4.0) y=(HEIGHT - 3.0) { (format::hour_minute(last.at)) }
            }
        }
    }
}

fn decisions(evidence: &EvidenceView) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th.end scope="col" { "No." }
                th scope="col" { "When" }
                th scope="col" { "Decision" }
                th scope="col" { "By" }
                th scope="col" { "Why" }
                th.end scope="col" { "Devices by then" }
            } }
            tbody {
                @for one in evidence.decisions.iter().rev() {
                    tr data-key=(one.number) {
                        td.end data-name="No." { (one.number) }
                        td data-name="When" { (parts::ago(one.at)) }
                        th scope="row" data-name="Decision" { (one.what.word()) }
                        td data-name="By" { @match &one.by { Some(by) => { (by) } None => { "the evidence" } } }
                        td data-name="Why" { span.text {
                            (one.sentence)
                            @let open: Vec<&GateVerdict> = one.gates.iter().collect();
                            @if !open.is_empty() {
                                details { summary { "State of the gates at that time (" (open.len()) ")" } ul { @for gate in open { li { (gate.sentence) } } } }
                            }
                        } }
                        td.end data-name="Devices by then" { (format::count(one.devices.admitted)) }
                    }
                }
            }
        }
    }
}
