//! From a comparison to the fleet: who is asked, the version, its rollout.

use super::{
    Look, Next,
    asked::Answer,
    key,
    work::{REASON_MAX, describe, missing},
};
use crate::{
    action::{Act, Key, Lineage, RolloutOrder, Step},
    fact::{Again, Work},
    policy::{Before, Policy},
    state::{Outcome, Round, Stage},
};

/// How often a person may have a comparison made again.
const AGAIN_MAX: u16 = 10;

impl Look<'_> {
    pub(super) fn unknown(&mut self, policy: &Policy, round: &mut Round) -> Next {
        let asked = Key {
            attempt: round.compared,
            ..key(round, Step::AskUnknown)
        };
        let said = round.comparison.iter().flat_map(|one| &one.sentences);
        let said: Vec<_> = said.cloned().collect();
        match self.answer(asked, &[policy.approval_if_unclear()]) {
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
    pub(super) fn agreement(
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

    pub(super) fn registering(&mut self, policy: &Policy, round: &mut Round) -> Next {
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

    pub(super) fn rolling_out(&mut self, policy: &Policy, round: &mut Round) -> Next {
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
}
