//! `python_env.yaml` as an environment. Pure.

use serde::Deserialize;

use super::{Files, problem, yaml};
use crate::job::{Environment, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    python: Option<String>,
    #[serde(default)]
    build_dependencies: Vec<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Reads it, with the files of requirements that it names put in their place.
pub(super) fn read(file: &str, files: Files<'_>) -> Result<Environment, Vec<Problem>> {
    let missing = || vec![problem("python_env", format!("there is no file {file}"))];
    let text = files(file).ok_or_else(missing)?;
    let written: Written = yaml(file, &text).map_err(|one| vec![one])?;
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    // What builds packages comes first, as MLflow installs it.
    for line in written
        .build_dependencies
        .iter()
        .chain(&written.dependencies)
    {
        let name = match named_file(line) {
            None => {
                lines.push(line.trim().to_owned());
                continue;
            }
            Some(Named::Constraints) => {
                problems.push(constraints(file, line));
                continue;
            }
            Some(Named::Requirements(name)) => name,
        };
        let Some(text) = files(name) else {
            problems.push(problem(file, format!("there is no file {name}")));
            continue;
        };
        for line in text.lines() {
            match named_file(line) {
                None => {}
                Some(Named::Constraints) => problems.push(constraints(name, line)),
                Some(Named::Requirements(_)) => problems.push(problem(
                    name,
                    format!("`{}`: files in files are not followed", line.trim()),
                )),
            }
            lines.push(line.to_owned());
        }
    }
    let mut text = lines.join("\n");
    text.push('\n');
    if problems.is_empty() {
        Ok(Environment::Requirements {
            text,
            python: written.python,
        })
    } else {
        Err(problems)
    }
}

/// What a line of requirements names instead of a package.
enum Named<'a> {
    /// A file with more of them.
    Requirements(&'a str),
    /// A file with versions of what others may bring.
    Constraints,
}

/// The file that a line of requirements names.
fn named_file(line: &str) -> Option<Named<'_>> {
    let line = line.trim();
    let of = |long: &str, short: &str| {
        let after_long = line.strip_prefix(long);
        let after_long = after_long.filter(|rest| rest.starts_with([' ', '\t', '=']));
        let rest = after_long.or_else(|| line.strip_prefix(short))?;
        Some(rest.trim_start_matches([' ', '\t', '=']))
    };
    let requirements = of("--requirement", "-r").map(Named::Requirements);
    requirements.or_else(|| of("--constraint", "-c").map(|_| Named::Constraints))
}

/// Put in their place they would be installed, which is not what they are for.
fn constraints(file: &str, line: &str) -> Problem {
    let text = format!(
        "`{}`: files of constraints are not read; write versions into the requirements",
        line.trim()
    );
    problem(file, text)
}
