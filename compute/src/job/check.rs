//! What is wrong with a job, field by field. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Environment, JobSpec, SHOWN, patterns};

/// Words of a command, at most: a kernel takes more, a person who writes them does not.
const WORDS: usize = 1024;
/// Bytes of one word or one value, at most: the kernel's own bound for one is 128 KiB.
const WORD: usize = 64 * 1024;
/// Environment variables, at most.
const VARIABLES: usize = 256;
/// Bytes of requirements, at most.
const REQUIREMENTS: usize = 256 * 1024;
/// Patterns of artifacts, at most.
const PATTERNS: usize = 64;
/// Longest time limit in seconds: what runs for a month without an end hangs.
const LONGEST: u64 = 31 * 24 * 60 * 60;
/// Most attempts after the first.
const RETRIES: u32 = 20;
/// Shortest secret that can be hidden in a log without hiding half of the log.
const SHORTEST_SECRET: usize = 4;
/// What the runner itself sets, and nobody else may.
const OURS: &str = "TERN_";

/// One thing that is wrong with a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The field, as `variables.API_KEY`.
    pub at: String,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn unless(&mut self, right: bool, at: impl Into<String>, text: impl Into<String>) {
        if !right {
            self.0.push(Problem {
                at: at.into(),
                text: text.into(),
            });
        }
    }
}

impl JobSpec {
    /// Everything that is wrong with it; empty if it can be run.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Found::default();
        self.check_command(&mut found);
        self.check_environment(&mut found);
        self.check_variables(&mut found);
        if let Some(dataset) = &self.dataset {
            check_word(&mut found, "dataset", dataset);
            found.unless(!dataset.is_empty(), "dataset", "empty; leave it out");
        }
        if let Some(project) = &self.project {
            check_word(&mut found, "project", project);
            // A URI is for an engine that reads one.
            let named = project.starts_with('/') || project.contains("://");
            found.unless(named, "project", "not an absolute path");
        }
        let resources = &self.resources;
        found.unless(
            (1..=1_024_000).contains(&resources.cpu_millis),
            "resources.cpu_millis",
            format!(
                "{} is not in 1..=1024000 thousandths of a core",
                resources.cpu_millis
            ),
        );
        found.unless(
            resources.memory == 0 || resources.memory >= 1024 * 1024,
            "resources.memory",
            format!("{} bytes are less than 1 MiB", resources.memory),
        );
        found.unless(resources.gpus <= 64, "resources.gpus", "more than 64");
        found.unless(
            (1..=LONGEST).contains(&self.time_limit),
            "time_limit",
            format!("{} is not in 1..={LONGEST} seconds", self.time_limit),
        );
        found.unless(
            self.retries.most <= RETRIES,
            "retries.most",
            format!("{} is more than {RETRIES}", self.retries.most),
        );
        found.unless(
            self.retries.wait <= 3600,
            "retries.wait",
            format!("{} s is more than an hour", self.retries.wait),
        );
        found.unless(
            self.priority <= 9,
            "priority",
            format!("{} is not in 0..=9", self.priority),
        );
        self.check_artifacts(&mut found);
        found.0
    }

    fn check_command(&self, found: &mut Found) {
        let words = &self.command;
        found.unless(
            words.first().is_some_and(|program| !program.is_empty()),
            "command",
            "names no program; it is a list as [\"python\", \"train.py\"]",
        );
        found.unless(
            words.len() <= WORDS,
            "command",
            format!("{} words; at most {WORDS}", words.len()),
        );
        for (index, word) in words.iter().enumerate().take(WORDS) {
            check_word(found, &format!("command[{index}]"), word);
        }
    }

    fn check_environment(&self, found: &mut Found) {
        match &self.environment {
            Environment::None => {}
            Environment::Requirements { text, python } => {
                found.unless(
                    text.len() <= REQUIREMENTS && !text.contains('\0'),
                    "environment.requirements.text",
                    format!(
                        "longer than {} KiB, or with zero bytes",
                        REQUIREMENTS / 1024
                    ),
                );
                let version = |python: &str| {
                    let parts: Vec<&str> = python.split('.').collect();
                    (1..=3).contains(&parts.len())
                        && parts.iter().all(|part| {
                            (1..=3).contains(&part.len())
                                && part.bytes().all(|b| b.is_ascii_digit())
                        })
                };
                if let Some(python) = python {
                    found.unless(
                        version(python),
                        "environment.requirements.python",
                        "not a version as `3.11`",
                    );
                }
            }
            Environment::Venv(path) => {
                check_word(found, "environment.venv", path);
                found.unless(
                    path.starts_with('/'),
                    "environment.venv",
                    "not an absolute path",
                );
            }
        }
    }

    fn check_variables(&self, found: &mut Found) {
        found.unless(
            self.variables.len() <= VARIABLES,
            "variables",
            format!("{}; at most {VARIABLES}", self.variables.len()),
        );
        for (name, variable) in self.variables.iter().take(VARIABLES) {
            let at = format!("variables.{}", name.chars().take(80).collect::<String>());
            let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            found.unless(
                !name.is_empty()
                    && name.len() <= 128
                    && name.bytes().all(letters)
                    && !name.as_bytes()[0].is_ascii_digit(),
                &at,
                "a name is 1 to 128 of a-z A-Z 0-9 _ and begins with no digit",
            );
            found.unless(
                !name.starts_with(OURS),
                &at,
                format!("names that begin with {OURS} are set by the runner"),
            );
            check_word(found, &at, variable.value());
            if variable.is_secret() {
                found.unless(
                    variable.value() != SHOWN,
                    &at,
                    "this is how a secret is shown, not the secret itself",
                );
                found.unless(
                    variable.value().len() >= SHORTEST_SECRET,
                    &at,
                    format!(
                        "a secret of less than {SHORTEST_SECRET} bytes cannot be hidden in a log"
                    ),
                );
            }
        }
    }

    fn check_artifacts(&self, found: &mut Found) {
        found.unless(
            self.artifacts.len() <= PATTERNS,
            "artifacts",
            format!("{} patterns; at most {PATTERNS}", self.artifacts.len()),
        );
        for (index, pattern) in self.artifacts.iter().enumerate().take(PATTERNS) {
            let at = format!("artifacts[{index}]");
            let inside = !pattern.is_empty()
                && pattern.len() <= 1024
                && !pattern.starts_with('/')
                && !pattern.split('/').any(|part| part == "..");
            found.unless(inside, &at, "names nothing under the working directory");
            if let Err(err) = patterns::glob(pattern) {
                found.unless(false, &at, format!("no pattern: {}", err.kind()));
            }
        }
    }
}

