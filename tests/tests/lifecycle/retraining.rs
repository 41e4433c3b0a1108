//! A model is trained anew by its policy: from labels to a fleet that recovered, whatever is killed on the way, and what
//! does not get through.

mod field;

use serde_json::{Value, json};
use tern_protocol::rest::RolloutState;
use tern_tests::{
    cli::{tern, tern_json},
    fleet::{Fleet, MODEL},
    package, wait,
};

use self::field::{Field, POLICY};

/// The one of these that a list in an answer names.
fn names(answer: &Value, word: &str) -> bool {
    answer.to_string().contains(word)
}

#[test]
fn a_fleet_recovers_by_one_word_although_the_hub_is_killed_in_every_stage() {
    let mut field = Field::guessing(true);
    field.see(120);
    field.label(|truth| truth);
    field.training_gives(package::digits(0));
    field.policy(&[
        ("- every: 366d", "- accuracy-below: 90%"),
        ("watch: 1s", "watch: 20s"),
    ]);
    let id = field.question("training");
    let proposal = tern_json(&field.fleet, &["proposal", "show", &id.to_string()]);
    assert!(
        names(&proposal["facts"]["evidence"], "below 90.0 %"),
        "{proposal:#}"
    );
    assert_eq!(proposal["facts"]["labels"], 120);
    let overview = tern_json(&field.fleet, &["overview"]);
    assert!(
        names(&overview["attention"], "tern proposal show"),
        "{overview:#}"
    );
    field.say("agree", id);

    // In each stage in which it is seen, the hub is killed once.
    let mut killed: Vec<String> = Vec::new();
    wait::until("version 2 to be watched", || {
        let status = field.status();
        let stage = status["round"]["stage"]
            .as_str()
            .unwrap_or("none")
            .to_owned();
        if !killed.contains(&stage) {
            killed.push(stage.clone());
            field.fleet.hub.kill_9();
            field.fleet.run_hub();
        }
        wait::that(stage == "watching", || status.to_string())
    });
    assert!(killed.len() >= 4, "{killed:?}");
    for agent in &field.fleet.agents {
        agent.serves(2);
    }
    field.see(60);
    field.label(|truth| truth);
    let lesson = field.lesson(1);
    assert_eq!(lesson["outcome"], "recovered", "{lesson:#}");
    assert_eq!(
        (&lesson["version"], &lesson["champion"]),
        (&json!(2), &json!(1))
    );
    assert!(
        names(&lesson["comparison"], "Better on recent labels"),
        "{lesson:#}"
    );

    // Each was done once, whatever was killed.
    let jobs = tern_json(&field.fleet, &["job", "list"]);
    assert_eq!(jobs.as_array().map(Vec::len), Some(1), "{jobs:#}");
    let rollouts = tern_json(&field.fleet, &["rollout", "list"]);
    assert_eq!(rollouts.as_array().map(Vec::len), Some(2), "{rollouts:#}");
    let model = tern_json(&field.fleet, &["model", "show", MODEL]);
    let versions = model["versions"].as_array().expect("versions");
    assert_eq!(versions.len(), 2, "{model:#}");
    let note = versions[0]["note"].as_str().expect("a note");
    assert!(
        note.starts_with("Round 1 of retraining, after version 1: dataset 2"),
        "{note}"
    );
    assert!(note.contains("everybody to the training"), "{note}");
    let audited = tern_json(&field.fleet, &["audit", "list"]).to_string();
    for action in [
        "retrain.policy",
        "retrain.training",
        "proposal.say",
        "model.publish",
    ] {
        assert!(audited.contains(action), "{action} is not in the audit log");
    }
}

