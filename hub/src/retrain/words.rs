//! Rounds, questions and lessons as they are shown. Pure.

use tern_protocol::{
    id::ModelName,
    rest::{
        CauseView, LessonView, ProposalFacts, ProposalKind, ProposalWord, RoundOutcome, RoundStage,
        RoundView,
    },
};
use tern_retrain::{
    Lesson, Outcome, Proposal, Stage, Step,
    fact::Say,
    policy::{Approval, Before, Policy},
    state::Round,
    trigger::{Cause, Evidence},
};

/// How a round ended.
pub(super) const fn outcome(outcome: &Outcome) -> RoundOutcome {
    match outcome {
        Outcome::Recovered => RoundOutcome::Recovered,
        Outcome::NotRecovered => RoundOutcome::NotRecovered,
        Outcome::Declined(_) => RoundOutcome::Declined,
        Outcome::Expired(_) => RoundOutcome::Expired,
        Outcome::Superseded(_) => RoundOutcome::Superseded,
        Outcome::Failed(..) => RoundOutcome::Failed,
        Outcome::Rejected => RoundOutcome::Rejected,
        Outcome::RolloutStopped(_) => RoundOutcome::RolloutStopped,
        Outcome::Cancelled(_) => RoundOutcome::Cancelled,
    }
}

/// Where a round is.
pub(super) const fn stage(stage: Stage) -> RoundStage {
    match stage {
        Stage::Waiting => RoundStage::Labels,
        Stage::Proposed => RoundStage::Proposed,
        Stage::Building => RoundStage::Dataset,
        Stage::Training => RoundStage::Training,
        Stage::Comparing => RoundStage::Comparison,
        Stage::Unknown => RoundStage::Unclear,
        Stage::Registering => RoundStage::Registration,
        Stage::RollingOut => RoundStage::Rollout,
        Stage::Watching => RoundStage::Watching,
        Stage::AskedRegistration => RoundStage::AskedRegistration,
        Stage::AskedRollout => RoundStage::AskedRollout,
    }
}

/// What a step asks people; nothing if it is no question.
pub(super) const fn kind(step: Step) -> Option<ProposalKind> {
    match step {
        Step::Propose => Some(ProposalKind::Training),
        Step::AskUnknown => Some(ProposalKind::Unclear),
        Step::AskRegister => Some(ProposalKind::Registration),
        Step::AskRollOut => Some(ProposalKind::Rollout),
        _ => None,
    }
}

/// The question that an open round puts in the stage in which it is: step and attempt.
pub(super) const fn asks(round: &Round) -> Option<(Step, u16)> {
    match round.stage {
        Stage::Proposed => Some((Step::Propose, round.attempt)),
        Stage::Unknown => Some((Step::AskUnknown, round.compared)),
        Stage::AskedRegistration => Some((Step::AskRegister, round.attempt)),
        Stage::AskedRollout => Some((Step::AskRollOut, round.attempt)),
        _ => None,
    }
}

/// Who has to agree to what is asked.
pub(super) fn approvals(policy: &Policy, kind: ProposalKind) -> Vec<Approval> {
    match kind {
        ProposalKind::Training => policy.approvals_before(Before::Training),
        ProposalKind::Registration => policy.approvals_before(Before::Registration),
        ProposalKind::Rollout => policy.approvals_before(Before::Rollout),
        ProposalKind::Unclear => vec![policy.approval_if_unclear()],
    }
}

/// What may be said to a question.
pub(super) fn choices(kind: ProposalKind) -> Vec<ProposalWord> {
    let all = ProposalWord::ALL.into_iter();
    all.filter(|word| *word != ProposalWord::Again || kind == ProposalKind::Unclear)
        .collect()
}

/// A word of a person, for the machine.
pub(super) const fn say(word: ProposalWord) -> Say {
    match word {
        ProposalWord::Agree => Say::Agree,
        ProposalWord::Decline => Say::Decline,
        ProposalWord::Again => Say::Again,
        ProposalWord::Cancel => Say::Cancel,
    }
}

/// The numbers of a proposal.
pub(super) fn facts(proposal: Proposal) -> ProposalFacts {
    ProposalFacts {
        champion: proposal.champion,
        since: proposal.since,
        evidence: proposal.evidence,
        sites: proposal.sites,
        share_of_devices: proposal.share_of_devices,
        labels: proposal.labels.usable,
        new_labels: proposal.labels.new,
        core_seconds: proposal.cost.map(|cost| cost.core_seconds),
        core_seconds_left: proposal.core_seconds_left,
        lessons: proposal.lessons,
    }
}

fn evidence(one: &Evidence) -> CauseView {
    CauseView {
        text: one.text.clone(),
        since: one.since,
        joined: one.joined,
        finding: match one.cause {
            Cause::Finding(id) => Some(id),
            _ => None,
        },
        sites: one.sites.clone(),
    }
}

/// A round that is open, without what it ordered and what it asks.
pub(super) fn round(round: &Round) -> RoundView {
    let said = round
        .comparison
        .iter()
        .flat_map(|one| one.sentences.clone());
    RoundView {
        number: round.number,
        stage: stage(round.stage),
        opened: round.opened,
        since: round.since,
        attempt: round.attempt,
        champion: round.champion,
        evidence: round.evidence.iter().map(evidence).collect(),
        dataset: round.dataset,
        run: round.trained.as_ref().map(|one| one.run.clone()),
        version: round.version,
        comparison: said.collect(),
        agreed: round.agreed.clone(),
        asks: None,
        work: Vec::new(),
    }
}

/// What a round taught.
pub(super) fn lesson(model: ModelName, lesson: Lesson) -> LessonView {
    let (run, challenger) = lesson.challenger.map(|one| (one.run, one.bundle)).unzip();
    LessonView {
        model,
        round: lesson.round,
        opened: lesson.opened,
        ended: lesson.ended,
        outcome: outcome(&lesson.outcome),
        text: lesson.outcome.text(),
        evidence: lesson.evidence,
        champion: lesson.champion,
        dataset: lesson.dataset,
        run,
        challenger,
        version: lesson.version,
        comparison: lesson.comparison,
        core_seconds: lesson.cost.map(|cost| cost.0),
        training_ms: lesson.cost.map(|cost| cost.1),
    }
}
