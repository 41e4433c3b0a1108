//! MLproject files become jobs. Pure: files are handed in.
//!
//! Called by whoever lets a person run a project by one. What MLflow reads there is read here with the same meaning:
//! parameters with types and defaults, those that are not declared appended as `--name value`, the command given to a
//! shell with values quoted. What cannot be run as it is meant (conda, containers) is refused, with what to do instead.
//!
//! Must never break: a value that a person gives is one word of the command, whatever stands in it.

mod environment;
mod quote;

pub(crate) use quote::quoted;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::job::{Environment, JobSpec, Problem};

/// Longest file, in bytes.
const FILE: usize = 256 * 1024;

/// What a file of the project says, by its name in it; `None` if there is none.
pub type Files<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// What it is called.
    pub name: Option<String>,
    /// What can be run, by name; `main` is usual.
    pub entry_points: BTreeMap<String, EntryPoint>,
    /// The environment for all of it.
    pub environment: Environment,
}

/// Something that can be run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryPoint {
    /// What it can be told.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// The command, for a shell, with parameters as `{name}`.
    pub command: String,
}

/// What an entry point can be told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenParameter")]
pub struct Parameter {
    /// What a value has to be.
    pub kind: Kind,
    /// What it is unless somebody says otherwise. Without it somebody has to.
    pub default: Option<String>,
}

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Anything.
    #[default]
    String,
    /// A number.
    Float,
    /// A file on the machine where it runs, as a path in the project or an absolute one.
    Path,
    /// A path as well, or a URI that the command itself understands.
    Uri,
}

/// `alpha: float`, or `alpha: {type: float, default: 0.1}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenParameter {
    Short(Kind),
    Long {
        #[serde(default, rename = "type")]
        kind: Kind,
        #[serde(default)]
        default: Option<Scalar>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Whole(i64),
    Float(f64),
    Text(String),
}