#[test]
fn what_does_not_get_through_ends_its_round_and_teaches_why() {
    let mut field = Field::guessing(true);
    field.see(100);

    // Labels that are wrong by one, and a challenger that learned just that.
    field.label(|truth| (truth + 1) % 10);
    let poisoned = {
        let dir = field.fleet.dir().join("poisoned");
        let copy = package::digits(0).with_metrics(&dir, &json!([]));
        let path = dir.join("publish.json");
        let text = std::fs::read(&path).expect("it was written");
        let mut publish: Value = serde_json::from_slice(&text).expect("JSON");
        let classes: Vec<String> = (0..10)
            .map(|class| ((class + 1) % 10).to_string())
            .collect();
        publish["classes"] = json!(classes);
        std::fs::write(path, publish.to_string()).expect("a file of the test");
        copy
    };
    field.training_gives(&poisoned);
    field.policy(&[("model: ", "mode: automatic\nmodel: ")]);
    field.now();
    let lesson = field.lesson(1);
    assert_eq!(lesson["outcome"], "rejected", "{lesson:#}");
    let why = lesson["comparison"][0].as_str().expect("a sentence");
    assert!(
        why.starts_with(
            "Worse: more than 2% on the held-out part, although recent labels say that it is better"
        ),
        "{why}"
    );
    assert!(lesson["core_seconds"].is_number(), "{lesson:#}");

    // A person says no; then nothing is trained.
    field.policy(&[]);
    field.now();
    let id = field.question("training");
    let said = tern_json(
        &field.fleet,
        &[
            "proposal",
            "decline",
            &id.to_string(),
            "--note",
            "not this week",
        ],
    );
    assert_eq!(said["words"][0]["note"], "not this week", "{said:#}");
    let lesson = field.lesson(2);
    assert_eq!(lesson["outcome"], "declined", "{lesson:#}");
    let late = tern(&field.fleet, &["proposal", "agree", &id.to_string()]);
    assert_eq!(late.code, Some(2), "{late:?}");
    assert!(late.log.contains("is over"), "{late:?}");

    // A training that fails is tried again, and then told with its job.
    field.training("echo no such luck >&2; exit 3");
    field.policy(&[
        ("model: ", "mode: automatic\nmodel: "),
        ("times: 1, after: 1s", "times: 1, after: 0s"),
    ]);
    field.now();
    let lesson = field.lesson(3);
    assert_eq!(lesson["outcome"], "failed", "{lesson:#}");
    assert!(names(&lesson["text"], "tern job log"), "{lesson:#}");

    // One that leaves no package, too.
    field.training("mkdir model && echo '{}' > model/other.json");
    field.now();
    let lesson = field.lesson(4);
    assert!(
        names(&lesson["text"], "left no file `model/publish.json`"),
        "{lesson:#}"
    );

    // One that goes on is ended with its round.
    field.training("sleep 600");
    field.now();
    let status = field.until_stage("training");
    let job = wait::until("the job to run", || {
        let all = tern_json(&field.fleet, &["job", "list"]);
        let running = all
            .as_array()
            .and_then(|all| all.iter().find(|one| one["state"] == "running"));
        running
            .map(|one| one["id"].clone())
            .ok_or_else(|| all.to_string())
    });
    let told = status["round"]["number"].as_u64();
    assert_eq!(told, Some(5), "{status:#}");
    let all = tern_json(&field.fleet, &["proposal", "list", "--all"]);
    let last = all[0]["id"].as_u64().expect("a number");
    field.say("cancel", last);
    let lesson = field.lesson(5);
    assert_eq!(lesson["outcome"], "cancelled", "{lesson:#}");
    wait::until("the job to be cancelled", || {
        let shown = tern_json(&field.fleet, &["job", "show", &job.to_string()]);
        wait::that(shown["state"] == "cancelled", || shown.to_string())
    });

    // What cannot be told is asked.
    field.training_gives(package::digits(0));
    field.policy(&[
        ("model: ", "mode: automatic\nmodel: "),
        ("samples: 10, slice", "samples: 5000, slice"),
    ]);
    field.now();
    let id = field.question("unclear");
    let shown = tern(&field.fleet, &["proposal", "show", &id.to_string()]);
    assert!(
        shown.out.contains("fewer than 5000 say nothing"),
        "{shown:?}"
    );
    assert!(shown.out.contains("tern proposal again"), "{shown:?}");
    let again = field.say("again", id);
    assert_eq!(again["state"], "open", "{again:#}");
    let other = wait::until("the question again", || {
        let next = field.question("unclear");
        wait::that(next != id, || next.to_string()).map(|()| next)
    });
    field.say("decline", other);
    assert_eq!(field.lesson(6)["outcome"], "declined");

    let model = tern_json(&field.fleet, &["model", "show", MODEL]);
    assert_eq!(
        model["versions"].as_array().map(Vec::len),
        Some(1),
        "{model:#}"
    );
    let lessons = tern(&field.fleet, &["retrain", "lessons", MODEL]);
    for word in [
        "rejected",
        "declined",
        "failed",
        "cancelled",
        "Worse: more than",
    ] {
        assert!(lessons.out.contains(word), "{word} is not in {lessons:?}");
    }
    let page = field.fleet.hub.http();
    let url = format!("{}/retraining/{MODEL}", field.fleet.hub.url());
    let page = page.get(&url).expect("its page").body;
    assert!(
        page.contains("although recent labels say that it is better"),
        "{page}"
    );
}

