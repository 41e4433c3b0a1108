//! Retraining: how it stands, what is asked, what it taught.

use tern_protocol::{
    rest::{
        LessonView, ProposalState, ProposalView, RetrainCheck, RetrainPolicyView, RetrainView,
        RoundOutcome, TrainingView,
    },
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Facts, Table},
    words::{ago, clean, count, one_line, percent, second},
};

/// `tern retrain status`.
pub(crate) fn all(all: &[RetrainView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(
        look,
        &["MODEL", "MODE", "ROUND", "STAGE", "SINCE", "WAITS FOR"],
    );
    for one in all {
        let mode = one.policy.as_ref().map(|policy| policy.mode.as_str());
        let (round, stage, since) = match &one.round {
            Some(round) => (
                round.number.to_string(),
                Cell::toned(round.stage.words(), Tone::Busy),
                ago(round.since, now),
            ),
            None => (one.rounds.to_string(), "none is open".into(), String::new()),
        };
        table.row([
            one.model.as_str().into(),
            mode.unwrap_or("no policy").into(),
            Cell::number(round),
            stage,
            since.into(),
            one_line(&one.waits).into(),
        ]);
    }
    table.text()
}

/// `tern retrain status MODEL`.
pub(crate) fn one(one: &RetrainView, now: WallTime, look: Look) -> String {
    let mut text = format!("{}\n", Tone::Strong.paint(one.model.as_str(), look));
    let mut facts = Facts::new(look);
    match &one.policy {
        Some(policy) => facts.fact(
            "policy",
            format!(
                "{}, training `{}`, rolled out by `{}`",
                policy.mode, policy.training, policy.rollout
            ),
        ),
        None => facts.fact("policy", "none"),
    }
    match &one.round {
        Some(round) => {
            let stage = format!("round {}: {}", round.number, round.stage.words());
            facts.toned("round", &stage, Tone::Busy);
            facts.fact(
                "since",
                format!("{} ({})", second(round.since), ago(round.since, now)),
            );
            facts.fact("champion", format!("version {}", round.champion));
            if let Some(dataset) = round.dataset {
                facts.fact("dataset", dataset.to_string());
            }
            if let Some(run) = &round.run {
                facts.fact("run", one_line(run));
            }
            if let Some(version) = round.version {
                facts.fact("challenger", format!("version {version}"));
            }
            if let Some(id) = round.asks {
                facts.toned(
                    "asks",
                    &format!("proposal {id}: tern proposal show {id}"),
                    Tone::Bad,
                );
            }
        }
        None => facts.fact("round", format!("none is open; {} so far", one.rounds)),
    }
    if !one.waits.is_empty() {
        facts.fact("waits for", one_line(&one.waits));
    }
    if let Some(until) = one.cooling_until {
        facts.fact("cooling down", format!("until {}", second(until)));
    }
    facts.fact(
        "core-seconds",
        format!(
            "{} in 24 hours, {} in 30 days",
            count(one.core_seconds_day),
            count(one.core_seconds_month)
        ),
    );
    text += &facts.text();
    let Some(round) = &one.round else { return text };
    for (title, lines) in [
        (
            "because",
            round.evidence.iter().map(|one| one.text.clone()).collect(),
        ),
        ("comparison", round.comparison.clone()),
        ("agreed", round.agreed.clone()),
    ] {
        text += &listed(title, &lines, look);
    }
    if !round.work.is_empty() {
        let mut table = Table::new(look, &["WORK", "TRY", "ORDERED", "STATE", "NUMBER", "WHY"]);
        for work in &round.work {
            let tone = match work.state.as_str() {
                "done" => Tone::Good,
                "failed" | "stopped" => Tone::Bad,
                _ => Tone::Busy,
            };
            table.row([
                one_line(&work.step).into(),
                Cell::number(work.attempt.to_string()),
                ago(work.at, now).into(),
                Cell::toned(one_line(&work.state), tone),
                Cell::number(
                    work.number
                        .map_or_else(String::new, |number| number.to_string()),
                ),
                one_line(&work.reason).into(),
            ]);
        }
        text += &format!("\n{}", table.text());
    }
    text
}

fn listed(title: &str, lines: &[String], look: Look) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", Tone::Strong.paint(title, look));
    for line in lines {
        text += &format!("  {}\n", one_line(line));
    }
    text
}

/// `tern retrain policy check`.
pub(crate) fn check(check: &RetrainCheck, look: Look) -> String {
    if check.problems.is_empty() && check.warnings.is_empty() {
        return Tone::Good.paint("it can be carried out", look);
    }
    let mut text = String::new();
    for problem in &check.problems {
        text += &format!(
            "{}\n",
            Tone::Bad.paint(&one_line(&problem.to_string()), look)
        );
    }
    for warning in &check.warnings {
        text += &format!("{}\n", Tone::Busy.paint(&one_line(warning), look));
    }
    text
}

