//! How the model is trained anew: what people set up once, and the round that follows, as it goes by.
//!
//! Called by the demo and by `tern-bench`. Must never break: every wait for a round has a deadline, and what is said
//! when it is over are the hub's own words.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tern_protocol::rest::{LessonView, RoundStage, RoundView};

use super::{
    Programs,
    cast::{MODEL, SLOT},
    tern::Tern,
};

/// Name of the plan by which versions are rolled out once there is one to compare with.
pub const TEMPLATE: &str = "careful";

/// Devices that this plan moves first.
pub const FIRST: u64 = 4;

/// Name of the job by which challengers are trained.
const TRAINING: &str = "further";

/// For how long a proposal waits for a person.
pub const ANSWER: Duration = Duration::from_mins(30);

/// Longest time of any other stage. The hub ends a round before that by the limits of its policy, and says why.
const STAGE: Duration = Duration::from_mins(8);

/// Longest time from the fog, or from what was found of it, to the round that it calls for.
const OPENED: Duration = Duration::from_mins(2);

/// What runs for a training. It goes on from what serves: what changes little travels as little.
const TRAIN: &str = "exec \"$TRAINER\" train --dataset \"$TERN_DATASET\" --from \"$CHAMPION\" --seed 1 \
    --epochs 20 --learning-rate 2e-3 --note 'trained further by the hub' --json --out model";

/// Seconds that it may run: it takes a few.
const TRAIN_LIMIT: u64 = 180;

/// What is asked of versions: few meters, little time.
fn plan() -> String {
    format!(
        "\
slot: {SLOT}
model: {MODEL}
control: 4
stages:
  - {{to: {FIRST}, soak: 5s}}
  - {{to: 100%, soak: 5s}}
gates:
  - serve-failure: {{limit: 20%}}
  - accuracy: {{limit: 15%}}
"
    )
}

/// By what the model is trained anew. There is one approval in it, that of the proposal.
///
/// Of the three meters at a site two are kept out to compare on: what one meter sees is alike, and it takes several to
/// tell what a version does from what a meter does. The labels that it wants are more than people give in passing until
/// fog is found, so they are asked for the rest. By chance alone two networks differ by 2 % on the 297 images that are
/// held out, so what counts as worse there is more.
fn policy() -> String {
    let answer = ANSWER.as_secs() / 60;
    format!(
        "\
model: {MODEL}
mode: propose
triggers:
  - finding: {{kinds: [input], attributions: [sites, fleet]}}
minimum: {{per-site: 900}}
keep-out: 50%
bounds: {{held-out: 5%, slice: 10%, unknown: reject}}
training: {TRAINING}
rollout: {TEMPLATE}
limits:
  labels: 5m
  answer: {answer}m
  dataset: 3m
  training: 5m
  comparison: 3m
  registration: 3m
  rollout: 7m
  watch: 25s
retry: {{times: 1, after: 1s}}
"
    )
}

/// Keeps at the hub how versions are rolled out, how they are trained, and by what policy. `champion` is the package of
/// the version that serves.
pub fn set_up(tern: &Tern, programs: &Programs, folder: &Path, champion: &Path) -> Result<()> {
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| file.display().to_string())?;
        anyhow::Ok(file)
    };
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.with_context(|| format!("{} is not UTF-8", path.display()))
    };
    let job = json!({
        "command": ["sh", "-c", TRAIN],
        "variables": {"TRAINER": text(&programs.models)?, "CHAMPION": text(champion)?},
        "time_limit": TRAIN_LIMIT,
    });
    tern.keep_plan(&write("plan.yaml", plan())?, TEMPLATE)?;
    tern.keep_training(TRAINING, &write("training.json", job.to_string())?)?;
    tern.keep_policy(&write("policy.yaml", policy())?)
}

/// Follows the first round of the model.
#[derive(Debug)]
pub struct Follow {
    stage: Option<RoundStage>,
    since: Instant,
}

/// How a round stands.
#[derive(Debug)]
pub enum Stands {
    /// None was opened yet.
    NotYet,
    /// It is open.
    Open {
        /// The round.
        round: Box<RoundView>,
        /// Whether it was in another stage when it was looked at before.
        entered: bool,
        /// What it waits for, in the hub's words.
        waits: String,
    },
    /// It is over, and this is what it taught.
    Over(Box<LessonView>),
}

impl Default for Follow {
    fn default() -> Self {
        Self {
            stage: None,
            since: Instant::now(),
        }
    }
}

impl Follow {
    /// Looks once; an error if the round should have gone on by now.
    pub fn look(&mut self, tern: &Tern) -> Result<Stands> {
        let view = tern.retraining()?;
        let Some(round) = view.round else {
            let over = if view.rounds > 0 {
                tern.lessons()?.into_iter().next()
            } else {
                None
            };
            if let Some(lesson) = over {
                return Ok(Stands::Over(Box::new(lesson)));
            }
            ensure!(
                self.since.elapsed() < OPENED,
                "the hub opened no round of retraining within {} s: {}",
                OPENED.as_secs(),
                view.waits
            );
            return Ok(Stands::NotYet);
        };
        let entered = self.stage != Some(round.stage);
        if entered {
            self.stage = Some(round.stage);
            self.since = Instant::now();
        }
        let limit = limit(round.stage);
        ensure!(
            self.since.elapsed() < limit,
            "round {} of retraining is {} for {} s: {}",
            round.number,
            round.stage.words(),
            limit.as_secs(),
            view.waits
        );
        Ok(Stands::Open {
            round: Box::new(round),
            entered,
            waits: view.waits,
        })
    }
}

fn limit(stage: RoundStage) -> Duration {
    match stage {
        // The hub's own limit is as long, and it says what came of it.
        RoundStage::Proposed => ANSWER + STAGE,
        _ => STAGE,
    }
}
