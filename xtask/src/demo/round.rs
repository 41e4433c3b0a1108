//! The round of retraining, as the hub tells it: from what it found to a fleet that recovered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tern_protocol::{
    id::{ProposalId, RolloutId},
    rest::{
        AccuracyView, DeltaState, DeltaView, LessonView, ProposalView, RoundStage, RoundView,
        VersionView,
    },
};
use xtask::{
    fleet::{
        USER,
        cameras::Images,
        cast::{FOG, MODEL, foggy},
        retraining::{ANSWER, Follow, Stands},
        stage::Stage,
    },
    interrupt,
};

use super::{
    act::Act,
    narrator::Narrator,
    story::{SETTLED, SOON, published},
};

/// How often the round is looked at.
const STEP: Duration = Duration::from_secs(1);

/// How often it is said what the round waits for, if that changed.
const AGAIN: Duration = Duration::from_secs(8);

/// Sentences of a comparison that are told: what follows from it, and both of its parts.
const SENTENCES: usize = 3;

/// Who agrees to the proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approval {
    /// The demo, by the API.
    ByUs,
    /// Whoever watches, by a click.
    ByClick,
}

/// What came of a round.
pub(super) struct Retrained {
    /// What it taught.
    pub(super) lesson: LessonView,
    /// The version that it led to, and how the file of that travelled.
    pub(super) version: VersionView,
    pub(super) delta: DeltaView,
    /// Accuracy by site, of what was in the fog, when the proposal was made.
    pub(super) during: Vec<AccuracyView>,
    /// Whether the hub's own finding was the reason, and nobody asked for it.
    pub(super) by_policy: bool,
    /// Words that people said, to whatever they were asked.
    pub(super) words: u64,
    /// Core-seconds of its training.
    pub(super) core_seconds: u64,
}

/// Goes on until the first round is over, and agrees to its proposal, or waits until somebody does.
pub(super) fn retrain(act: &mut Act<'_>, approval: Approval) -> Result<Retrained> {
    let mut follow = Follow::default();
    let mut telling = Telling::new(approval);
    let lesson = loop {
        match follow.look(&act.stage.tern)? {
            Stands::NotYet => {}
            Stands::Open {
                round,
                entered,
                waits,
            } => telling.tell(act, &round, entered, &waits)?,
            Stands::Over(lesson) => break *lesson,
        }
        act.go_on(STEP)?;
    };
    act.say.say(format!(
        "round {} is over: {}: {}",
        lesson.round,
        lesson.outcome.word(),
        lesson.text
    ));
    let why = || {
        format!(
            "round {} of retraining ended without a version that serves: {}: {} {}",
            lesson.round,
            lesson.outcome.word(),
            lesson.text,
            lesson.comparison.join(" ")
        )
    };
    // A round that ends between two looks was not told to its end.
    let number = lesson.version.with_context(why)?;
    if telling.version.is_none() {
        let version = act.stage.tern.version(number)?;
        telling.registered(act, version)?;
    }
    let (version, delta) = telling.version.with_context(why)?;
    let asked = act.stage.tern.proposals()?;
    let asked: Vec<&ProposalView> = asked
        .iter()
        .filter(|one| one.round == lesson.round)
        .collect();
    Ok(Retrained {
        version,
        delta,
        during: telling.during.context("nobody saw the proposal")?,
        by_policy: telling.by_policy,
        words: asked.iter().map(|one| one.words.len() as u64).sum(),
        core_seconds: lesson.core_seconds.unwrap_or(0),
        lesson,
    })
}

/// What was told of the round, and what was seen meanwhile.
struct Telling {
    approval: Approval,
    waits: String,
    said: Instant,
    proposal: Option<ProposalId>,
    during: Option<Vec<AccuracyView>>,
    by_policy: bool,
    late: bool,
    compared: bool,
    version: Option<(VersionView, DeltaView)>,
    decisions: usize,
}

impl Telling {
    fn new(approval: Approval) -> Self {
        Self {
            approval,
            waits: String::new(),
            said: Instant::now(),
            proposal: None,
            during: None,
            by_policy: false,
            late: false,
            compared: false,
            version: None,
            decisions: 0,
        }
    }

