//! Files of rules: read, with what is wrong at which line. Pure.

use std::{collections::BTreeSet, sync::LazyLock};

use serde::Deserialize;
use serde_saphyr::Spanned;
use tern_protocol::rest::{AlertRule, RuleFile, RuleProblem};

/// Rules of a workspace or a file, at most: each is a few questions to the database at each look.
pub(super) const RULES: usize = 100;

/// Longest file, in bytes.
const FILE: usize = 256 * 1024;

/// The rules that every workspace has.
pub(super) static DEFAULTS: LazyLock<Vec<AlertRule>> = LazyLock::new(|| {
    let file: RuleFile =
        serde_saphyr::from_str(include_str!("defaults.yaml")).expect("a test reads it");
    file.rules
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    rules: Vec<Spanned<AlertRule>>,
}

/// Reads a file of YAML or JSON.
pub(super) fn read(text: &str) -> Result<Vec<AlertRule>, Vec<RuleProblem>> {
    let whole = |line: Option<u64>, text: String| {
        vec![RuleProblem {
            line,
            at: String::new(),
            text,
        }]
    };
    if text.len() > FILE {
        return Err(whole(
            None,
            format!("the file is larger than {} KiB", FILE / 1024),
        ));
    }
    // JSON is YAML as well.
    let read: Lines = serde_saphyr::from_str(text).map_err(|err| {
        let line = err
            .location()
            .map(|location| location.line())
            .filter(|line| *line > 0);
        // What follows the first line draws the place into the text.
        let said = err.to_string();
        let said = said.lines().next().unwrap_or_default();
        whole(line, said.to_owned())
    })?;
    if read.rules.len() > RULES {
        return Err(whole(None, format!("at most {RULES} rules")));
    }
    let starts: Vec<u64> = read
        .rules
        .iter()
        .map(|rule| rule.referenced.line())
        .collect();
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for (index, rule) in read.rules.iter().enumerate() {
        let (from, to) = (starts[index], starts.get(index + 1).copied());
        let mut found = rule.value.problems();
        if !names.insert(&rule.value.name) {
            found.push(RuleProblem {
                line: None,
                at: "name".into(),
                text: format!("`{}` stands here twice", rule.value.name),
            });
        }
        problems.extend(found.into_iter().map(|problem| RuleProblem {
            line: Some(line_of(text, from, to, &problem.at)),
            at: format!("rules[{index}].{}", problem.at),
            ..problem
        }));
    }
    if problems.is_empty() {
        Ok(read.rules.into_iter().map(|rule| rule.value).collect())
    } else {
        Err(problems)
    }
}

/// The line of a field within the lines of its rule: the first that begins with its name; that of the rule if there is
/// none, since a field may be missing.
fn line_of(text: &str, from: u64, to: Option<u64>, at: &str) -> u64 {
    let field = at.rsplit('.').next().unwrap_or(at);
    let lines = (1_u64..).zip(text.lines());
    let mut within =
        lines.filter(|(number, _)| *number >= from && to.is_none_or(|to| *number < to));
    within
        .find(|(_, line)| names_field(line, field))
        .map_or(from, |(number, _)| number)
}

/// Whether a line of YAML or JSON begins with the name of this field.
pub(crate) fn names_field(line: &str, field: &str) -> bool {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '{' | ','));
    let line = line.trim_start_matches(['"', '\'']);
    let rest = line.strip_prefix(field);
    rest.is_some_and(|rest| {
        rest.trim_start_matches(['"', '\''])
            .trim_start()
            .starts_with(':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_workspace_has_is_right() {
        assert_eq!(DEFAULTS.len(), 5);
        for rule in DEFAULTS.iter() {
            assert_eq!(rule.problems(), [], "{}", rule.name);
        }
        assert!(read(include_str!("defaults.yaml")).is_ok());
    }

    #[track_caller]
    fn wrong(text: &str) -> Vec<String> {
        let problems = read(text).expect_err("it is wrong");
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let text = "rules:\n  - name: a\n    when:\n      metric:\n        of: errors\n        above: 80ms\n  - name: b\n    repeat: 1m\n    when: {finding: {}}\n  - name: a\n    when:\n      metric: {of: errors}\n";
        let said = wrong(text);
        assert_eq!(said.len(), 4, "{said:#?}");
        assert!(
            said[0].starts_with("line 6: rules[0].when.metric.above: write a share"),
            "{said:#?}"
        );
        assert!(
            said[1].starts_with("line 8: rules[1].repeat: is shorter"),
            "{said:#?}"
        );
        assert!(
            said[2].contains("rules[2].when.metric.above: write what is too much"),
            "{said:#?}"
        );
        assert!(
            said[3].starts_with("line 10: rules[2].name: `a` stands here twice"),
            "{said:#?}"
        );
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        for (text, line, word) in [
            ("rules:\n  - name: a\n    wehn: {}\n", 3, "wehn"),
            (
                "rules:\n  - name: a\n    when:\n      metric:\n        of: mood\n        above: 5%\n",
                5,
                "mood",
            ),
            (
                "rules:\n  - name: a\n    for: soon\n    when: {finding: {}}\n",
                3,
                "soon",
            ),
            (
                "{\"rules\": [\n{\"name\": \"a b\",\n\"when\": {\"finding\": {}}}]}",
                2,
                "a b",
            ),
        ] {
            let problems = read(text).expect_err("it is wrong");
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].line, Some(line), "{problems:?}");
            assert!(problems[0].text.contains(word), "{problems:?}");
        }
        for text in ["", "rules: 7", "[", "rules:\n\t- x", &"x".repeat(FILE + 1)] {
            assert_eq!(wrong(text).len(), 1);
        }
    }
}
