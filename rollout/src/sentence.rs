//! Decisions and verdicts in words, with their numbers.

use std::fmt::Write as _;

use tern_protocol::rest::{Against, DecidedOn, Gate, GateVerdict, Plan, Verdict};

/// Why a verdict is what it is.
pub(crate) enum Why {
    /// Harm is proven.
    Proven,
    /// Something is not known yet.
    Lacks(String),
    /// It looks like harm, and that may be chance.
    More,
    /// It does not look like harm, and that may be chance.
    Unproven,
    /// It is within what is allowed.
    Within,
}

/// `3.1 %`.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.abs() < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// `3.1 points`.
fn points(share: f64) -> String {
    format!("{:.1} points", share * 100.0)
}

fn devices(count: u64) -> String {
    if count == 1 {
        "1 device".into()
    } else {
        format!("{count} devices")
    }
}

/// What a gate counts, in words.
fn what(gate: &Gate) -> &'static str {
    match gate {
        Gate::ServeFailure(_) => "devices that do not serve it",
        Gate::Errors(_) => "requests that failed",
        Gate::Latency(_) => "inferences over the latency budget",
        Gate::Accuracy(_) => "predictions that were wrong",
        Gate::Confidence(_) => "confidence lacking",
        Gate::Mix(_) => "shift of the predicted mix",
        Gate::Silence(_) => "devices not heard of",
        Gate::Restarts(_) => "devices that started again",
        Gate::Memory(_) => "windows over the memory budget",
        Gate::Cpu(_) => "windows over the budget of processor time",
        Gate::Disagreement(_) => "inputs answered otherwise",
        Gate::Metric(_) => "of the way from its best to its worst",
        Gate::Webhook(_) => "answers",
    }
}

/// A gate's verdict. `changed`: by how much more the treated changed than the control, if that is known.
pub(crate) fn gate(gate: &Gate, verdict: &GateVerdict, changed: Option<f64>, why: &Why) -> String {
    let mut text = format!("{}: {}: ", verdict.gate, verdict.verdict.word());
    match why {
        Why::Lacks(lacks) => {
            text += lacks;
            if verdict.treated_mean.is_none() {
                return text;
            }
            text += "; so far ";
        }
        Why::More => text += "it looks like harm, which may be chance: ",
        Why::Unproven => text += "nothing looks like harm, which may be chance: ",
        Why::Proven | Why::Within => {}
    }
    text += what(gate);
    let Some(treated) = verdict.treated_mean else {
        text += ": none known";
        return text;
    };
    let _ = write!(
        text,
        " {} on {}",
        percent(treated),
        devices(verdict.treated)
    );
    match (verdict.against, verdict.control_mean) {
        (Against::Control, Some(control)) => {
            let _ = write!(
                text,
                ", {} on {} of the control",
                percent(control),
                verdict.control
            );
            if let Some(changed) = changed {
                let more = if changed < 0.0 { "less" } else { "more" };
                let changed = points(changed.abs());
                let _ = write!(text, "; beside what is usual for each {changed} {more}");
            }
            let _ = write!(text, "; {} more are allowed", points(verdict.allowed));
        }
        (Against::Control, None) => text += ", nothing known of the control",
        _ => {
            let _ = write!(text, "; {} are allowed", percent(verdict.allowed));
        }
    }
    if matches!(why, Why::Proven) {
        let _ = write!(text, " (p < {:.2e}, corrected)", verdict.p);
    }
    text
}

pub(crate) fn start(selected: u64, control: u64, plan: &Plan) -> String {
    let stages = plan.stages.len();
    let stages = if stages == 1 {
        "1 stage".into()
    } else {
        format!("{stages} stages")
    };
    format!(
        "{} selected, {control} kept as control, {stages}",
        devices(selected)
    )
}

fn stage_of(stage: usize, plan: &Plan) -> String {
    format!("stage {} of {}", stage + 1, plan.stages.len())
}

pub(crate) fn approval(stage: usize, plan: &Plan) -> String {
    format!(
        "{} passed all gates and waits for a person's approval",
        stage_of(stage, plan)
    )
}

pub(crate) fn inconclusive(
    stage: usize,
    plan: &Plan,
    lacking: Option<&str>,
    verdicts: &[GateVerdict],
) -> String {
    let cap = plan.stages[stage].cap;
    let open = verdicts.iter().find(|one| one.verdict != Verdict::Pass);
    let why = match (lacking, open) {
        (Some(lacking), _) => lacking.to_owned(),
        (None, Some(open)) => open.sentence.clone(),
        (None, None) => "nobody has looked yet".into(),
    };
    format!(
        "{} has not passed within {cap}: {why}",
        stage_of(stage, plan)
    )
}

pub(crate) fn advance(
    stage: usize,
    plan: &Plan,
    by_person: bool,
    counts: DecidedOn,
    verdicts: &[GateVerdict],
) -> String {
    let last = stage + 1 == plan.stages.len();
    let next = if last {
        "what was kept back is moved as well".to_owned()
    } else {
        format!(
            "stage {} begins, to {}",
            stage + 2,
            plan.stages[stage + 1].to
        )
    };
    let good = format!(
        "{} of {} devices serve it for good",
        counts.confirmed, counts.admitted
    );
    let open = verdicts
        .iter()
        .filter(|one| one.verdict != Verdict::Pass)
        .count();
    let how = if by_person && open > 0 {
        format!(
            "a person approved, while {open} of {} gates were inconclusive",
            verdicts.len()
        )
    } else if by_person {
        "a person approved".into()
    } else {
        format!("all {} gates passed", verdicts.len())
    };
    format!("{}: {how}; {good}; {next}", stage_of(stage, plan))
}

pub(crate) fn failed(stage: usize, failed: &GateVerdict, counts: DecidedOn) -> String {
    format!(
        "stage {}: {}; {} had it",
        stage + 1,
        failed.sentence,
        devices(counts.admitted)
    )
}

pub(crate) fn complete(counts: DecidedOn) -> String {
    let mut text = format!(
        "{} of {} devices serve it for good",
        counts.confirmed, counts.admitted
    );
    if counts.failed > 0 {
        let _ = write!(text, ", {} refused it", counts.failed);
    }
    if counts.lost > 0 {
        let _ = write!(text, ", {} lost", counts.lost);
    }
    text
}
