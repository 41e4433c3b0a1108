//! Jobs on the hub's machine, by the command line and the API, with real processes: how they end, who outlives whom, and
//! that nothing runs twice.

use std::{fs, path::Path, path::PathBuf, process::Command, time::Duration};

use serde_json::{Value, json};
use tern_protocol::{
    id::JobId,
    rest::{JobAsked, JobProject, JobRetry, JobState, JobVariable, Role},
};
use tern_tests::{
    cli::{spawn, tern, tern_json},
    fleet::Fleet,
    programs, wait,
};

/// A job that runs this script by a shell, for a minute at most, whatever becomes of its test.
fn shell(script: &str) -> JobAsked {
    let mut asked = JobAsked::of(["sh", "-c", script]);
    asked.time_limit = 60;
    asked
}

/// Asks for a job as the first admin; its number.
#[track_caller]
pub fn submit(fleet: &Fleet, asked: &JobAsked) -> JobId {
    let new = fleet.client().submit_job(asked, None);
    new.unwrap_or_else(|err| panic!("{err}: {:?}", err.problem()))
        .view
        .id
}

#[track_caller]
fn state(fleet: &Fleet, id: JobId, expected: JobState) -> Value {
    wait::until(&format!("job {id} {}", expected.word()), || {
        let job = fleet.client().job(id).map_err(|err| err.to_string())?;
        let log = fleet
            .client()
            .job_log(id, tern_cli::client::LogQuery::default());
        let log = log.map(|log| log.text).unwrap_or_default();
        wait::that(job.view.state == expected, || format!("{job:?}: {log}"))?;
        Ok(serde_json::to_value(&job).expect("JSON"))
    })
}

#[track_caller]
fn log(fleet: &Fleet, id: JobId) -> String {
    let ran = tern(fleet, &["job", "log", &id.to_string()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.out
}

/// What a job said itself, without what its supervisor says of it.
fn own_words(log: &str) -> String {
    let lines = log.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("[tern] ")).collect()
}

/// Waits for a file that a job makes; what stands in it.
#[track_caller]
fn file(path: &Path) -> String {
    wait::until(&format!("{}", path.display()), || {
        let text = fs::read_to_string(path).map_err(|err| err.to_string())?;
        wait::that(text.ends_with('\n'), || text.clone())?;
        Ok(text.trim().to_owned())
    })
}

fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // One that ended and that nobody asked after does not run.
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.trim_start().starts_with('Z'))
        && !stat.is_empty()
}

/// A place for files that jobs and test exchange.
fn place(fleet: &Fleet, name: &str) -> PathBuf {
    let dir = fleet.dir().join(name);
    fs::create_dir_all(&dir).expect("a directory of the test");
    dir
}

#[test]
fn what_a_job_said_and_made_outlives_its_directory_and_its_hub() {
    let mut fleet = Fleet::with_hub(&[]);
    let project = place(&fleet, "project");
    fs::create_dir_all(project.join("src")).expect("made");
    fs::write(project.join("src/greeting"), "hello\n").expect("written");
    let dir = project.to_str().expect("plain");
    let ran = tern(
        &fleet,
        &[
            "job",
            "run",
            "--follow",
            "--project",
            dir,
            "--artifact",
            "out/**",
            "--name",
            "greets",
            "--",
            "sh",
            "-c",
            "cat src/greeting; mkdir -p out/deep; echo made > out/deep/file.txt; echo more > out/other; echo $TERN_JOB",
        ],
    );
    assert_eq!(
        (ran.code, own_words(&ran.out)),
        (Some(0), "hello\n1\n".into()),
        "{ran:?}"
    );
    assert!(ran.log.contains("succeeded"), "{}", ran.log);

    // Sent once: the same project is known.
    let again = tern(
        &fleet,
        &[
            "job",
            "run",
            "--follow",
            "--project",
            dir,
            "--",
            "cat",
            "src/greeting",
        ],
    );
    assert!(again.log.contains("known to the hub"), "{again:?}");

    let made = tern_json(&fleet, &["job", "artifacts", "1"]);
    let paths: Vec<&str> = made
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["path"].as_str().expect("a path"))
        .collect();
    assert_eq!(paths, ["out/deep/file.txt", "out/other"]);
    wait::until("the attempt's directory to be taken away", || {
        let work = fleet.hub.data().join("jobs/attempts/1/1/work");
        let staged = fleet.hub.data().join("jobs/staged/1-1");
        wait::that(!work.exists() && !staged.exists(), || {
            format!("{work:?} or {staged:?} is there")
        })
    });
    fleet.hub.kill_9();
    fleet.hub.run();
    assert_eq!(own_words(&log(&fleet, JobId(1))), "hello\n1\n");
    let to = fleet.dir().join("got");
    let got = tern(
        &fleet,
        &["job", "get", "1", "--out", to.to_str().expect("plain")],
    );
    assert_eq!(got.code, Some(0), "{got:?}");
    assert_eq!(
        fs::read_to_string(to.join("out/deep/file.txt")).expect("fetched"),
        "made\n"
    );

    // Numbers go on.
    let third = submit(&fleet, &shell("true"));
    assert_eq!(third, JobId(3));
    state(&fleet, third, JobState::Succeeded);
    let listed = tern_json(&fleet, &["job", "list"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(3), "{listed}");
    assert_eq!(listed[2]["name"], "greets");
    assert!(listed[2]["core_millis"].is_u64(), "{listed}");
}

