//! A text for Prometheus as families of numbers. Pure.
//!
//! It reads what `tern_protocol::exposition` writes. Must never break: whatever the text, what is kept is bounded.

use std::collections::BTreeMap;

use opentelemetry::KeyValue;

/// Families that are kept, and samples of each: hub and agent have a tenth.
const FAMILIES: usize = 1_024;
const SAMPLES: usize = 2_000;

/// How numbers of a family behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only rise.
    Counter,
    /// They are read.
    Gauge,
}

/// Numbers of one name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) help: String,
    samples: Vec<(Vec<KeyValue>, f64)>,
}

/// All numbers of one moment, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Snapshot(BTreeMap<String, Family>);

impl Snapshot {
    /// Reads a text; lines that are none of its format are passed over.
    pub(super) fn read(text: &str) -> Self {
        let mut all = BTreeMap::new();
        let (mut help, mut kind) = (("", ""), ("", ""));
        for line in text.lines() {
            if let Some(said) = line.strip_prefix("# HELP ") {
                help = said.split_once(' ').unwrap_or((said, ""));
            } else if let Some(said) = line.strip_prefix("# TYPE ") {
                kind = said.split_once(' ').unwrap_or((said, ""));
            } else if let Some((name, labels, value)) = sample(line) {
                let is_gauge = kind == (name, "gauge");
                let room = all.len() < FAMILIES || all.contains_key(name);
                if !room {
                    continue;
                }
                let family = all.entry(name.to_owned()).or_insert_with(|| Family {
                    // Buckets, sums and counts of a histogram only rise.
                    kind: if is_gauge { Kind::Gauge } else { Kind::Counter },
                    help: unescaped(help.1),
                    samples: Vec::new(),
                });
                if family.samples.len() < SAMPLES {
                    family.samples.push((labels, value));
                }
            }
        }
        Self(all)
    }

    pub(super) fn families(&self) -> impl Iterator<Item = (&str, &Family)> {
        self.0.iter().map(|(name, family)| (name.as_str(), family))
    }

    pub(super) fn samples(&self, name: &str) -> &[(Vec<KeyValue>, f64)] {
        self.0.get(name).map_or(&[], |family| &family.samples)
    }
}

/// `name{label="text"} value`.
fn sample(line: &str) -> Option<(&str, Vec<KeyValue>, f64)> {
    let (name, rest) = line.split_at(line.find(['{', ' '])?);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = value.trim().parse().ok()?;
    Some((name, labels, value)).filter(|_| !name.is_empty() && !name.starts_with('#'))
}

/// Labels up to the brace, and what follows it.
fn labels(mut rest: &str) -> Option<(Vec<KeyValue>, &str)> {
    let mut labels = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"")?;
        let end = closing(after)?;
        let value = unescaped(&after[..end]);
        labels.push(KeyValue::new(name.to_owned(), value));
        rest = &after[end + 1..];
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
        } else {
            return Some((labels, rest.strip_prefix('}')?));
        }
    }
}

/// Where the first quotation mark is that is not escaped.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return Some(at),
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written() {
        let text = "# HELP tern_x Things\\nof all kinds.\n# TYPE tern_x gauge\ntern_x 3\n\
            tern_x{a=\"b\\\"\\\\\\n}\",c=\"d\"} 0.25\n\
            # HELP tern_h_seconds Times.\n# TYPE tern_h_seconds histogram\n\
            tern_h_seconds_bucket{le=\"+Inf\"} 7\ntern_h_seconds_count 7\n";
        let read = Snapshot::read(text);
        let [gauge, bucket, count] = ["tern_x", "tern_h_seconds_bucket", "tern_h_seconds_count"]
            .map(|name| read.0.get(name).expect("it is there"));
        assert_eq!(
            (gauge.kind, gauge.help.as_str()),
            (Kind::Gauge, "Things\nof all kinds.")
        );
        let labels = [KeyValue::new("a", "b\"\\\n}"), KeyValue::new("c", "d")];
        assert_eq!(gauge.samples[1], (labels.into(), 0.25));
        assert_eq!((bucket.kind, count.samples[0].1 as u32), (Kind::Counter, 7));
    }

    #[test]
    fn what_is_no_text_of_the_format_is_passed_over() {
        for odd in [
            "",
            "{",
            "x{",
            "x{a=\"",
            "x{a=\"b\" 1",
            "x",
            "x y",
            "# x",
            "x{a=\"\\\"} 1",
        ] {
            assert_eq!(Snapshot::read(odd), Snapshot::default(), "{odd}");
        }
    }
}
