//! What follows from what is known: the step of a model's loop.

mod asked;
mod letting_out;
mod stages;
mod watching;
mod work;

use tern_protocol::{
    codec::{self, DecodeError},
    time::WallTime,
};

use crate::{
    action::{Act, Action, Key, Step},
    fact::{Facts, Work},
    ledger::DAY,
    policy::Policy,
    state::{
        Answered, Baseline, FORMAT, LESSONS_MAX, Lesson, Loop, Measure, Outcome, Round, Stage,
    },
    trigger::{self, Cause},
};

/// Stages that one look may pass through; there are fewer.
const STAGES_MAX: usize = 16;

/// Findings that are remembered as answered. Numbers of findings rise, so the oldest are those with the least.
const ANSWERED_MAX: usize = 1_024;

/// Largest state that is read, in bytes: a hundred lessons and a round with all of its evidence are a tenth of it.
const STATE_MAX: usize = 16 * 1024 * 1024;

/// What came of a look.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    /// What is known now; stored before any action is carried out.
    pub next: Loop,
    /// What is to be done. The same actions come again until facts show that they were carried out.
    pub actions: Vec<Action>,
    /// What was learned, if a round ended; to be stored together with what is known.
    pub ended: Option<Lesson>,
    /// What is waited for, in words.
    pub waits: String,
}

/// Why a stored state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes are no state.
    #[error("the state of a model's retraining cannot be read")]
    Decode(#[from] DecodeError),
    /// A newer program wrote it.
    #[error(
        "the state of a model's retraining has form {stored}, and this program reads up to {FORMAT}; run a newer one"
    )]
    Newer {
        /// Its form.
        stored: u16,
    },
}

/// A clock that was set back by less stands still until it has caught up; one that was set back by more had been wrong.
const CLOCK_BACK: i64 = DAY;

impl Loop {
    /// As it was stored by [`Self::to_bytes`].
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        let known: Self = codec::decode_within(bytes, STATE_MAX)?;
        if known.format > FORMAT {
            let stored = known.format;
            return Err(RestoreError::Newer { stored });
        }
        Ok(known)
    }

    /// The state, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// What follows from what is stored now. Without a policy an open round ends, and none begins.
    #[must_use]
    pub fn step(&self, policy: Option<&Policy>, facts: &Facts, now: WallTime) -> Stepped {
        let mut known = self.clone();
        known.tell_time(now);
        let now = known.latest;
        known.ledger.settle(facts, now);
        let mut look = Look {
            facts,
            now,
            known,
            actions: Vec::new(),
            ended: None,
        };
        let waits = if let Some(policy) = policy {
            look.advance(policy)
        } else {
            if let Some(round) = look.known.open.take() {
                let why = "its policy was taken away".into();
                look.end(round, Outcome::Superseded(why));
            }
            "there is no policy".into()
        };
        look.stop_what_nobody_waits_for();
        Stepped {
            next: look.known,
            actions: look.actions,
            ended: look.ended,
            waits,
        }
    }

    /// It is so late. A clock that was far ahead and is set right would otherwise stand still for as long, and no round
    /// would end meanwhile: then what was seen to be later than now is taken for now. So the cool-down and the limits
    /// begin anew, and are never cut short.
    fn tell_time(&mut self, now: WallTime) {
        if self.latest.0.saturating_sub(now.0) <= CLOCK_BACK {
            self.latest = self.latest.max(now);
            return;
        }
        self.latest = now;
        self.ended = self.ended.map(|ended| ended.min(now));
        self.cut = self.cut.map(|cut| cut.min(now));
        self.ledger.not_after(now);
        if let Some(round) = &mut self.open {
            round.opened = round.opened.min(now);
            round.since = round.since.min(now);
            round.not_before = round.not_before.min(now);
        }
    }
}

/// One look.
struct Look<'a> {
    facts: &'a Facts,
    now: WallTime,
    known: Loop,
    actions: Vec<Action>,
    ended: Option<Lesson>,
}

/// What follows for a round.
enum Next {
    /// It stays where it is, for this reason.
    Stay(String),
    /// It goes on.
    Go(Stage),
    /// It is over.
    End(Outcome),
}

