//! From stage to stage.

use std::collections::BTreeMap;

use tern_protocol::{
    id::DeviceId,
    rest::{Attribution, Span},
};

use super::{Look, Next, asked::Answer, key, later};
use crate::{
    action::{
        Act, Action, CompareOrder, DatasetOrder, Key, Lineage, RolloutOrder, Step, TrainOrder,
    },
    compare::Verdict,
    dataset,
    fact::{Again, Say, Work},
    ledger::{DAY, Sort},
    policy::{Approval, Before, OnUnknown, Policy, Recent, Trigger},
    proposal::Proposal,
    state::{Baseline, Measure, Outcome, Round, Stage},
    trigger::{self, Cause, Evidence},
};

/// How long a new version is watched at least before it is said that all is well: a day has its night.
const WATCH_MIN: u64 = DAY as u64;

/// How often a person may have a comparison made again.
const AGAIN_MAX: u16 = 10;

/// Devices at fault that are named to whoever makes a dataset, at most.
const WITHOUT_MAX: usize = 10_000;

/// Longest reason of a failure that is kept, in characters.
const REASON_MAX: usize = 1_000;

impl Look<'_> {
    /// What follows for the round.
    pub(super) fn next(&mut self, policy: &Policy, round: &mut Round) -> Next {
        if let Some(outcome) = self.overtaken(round) {
            return Next::End(outcome);
        }
        // What holds joins, as long as no version answers it yet. What is found under the new one calls for the next.
        if round.stage != Stage::Watching {
            let holding = trigger::holding(policy, &self.known, self.facts, self.now);
            let early = matches!(round.stage, Stage::Waiting | Stage::Proposed);
            if early && holding.is_empty() {
                return Next::End(Outcome::Superseded("what called for it is over".into()));
            }
            trigger::join(&mut round.evidence, holding);
        }
        let next = match round.stage {
            Stage::Waiting => self.waiting(policy, round),
            Stage::Proposed => self.proposed(policy, round),
            Stage::Building => self.building(policy, round),
            Stage::Training => self.training(policy, round),
            Stage::Comparing => self.comparing(policy, round),
            Stage::Unknown => self.unknown(policy, round),
            Stage::AskedRegistration => {
                self.agreement(policy, round, Before::Registration, Stage::Registering)
            }
            Stage::Registering => self.registering(policy, round),
            Stage::AskedRollout => {
                self.agreement(policy, round, Before::Rollout, Stage::RollingOut)
            }
            Stage::RollingOut => self.rolling_out(policy, round),
            Stage::Watching => self.watching(policy, round),
        };
        match next {
            Next::Stay(why) if self.now >= later(round.since, limit(policy, round.stage).ms()) => {
                Next::End(too_long(policy, round.stage, why))
            }
            next => next,
        }
    }

    /// Whether the round is about nothing any more, or a person ended it.
    fn overtaken(&self, round: &Round) -> Option<Outcome> {
        let mut words = self.facts.words.iter();
        let cancel = words.find(|word| word.key.round == round.number && word.say == Say::Cancel);
        if let Some(word) = cancel {
            return Some(Outcome::Cancelled(word.by.clone()));
        }
        let Some(champion) = self.facts.champion else {
            return Some(Outcome::Superseded("no version serves any more".into()));
        };
        let expected = [Some(round.champion), round.version];
        (!expected.contains(&Some(champion.version))).then(|| {
            let text = format!(
                "version {} serves now, not {}",
                champion.version, round.champion
            );
            Outcome::Superseded(text)
        })
    }

    fn waiting(&mut self, policy: &Policy, round: &mut Round) -> Next {
        let labels = &self.facts.labels;
        let Some(mut order) = dataset::lacking(&policy.minimum, labels, &round.evidence) else {
            return Next::Go(Stage::Proposed);
        };
        let lacks = dataset::lacking_in_words(&order);
        let mut asked = key(round, Step::Labels);
        if let Some(charge) = self.known.ledger.of(asked)
            && self.facts.told.contains(&asked)
            && self.now >= later(charge.at, DAY as u64)
        {
            // Asked a day ago, and they still lack: ask for what is not asked for already.
            round.attempt = round.attempt.saturating_add(1);
            asked = key(round, Step::Labels);
        }
        if self.facts.told.contains(&asked) {
            return Next::Stay(format!("{lacks}; people were asked"));
        }
        if self.known.ledger.of(asked).is_none() {
            let missing = order.captures.saturating_sub(labels.queued);
            if missing == 0 {
                return Next::Stay(format!("{lacks}; as many wait to be labelled"));
            }
            let left = self
                .known
                .ledger
                .left(Sort::Labels, &policy.budget, self.now);
            if left == 0 {
                return Next::Stay(format!(
                    "{lacks}, and the budget of labels is used up for now"
                ));
            }
            self.known.ledger.charge(asked, self.now, missing.min(left));
        }
        order.captures = self
            .known
            .ledger
            .of(asked)
            .map_or(0, |charge| charge.amount);
        self.give(asked, Act::AskLabels(order));
        Next::Stay(lacks)
    }

    fn proposed(&mut self, policy: &Policy, round: &mut Round) -> Next {
        let told = key(round, Step::Propose);
        if !self.facts.told.contains(&told) {
            let proposal = Proposal::of(policy, &self.known, round, self.facts);
            self.give(told, Act::Propose(Box::new(proposal)));
        }
        let approvals = policy.approvals_before(Before::Training);
        match self.answer(told, &approvals) {
            Answer::Declined(by) => return Next::End(Outcome::Declined(by)),
            Answer::Agreed(agreed) => {
                round.agreed = agreed
                    .into_iter()
                    .map(|by| format!("{by} to the training"))
                    .collect();
            }
            // It goes on by itself, once people can know.
            _ if approvals.is_empty() => {}
            Answer::More(more) => {
                return Next::Stay(format!("{more} more people have to agree to the proposal"));
            }
            Answer::Again | Answer::None => {
                return Next::Stay("somebody has to agree to the proposal".into());
            }
        }
        if !self.facts.told.contains(&told) {
            return Next::Stay("the proposal is not stored yet".into());
        }
        match self.unaffordable(policy) {
            Some(why) => Next::Stay(why),
            None => Next::Go(Stage::Building),
        }
    }

    fn building(&mut self, policy: &Policy, round: &mut Round) -> Next {
        let asked = key(round, Step::Build);
        let until = *round.cut.get_or_insert(self.now);
        match self.facts.datasets.get(&asked) {
            Some(Work::Done(made)) => {
                // It is used up, whatever comes of it: the next round needs labels that are newer.
                self.known.cut = self.known.cut.max(Some(until));
                round.dataset = Some(made.id);
                match dataset::refusal(made) {
                    Some(why) => Next::End(Outcome::Failed(Stage::Building, why)),
                    None => Next::Go(Stage::Training),
                }
            }
            None => {
                let order = DatasetOrder {
                    base: round.champion,
                    until,
                    keep_out: policy.keep_out,
                    without: self.at_fault(),
                };
                self.when_due(round, asked, Act::Build(order))
            }
            Some(work) => self.not_done(policy, round, &describe(work)),
        }
    }

    fn training(&mut self, policy: &Policy, round: &mut Round) -> Next {
        let asked = key(round, Step::Train);
        match self.facts.trainings.get(&asked) {
            Some(Work::Done(trained)) => {
                let took = self.now.0.saturating_sub(round.since.0).max(0) as u64;
                let spent = self
                    .known
                    .ledger
                    .of(asked)
                    .map_or(0, |charge| charge.amount);
                round.cost = Some((spent, took));
                round.trained = Some(trained.clone());
                Next::Go(Stage::Comparing)
            }
            None => {
                let Some(dataset) = round.dataset else {
                    return Next::End(missing(round.stage, "a dataset"));
                };
                if self.now < round.not_before {
                    return Next::Stay("waiting to try again".into());
                }
                if self.known.ledger.of(asked).is_none() {
                    if let Some(why) = self.unaffordable(policy) {
                        return Next::Stay(why);
                    }
                    self.known
                        .ledger
                        .charge(asked, self.now, policy.budget.training);
                }
                let charge = self.known.ledger.of(asked);
                let order = TrainOrder {
                    dataset,
                    core_seconds: charge.map_or(0, |charge| charge.amount),
                };
                self.when_due(round, asked, Act::Train(order))
            }
            Some(work) => self.not_done(policy, round, &describe(work)),
        }
    }

    fn comparing(&mut self, policy: &Policy, round: &mut Round) -> Next {
        let asked = key(round, Step::Compare);
        match self.facts.comparisons.get(&asked) {
            Some(Work::Done(comparison)) => {
                round.compared = round.attempt;
                let verdict = comparison.verdict;
                round.comparison = Some(comparison.clone());
                let enough = policy.bounds.recent == Recent::NoWorse;
                match verdict {
                    Verdict::Better => Next::Go(Stage::AskedRegistration),
                    Verdict::NoWorse if enough => Next::Go(Stage::AskedRegistration),
                    Verdict::Worse | Verdict::NoWorse => Next::End(Outcome::Rejected),
                    Verdict::Unknown if policy.bounds.unknown == OnUnknown::Ask => {
                        Next::Go(Stage::Unknown)
                    }
                    Verdict::Unknown => Next::End(Outcome::Rejected),
                }
            }
            None => {
                let (Some(dataset), Some(challenger)) = (round.dataset, round.trained.clone())
                else {
                    return Next::End(missing(round.stage, "a challenger"));
                };
                let moved = round
                    .evidence
                    .iter()
                    .flat_map(|one| one.sites.iter().cloned());
                let mut sites: Vec<_> = moved.collect();
                sites.sort();
                sites.dedup();
                let order = CompareOrder {
                    champion: round.champion,
                    challenger,
                    dataset,
                    sites,
                    bounds: policy.bounds,
                };
                self.when_due(round, asked, Act::Compare(order))
            }
            Some(work) => self.not_done(policy, round, &describe(work)),
        }
    }

    fn unknown(&mut self, policy: &Policy, round: &mut Round) -> Next {
        let asked = Key {
            attempt: round.compared,
            ..key(round, Step::AskUnknown)
        };
        let said = round.comparison.iter().flat_map(|one| &one.sentences);
        let said: Vec<_> = said.cloned().collect();
        // One of those who decide on registration; anyone if nobody is named.
        let named = policy.approvals_before(Before::Registration);
        let approval = Approval {
            before: Before::Registration,
            people: 1,
            of: named.into_iter().flat_map(|one| one.of).collect(),
        };
        match self.answer(asked, &[approval]) {
            Answer::Agreed(agreed) => {
                let agreed = agreed
                    .into_iter()
                    .map(|by| format!("{by} although it was unclear"));
                round.agreed.extend(agreed);
                return Next::Go(Stage::AskedRegistration);
            }
            Answer::Declined(by) => return Next::End(Outcome::Declined(by)),
            Answer::Again if round.compared < AGAIN_MAX => return Next::Go(Stage::Comparing),
            Answer::Again | Answer::None | Answer::More(_) => {}
        }
        if !self.facts.told.contains(&asked) {
            let text = format!(
                "{} Register it all the same, end the round, or compare again?",
                said.join(" ")
            );
            self.give(asked, Act::Ask(text));
        }
        Next::Stay("it cannot be told which is better; somebody has to say what to do".into())
    }

    /// Whether those who have to agree before something did.
    fn agreement(
        &mut self,
        policy: &Policy,
        round: &mut Round,
        before: Before,
        then: Stage,
    ) -> Next {
        let approvals = policy.approvals_before(before);
        if approvals.is_empty() {
            return Next::Go(then);
        }
        let step = match before {
            Before::Rollout => Step::AskRollOut,
            Before::Training | Before::Registration => Step::AskRegister,
        };
        let asked = key(round, step);
        let lacks = match self.answer(asked, &approvals) {
            Answer::Agreed(agreed) => {
                round.agreed.extend(
                    agreed
                        .into_iter()
                        .map(|by| format!("{by} to the {}", before.word())),
                );
                return Next::Go(then);
            }
            Answer::Declined(by) => return Next::End(Outcome::Declined(by)),
            Answer::More(more) => {
                format!("{more} more people have to agree to the {}", before.word())
            }
            Answer::Again | Answer::None => {
                format!("somebody has to agree to the {}", before.word())
            }
        };
        if !self.facts.told.contains(&asked) {
            let said = round
                .comparison
                .iter()
                .flat_map(|one| one.sentences.iter().cloned());
            let said: Vec<_> = said.collect();
            let text = format!(
                "Agree to the {} of the challenger of round {}? {}",
                before.word(),
                round.number,
                said.join(" ")
            );
            self.give(asked, Act::Ask(text));
        }
        Next::Stay(lacks)
    }

    fn registering(&mut self, policy: &Policy, round: &mut Round) -> Next {
        let asked = key(round, Step::Register);
        match self.facts.versions.get(&asked) {
            Some(Work::Done(version)) => {
                round.version = Some(*version);
                Next::Go(Stage::AskedRollout)
            }
            None => {
                let (Some(dataset), Some(trained)) = (round.dataset, round.trained.clone()) else {
                    return Next::End(missing(round.stage, "a challenger"));
                };
                let comparison = round
                    .comparison
                    .iter()
                    .flat_map(|one| one.sentences.clone());
                let lineage = Lineage {
                    round: round.number,
                    champion: round.champion,
                    dataset,
                    trained,
                    evidence: round.evidence.iter().map(|one| one.text.clone()).collect(),
                    comparison: comparison.collect(),
                    agreed: round.agreed.clone(),
                };
                self.when_due(round, asked, Act::Register(Box::new(lineage)))
            }
            Some(work) => self.not_done(policy, round, &describe(work)),
        }
    }

    fn rolling_out(&mut self, policy: &Policy, round: &mut Round) -> Next {
        let asked = key(round, Step::RollOut);
        match self.facts.rollouts.get(&asked) {
            Some(Work::Done(())) => Next::Go(Stage::Watching),
            Some(Work::Failed(failure)) if failure.again == Again::IsUseless => {
                let reason = failure.reason.chars().take(REASON_MAX).collect();
                Next::End(Outcome::RolloutStopped(reason))
            }
            None => {
                let Some(version) = round.version else {
                    return Next::End(missing(round.stage, "a version"));
                };
                let template = policy.rollout.clone();
                self.when_due(
                    round,
                    asked,
                    Act::RollOut(RolloutOrder { version, template }),
                )
            }
            Some(work) => self.not_done(policy, round, &describe(work)),
        }
    }

    fn watching(&self, policy: &Policy, round: &Round) -> Next {
        let least = WATCH_MIN.min(policy.limits.watch.ms());
        if self.now < later(round.since, least) {
            return Next::Stay("the new version is watched for a day".into());
        }
        let on: Vec<_> = round
            .evidence
            .iter()
            .filter(|one| !self.is_over(policy, round, one))
            .collect();
        match on.first() {
            None => Next::End(Outcome::Recovered),
            Some(first) => Next::Stay(format!(
                "{} of what called for it goes on: {}",
                on.len(),
                first.text
            )),
        }
    }

    /// Whether what called for a round does so no more, now that the new version serves.
    fn is_over(&self, policy: &Policy, round: &Round, one: &Evidence) -> bool {
        let Some(version) = round.version else {
            return false;
        };
        let figure = |measure: Measure| measure.of(self.facts, version);
        let bound = |find: &dyn Fn(&Trigger) -> Option<f64>| policy.triggers.iter().find_map(find);
        match one.cause {
            Cause::Finding(id) => {
                let open = self.facts.findings.iter().any(|open| open.id == id);
                !open || (one.inputs && self.is_as_good(policy, round))
            }
            Cause::Accuracy => {
                let least = bound(&|one| match one {
                    Trigger::AccuracyBelow(share) => Some(share.of_one()),
                    _ => None,
                });
                least.is_none_or(|least| {
                    figure(Measure::Accuracy).is_some_and(|now| now.high >= least)
                })
            }
            Cause::Estimate => {
                let least = bound(&|one| match one {
                    Trigger::EstimateBelow(share) => Some(share.of_one()),
                    _ => None,
                });
                least.is_none_or(|least| {
                    figure(Measure::Estimate).is_some_and(|now| now.high >= least)
                })
            }
            Cause::Error => {
                let most = bound(&|one| match one {
                    Trigger::ErrorAbove(most) => Some(*most),
                    _ => None,
                });
                most.is_none_or(|most| figure(Measure::Error).is_some_and(|now| now.low <= most))
            }
            Cause::NewLabels | Cause::Schedule => true,
        }
    }

    /// Inputs that moved stay where they are. The round is answered when the new version is known to be no worse on
    /// them than the one before was.
    fn is_as_good(&self, policy: &Policy, round: &Round) -> bool {
        let (
            Some(Baseline {
                measure,
                figure: before,
            }),
            Some(version),
        ) = (round.before, round.version)
        else {
            return false;
        };
        let now = measure.of(self.facts, version);
        now.filter(|now| now.n >= policy.bounds.samples)
            .is_some_and(|now| match measure {
                Measure::Accuracy | Measure::Estimate => now.value >= before.value,
                Measure::Error => now.value <= before.value,
            })
    }

    /// Work that is there and not done.
    fn not_done(&self, policy: &Policy, round: &mut Round, work: &Undone) -> Next {
        let (reason, again) = match work {
            Undone::Running => return Next::Stay(format!("{} goes on", round.stage.words())),
            Undone::Stopped => ("somebody stopped it".to_string(), Again::IsUseless),
            Undone::Failed(reason, again) => (reason.clone(), *again),
        };
        let first = if round.stage == Stage::Comparing {
            round.compared
        } else {
            0
        };
        let tried = round.attempt.saturating_sub(first);
        if again == Again::IsUseless || tried > u16::from(policy.retry.times) {
            return Next::End(Outcome::Failed(round.stage, reason));
        }
        round.attempt = round.attempt.saturating_add(1);
        round.not_before = later(self.now, policy.retry.after.ms());
        Next::Stay(format!("{reason}; it is tried again"))
    }

    /// Gives an action once its time has come.
    fn when_due(&mut self, round: &Round, key: Key, act: Act) -> Next {
        if self.now < round.not_before {
            return Next::Stay("waiting to try again".into());
        }
        self.give(key, act);
        Next::Stay(format!("{} is ordered", round.stage.words()))
    }

    fn give(&mut self, key: Key, act: Act) {
        self.actions.push(Action { key, act });
    }

    /// Why no training may begin now.
    fn unaffordable(&self, policy: &Policy) -> Option<String> {
        let left = self
            .known
            .ledger
            .left(Sort::CoreSeconds, &policy.budget, self.now);
        let need = policy.budget.training;
        (left < need).then(|| {
            format!("a training may take {need} core-seconds, and the budget leaves {left} for now")
        })
    }

    /// Devices that are at fault.
    fn at_fault(&self) -> Vec<DeviceId> {
        let faults = self.facts.findings.iter();
        let faults = faults.filter(|one| one.attribution == Attribution::Devices);
        let devices: BTreeMap<_, ()> = faults
            .flat_map(|one| &one.at_devices)
            .map(|one| (one.clone(), ()))
            .collect();
        devices.into_keys().take(WITHOUT_MAX).collect()
    }
}

