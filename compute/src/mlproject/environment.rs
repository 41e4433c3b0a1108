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
        let Some(name) = named_file(line) else {
            lines.push(line.trim().to_owned());
            continue;
        };
        match files(name) {
            None => problems.push(problem(file, format!("there is no file {name}"))),
            Some(text) => {
                for line in text.lines() {
                    if named_file(line).is_some() {
                        problems.push(problem(
                            name,
                            format!("`{}`: files in files are not followed", line.trim()),
                        ));
                    }
                    lines.push(line.to_owned());
                }
            }
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

/// The file that a line of requirements names.
fn named_file(line: &str) -> Option<&str> {
    let line = line.trim();
    let options = ["--requirement", "-r", "--constraint", "-c"];
    let rest = options
        .iter()
        .find_map(|option| line.strip_prefix(option))?;
    let named =
        rest.starts_with([' ', '\t', '=']) || line.starts_with("-r") || line.starts_with("-c");
    named.then(|| rest.trim_start_matches([' ', '\t', '=']))
}