#[test]
fn a_crash_is_told_as_it_was_and_tried_again_as_often_as_was_asked() {
    let fleet = Fleet::with_hub(&[]);
    let crash = tern(
        &fleet,
        &[
            "job",
            "run",
            "--follow",
            "--",
            "sh",
            "-c",
            "echo no; exit 3",
        ],
    );
    assert_eq!(
        (crash.code, crash.out.as_str()),
        (Some(1), "no\n"),
        "{crash:?}"
    );
    let shown = tern_json(&fleet, &["job", "show", "1"]);
    assert_eq!(shown["ended"]["kind"], "exit-code", "{shown}");
    assert_eq!(shown["ended"]["code"], 3);
    let killed = submit(&fleet, &shell("kill -SEGV $$"));
    let shown = state(&fleet, killed, JobState::Failed);
    assert_eq!(shown["ended"]["kind"], "signal", "{shown}");

    let dir = place(&fleet, "tries");
    let mut asked = shell(&format!(
        "cd {}; echo x >> tries; [ $(wc -l < tries) -ge 2 ] || exit 1; echo $TERN_ATTEMPT",
        dir.display()
    ));
    asked.retries.most = 3;
    asked.retries.wait = 1;
    let id = submit(&fleet, &asked);
    let shown = state(&fleet, id, JobState::Succeeded);
    assert_eq!(shown["attempts"], 2, "{shown}");
    assert_eq!(shown["all_attempts"][0]["ended"]["kind"], "exit-code");
    assert_eq!(log(&fleet, id), "2\n");
    let first = tern(&fleet, &["job", "log", &id.to_string(), "--attempt", "1"]);
    assert_eq!(first.out, "", "{first:?}");
}

#[test]
fn what_hangs_or_takes_too_much_is_ended_and_not_tried_again() {
    let fleet = Fleet::with_hub(&[]);
    let mut hangs = shell("echo begun; sleep 60");
    hangs.time_limit = 1;
    hangs.retries.most = 2;
    let hangs = submit(&fleet, &hangs);
    let mut eats = JobAsked::of([
        "python3",
        "-c",
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
    ]);
    eats.time_limit = 60;
    eats.resources.memory = 64 << 20;
    eats.retries.most = 2;
    let eats = submit(&fleet, &eats);
    let shown = state(&fleet, hangs, JobState::Failed);
    assert_eq!(shown["ended"]["kind"], "time-limit", "{shown}");
    assert!(
        log(&fleet, hangs).starts_with("begun\n[tern] ending it"),
        "it is told"
    );
    let shown = state(&fleet, eats, JobState::Failed);
    assert_eq!(shown["ended"]["kind"], "out-of-memory", "{shown}");
    assert_eq!(
        (&shown["attempts"], &shown["ended"]["may_go_better"]),
        (&json!(1), &json!(false))
    );
}