fn check_word(found: &mut Found, at: &str, word: &str) {
    found.unless(
        word.len() <= WORD && !word.contains('\0'),
        at,
        format!("longer than {} KiB, or with zero bytes", WORD / 1024),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Secret, Variable};

    /// What is found wrong after this was done to a job that is right.
    #[track_caller]
    fn wrong(spoil: impl FnOnce(&mut JobSpec), at: &str) {
        let mut spec = JobSpec::of(["python", "train.py"]);
        assert_eq!(spec.problems(), []);
        spoil(&mut spec);
        let places: Vec<String> = spec.problems().into_iter().map(|one| one.at).collect();
        assert_eq!(places, [at]);
    }

    #[test]
    fn what_is_wrong_is_told_by_field() {
        wrong(|spec| spec.command.clear(), "command");
        wrong(|spec| spec.command[0].clear(), "command");
        wrong(|spec| spec.command[1] = "a\0b".into(), "command[1]");
        wrong(|spec| spec.priority = 10, "priority");
        wrong(|spec| spec.time_limit = 0, "time_limit");
        wrong(|spec| spec.retries.most = 21, "retries.most");
        wrong(|spec| spec.resources.cpu_millis = 0, "resources.cpu_millis");
        wrong(|spec| spec.resources.memory = 5, "resources.memory");
        wrong(|spec| spec.project = Some("here".into()), "project");
        wrong(|spec| spec.dataset = Some(String::new()), "dataset");
        for pattern in ["/etc/*", "../x", "a/../../b", "", "["] {
            wrong(|spec| spec.artifacts = vec![pattern.into()], "artifacts[0]");
        }
        let venv = |path: &str| Environment::Venv(path.into());
        wrong(|spec| spec.environment = venv("venv"), "environment.venv");
        let python = |version: &str| Environment::Requirements {
            text: String::new(),
            python: Some(version.into()),
        };
        for version in ["", "3.", "three", "3.11; rm", "--help"] {
            wrong(
                |spec| spec.environment = python(version),
                "environment.requirements.python",
            );
        }
    }

    #[test]
    fn a_secret_that_was_shown_is_no_secret() {
        let secret = |text: &str| Variable::Secret {
            secret: Secret::new(text),
        };
        let with = |name: &'static str, variable| {
            move |spec: &mut JobSpec| {
                spec.variables.insert(name.to_owned(), variable);
            }
        };
        for text in ["abc", ""] {
            wrong(with("KEY", secret(text)), "variables.KEY");
        }
        let mut spec = JobSpec::of(["true"]);
        with("KEY", secret(SHOWN))(&mut spec);
        assert!(spec.problems()[0].text.contains("not the secret itself"));
        let plain = || Variable::Plain("x".into());
        wrong(with("TERN_JOB", plain()), "variables.TERN_JOB");
        wrong(with("1A", plain()), "variables.1A");
        wrong(with("A=B", plain()), "variables.A=B");
    }
}
