//! Jobs in the words of Ray's Jobs API, and its answers in ours. Pure: no client is in here.
//!
//! Called by whoever speaks HTTP to a Ray cluster. Each function gives a [`Request`] or reads an answer.
//!
//! Must never break: an attempt has one submission id ([`submission_id`]), so that giving it twice is giving it once;
//! what Ray shows to everybody (its dashboard shows environment variables) holds no secret, but for what its operator
//! said may be seen there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    handover::{self, Work},
    job::{AttemptKey, Ended, Environment, Evidence, Given, JobSpec, Problem},
    mlproject::quoted,
    request::Request,
    seen::{Seen, Taken, shown},
};

/// How long a command has between being asked to end and being ended, in seconds.
const GRACE: u64 = 10;

/// How `timeout` says that it ended a command; and that it had to do so by force.
const TIMED_OUT: [i32; 2] = [124, 137];

/// The variable with the step that hands over artifacts.
const SCRIPT: &str = "TERN_HANDOVER";

#[derive(Serialize)]
struct Submit {
    entrypoint: String,
    submission_id: String,
    runtime_env: RuntimeEnv,
    metadata: BTreeMap<&'static str, String>,
    entrypoint_num_cpus: f64,
    entrypoint_num_gpus: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint_memory: Option<u64>,
}

#[derive(Serialize)]
struct RuntimeEnv {
    env_vars: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pip: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
}

#[derive(Deserialize)]
struct Details {
    status: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    error_type: Option<String>,
    #[serde(default)]
    driver_exit_code: Option<i32>,
}

/// Bytes of the longest letter in JSON.
const LETTER: usize = 12;

#[derive(Deserialize)]
struct Logs {
    logs: String,
}

/// What an attempt is called on a Ray cluster. `mark` is drawn for each job, so that two hubs at one cluster, or one
/// that was restored from an old copy, never take each other's attempts for their own.
pub fn submission_id(mark: &str, key: AttemptKey) -> String {
    format!("tern-{mark}-{key}")
}