#[test]
fn a_cancel_ends_all_that_came_from_a_job_and_one_that_waits_never_runs() {
    let fleet = Fleet::with_hub(&["--jobs-slots", "1"]);
    let dir = place(&fleet, "cancel");
    let runs = submit(
        &fleet,
        &shell(&format!(
            "cd {}; setsid sleep 50 & echo $! > child; echo $$ > pid; wait",
            dir.display()
        )),
    );
    let (child, own) = (file(&dir.join("child")), file(&dir.join("pid")));
    let waits = submit(&fleet, &shell(&format!("touch {}/ran", dir.display())));
    wait::until("a reason why it waits", || {
        let job = fleet.client().job(waits).map_err(|err| err.to_string())?;
        let why = job.view.waits.unwrap_or_default();
        wait::that(why.contains("no room"), || why.clone())
    });
    let follows = spawn(&fleet, &["job", "log", "--follow", &runs.to_string()]);
    for id in [waits, runs] {
        let cancelled = tern(&fleet, &["job", "cancel", &id.to_string()]);
        assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    }
    state(&fleet, waits, JobState::Cancelled);
    state(&fleet, runs, JobState::Cancelled);
    assert!(!lives(&child) && !lives(&own));
    assert!(!dir.join("ran").exists());
    assert_eq!(
        follows.finish().code(),
        Some(1),
        "whoever follows is told by the exit code"
    );
    // Over is over.
    let again = tern(&fleet, &["job", "cancel", &runs.to_string()]);
    assert_eq!(again.code, Some(0));
    let audited = tern_json(&fleet, &["audit", "list"]).to_string();
    assert!(
        audited.contains("job.submit") && audited.contains("job.cancel"),
        "{audited}"
    );
}

/// A script that says each time that it runs, and waits until somebody opens the gate.
fn gated(dir: &Path) -> String {
    format!(
        "cd {}; echo $$ >> ran; until [ -e gate ]; do sleep 0.05; done; echo $(cat gate) > \"$OLDPWD/out\"; echo done",
        dir.display()
    )
}

#[test]
fn a_job_outlives_hubs_that_are_killed_and_runs_once() {
    let mut fleet = Fleet::with_hub(&[]);
    let dir = place(&fleet, "outlives");
    let mut asked = shell(&gated(&dir));
    asked.artifacts = vec!["out".into()];
    asked.retries.most = 3;
    asked.retries.wait = 0;
    let id = submit(&fleet, &asked);
    // Killed at once: maybe before its attempt has begun, maybe in the middle of it.
    fleet.hub.kill_9();
    fleet.hub.run();
    let pid = file(&dir.join("ran"));
    state(&fleet, id, JobState::Running);
    fleet.hub.kill_9();
    assert!(lives(&pid), "it runs on without a hub");
    fleet.hub.run();
    state(&fleet, id, JobState::Running);
    // It ends while there is no hub.
    fleet.hub.kill_9();
    fs::write(dir.join("gate"), "open\n").expect("written");
    wait::until("its end", || wait::that(!lives(&pid), || "it runs".into()));
    fleet.hub.run();
    let shown = state(&fleet, id, JobState::Succeeded);
    assert_eq!(shown["attempts"], 1, "{shown}");
    assert_eq!(shown["artifacts"][0]["path"], "out", "{shown}");
    assert_eq!(
        fs::read_to_string(dir.join("ran"))
            .expect("there")
            .lines()
            .count(),
        1
    );
    assert_eq!(log(&fleet, id), "done\n");
}

#[test]
fn a_job_whose_supervisor_died_is_lost_and_not_run_again() {
    let mut fleet = Fleet::with_hub(&[]);
    let dir = place(&fleet, "lost");
    let id = submit(&fleet, &shell(&gated(&dir)));
    let pid = file(&dir.join("ran"));
    state(&fleet, id, JobState::Running);
    fleet.hub.kill_9();
    let claim =
        fs::read(fleet.hub.data().join(format!("jobs/attempts/{id}/1/claim"))).expect("a claim");
    let claim: Value = serde_json::from_slice(&claim).expect("JSON");
    let supervisor = claim["supervisor"]["pid"]
        .as_i64()
        .expect("a number")
        .to_string();
    let killed = Command::new("kill").args(["-9", &supervisor]).status();
    assert!(killed.expect("kill runs").success());
    fleet.hub.run();
    let shown = state(&fleet, id, JobState::Failed);
    assert_eq!(shown["ended"]["kind"], "lost", "{shown}");
    wait::until("the end of what was left", || {
        wait::that(!lives(&pid), || pid.clone())
    });
    assert_eq!(
        fs::read_to_string(dir.join("ran"))
            .expect("there")
            .lines()
            .count(),
        1
    );
}

