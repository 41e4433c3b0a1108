//! Rules as a person would write them. Pure.

use std::fmt::Write as _;

use serde_json::Value;
use tern_protocol::rest::{AlertRule, AlertRuleView, RuleOrigin};

/// The file of the rules that were made or changed in a workspace; empty if there are none.
pub fn text_of_own(rules: &[AlertRuleView]) -> String {
    let own = rules.iter().filter(|one| one.origin != RuleOrigin::Default);
    let own: Vec<&AlertRule> = own.map(|one| &one.rule).collect();
    if own.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    let rules = serde_json::to_value(own).expect("texts, numbers and lists are always JSON");
    write(&mut text, &serde_json::json!({ "rules": rules }), 0);
    text
}

/// Fields in the order in which people write them; others follow.
const ORDER: [&str; 29] = [
    "name",
    "enabled",
    "severity",
    "for",
    "resolve-after",
    "cool-down",
    "repeat",
    "together",
    "gather",
    "labels",
    "action",
    "when",
    "of",
    "part",
    "kinds",
    "attributions",
    "model",
    "version",
    "site",
    "group-by",
    "window",
    "after",
    "above",
    "below",
    "clear",
    "minimum",
    "min-share",
    "by",
    "rules",
];

/// Writes what is in a value, each line indented; the caller has written what stands before it.
fn write(text: &mut String, value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    // Writing to a String cannot fail.
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            let place = |name: &str| {
                ORDER
                    .iter()
                    .position(|known| *known == name)
                    .unwrap_or(ORDER.len())
            };
            fields.sort_by_key(|(name, _)| place(name));
            for (index, (name, value)) in fields.into_iter().enumerate() {
                let pad = if index == 0 { "" } else { &pad };
                let _ = write!(text, "{pad}{}:", scalar(&Value::from(name.as_str())));
                under(text, value, indent + 2);
            }
        }
        other => {
            let _ = writeln!(text, "{}", scalar(other));
        }
    }
}

/// Writes what stands behind a colon.
fn under(text: &mut String, value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let _ = write!(text, "\n{pad}");
            write(text, value, indent);
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            text.push('\n');
            for item in items {
                let _ = write!(text, "{pad}- ");
                write(text, item, indent + 2);
            }
        }
        other => {
            let _ = writeln!(text, " {}", scalar(other));
        }
    }
}

/// A value on one line. JSON is YAML as well; what reads better plain and means the same is plain.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(scalar).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether YAML takes a text as itself: a word that is no yes or no, or a number with a unit.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "true", "false", "on", "off", "null"];
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    word || unit.len() < text.len() && matches!(unit, "ms" | "s" | "m" | "h" | "d" | "%" | "us")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::file;

    #[test]
    fn what_is_written_reads_back() {
        let text = "rules:\n  - name: no\n    severity: page\n    for: 5m\n    action: 'say \"so\": now'\n    labels: {team: \"1e5\"}\n    when:\n      finding:\n        kinds: [input, errors]\n  - name: slow\n    when:\n      metric:\n        of: latency\n        above: 80ms\n  - name: few\n    when:\n      metric: {of: traffic, below: 0.5}\n";
        let rules = file::read(text).expect("rules");
        let views: Vec<AlertRuleView> = rules
            .iter()
            .map(|rule| AlertRuleView {
                rule: rule.clone(),
                origin: RuleOrigin::Own,
                firing: 0,
                pending: 0,
                updated: None,
                by: None,
            })
            .collect();
        let written = text_of_own(&views);
        assert_eq!(
            file::read(&written).unwrap_or_else(|err| panic!("{err:?}\n{written}")),
            rules
        );
        assert!(
            written.starts_with("rules:\n  - name: \"no\"\n"),
            "{written}"
        );
        assert!(written.contains("\n    for: 5m\n"), "{written}");
        assert_eq!(text_of_own(&[]), "");
    }
}
