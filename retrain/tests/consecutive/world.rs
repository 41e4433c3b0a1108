//! A world in which a model is trained anew: what domains store, what people say, and a driver that can be killed.

use std::collections::BTreeMap;

use tern_protocol::{
    id::{ModelVersion, SiteName, UserName},
    rest::{Attribution, FindingKind, Share, Span},
    time::WallTime,
};
use tern_retrain::{
    Act, Action, Comparison, Facts, Key, Lesson, Loop, Outcome, Policy, Stage, Step, Stepped,
    Verdict, Work,
    compare::PartResult,
    fact::{Again, Champion, Dataset, Failure, Figure, OpenFinding, Rows, Say, Trained, Word},
    policy::{FindingTrigger, Limits, Mode, Trigger},
};

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// When the world begins.
pub const START: i64 = 1_800_000_000_000;

/// Where a driver is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// Not at all.
    Never,
    /// Before what follows is stored.
    BeforeCommit,
    /// After it is stored and so many actions were carried out.
    After(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub struct World {
    pub now: WallTime,
    pub policy: Option<Policy>,
    pub facts: Facts,
    /// When labels were stored.
    pub labels: Vec<WallTime>,
    /// What is stored of the loop.
    pub stored: Vec<u8>,
    /// Lessons that were stored with it.
    pub lessons: Vec<Lesson>,
    /// What was done, in order.
    pub effects: Vec<Key>,
    /// What each key was given for: it may never be given for something else.
    pub given: BTreeMap<Key, String>,
    /// Rounds that were opened, and when.
    pub opened: BTreeMap<u32, WallTime>,
    pub next_id: u64,
}

pub fn policy(mode: Mode) -> Policy {
    Policy {
        model: "digits".parse().unwrap(),
        mode,
        triggers: vec![
            Trigger::Finding(FindingTrigger::default()),
            Trigger::AccuracyBelow(Share::percent(90)),
        ],
        minimum: tern_retrain::policy::Minimum {
            labels: 200,
            new: 50,
            per_class: 5,
            per_site: 30,
        },
        keep_out: Share::percent(33),
        cool_down: Span::minutes(7 * 24 * 60),
        budget: tern_retrain::policy::Budget {
            training: 1_000,
            per_day: Some(2_500),
            per_month: Some(6_000),
            labels_per_day: Some(300),
            labels_per_month: Some(2_000),
        },
        bounds: tern_retrain::policy::Bounds::default(),
        training: "usual".parse().unwrap(),
        rollout: "careful".into(),
        approvals: Vec::new(),
        limits: Limits::default(),
        retry: tern_retrain::policy::Retry::default(),
    }
}

pub fn version(number: u32) -> ModelVersion {
    ModelVersion::new(number).unwrap()
}

pub fn site(number: usize) -> SiteName {
    format!("site-{number}").parse().unwrap()
}

/// A comparison with this verdict.
pub fn comparison(verdict: Verdict) -> Comparison {
    let part = PartResult {
        verdict,
        difference: None,
    };
    Comparison {
        verdict,
        held_out: part,
        recent: part,
        recent_without: None,
        slices: Vec::new(),
        slices_known: 0,
        deviating: Vec::new(),
        unchecked: 0,
        sentences: vec![format!("{verdict:?}, by 3.0 points.")],
    }
}

impl World {
    pub fn new(mode: Mode) -> Self {
        let policy = policy(mode);
        assert_eq!(policy.problems(), []);
        Self {
            now: WallTime(START),
            policy: Some(policy),
            facts: Facts {
                champion: Some(Champion {
                    version: version(1),
                    since: WallTime(START),
                }),
                ..Facts::default()
            },
            labels: Vec::new(),
            stored: Loop::default().to_bytes(),
            lessons: Vec::new(),
            effects: Vec::new(),
            given: BTreeMap::new(),
            opened: BTreeMap::new(),
            next_id: 1,
        }
    }

    pub fn wait(&mut self, ms: i64) {
        self.now.0 += ms;
    }

    pub fn known(&self) -> Loop {
        Loop::restore(&self.stored).unwrap()
    }

    pub fn stage(&self) -> Option<Stage> {
        self.known().open().map(|round| round.stage)
    }

    pub fn label(&mut self, n: u64, at: usize) {
        for _ in 0..n {
            self.labels.push(self.now);
        }
        let labels = &mut self.facts.labels;
        labels.usable += n;
        labels.queued = labels.queued.saturating_sub(n);
        *labels.by_site.entry(site(at)).or_default() += n;
        for class in 0..4 {
            *labels.by_class.entry(class.to_string()).or_default() += n / 4;
        }
    }

    pub fn find(&mut self, attribution: Attribution, sites: &[usize]) -> i64 {
        let id = self.fresh() as i64;
        self.facts.findings.push(OpenFinding {
            id,
            kind: FindingKind::Confidence,
            attribution,
            sites: sites.iter().map(|at| site(*at)).collect(),
            at_devices: Vec::new(),
            since: WallTime(self.now.0 - DAY),
            opened: self.now,
            devices: 12,
            of_devices: 400,
            text: format!("{} sites are less sure than before", sites.len()),
        });
        id
    }

    pub fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A look, with a driver that may be killed.
    pub fn look(&mut self, kill: Kill) -> Stepped {
        let before = self.known();
        let mut facts = self.facts.clone();
        let cut = before.cut();
        facts.labels.new = self
            .labels
            .iter()
            .filter(|at| cut.is_none_or(|cut| **at > cut))
            .count() as u64;
        let stepped = before.step(self.policy.as_ref(), &facts, self.now);
        let given = self.check(&before, &facts, &stepped);
        if kill == Kill::BeforeCommit {
            return stepped;
        }
        self.given.extend(given);
        self.stored = stepped.next.to_bytes();
        assert_eq!(
            self.known(),
            stepped.next,
            "what is stored is what was known"
        );
        if let Some(round) = stepped.next.open() {
            self.opened.entry(round.number).or_insert(round.opened);
        }
        self.lessons.extend(stepped.ended.clone());
        for (done, action) in stepped.actions.iter().enumerate() {
            if kill == Kill::After(done) {
                return stepped;
            }
            self.carry_out(action);
        }
        stepped
    }

    /// Looks until nothing new comes of it.
    pub fn look_until_quiet(&mut self) {
        for _ in 0..40 {
            let before = (self.stored.clone(), self.effects.len());
            self.look(Kill::Never);
            if before == (self.stored.clone(), self.effects.len()) {
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.known().open());
    }

    /// What a domain does: nothing for a key that it has.
    fn carry_out(&mut self, action: &Action) {
        let key = action.key;
        let facts = &mut self.facts;
        let new = match &action.act {
            Act::AskLabels(order) => {
                let new = facts.told.insert(key);
                if new {
                    facts.labels.queued += order.captures;
                }
                new
            }
            Act::Propose(_) | Act::Ask(_) => facts.told.insert(key),
            Act::Build(_) => begin(&mut facts.datasets, key),
            Act::Train(order) => {
                // It takes all that it may, at once.
                facts.core_seconds.entry(key).or_insert(order.core_seconds);
                begin(&mut facts.trainings, key)
            }
            Act::Compare(_) => begin(&mut facts.comparisons, key),
            Act::Register(_) => begin(&mut facts.versions, key),
            Act::RollOut(_) => begin(&mut facts.rollouts, key),
            Act::Stop => {
                stop(&mut facts.datasets, key);
                stop(&mut facts.trainings, key);
                stop(&mut facts.comparisons, key);
                stop(&mut facts.versions, key);
                stop(&mut facts.rollouts, key);
                return;
            }
        };
        if new {
            self.effects.push(key);
        }
    }

    /// Work that runs comes to a good end.
    pub fn succeed(&mut self, verdict: Verdict) {
        let (id, again) = (
            self.fresh(),
            self.facts.champion.map_or(1, |one| one.version.get()) + 1,
        );
        let rows = Rows::Classes([("0".to_string(), 50), ("1".to_string(), 60)].into());
        finish(
            &mut self.facts.datasets,
            Work::Done(Dataset {
                id,
                rows,
                kept_out: 70,
            }),
        );
        let trained = Trained {
            run: format!("run-{id}"),
            bundle: format!("sha-{id}"),
        };
        finish(&mut self.facts.trainings, Work::Done(trained));
        finish(&mut self.facts.comparisons, Work::Done(comparison(verdict)));
        finish(&mut self.facts.versions, Work::Done(version(again)));
        if finish(&mut self.facts.rollouts, Work::Done(())) {
            let version = self.known().open().and_then(|round| round.version);
            if let Some(version) = version {
                self.facts.champion = Some(Champion {
                    version,
                    since: self.now,
                });
            }
        }
    }

    /// Work that runs fails.
    pub fn fail(&mut self, again: Again) {
        let failure = || Failure {
            reason: "the disk is full".into(),
            again,
        };
        finish(&mut self.facts.datasets, Work::Failed(failure()));
        finish(&mut self.facts.trainings, Work::Failed(failure()));
        finish(&mut self.facts.comparisons, Work::Failed(failure()));
        finish(&mut self.facts.versions, Work::Failed(failure()));
        finish(&mut self.facts.rollouts, Work::Failed(failure()));
    }

    /// The question of the open round that is put last.
    pub fn question(&self) -> Option<Key> {
        let known = self.known();
        let number = known.open()?.number;
        let asked = |key: &&Key| {
            key.round == number
                && matches!(
                    key.step,
                    Step::Propose | Step::AskUnknown | Step::AskRegister | Step::AskRollOut
                )
        };
        self.facts.told.iter().rfind(asked).copied()
    }

    pub fn say(&mut self, by: &str, say: Say) {
        if let Some(key) = self.question() {
            self.facts.words.push(Word {
                key,
                by: by.parse().unwrap(),
                at: self.now,
                say,
            });
        }
    }

    pub fn accuracy(&mut self, value: f64) {
        let version = self.facts.champion.unwrap().version;
        self.facts.accuracy = Some(Figure {
            version,
            value,
            low: value - 0.02,
            high: value + 0.02,
            n: 400,
        });
    }

    pub fn outcomes(&self) -> Vec<&Outcome> {
        self.lessons.iter().map(|lesson| &lesson.outcome).collect()
    }
}

fn begin<T>(work: &mut BTreeMap<Key, Work<T>>, key: Key) -> bool {
    let new = !work.contains_key(&key);
    work.entry(key).or_insert(Work::Running);
    new
}

fn stop<T>(work: &mut BTreeMap<Key, Work<T>>, key: Key) {
    if let Some(one) = work.get_mut(&key).filter(|one| one.is_running()) {
        *one = Work::Stopped;
    }
}

fn finish<T>(work: &mut BTreeMap<Key, Work<T>>, with: Work<T>) -> bool {
    match work.values_mut().find(|one| one.is_running()) {
        Some(one) => {
            *one = with;
            true
        }
        None => false,
    }
}

/// A world with labels enough, in which a site moved.
pub fn moved(mode: Mode) -> World {
    let mut world = World::new(mode);
    world.label(400, 1);
    world.wait(HOUR);
    world.find(Attribution::Sites, &[1]);
    world
}

/// Goes on until the round is in a stage; everything succeeds, and `anna` agrees.
pub fn until(world: &mut World, stage: Stage) {
    for _ in 0..60 {
        world.look_until_quiet();
        if world.stage() == Some(stage) {
            return;
        }
        if world.question().is_some() {
            world.say("anna", Say::Agree);
        }
        world.succeed(Verdict::Better);
        world.wait(MINUTE);
    }
    panic!(
        "never {stage:?}: {:?} {:?}",
        world.known().open(),
        world.lessons
    );
}

pub fn name(name: &str) -> UserName {
    name.parse().unwrap()
}