#[test]
fn labels_that_lack_are_asked_for_and_a_dataset_of_one_class_is_refused() {
    let mut field = Field::guessing(false);
    field.see(40);
    field.training_gives(package::digits(0));
    field.policy(&[
        ("model: ", "mode: automatic\nmodel: "),
        ("labels: 20", "labels: 30"),
    ]);
    field.now();
    let status = field.until_stage("labels");
    wait::until("people to be asked", || {
        let status = field.status();
        let waits = status["waits"].as_str().unwrap_or_default().to_owned();
        wait::that(waits.contains("people were asked"), || status.to_string())
    });
    assert!(
        names(&status["waits"], "30 more labels are needed"),
        "{status:#}"
    );
    // Everybody says that all of them are a three.
    field.label(|_| 3);
    let lesson = field.lesson(1);
    assert_eq!(lesson["outcome"], "failed", "{lesson:#}");
    assert!(
        names(
            &lesson["text"],
            "of class 3, so there is nothing to tell apart"
        ),
        "{lesson:#}"
    );
    assert!(lesson["challenger"].is_null(), "{lesson:#}");
    let jobs = tern_json(&field.fleet, &["job", "list"]);
    assert_eq!(jobs, json!([]));
}

#[test]
fn a_version_is_rolled_out_once_the_people_who_are_named_agree_by_buttons_without_a_script() {
    let mut field = Field::guessing(true);
    field.see(80);
    field.label(|truth| truth);
    field.training_gives(package::digits(0));
    field.policy(&[(
        "retry:",
        "approvals:\n  - before: rollout\n    of: [everybody]\nretry:",
    )]);
    field.now();
    let press = |id: u64, say: &str| {
        let url = format!("{}/proposals/{id}", field.fleet.hub.url());
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let body = format!("note=by+hand&say={say}");
        let http = field.fleet.hub.http();
        http.send("POST", &url, &headers, body.as_bytes())
            .expect("the hub answers")
    };
    let id = field.question("training");
    let page = field.fleet.hub.http();
    let url = format!("{}/proposals/{id}", field.fleet.hub.url());
    let page = page.get(&url).expect("its page").body;
    assert!(
        page.contains("<button class=\"primary\" type=\"submit\" name=\"say\" value=\"agree\">"),
        "{page}"
    );
    let wrong = press(id, "perhaps");
    assert_eq!(wrong.status, 400, "{wrong:?}");
    let done = press(id, "agree");
    assert!(done.status == 303 || done.status == 200, "{done:?}");
    let id = field.question("rollout");
    let rollouts = tern_json(&field.fleet, &["rollout", "list"]);
    assert_eq!(rollouts.as_array().map(Vec::len), Some(1), "{rollouts:#}");
    press(id, "agree");
    let lesson = field.lesson(1);
    assert_eq!(lesson["outcome"], "recovered", "{lesson:#}");
    let rollouts = field
        .fleet
        .client()
        .rollouts()
        .all()
        .expect("the hub lists them");
    assert_eq!(rollouts.len(), 2, "{rollouts:?}");
    assert_eq!(rollouts[0].state, RolloutState::Complete, "{rollouts:?}");
}

