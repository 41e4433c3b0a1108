//! Two meters on a model that reads digits badly, labels that say so, and whatever a training is to leave.

use std::{fmt::Write as _, fs, path::PathBuf};

use serde_json::{Value, json};
use tern_cli::client::CaptureQuery;
use tern_models::data::{self, Part, Sample};
use tern_protocol::{
    digest::Digest,
    id::{DeviceId, PredictionId},
    rest::{LabelImport, NewLabel, RolloutState},
    tensor::Tensor,
};
use tern_tests::{
    agent::SLOT,
    cli::{tern, tern_json},
    fleet::{Fleet, MODEL, meter},
    oip::Input,
    package::{self, Package},
    wait,
};

/// A policy for tests: everything is quick, and nothing calls for a round by itself.
pub(super) const POLICY: &str = "\
model: MODEL
triggers:
  - every: 366d
minimum: {labels: 20, new: 0, per-class: 0, per-site: 0}
keep-out: 40%
cool-down: 0s
bounds: {samples: 10, slice-samples: 10}
training: copy
rollout: quick
limits: {watch: 1s}
retry: {times: 1, after: 1s}
";

/// A hub, two meters, and what they saw.
pub(super) struct Field {
    pub(super) fleet: Fleet,
    /// Which version answered each, and what is true.
    seen: Vec<(DeviceId, PredictionId, u8)>,
    images: Vec<Sample>,
    labelled: usize,
}

impl Field {
    /// Two meters at two sites on version 1, which guesses. `dataset`: whether it is known what that was trained on.
    pub(super) fn guessing(dataset: bool) -> Self {
        let mut fleet = Fleet::with_hub(&["--retrain-every=1s"]);
        for number in [1, 2] {
            fleet.add(&meter(number).capturing_all().activation("trial = \"1s\""));
        }
        let champion = package::random(fleet.dir(), 5, 16);
        let dir = champion.dir.to_str().expect("text").to_owned();
        let mut args = vec!["model", "publish", MODEL, &dir];
        if dataset {
            import(&fleet);
            args.extend(["--dataset", "digits@1"]);
        }
        let published = tern(&fleet, &args);
        assert_eq!(published.code, Some(0), "{published:?}");
        let version = "1".parse().expect("a version");
        let rollout = fleet.roll_out(version);
        for agent in &fleet.agents {
            agent.serves(1);
        }
        fleet.rollout_until(rollout.id, "to be complete", |view| {
            view.state == RolloutState::Complete && view.counts.serving == 2
        });
        let images = data::load().expect("the digits").part(Part::Field);
        let field = Self {
            fleet,
            seen: Vec::new(),
            images,
            labelled: 0,
        };
        field.write("plan.yaml", &format!(
            "slot: {SLOT}\nmodel: {MODEL}\ncontrol: 0\nstages:\n  - {{to: 100%, soak: 1s}}\ngates:\n  - serve-failure: {{limit: 50%}}\n"
        ));
        let plan = field.path("plan.yaml");
        let kept = tern(&field.fleet, &["rollout", "plan", &plan, "--save", "quick"]);
        assert_eq!(kept.code, Some(0), "{kept:?}");
        field
    }