#[test]
fn the_more_urgent_goes_first_and_a_paused_machine_starts_nothing() {
    let fleet = Fleet::with_hub(&["--jobs-slots", "1"]);
    let dir = place(&fleet, "order");
    let paused = tern_json(&fleet, &["compute", "set", "local", "--pause"]);
    assert_eq!(paused["paused"], true, "{paused}");
    let by = |name: &str, priority: u8| {
        let mut asked = shell(&format!("echo {name} >> {}/order", dir.display()));
        asked.priority = priority;
        submit(&fleet, &asked)
    };
    let ids = [
        by("usual", 4),
        by("urgent", 9),
        by("idle", 0),
        by("large", 4),
    ];
    let mut large = shell("true");
    large.resources.cpu_millis = 64_000;
    let large = submit(&fleet, &large);
    wait::until("reasons", || {
        let why = |id| {
            Ok::<_, String>(
                fleet
                    .client()
                    .job(id)
                    .map_err(|err| err.to_string())?
                    .view
                    .waits
                    .unwrap_or_default(),
            )
        };
        let (one, other) = (why(ids[0])?, why(large)?);
        wait::that(one.contains("paused") && other.contains("paused"), || {
            format!("{one}; {other}")
        })
    });
    tern_json(&fleet, &["compute", "set", "local", "--resume"]);
    for id in ids {
        state(&fleet, id, JobState::Succeeded);
    }
    assert_eq!(
        fs::read_to_string(dir.join("order")).expect("there"),
        "urgent\nusual\nlarge\nidle\n"
    );
    wait::until("a reason", || {
        let why = fleet
            .client()
            .job(large)
            .map_err(|err| err.to_string())?
            .view
            .waits;
        wait::that(
            why.as_ref().is_some_and(|why| why.contains("never")),
            || format!("{why:?}"),
        )
    });
    // The same key is the same job.
    let client = fleet.client();
    let one = client
        .submit_job(&shell("true"), Some("a key"))
        .expect("stored")
        .view
        .id;
    let two = client
        .submit_job(&shell("false"), Some("a key"))
        .expect("known")
        .view
        .id;
    assert_eq!(one, two);
    let shown = tern(&fleet, &["compute", "list"]);
    assert!(shown.out.contains("local"), "{shown:?}");
    for page in ["/jobs", "/computes", &format!("/jobs/{large}")] {
        let answer = fleet
            .hub
            .http()
            .get(&format!("{}{page}", fleet.hub.url()))
            .expect("a page");
        assert!(
            answer.status == 200 && answer.body.contains("local"),
            "{page}: {answer:?}"
        );
    }
}

#[test]
fn what_is_wrong_is_told_by_field_and_secrets_are_nowhere() {
    let fleet = Fleet::with_hub(&[]);
    let client = fleet.client();
    let mut wrong = JobAsked::of(["true"]);
    wrong.priority = 12;
    wrong.resources.memory = 5;
    wrong.dataset = Some("digits@3".into());
    let err = client.submit_job(&wrong, None).expect_err("it is wrong");
    let problem = err.problem().expect("a problem");
    let places: Vec<&str> = problem
        .findings
        .iter()
        .map(|one| one.subject.as_str())
        .collect();
    assert_eq!(
        places,
        ["dataset", "resources.memory", "priority"],
        "{problem:?}"
    );
    let nowhere = tern(&fleet, &["job", "run", "--on", "moon", "--", "true"]);
    assert!(
        nowhere.code == Some(2) && nowhere.log.contains("tern compute list"),
        "{nowhere:?}"
    );

    // Bytes that are no archive.
    let bytes = b"PK\x03\x04 hello".as_slice();
    let digest = tern_protocol::digest::Digest::of(bytes);
    client
        .put_blob(&digest, bytes.len() as u64, &mut &bytes[..], &mut |_| {})
        .expect("stored");
    let mut odd = JobAsked::of(["true"]);
    odd.project = Some(JobProject::Archive { archive: digest });
    let err = client.submit_job(&odd, None).expect_err("it is no archive");
    assert_eq!(
        err.problem().expect("a problem").findings[0].subject,
        "project.archive"
    );

    let mut asked = shell("echo the key is $KEY; [ ${#KEY} = 17 ] || exit 1");
    let secret = "planted-swordfish".to_owned();
    asked.variables.insert(
        "KEY".into(),
        JobVariable::Secret {
            secret: secret.clone(),
        },
    );
    let id = submit(&fleet, &asked);
    let shown = state(&fleet, id, JobState::Succeeded);
    assert_eq!(shown["asked"]["variables"]["KEY"]["secret"], "***");
    assert_eq!(log(&fleet, id), "the key is ***\n");
    let err = client
        .retry_job(id, &JobRetry::default())
        .expect_err("it is forgotten");
    assert_eq!(
        err.problem().expect("a problem").findings[0].subject,
        "secrets.KEY"
    );
    let again = JobRetry {
        secrets: [("KEY".to_owned(), secret.clone())].into(),
    };
    let again = client.retry_job(id, &again).expect("begun").view;
    assert_eq!(again.again_of, Some(id));
    state(&fleet, again.id, JobState::Succeeded);
    let everything = [
        fleet.hub.log(),
        tern_json(&fleet, &["audit", "list"]).to_string(),
        tern_json(&fleet, &["job", "show", &again.id.to_string()]).to_string(),
    ];
    assert!(everything.iter().all(|text| !text.contains(&secret)));
}