#[test]
fn policies_are_told_what_is_wrong_by_line_and_trainings_hide_what_is_secret() {
    let fleet = Fleet::secured(&[]);
    let write = |name: &str, text: &str| {
        let path = fleet.dir().join(name);
        std::fs::write(&path, text).expect("a file of the test");
        path.to_str().expect("text").to_owned()
    };
    let right = POLICY.replace("MODEL", MODEL);
    for (from, to, says) in [
        (
            "keep-out: 40%",
            "keep-out: 99%",
            "line 5: keep-out: write 5% to 80%",
        ),
        (
            "every: 366d",
            "accuracy-below: 0%",
            "line 3: triggers[0].accuracy-below: write a share",
        ),
        ("cool-down", "cooldown", "line 6: "),
        ("watch: 1s", "watch: 1ms", "line 10: limits.watch: write 1s"),
    ] {
        let file = write("wrong.yaml", &right.replace(from, to));
        for command in ["check", "set"] {
            let ran = tern(&fleet, &["retrain", "policy", command, &file]);
            assert_eq!(ran.code, Some(1), "{ran:?}");
            assert!(ran.out.contains(says), "{says} is not in {ran:?}");
        }
    }
    assert_eq!(tern_json(&fleet, &["retrain", "policy", "show"]), json!([]));
    let file = write("right.yaml", &right);
    let checked = tern(&fleet, &["retrain", "policy", "check", &file]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for missing in [
        "there is no model",
        "there is no training `copy`",
        "has no plan template `quick`",
    ] {
        assert!(
            checked.out.contains(missing),
            "{missing} is not in {checked:?}"
        );
    }
    let none = tern(&fleet, &["retrain", "now", MODEL]);
    assert!(none.log.contains("has no policy"), "{none:?}");
    assert_eq!(
        tern(&fleet, &["retrain", "policy", "set", &file]).code,
        Some(0)
    );
    let shown = tern(&fleet, &["retrain", "policy", "show", MODEL]);
    assert_eq!(shown.out.trim(), right.trim());
    wait::until("a look", || {
        let status = tern_json(&fleet, &["retrain", "status", MODEL]);
        wait::that(status["waits"] == "no version serves", || {
            status.to_string()
        })
    });

    let secret = r#"{"command": ["train"], "variables": {"KEY": {"secret": "hush-hush"}}}"#;
    let file = write("training.json", secret);
    assert_eq!(
        tern(&fleet, &["retrain", "training", "set", "copy", &file]).code,
        Some(0)
    );
    let shown = tern(&fleet, &["retrain", "training", "show", "copy"]);
    assert!(
        shown.out.contains("***") && !shown.out.contains("hush"),
        "{shown:?}"
    );
    let file = write(
        "training.json",
        r#"{"command": ["train"], "dataset": "digits@1"}"#,
    );
    let wrong = tern(&fleet, &["retrain", "training", "set", "copy", &file]);
    assert!(
        wrong
            .log
            .contains("dataset: a training gets the dataset of its round"),
        "{wrong:?}"
    );
    let named = tern(&fleet, &["retrain", "training", "remove", "copy"]);
    assert!(named.log.contains("names training `copy`"), "{named:?}");
    assert_eq!(
        tern(&fleet, &["retrain", "policy", "remove", MODEL]).code,
        Some(0)
    );
    assert_eq!(
        tern(&fleet, &["retrain", "training", "remove", "copy"]).code,
        Some(0)
    );
}