    pub(super) fn path(&self, name: &str) -> String {
        let path: PathBuf = self.fleet.dir().join(name);
        path.to_str().expect("text").to_owned()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.fleet.dir().join(name), text).expect("a file of the test");
    }

    /// So many more images are answered and captured, by both meters in turn.
    pub(super) fn see(&mut self, count: usize) {
        let spec = &package::digits(0).inputs[0];
        for _ in 0..count {
            let place = self.seen.len();
            let sample = self.images[place % self.images.len()];
            let tensor = Tensor::from_f32(&[1, 64], &sample.image.0);
            let agent = &self.fleet.agents[place % 2];
            let answer = agent.infer(&Input::new(spec, tensor));
            self.seen.push((
                agent.device().parse().expect("a name"),
                answer.prediction.parse().expect("an id"),
                sample.digit,
            ));
        }
        let client = self.fleet.client();
        wait::until("all captures at the hub", || {
            let captures = client.captures(&CaptureQuery::default()).all();
            let captures = captures.map_err(|err| err.to_string())?.len();
            wait::that(captures == self.seen.len(), || captures.to_string())
        });
    }

    /// What was seen since is labelled, as `says` says of what is true.
    pub(super) fn label(&mut self, says: impl Fn(u8) -> u8) {
        let new = &self.seen[self.labelled..];
        let labels = new.iter().map(|(device, prediction, truth)| NewLabel {
            device: device.clone(),
            prediction: *prediction,
            truth: says(*truth).to_string(),
        });
        let import = LabelImport {
            labels: labels.collect(),
            dry_run: false,
        };
        let count = import.labels.len() as u64;
        let done = self.fleet.client().import_labels(&import);
        assert_eq!(done.expect("they are taken").added, count);
        self.labelled = self.seen.len();
    }

    /// A training that runs this in a shell.
    pub(super) fn training(&self, script: &str) {
        let job = json!({"command": ["sh", "-c", script], "time_limit": 120});
        self.write("training.json", &job.to_string());
        let file = self.path("training.json");
        let kept = tern(&self.fleet, &["retrain", "training", "set", "copy", &file]);
        assert_eq!(kept.code, Some(0), "{kept:?}");
    }

    /// A training that leaves this package.
    pub(super) fn training_gives(&self, package: &Package) {
        let dir = package.dir.to_str().expect("text");
        self.training(&format!("test -d \"$TERN_DATASET\" && cp -r '{dir}' model"));
    }

    /// Writes a policy; `more` are lines of it that take the place of others.
    pub(super) fn policy(&self, more: &[(&str, &str)]) {
        let mut text = POLICY.replace("MODEL", MODEL);
        for (from, to) in more {
            assert!(text.contains(from), "{from} is not in the policy");
            text = text.replace(from, to);
        }
        self.write("policy.yaml", &text);
        let file = self.path("policy.yaml");
        let set = tern(&self.fleet, &["retrain", "policy", "set", &file]);
        assert_eq!(set.code, Some(0), "{set:?}");
    }

    pub(super) fn now(&self) {
        let asked = tern(
            &self.fleet,
            &["retrain", "now", MODEL, "--note", "to see it"],
        );
        assert_eq!(asked.code, Some(0), "{asked:?}");
    }

    /// How it stands.
    pub(super) fn status(&self) -> Value {
        let model = MODEL.parse().expect("a name");
        let view = self.fleet.client().retraining_of(&model);
        serde_json::to_value(view.expect("the hub answers")).expect("JSON")
    }

    /// The question that waits for an answer, once there is one.
    pub(super) fn question(&self, kind: &str) -> u64 {
        wait::until(&format!("a question about {kind}"), || {
            let open = self.fleet.client().proposals(None, false, 10);
            let open = open.map_err(|err| err.to_string())?;
            let found = open.iter().find(|one| one.kind.word() == kind);
            found
                .map(|one| one.id.0)
                .ok_or_else(|| format!("{open:?} {}", self.status()))
        })
    }

    pub(super) fn say(&self, word: &str, id: u64) -> Value {
        tern_json(&self.fleet, &["proposal", word, &id.to_string()])
    }

    /// What the round of this number taught, once it is over.
    pub(super) fn lesson(&self, round: u32) -> Value {
        wait::until(&format!("the end of round {round}"), || {
            let all = self.fleet.client().lessons(None, 100);
            let all = all.map_err(|err| err.to_string())?;
            let found = all.iter().find(|one| one.round == round);
            let found = found.ok_or_else(|| self.status().to_string())?;
            serde_json::to_value(found).map_err(|err| err.to_string())
        })
    }

    /// Waits until the open round is in a stage.
    pub(super) fn until_stage(&self, stage: &str) -> Value {
        wait::until(&format!("the stage {stage}"), || {
            let status = self.status();
            wait::that(status["round"]["stage"] == stage, || status.to_string())?;
            Ok(status)
        })
    }
}

/// The digits as a dataset: what version 1 is said to have been trained on.
fn import(fleet: &Fleet) {
    let digits = data::load().expect("the digits");
    let file = |part, most: usize| {
        let mut text = String::new();
        for pixel in 0..64 {
            write!(text, "p{pixel},").expect("a String");
        }
        text.push_str("label\n");
        for sample in digits.part(part).iter().take(most) {
            for value in sample.image.0 {
                write!(text, "{value},").expect("a String");
            }
            writeln!(text, "{}", sample.digit).expect("a String");
        }
        text
    };
    let client = fleet.client();
    let files: Vec<Value> = [
        (Part::Train, 200, "train"),
        (Part::Validation, 200, "held-out"),
    ]
    .into_iter()
    .map(|(part, most, split)| {
        let text = file(part, most);
        let digest = Digest::of(text.as_bytes());
        let sent = client.put_blob(
            &digest,
            text.len() as u64,
            &mut text.as_bytes(),
            &mut |_| {},
        );
        sent.expect("it is taken");
        json!({"split": split, "from": {"blob": digest}})
    })
    .collect();
    let new = json!({"name": "digits", "order": {"import": {
        "files": files, "label": "label",
        "tensor": {"name": "image", "dtype": "f32", "shape": [64]}, "numbers": false,
    }}});
    let (http, url) = (fleet.hub.http(), fleet.hub.url());
    let headers = [("content-type", "application/json")];
    let datasets = format!("{url}/api/v1/w/default/datasets");
    let made = http.send("POST", &datasets, &headers, new.to_string().as_bytes());
    let made = made.expect("the hub answers");
    assert!((200..300).contains(&made.status), "{made:?}");
    wait::until("the dataset to be made", || {
        let shown = http.get(&format!("{datasets}/digits@1"))?;
        wait::that(shown.body.contains("\"state\":\"done\""), || {
            shown.body.clone()
        })
    });
}