/// Gives an attempt to the cluster, or says which parts of the job Ray cannot do. `given` is what the hub adds: Ray shows
/// all of it, so what is secret is in it only if the cluster's operator said that it may be seen there.
pub fn submit(
    mark: &str,
    key: AttemptKey,
    spec: &JobSpec,
    given: &Given,
) -> Result<Request, Vec<Problem>> {
    let mut problems = spec.problems();
    let mut no = |at: String, text: &str| {
        let text = text.to_owned();
        problems.push(Problem { at, text });
    };
    for (name, variable) in &spec.variables {
        if variable.is_secret() {
            let text = "Ray shows the variables of its jobs to everybody who sees its dashboard; let the cluster \
                        provide it";
            no(format!("variables.{name}"), text);
        }
    }
    let pip = match &spec.environment {
        Environment::None => None,
        Environment::Requirements { text, python } => {
            if python.is_some() {
                let text = "Ray runs all jobs with the Python of its cluster";
                no("environment.requirements.python".into(), text);
            }
            Some(requirements(text))
        }
        Environment::Venv(_) => {
            let text = "Ray makes its own environments: give requirements";
            no("environment.venv".into(), text);
            None
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let values = spec.variables.iter();
    let values = given.iter().chain(values);
    let mut env_vars: BTreeMap<String, String> = values
        .map(|(name, value)| (name.clone(), value.value().to_owned()))
        .collect();
    env_vars.insert("TERN_JOB".into(), key.job.to_string());
    env_vars.insert("TERN_ATTEMPT".into(), key.number.to_string());
    if let Some(dataset) = &spec.dataset {
        env_vars.insert("TERN_DATASET".into(), dataset.clone());
    }
    let words: Vec<String> = spec.command.iter().map(|word| quoted(word)).collect();
    // Ray has no time limit of its own; every image of it has this program.
    let mut entrypoint = format!("timeout -k {GRACE} {} {}", spec.time_limit, words.join(" "));
    // Jobs with one `working_dir` share it while they run, and without one they run where Ray was started.
    let work = match spec.project {
        Some(_) => Work::Copy,
        None => Work::Fresh,
    };
    if let Some(told) = handover::told(spec, work) {
        // In a variable, since Ray writes the entry point into each log.
        env_vars.insert(SCRIPT.into(), handover::SCRIPT.into());
        entrypoint = format!("python3 -c \"${SCRIPT}\" {} {entrypoint}", quoted(&told));
    }
    let body = Submit {
        entrypoint,
        submission_id: submission_id(mark, key),
        runtime_env: RuntimeEnv {
            env_vars,
            pip,
            working_dir: spec.project.clone(),
        },
        metadata: BTreeMap::from([
            ("tern_job", key.job.to_string()),
            ("tern_attempt", key.number.to_string()),
        ]),
        entrypoint_num_cpus: f64::from(spec.resources.cpu_millis) / 1000.0,
        entrypoint_num_gpus: spec.resources.gpus,
        entrypoint_memory: (spec.resources.memory > 0).then_some(spec.resources.memory),
    };
    Ok(Request {
        method: "POST",
        path: "/api/jobs/".into(),
        body: Some(serde_json::to_value(body).expect("our own types are JSON")),
    })
}

/// Lines of requirements, without those that say nothing.
fn requirements(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Asks how an attempt is; this and what follows name it by its [`submission_id`].
pub fn status(name: &str) -> Request {
    of(name, "GET", "")
}

/// Asks for all of its log; Ray has no way to ask for a part.
pub fn logs(name: &str) -> Request {
    of(name, "GET", "/logs")
}

/// Asks it to end.
pub fn stop(name: &str) -> Request {
    of(name, "POST", "/stop")
}

/// Lets the cluster forget one that has ended.
pub fn delete(name: &str) -> Request {
    of(name, "DELETE", "")
}

fn of(name: &str, method: &'static str, rest: &str) -> Request {
    Request {
        method,
        path: format!("/api/jobs/{name}{rest}"),
        body: None,
    }
}

/// What the cluster says to [`submit`].
pub fn taken(status: u16, body: &str) -> Taken {
    match status {
        200 => Taken::Now,
        // It has no code of its own for this; the sentence has stood since the API began.
        400 | 500 if body.contains("already exists") => Taken::Before,
        400..=499 => Taken::Refused(shown(body)),
        _ => Taken::Unclear(shown(body)),
    }
}

/// What the cluster says to [`status`]. A person's wish that it should end is not known to it as such: `cancelled` says
/// whether there was one.
pub fn seen(status: u16, body: &str, cancelled: bool) -> Seen {
    if status == 404 {
        return Seen::Unknown;
    }
    let details = match serde_json::from_str::<Details>(body) {
        Ok(details) if status == 200 => details,
        _ => return Seen::Unclear(shown(body)),
    };
    match details.status.as_str() {
        "PENDING" => Seen::Waiting,
        "RUNNING" => Seen::Running,
        "SUCCEEDED" => Seen::Ended(Ended::Exited(0)),
        // Somebody may have stopped it on the cluster.
        "STOPPED" if cancelled => Seen::Ended(Ended::Cancelled),
        "STOPPED" => Seen::Ended(Ended::Interrupted),
        "FAILED" => Seen::Ended(failed(details)),
        other => Seen::Unclear(format!("a status that is not known: {}", shown(other))),
    }
}

fn failed(details: Details) -> Ended {
    let message = details.message.unwrap_or_default();
    let kind = details.error_type.unwrap_or_default();
    if kind == "RUNTIME_ENV_SETUP_FAILED" || message.contains("runtime_env setup failed") {
        return Ended::Environment(shown(&message));
    }
    if message.contains("OutOfMemoryError") || message.contains("running low on memory") {
        return Ended::OutOfMemory(Evidence::Engine);
    }
    match details.driver_exit_code {
        Some(code) if TIMED_OUT.contains(&code) => Ended::TimeLimit,
        // As Python says that a signal ended a process.
        Some(code) if code < 0 => Ended::Signalled(code.saturating_neg()),
        // A failure that calls itself none is not to be taken for a success.
        Some(0) | None if kind.starts_with("JOB_SUPERVISOR_ACTOR_DIED") => Ended::Interrupted,
        Some(0) | None => Ended::NotStarted(shown(&message)),
        Some(code) => Ended::Exited(code),
    }
}

/// What the cluster says to [`logs`].
pub fn log(status: u16, body: &str) -> Option<String> {
    let logs = serde_json::from_str::<Logs>(body);
    logs.ok().filter(|_| status == 200).map(|logs| logs.logs)
}

/// The same of an answer of which only the beginning was read: the text as far as it goes.
pub fn log_so_far(status: u16, body: &str) -> Option<String> {
    // It ends in the middle of a text, maybe in that of a letter written as one or two `\uXXXX`.
    let mut ends = (0..=LETTER).filter_map(|less| body.get(..body.len().checked_sub(less)?));
    ends.find_map(|text| log(status, &format!("{text}\"}}")))
}

#[cfg(test)]
mod tests {
    use tern_protocol::id::JobId;

    use super::*;
    use crate::job::{Secret, Variable};

    const KEY: AttemptKey = AttemptKey {
        job: JobId(12),
        number: 2,
    };

    #[test]
    fn a_job_is_submitted_under_its_own_name() {
        let mut spec = JobSpec::of(["python", "train.py", "--note", "it's"]);
        spec.environment = Environment::Requirements {
            text: "numpy==2.1.0\n# why\n\nonnx\n".into(),
            python: None,
        };
        spec.resources.memory = 1 << 30;
        spec.resources.cpu_millis = 1500;
        spec.time_limit = 60;
        let request = submit("a1", KEY, &spec, &Given::new()).unwrap();
        assert_eq!(
            (request.method, request.path.as_str()),
            ("POST", "/api/jobs/")
        );
        let expected = serde_json::json!({
            "entrypoint": "timeout -k 10 60 python train.py --note 'it'\\''s'",
            "submission_id": "tern-a1-12-2",
            "runtime_env": {
                "env_vars": {"TERN_ATTEMPT": "2", "TERN_JOB": "12"},
                "pip": ["numpy==2.1.0", "onnx"],
            },
            "metadata": {"tern_attempt": "2", "tern_job": "12"},
            "entrypoint_num_cpus": 1.5,
            "entrypoint_num_gpus": 0,
            "entrypoint_memory": 1_073_741_824,
        });
        assert_eq!(request.body, Some(expected));
        let name = submission_id("a1", KEY);
        assert_eq!(stop(&name).path, "/api/jobs/tern-a1-12-2/stop");
        assert_eq!(
            (status(&name).method, delete(&name).method),
            ("GET", "DELETE")
        );
    }

    #[test]
    fn what_ray_cannot_do_is_refused_by_field() {
        let mut spec = JobSpec::of(["true"]);
        let secret = Secret::new("swordfish");
        spec.variables
            .insert("KEY".into(), Variable::Secret { secret });
        spec.environment = Environment::Venv("/venv".into());
        let Err(problems) = submit("a1", KEY, &spec, &Given::new()) else {
            panic!("it is refused");
        };
        let places: Vec<&str> = problems.iter().map(|one| one.at.as_str()).collect();
        assert_eq!(places, ["variables.KEY", "environment.venv"]);
    }

    #[test]
    fn what_a_job_makes_is_handed_over_by_a_step_around_it() {
        let mut spec = JobSpec::of(["sh", "-c", "echo it's made > model.onnx"]);
        spec.artifacts = vec!["*.onnx".into()];
        spec.time_limit = 60;
        let mut entrypoint = |project: Option<&str>| {
            spec.project = project.map(str::to_owned);
            let body = submit("a1", KEY, &spec, &Given::new()).unwrap().body;
            let body = body.expect("a submission");
            let script = &body["runtime_env"]["env_vars"][SCRIPT];
            assert_eq!(script, handover::SCRIPT);
            body["entrypoint"].as_str().expect("text").to_owned()
        };
        let fresh = entrypoint(None);
        // A shell reads it, as Ray has it read.
        let words = std::process::Command::new("sh")
            .args(["-c", &format!("printf '%s\\n' {fresh}")])
            .env(SCRIPT, "the step")
            .output()
            .unwrap();
        let words = String::from_utf8(words.stdout).unwrap();
        let words: Vec<&str> = words.lines().collect();
        assert_eq!(words[..3], ["python3", "-c", "the step"]);
        let told: serde_json::Value = serde_json::from_str(words[3]).unwrap();
        assert_eq!(told["work"], "fresh");
        let command = [
            "timeout",
            "-k",
            "10",
            "60",
            "sh",
            "-c",
            "echo it's made > model.onnx",
        ];
        assert_eq!(words[4..], command);
        let of_project = entrypoint(Some("https://files/project.zip"));
        assert!(of_project.contains("\"work\":\"copy\""), "{of_project}");
    }

    #[test]
    fn giving_twice_is_giving_once() {
        let again = "ValueError: Job with submission_id tern-12-2 already exists. Please use a different one.";
        assert_eq!(taken(200, r#"{"job_id": "tern-12-2"}"#), Taken::Now);
        assert_eq!(taken(400, again), Taken::Before);
        assert_eq!(taken(500, again), Taken::Before);
        assert!(matches!(taken(400, "TypeError"), Taken::Refused(_)));
        assert!(matches!(taken(503, "no agent"), Taken::Unclear(_)));
    }

    #[test]
    fn answers_are_told_as_they_are() {
        let ended = |text: &str| seen(200, text, false);
        assert_eq!(
            ended(r#"{"status": "PENDING", "type": "SUBMISSION"}"#),
            Seen::Waiting
        );
        assert_eq!(
            ended(r#"{"status": "SUCCEEDED"}"#),
            Seen::Ended(Ended::Exited(0))
        );
        let failed = |rest: &str| ended(&format!(r#"{{"status": "FAILED", {rest}}}"#));
        assert_eq!(
            failed(r#""driver_exit_code": 3"#),
            Seen::Ended(Ended::Exited(3))
        );
        assert_eq!(
            failed(r#""driver_exit_code": -11"#),
            Seen::Ended(Ended::Signalled(11))
        );
        assert_eq!(
            failed(r#""driver_exit_code": 124"#),
            Seen::Ended(Ended::TimeLimit)
        );
        let no_success = failed(r#""driver_exit_code": 0, "message": "odd""#);
        assert_eq!(no_success, Seen::Ended(Ended::NotStarted("odd".into())));
        let oom =
            failed(r#""driver_exit_code": 1, "message": "ray.exceptions.OutOfMemoryError: …""#);
        assert_eq!(oom, Seen::Ended(Ended::OutOfMemory(Evidence::Engine)));
        let pip = failed(r#""error_type": "RUNTIME_ENV_SETUP_FAILED", "message": "pip""#);
        assert_eq!(pip, Seen::Ended(Ended::Environment("pip".into())));
        let stopped = r#"{"status": "STOPPED"}"#;
        assert_eq!(seen(200, stopped, true), Seen::Ended(Ended::Cancelled));
        assert_eq!(seen(200, stopped, false), Seen::Ended(Ended::Interrupted));
        assert_eq!(
            seen(404, "Job tern-12-2 does not exist", false),
            Seen::Unknown
        );
        for unclear in [(502, "<html>"), (200, "{}"), (200, r#"{"status": "NEW"}"#)] {
            assert!(matches!(
                seen(unclear.0, unclear.1, false),
                Seen::Unclear(_)
            ));
        }
        assert_eq!(log(200, r#"{"logs": "one\n"}"#).as_deref(), Some("one\n"));
        assert_eq!(log(500, "oops"), None);
    }

    #[test]
    fn a_log_that_is_too_long_is_read_as_far_as_it_goes() {
        let whole = r#"{"logs": "a\n\"\u00e4\ud83d\ude00z"}"#;
        let text = log(200, whole).unwrap();
        // Up to the quotation mark that ends the text.
        let quote = whole.len() - 2;
        let mut longest = 0;
        for cut in r#"{"logs": ""#.len()..=quote {
            let part = log_so_far(200, &whole[..cut]).unwrap_or_else(|| panic!("{cut}"));
            assert!(text.starts_with(&part) && part.len() >= longest, "{part:?}");
            longest = part.len();
        }
        assert_eq!(longest, text.len());
        assert_eq!(log_so_far(500, whole), None);
        assert_eq!(log_so_far(200, "<html>"), None);
    }
}