    fn tell(
        &mut self,
        act: &mut Act<'_>,
        round: &RoundView,
        entered: bool,
        waits: &str,
    ) -> Result<()> {
        let changed = waits != self.waits && self.said.elapsed() >= AGAIN;
        if entered || changed {
            let colon = if waits.is_empty() { "" } else { ": " };
            act.say.say(format!(
                "round {} is {}{colon}{waits}",
                round.number,
                round.stage.words()
            ));
            waits.clone_into(&mut self.waits);
            self.said = Instant::now();
        }
        if self.proposal.is_none()
            && round.stage == RoundStage::Proposed
            && let Some(id) = round.asks
        {
            self.proposed(act, round, id)?;
        }
        let early = [RoundStage::Labels, RoundStage::Proposed];
        if !self.late && !early.contains(&round.stage) {
            self.late = true;
            act.stage.see(Images::Late, FOG)?;
            act.say
                .say("from here the cameras show only images that no trainer has seen");
        }
        if !self.compared && !round.comparison.is_empty() {
            self.compared = true;
            for sentence in round.comparison.iter().take(SENTENCES) {
                act.say.say(format!("  {sentence}"));
            }
        }
        if self.version.is_none()
            && let Some(number) = round.version
        {
            let version = act.stage.tern.version(number)?;
            self.registered(act, version)?;
        }
        if [RoundStage::Rollout, RoundStage::Watching].contains(&round.stage) {
            self.rolled_out(act, round)?;
        }
        Ok(())
    }

    /// The hub asks; what was in the fog until now is what version 1 came to.
    fn proposed(&mut self, act: &mut Act<'_>, round: &RoundView, id: ProposalId) -> Result<()> {
        let last = act.people.fresh(&foggy());
        ensure!(
            last > 0,
            "nobody labelled an image that was taken in the fog"
        );
        self.during = Some(act.stage.tern.accuracy(Some(last))?);
        self.by_policy = !round.evidence.is_empty()
            && round
                .evidence
                .iter()
                .all(|evidence| evidence.finding.is_some());
        let proposal = act.stage.tern.proposal(id)?;
        act.say
            .say(format!("the hub proposes: {}", proposal.subject));
        for sentence in &proposal.sentences {
            act.say.say(format!("  {sentence}"));
        }
        self.proposal = Some(id);
        match self.approval {
            Approval::ByUs => {
                act.stage.tern.agree(id, "the one click of the demo")?;
                act.say.say(format!(
                    "{USER} agrees to proposal {id}; from here the hub goes on by itself"
                ));
            }
            Approval::ByClick => {
                act.say.say(format!(
                    "click `agree` on {}/proposals/{id} (log in as above) within {} minutes",
                    act.stage.hub(),
                    ANSWER.as_secs() / 60
                ));
                act.say.say(
                    "  then the hub makes the dataset, trains, compares, registers and rolls out by itself; without \
                     it, or if you decline, the round ends and the demo with it",
                );
            }
        }
        Ok(())
    }

    /// The challenger became a version.
    fn registered(&mut self, act: &Act<'_>, version: VersionView) -> Result<()> {
        published(act.say, &version);
        let delta = delta(act.stage, act.say, &version)?;
        self.version = Some((version, delta));
        Ok(())
    }

    /// What the rollout decided since it was looked at.
    fn rolled_out(&mut self, act: &Act<'_>, round: &RoundView) -> Result<()> {
        let ordered = round.work.iter().rev().find(|one| one.step == "roll-out");
        let Some(number) = ordered.and_then(|one| one.number) else {
            return Ok(());
        };
        let id = RolloutId(u32::try_from(number)?);
        let Some(evidence) = act.stage.tern.rollout(id)?.evidence else {
            return Ok(());
        };
        for decision in evidence.decisions.iter().skip(self.decisions) {
            act.say
                .say(format!("  rollout {id}: {}", decision.sentence));
        }
        self.decisions = evidence.decisions.len();
        Ok(())
    }
}

/// Waits until the hub knows how the ONNX file of a version may travel.
fn delta(stage: &Stage, say: &Narrator, version: &VersionView) -> Result<DeltaView> {
    let end = Instant::now() + SETTLED;
    loop {
        let shown = stage.tern.version(version.version)?;
        let delta = shown.deltas.first();
        let delta = delta
            .with_context(|| format!("no delta to {MODEL} v{} is planned", version.version))?;
        if delta.state == DeltaState::Ready {
            say.say(format!(
                "meters that have v{} fetch a delta: {} bytes instead of {}",
                delta.base,
                delta.bytes.unwrap_or_default(),
                delta.full_bytes
            ));
            return Ok(delta.clone());
        }
        ensure!(
            delta.state == DeltaState::Pending && Instant::now() < end,
            "there is no delta to the second version: {}: {}",
            delta.state,
            delta.reason
        );
        interrupt::pause(SOON)?;
    }
}
