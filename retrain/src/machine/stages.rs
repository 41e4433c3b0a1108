//! From stage to stage.

use std::collections::BTreeSet;

use tern_protocol::{
    id::{DeviceId, SiteName},
    rest::{Attribution, Span},
};

use super::{
    Look, Next,
    asked::Answer,
    key, later,
    work::{describe, missing},
};
use crate::{
    action::{Act, CompareOrder, DatasetOrder, Step, TrainOrder},
    compare::Verdict,
    dataset,
    fact::{Say, Work},
    ledger::{DAY, Sort},
    policy::{Before, OnUnknown, Policy, Recent},
    proposal::Proposal,
    state::{Outcome, Round, Stage},
    trigger,
};

/// Devices at fault that are named to whoever makes a dataset, at most.
const WITHOUT_MAX: usize = 10_000;

impl Look<'_> {
    /// What follows for the round.
    pub(super) fn next(&mut self, policy: &Policy, round: &mut Round) -> Next {
        if let Some(outcome) = self.overtaken(round) {
            return Next::End(outcome);
        }
        // What holds joins, as long as no version answers it yet. What is found under the new one calls for the next.
        if round.stage != Stage::Watching {
            let look = trigger::Look {
                known: &self.known,
                facts: self.facts,
                round: round.number,
                now: self.now,
            };
            let holding = trigger::holding(policy, &look);
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
                Next::End(too_long(policy, round.stage, &why))
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
        let charged = self.known.ledger.of(asked);
        let long_ago = charged.is_none_or(|charge| self.now >= later(charge.at, DAY as u64));
        if self.facts.told.contains(&asked) && long_ago {
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
        if round.cut.is_none() {
            round.moved = self.moved(policy, round);
        }
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
                    training: policy.training.clone(),
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
                let asks = policy.bounds.unknown == OnUnknown::Ask;
                match verdict {
                    Verdict::Better => Next::Go(Stage::AskedRegistration),
                    Verdict::NoWorse if enough => Next::Go(Stage::AskedRegistration),
                    Verdict::Unknown if asks => Next::Go(Stage::Unknown),
                    Verdict::Worse | Verdict::NoWorse | Verdict::Unknown => {
                        Next::End(Outcome::Rejected)
                    }
                }
            }
            None => {
                let (Some(dataset), Some(challenger)) = (round.dataset, round.trained.clone())
                else {
                    return Next::End(missing(round.stage, "a challenger"));
                };
                let order = CompareOrder {
                    champion: round.champion,
                    challenger,
                    dataset,
                    sites: round.moved.clone(),
                    bounds: policy.bounds,
                };
                self.when_due(round, asked, Act::Compare(order))
            }
            Some(work) => self.not_done(policy, round, &describe(work)),
        }
    }

    /// Sites that moved of which there are labels enough. One that joined after people had been asked may have none, and
    /// would make every comparison unknown; it calls for the next round if it does not recover.
    fn moved(&self, policy: &Policy, round: &Round) -> Vec<SiteName> {
        let there = |site: &SiteName| self.facts.labels.by_site.get(site).copied().unwrap_or(0);
        let sites: BTreeSet<_> = round
            .evidence
            .iter()
            .flat_map(|one| one.sites.iter().cloned())
            .collect();
        sites
            .into_iter()
            .filter(|site| there(site) >= policy.minimum.per_site)
            .collect()
    }

    /// Devices that are at fault.
    fn at_fault(&self) -> Vec<DeviceId> {
        let faults = self.facts.findings.iter();
        let faults = faults.filter(|one| one.attribution == Attribution::Devices);
        let devices: BTreeSet<_> = faults
            .flat_map(|one| one.at_devices.iter().cloned())
            .collect();
        devices.into_iter().take(WITHOUT_MAX).collect()
    }
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

fn too_long(policy: &Policy, stage: Stage, why: &str) -> Outcome {
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