#[test]
fn a_project_by_mlflow_runs_by_its_entry_point() {
    let fleet = Fleet::with_hub(&[]);
    let project = place(&fleet, "mlproject");
    let text = "name: sums\nentry_points:\n  main:\n    parameters:\n      alpha: {type: float, default: 0.1}\n      \
                word: string\n    command: \"echo {alpha} {word}; cat data.txt\"\n";
    fs::write(project.join("MLproject"), text).expect("written");
    fs::write(project.join("data.txt"), "data\n").expect("written");
    let dir = project.to_str().expect("plain");
    let run = |more: &[&str]| {
        let ask = [
            "job",
            "run",
            "--follow",
            "--project",
            dir,
            "--entry",
            "main",
        ];
        tern(&fleet, &[&ask, more].concat())
    };
    let ran = run(&["-P", "alpha=0.5", "-P", "word=two words; rm -rf $HOME"]);
    let expected = "0.5 two words; rm -rf $HOME\ndata\n";
    assert_eq!(
        (ran.code, own_words(&ran.out)),
        (Some(0), expected.into()),
        "{ran:?}"
    );
    let missing = run(&["-P", "alpha=much"]);
    assert_eq!(missing.code, Some(2));
    for said in [
        "entry_points.main.parameters.word",
        "alpha: `much` is no number",
    ] {
        assert!(missing.log.contains(said), "{missing:?}");
    }
}

#[test]
fn who_may_see_jobs_may_not_run_them_and_a_job_is_somebody_while_it_runs() {
    let fleet = Fleet::secured(&[]);
    let of = |role: Role| {
        let role = format!("{role:?}").to_lowercase();
        let made = tern_json(
            &fleet,
            &[
                "token",
                "create",
                "jobs",
                "--role",
                &role,
                "--expires",
                "1h",
            ],
        );
        fleet.client_of(made["token"].as_str())
    };
    let status = |err: tern_cli::client::ClientError| err.problem().map(|problem| problem.status);
    let dir = place(&fleet, "whoami");
    // It asks the hub by its own token, for as long as the gate is closed.
    let script = format!(
        "cd {}; echo \"$TERN_TOKEN\" > token; echo \"$TERN_URL\" > url; cp \"$TERN_CA\" ca.pem; echo > ready; \
         until [ -e gate ]; do sleep 0.05; done",
        dir.display()
    );
    let id = submit(&fleet, &shell(&script));
    file_there(&dir.join("ready"));
    let scientist = of(Role::Scientist);
    assert_eq!(scientist.job(id).expect("shown").view.id, id);
    assert_eq!(
        status(
            scientist
                .submit_job(&shell("true"), None)
                .expect_err("refused")
        ),
        Some(403)
    );
    assert_eq!(
        status(scientist.cancel_job(id).expect_err("refused")),
        Some(403)
    );
    assert_eq!(
        status(of(Role::Viewer).job(id).expect_err("refused")),
        Some(403)
    );

    let token = fs::read_to_string(dir.join("token"))
        .expect("there")
        .trim()
        .to_owned();
    let url = fs::read_to_string(dir.join("url"))
        .expect("there")
        .trim()
        .to_owned();
    let http =
        tern_tests::http::Http::trusting(&fs::read_to_string(dir.join("ca.pem")).expect("there"));
    let bearer = format!("Bearer {token}");
    let ask = |method: &str, path: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let answer = http.send(method, &format!("{url}{path}"), &headers, b"{}");
        answer.unwrap_or_else(|err| panic!("{path}: {err}")).status
    };
    assert_eq!(ask("GET", "/api/v1/w/default/experiments"), 200);
    assert_eq!(
        ask("POST", "/api/v1/w/default/jobs"),
        403,
        "a job runs no jobs"
    );
    assert_eq!(ask("GET", "/api/v1/w/default/audit"), 403);
    assert_eq!(ask("GET", "/api/v1/users"), 403);
    assert_eq!(ask("GET", "/api/v1/w/other/experiments"), 404);
    fs::write(dir.join("gate"), "").expect("written");
    state(&fleet, id, JobState::Succeeded);
    assert_eq!(
        ask("GET", "/api/v1/w/default/experiments"),
        401,
        "its token ended with it"
    );
    assert!(!fleet.hub.log().contains(&token));
}