impl From<WrittenParameter> for Parameter {
    fn from(written: WrittenParameter) -> Self {
        match written {
            WrittenParameter::Short(kind) => Self {
                kind,
                default: None,
            },
            WrittenParameter::Long { kind, default } => Self {
                kind,
                default: default.map(|scalar| match scalar {
                    // As Python writes it, for whose programs these files are.
                    Scalar::Bool(true) => "True".into(),
                    Scalar::Bool(false) => "False".into(),
                    Scalar::Whole(number) => number.to_string(),
                    Scalar::Float(number) => number.to_string(),
                    Scalar::Text(text) => text,
                }),
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    python_env: Option<String>,
    #[serde(default)]
    conda_env: Option<String>,
    #[serde(default)]
    docker_env: Option<BTreeMap<String, Anything>>,
    #[serde(default)]
    entry_points: BTreeMap<String, EntryPoint>,
}

/// What is not looked into.
#[derive(Deserialize)]
#[serde(untagged)]
enum Anything {
    Scalar(#[allow(dead_code, reason = "only read over")] Scalar),
    List(#[allow(dead_code, reason = "only read over")] Vec<Anything>),
    Map(#[allow(dead_code, reason = "only read over")] BTreeMap<String, Anything>),
}

fn problem(at: impl Into<String>, text: impl Into<String>) -> Problem {
    Problem {
        at: at.into(),
        text: text.into(),
    }
}

/// Text of YAML as one of our types, or one problem with the line in it.
fn yaml<'a, T: Deserialize<'a>>(file: &str, text: &'a str) -> Result<T, Problem> {
    if text.len() > FILE {
        return Err(problem(file, format!("larger than {} KiB", FILE / 1024)));
    }
    serde_saphyr::from_str(text).map_err(|err| {
        // What follows the first line draws the place into the text.
        let said = err.to_string();
        problem(file, said.lines().next().unwrap_or_default())
    })
}

impl Project {
    /// Reads the file `MLproject`; others that it names are asked for.
    pub fn read(text: &str, files: Files<'_>) -> Result<Self, Vec<Problem>> {
        let written: Written = yaml("MLproject", text).map_err(|one| vec![one])?;
        let mut problems = Vec::new();
        if written.conda_env.is_some() {
            problems.push(problem(
                "conda_env",
                "conda environments are not made here; export one with `mlflow.pyfunc.get_model_dependencies` or by \
                 hand into python_env.yaml, and name that as `python_env`",
            ));
        }
        if written.docker_env.is_some() {
            problems.push(problem(
                "docker_env",
                "containers are not started here; name a `python_env`, or run the job on a Kubernetes compute with that \
                 image",
            ));
        }
        if written.entry_points.is_empty() {
            problems.push(problem("entry_points", "there is none, so nothing to run"));
        }
        let environment = match &written.python_env {
            Some(file) => environment::read(file, files).unwrap_or_else(|found| {
                problems.extend(found);
                Environment::None
            }),
            None => Environment::None,
        };
        if problems.is_empty() {
            Ok(Self {
                name: written.name,
                entry_points: written.entry_points,
                environment,
            })
        } else {
            Err(problems)
        }
    }

    /// The job that runs an entry point with these values. Its project directory is the caller's to set, as are
    /// resources and all else that the file says nothing about.
    pub fn job(
        &self,
        entry_point: &str,
        given: &BTreeMap<String, String>,
    ) -> Result<JobSpec, Vec<Problem>> {
        let at = format!("entry_points.{entry_point}");
        let Some(entry) = self.entry_points.get(entry_point) else {
            let names: Vec<&str> = self.entry_points.keys().map(String::as_str).collect();
            let text = format!("there is none of that name; there are {}", names.join(", "));
            return Err(vec![problem(at, text)]);
        };
        let mut problems = Vec::new();
        let mut values = BTreeMap::new();
        for (name, parameter) in &entry.parameters {
            let at = format!("{at}.parameters.{name}");
            match given.get(name).or(parameter.default.as_ref()) {
                None => problems.push(problem(at, "has no default, and no value was given")),
                Some(value) => {
                    if let Some(text) = parameter.kind.objects_to(value) {
                        problems.push(problem(at, text));
                    }
                    values.insert(name.as_str(), value.as_str());
                }
            }
        }
        let mut command = fill(&entry.command, &values).unwrap_or_else(|name| {
            let text = format!("{{{name}}} is no parameter of it");
            problems.push(problem(format!("{at}.command"), text));
            String::new()
        });
        for (name, value) in given {
            if !entry.parameters.contains_key(name) {
                let option = quoted(&format!("--{name}"));
                command.extend([" ", &option, " ", &quoted(value)]);
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut spec = JobSpec::of(["sh", "-c", &command]);
        spec.environment = self.environment.clone();
        let problems = spec.problems();
        if problems.is_empty() {
            Ok(spec)
        } else {
            Err(problems)
        }
    }
}

impl Kind {
    /// Why a value is none of this kind.
    fn objects_to(self, value: &str) -> Option<String> {
        match self {
            Self::Float if value.trim().parse::<f64>().is_err() => Some(format!(
                "`{}` is no number",
                value.chars().take(80).collect::<String>()
            )),
            Self::Path if value.contains("://") => {
                Some("a path was asked for, and this is a URI".into())
            }
            Self::Path | Self::Uri if value.is_empty() => Some("empty".into()),
            _ => None,
        }
    }
}

/// A command with its parameters in it; `{{` and `}}` are braces, as in Python. The name that is unknown if one is.
fn fill(command: &str, values: &BTreeMap<&str, &str>) -> Result<String, String> {
    let mut out = String::with_capacity(command.len());
    let mut rest = command;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = after.find('}').filter(|_| brace == "{");
        let Some(end) = end else {
            return Err(after.chars().take(40).collect());
        };
        let name = &after[..end];
        let value = values.get(name).ok_or_else(|| name.to_owned())?;
        out.push_str(&quoted(value));
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests;