/// `tern retrain policy show`.
pub(crate) fn policies(all: &[RetrainPolicyView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(
        look,
        &["MODEL", "MODE", "TRAINING", "ROLLOUT", "WRITTEN", "BY"],
    );
    for one in all {
        table.row([
            one.model.as_str().into(),
            one_line(&one.mode).into(),
            one.training.as_str().into(),
            one_line(&one.rollout).into(),
            ago(one.updated, now).into(),
            one_line(&one.by).into(),
        ]);
    }
    table.text()
}

/// `tern retrain training list`.
pub(crate) fn trainings(all: &[TrainingView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(look, &["NAME", "MODELS", "WRITTEN", "BY"]);
    for one in all {
        let models: Vec<&str> = one
            .models
            .iter()
            .map(tern_protocol::id::ModelName::as_str)
            .collect();
        table.row([
            one.name.as_str().into(),
            models.join(", ").into(),
            ago(one.updated, now).into(),
            one_line(&one.by).into(),
        ]);
    }
    table.text()
}

fn state(state: ProposalState) -> Cell {
    let tone = match state {
        ProposalState::Open => Tone::Bad,
        ProposalState::Told | ProposalState::Over => Tone::Quiet,
        ProposalState::Agreed => Tone::Good,
        ProposalState::Declined => Tone::Busy,
    };
    Cell::toned(state.word(), tone)
}

/// `tern proposal list`.
pub(crate) fn proposals(all: &[ProposalView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(
        look,
        &["ID", "MODEL", "ROUND", "ABOUT", "STATE", "SINCE", "NEEDS"],
    );
    for one in all {
        table.row([
            Cell::number(one.id.to_string()),
            one.model.as_str().into(),
            Cell::number(one.round.to_string()),
            one.kind.word().into(),
            state(one.state),
            ago(one.at, now).into(),
            one_line(&one.needs).into(),
        ]);
    }
    table.text()
}

/// `tern proposal show`.
pub(crate) fn proposal(one: &ProposalView, now: WallTime, look: Look) -> String {
    let mut text = format!("{}\n", Tone::Strong.paint(&one_line(&one.subject), look));
    let mut facts = Facts::new(look);
    let tone = match one.state {
        ProposalState::Open => Tone::Bad,
        ProposalState::Agreed => Tone::Good,
        _ => Tone::Quiet,
    };
    facts.toned("state", one.state.word(), tone);
    facts.fact("model", one.model.as_str());
    facts.fact("round", one.round.to_string());
    facts.fact(
        "since",
        format!("{} ({})", second(one.at), ago(one.at, now)),
    );
    if !one.needs.is_empty() {
        facts.fact("needs", one_line(&one.needs));
    }
    if let Some(of) = &one.facts {
        facts.fact("champion", format!("version {}", of.champion));
        facts.fact(
            "labels",
            format!(
                "{}, of which {} are new",
                count(of.labels),
                count(of.new_labels)
            ),
        );
        if let Some(share) = of.share_of_devices {
            facts.fact("devices", percent(share));
        }
        if let Some(took) = of.core_seconds {
            facts.fact("a training took", format!("{} core-seconds", count(took)));
        }
    }
    text += &facts.text();
    text.push('\n');
    for sentence in &one.sentences {
        text += &format!("{}\n", clean(sentence));
    }
    if !one.words.is_empty() {
        let mut table = Table::new(look, &["WHO", "SAID", "WHEN", "NOTE"]);
        for word in &one.words {
            table.row([
                word.by.as_str().into(),
                word.say.word().into(),
                ago(word.at, now).into(),
                one_line(&word.note).into(),
            ]);
        }
        text += &format!("\n{}", table.text());
    }
    if !one.choices.is_empty() {
        text.push('\n');
        for choice in &one.choices {
            text += &format!("  tern proposal {} {}\n", choice.word(), one.id);
        }
    }
    text
}

/// `tern retrain lessons`.
pub(crate) fn lessons(all: &[LessonView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(
        look,
        &["MODEL", "ROUND", "ENDED", "OUTCOME", "VERSION", "WHY"],
    );
    for one in all {
        let tone = match one.outcome {
            RoundOutcome::Recovered => Tone::Good,
            RoundOutcome::Rejected
            | RoundOutcome::Failed
            | RoundOutcome::RolloutStopped
            | RoundOutcome::NotRecovered => Tone::Bad,
            _ => Tone::Quiet,
        };
        // What the comparison said tells more than that it was rejected.
        let why = match one.outcome {
            RoundOutcome::Rejected => one.comparison.first().unwrap_or(&one.text),
            _ => &one.text,
        };
        table.row([
            one.model.as_str().into(),
            Cell::number(one.round.to_string()),
            ago(one.ended, now).into(),
            Cell::toned(one.outcome.word(), tone),
            Cell::or_none(one.version),
            one_line(why).into(),
        ]);
    }
    table.text()
}