#[track_caller]
fn file_there(path: &Path) {
    wait::until(&format!("{}", path.display()), || {
        wait::that(path.exists(), || "not there".into())
    });
}

#[test]
fn a_script_that_only_knows_mlflow_is_tracked_in_the_run_of_its_job() {
    let Some(python) = programs::python("TERN_MLFLOW", "target/mlflow/bin/python", "mlflow") else {
        return;
    };
    let fleet = Fleet::secured(&[]);
    let project = place(&fleet, "training");
    let script = "import mlflow\nwith mlflow.start_run():\n    mlflow.log_param('depth', 3)\n    \
                  for step in range(3):\n        mlflow.log_metric('accuracy', 0.7 + step / 10, step=step)\n    \
                  mlflow.log_text('notes', 'notes.txt')\n";
    fs::write(project.join("train.py"), script).expect("written");
    let ran = tern(
        &fleet,
        &[
            "job",
            "run",
            "--follow",
            "--project",
            project.to_str().expect("plain"),
            "--experiment",
            "digits",
            "--name",
            "trains",
            "--",
            python.to_str().expect("plain"),
            "train.py",
        ],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let job = tern_json(&fleet, &["job", "show", "1"]);
    let run = tern_json(
        &fleet,
        &["run", "show", job["run"]["run"].as_str().expect("a run")],
    );
    assert_eq!(run["status"], "FINISHED", "{run}");
    assert_eq!(
        (&run["params"]["depth"], &run["tags"]["tern.job"]),
        (&json!("3"), &json!("1")),
        "{run}"
    );
    assert!(
        run["metrics"]["accuracy"]
            .as_f64()
            .is_some_and(|value| (value - 0.9).abs() < 1e-9),
        "{run}"
    );
    assert!(
        run["tags"]["tern.code"]
            .as_str()
            .is_some_and(|code| code.starts_with("sha256:")),
        "{run}"
    );
    let all = tern_json(&fleet, &["run", "list", "--experiment", "digits"]);
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
    // One that fails without a word to MLflow.
    let failed = tern(
        &fleet,
        &[
            "job",
            "run",
            "--follow",
            "--experiment",
            "digits",
            "--",
            "false",
        ],
    );
    assert_eq!(failed.code, Some(1));
    wait::until("its run to have failed", || {
        let all = tern_json(&fleet, &["run", "list", "--experiment", "digits"]);
        wait::that(all[0]["status"] == "FAILED", || all.to_string())
    });
}

#[test]
fn a_job_that_floods_its_log_keeps_beginning_and_end() {
    let fleet = Fleet::with_hub(&[]);
    let script = "echo first; i=0; while [ $i -lt 16 ]; do head -c 1048576 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done; echo last";
    let id = submit(&fleet, &shell(script));
    state(&fleet, id, JobState::Succeeded);
    let ran = tern(&fleet, &["job", "log", &id.to_string()]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.out.starts_with("first\n") && ran.out.ends_with("last\n"));
    assert!(ran.log.contains("were not kept"), "{}", ran.log);
    let bytes = ran.out.len();
    assert!((9_000_000..14_000_000).contains(&bytes), "{bytes}");
    // Whoever asks past the end waits for nothing.
    let query = tern_cli::client::LogQuery {
        attempt: None,
        offset: u64::MAX,
        wait: Duration::from_secs(5),
    };
    let part = fleet.client().job_log(id, query).expect("an answer");
    assert!(part.over && part.text.is_empty(), "{part:?}");
}
