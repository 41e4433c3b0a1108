//! Policies as people write them: read, with what is wrong at which line. Pure.

use tern_protocol::rest::RuleProblem;
use tern_retrain::Policy;

use crate::alerts::names_field;

/// Longest document, in bytes.
pub(super) const DOCUMENT: usize = 64 * 1024;

/// Reads a policy of YAML or JSON.
pub(super) fn policy(text: &str) -> Result<Policy, Vec<RuleProblem>> {
    let policy: Policy = document(text, "policy")?;
    let problems = policy.problems();
    if problems.is_empty() {
        return Ok(policy);
    }
    let told = problems.into_iter().map(|problem| RuleProblem {
        line: Some(line_of(text, &problem.at)),
        at: problem.at,
        text: problem.text,
    });
    Err(told.collect())
}

/// Reads a document of YAML or JSON, whatever it says.
pub(super) fn document<T: serde::de::DeserializeOwned>(
    text: &str,
    what: &str,
) -> Result<T, Vec<RuleProblem>> {
    let whole = |line: Option<u64>, text: String| {
        vec![RuleProblem {
            line,
            at: String::new(),
            text,
        }]
    };
    if text.len() > DOCUMENT {
        let text = format!("the {what} is larger than {} KiB", DOCUMENT / 1024);
        return Err(whole(None, text));
    }
    // JSON is YAML as well.
    serde_saphyr::from_str(text).map_err(|err| {
        let line = err.location().map(|location| location.line());
        // What follows the first line draws the place into the text.
        let said = err.to_string();
        let said = said.lines().next().unwrap_or_default();
        whole(line.filter(|line| *line > 0), said.to_owned())
    })
}

/// The line of a place such as `triggers[1].finding.kinds`: each part is looked for from where the one before it was
/// found. Of what is missing it is the line of what it is missing in.
fn line_of(text: &str, at: &str) -> u64 {
    let lines: Vec<&str> = text.lines().collect();
    let (mut found, mut from) = (1, 0);
    for part in at.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        let Some(place) = (from..lines.len()).find(|at| names_field(lines[*at], name)) else {
            return found;
        };
        (found, from) = (place as u64 + 1, place);
        let Some(index) = index else { continue };
        let is_item = |line: &str| line.trim_start().starts_with('-');
        let indent = |line: &str| line.len() - line.trim_start().len();
        let mut items = (place + 1..lines.len()).filter(|at| is_item(lines[*at]));
        // Lists within the first item are further in.
        let Some(first) = items.next() else { continue };
        let mut same = (first..lines.len())
            .filter(|at| is_item(lines[*at]) && indent(lines[*at]) == indent(lines[first]));
        if let Some(place) = same.nth(index) {
            (found, from) = (place as u64 + 1, place);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "\
model: digits
triggers:
  - finding:
      kinds:
        - input
  - finding: {}
  - every: 180d
cool-down: 7d
training: usual
rollout: careful
budget:
  training: 100
";

    #[track_caller]
    fn wrong(text: &str) -> Vec<String> {
        let problems = policy(text).expect_err("it is wrong");
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn mistakes_are_told_by_line_and_place() {
        assert!(policy(RIGHT).is_ok());
        for (from, to, said) in [
            (
                "input",
                "quality",
                "line 4: triggers[0].finding.kinds: `quality` calls",
            ),
            (
                "180d",
                "1d",
                "line 7: triggers[2].every: is shorter than the cool-down",
            ),
            (
                "training: 100",
                "training: 100\n  per-day: 5",
                "line 13: budget.per-day: 5 core-seconds are less",
            ),
            (
                "rollout: careful",
                "rollout: ''",
                "line 10: rollout: write the name of a plan template",
            ),
            ("cool-down", "cooldown", "line 8: "),
            ("180d", "soon", "line 7: "),
        ] {
            let text = RIGHT.replace(from, to);
            let found = wrong(&text);
            assert!(found[0].starts_with(said), "{found:?} is not {said}");
        }
        let json = r#"{"model": "digits", "triggers": [{"finding": {}}], "training": "usual", "rollout": "careful"}"#;
        assert!(policy(json).is_ok());
        assert!(wrong(&"x".repeat(DOCUMENT + 1))[0].contains("larger than 64 KiB"));
    }

    #[test]
    fn anything_may_be_typed() {
        for text in [
            "",
            "model",
            "- a",
            "{",
            "model: [",
            "model: digits\ntriggers: 7",
        ] {
            assert_eq!(wrong(text).len(), 1, "{text}");
        }
        assert_eq!(line_of("", "triggers[3].every"), 1);
        assert_eq!(line_of("triggers:\n  - every: 1d", "triggers[7].every"), 2);
    }
}