/// Work that is there and not done.
enum Undone {
    Running,
    Stopped,
    Failed(String, Again),
}

fn describe<T>(work: &Work<T>) -> Undone {
    match work {
        Work::Running | Work::Done(_) => Undone::Running,
        Work::Stopped => Undone::Stopped,
        Work::Failed(failure) => {
            let reason = failure.reason.chars().take(REASON_MAX).collect();
            Undone::Failed(reason, failure.again)
        }
    }
}

/// A state that no step leads to: stored by another program.
fn missing(stage: Stage, what: &str) -> Outcome {
    Outcome::Failed(stage, format!("the stored round has no {what}"))
}

fn limit(policy: &Policy, stage: Stage) -> Span {
    let limits = &policy.limits;
    match stage {
        Stage::Waiting => limits.labels,
        Stage::Proposed | Stage::Unknown | Stage::AskedRegistration | Stage::AskedRollout => {
            limits.answer
        }
        Stage::Building => limits.dataset,
        Stage::Training => limits.training,
        Stage::Comparing => limits.comparison,
        Stage::Registering => limits.registration,
        Stage::RollingOut => limits.rollout,
        Stage::Watching => limits.watch,
    }
}

fn too_long(policy: &Policy, stage: Stage, why: String) -> Outcome {
    match stage {
        Stage::Watching => Outcome::NotRecovered,
        Stage::Waiting
        | Stage::Proposed
        | Stage::Unknown
        | Stage::AskedRegistration
        | Stage::AskedRollout => Outcome::Expired(stage),
        _ => Outcome::Failed(
            stage,
            format!("it took longer than {}: {why}", limit(policy, stage)),
        ),
    }
}