impl Look<'_> {
    /// Opens a round if one is due, and takes it as far as it comes. What it waits for then.
    fn advance(&mut self, policy: &Policy) -> String {
        let opened = self.known.open.is_none();
        let round = match self.known.open.take() {
            Some(round) => Ok(round),
            None => self.begin(policy),
        };
        let mut round = match round {
            Ok(round) => round,
            Err(why) => return why,
        };
        if opened {
            self.known.round = round.number;
        }
        for _ in 0..STAGES_MAX {
            match self.next(policy, &mut round) {
                Next::Go(stage) => enter(&mut round, stage, self.now),
                Next::Stay(why) => {
                    self.known.open = Some(round);
                    return why;
                }
                Next::End(outcome) => {
                    let text = outcome.text();
                    self.end(round, outcome);
                    return format!("the round ended: {text}");
                }
            }
        }
        self.known.open = Some(round);
        "more stages than one look takes; the next goes on".into()
    }

    /// A new round, if something calls for it and it may begin; else why not.
    fn begin(&self, policy: &Policy) -> Result<Round, String> {
        let champion = self.facts.champion.ok_or("no version serves")?;
        if let Some(ended) = self.known.ended {
            let until = later(ended, policy.cool_down.ms());
            if self.now < until {
                let left = crate::ledger::time_left(until.0.saturating_sub(self.now.0));
                return Err(format!("cooling down: {left}"));
            }
        }
        let number = self.known.round.saturating_add(1);
        let look = trigger::Look {
            known: &self.known,
            facts: self.facts,
            round: number,
            now: self.now,
        };
        let evidence = trigger::holding(policy, &look);
        if evidence.is_empty() {
            return Err("nothing calls for a round".into());
        }
        let before = Measure::ALL.into_iter().find_map(|measure| {
            let figure = measure.of(self.facts, champion.version)?;
            Some(Baseline { measure, figure })
        });
        Ok(Round {
            number,
            stage: Stage::Waiting,
            opened: self.now,
            since: self.now,
            attempt: 1,
            not_before: self.now,
            champion: champion.version,
            evidence,
            before,
            cut: None,
            dataset: None,
            trained: None,
            comparison: None,
            version: None,
            agreed: Vec::new(),
            cost: None,
            compared: 0,
            moved: Vec::new(),
        })
    }

    /// A round is over.
    fn end(&mut self, round: Round, outcome: Outcome) {
        let answered = match outcome {
            Outcome::Recovered => true,
            // Who declines a challenger does not say that nothing is to be done.
            Outcome::Declined(_) => round.cut.is_none(),
            _ => false,
        };
        if answered {
            for one in &round.evidence {
                if let Cause::Finding(id) = one.cause {
                    let answered = Answered {
                        fleet: one.fleet,
                        sites: one.sites.clone(),
                    };
                    self.known.answered.insert(id, answered);
                }
            }
            while self.known.answered.len() > ANSWERED_MAX {
                self.known.answered.pop_first();
            }
        }
        let lesson = Lesson {
            round: round.number,
            opened: round.opened,
            ended: self.now,
            outcome,
            evidence: round.evidence.into_iter().map(|one| one.text).collect(),
            champion: round.champion,
            dataset: round.dataset,
            challenger: round.trained,
            version: round.version,
            comparison: round.comparison.map_or_else(Vec::new, |one| one.sentences),
            cost: round.cost,
        };
        self.known.lessons.push_back(lesson.clone());
        while self.known.lessons.len() > LESSONS_MAX {
            self.known.lessons.pop_front();
        }
        self.known.open = None;
        self.known.ended = Some(self.now);
        self.ended = Some(lesson);
        // What was to be done for it is not to be done any more.
        self.actions.clear();
    }

    /// Stops work that runs and that the open round does not wait for: of a round that ended, or of an attempt that
    /// was given up. Found in the facts each time, so that no stop can be forgotten.
    fn stop_what_nobody_waits_for(&mut self) {
        let waited = self.known.open.as_ref().and_then(waited_for);
        let facts = self.facts;
        let running = running(&facts.datasets)
            .chain(running(&facts.trainings))
            .chain(running(&facts.comparisons))
            .chain(running(&facts.versions))
            .chain(running(&facts.rollouts));
        for key in running.filter(|key| Some(*key) != waited) {
            self.actions.push(Action {
                key,
                act: Act::Stop,
            });
        }
    }
}

fn running<T>(work: &std::collections::BTreeMap<Key, Work<T>>) -> impl Iterator<Item = Key> + '_ {
    let running = work.iter().filter(|(_, work)| work.is_running());
    running.map(|(key, _)| *key)
}

/// The work that a round waits for.
fn waited_for(round: &Round) -> Option<Key> {
    let step = match round.stage {
        Stage::Building => Step::Build,
        Stage::Training => Step::Train,
        Stage::Comparing => Step::Compare,
        Stage::Registering => Step::Register,
        Stage::RollingOut => Step::RollOut,
        _ => return None,
    };
    Some(key(round, step))
}

fn key(round: &Round, step: Step) -> Key {
    Key {
        round: round.number,
        step,
        attempt: round.attempt,
    }
}

/// So many milliseconds later.
fn later(time: WallTime, ms: u64) -> WallTime {
    WallTime(time.0.saturating_add_unsigned(ms))
}

fn enter(round: &mut Round, stage: Stage, now: WallTime) {
    round.stage = stage;
    round.since = now;
    round.not_before = now;
    round.attempt = match stage {
        Stage::Comparing => round.compared.saturating_add(1),
        _ => 1,
    };
}
