//! Which devices, said in a sentence: `site in (harbour, hill) and not label.fragile`.
//!
//! ```text
//! expression = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" expression ")" | test
//! test       = subject ( "=" | "!=" ) value | subject ["not"] "in" "(" value { "," value } ")" | label
//! subject    = "site" | "device" | label
//! label      = "label." value
//! value      = letters, digits and . _ : / - | "anything in quotes"
//! ```
//!
//! A label by itself asks whether a device has it. `!=` and `not in` hold also for devices without the label.
//!
//! Must never break: what is displayed parses to what it was; no text, however long or deep, takes more than its
//! bounds.

mod parse;
mod text;

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};

pub use self::parse::ExpressionError;

/// Words that mean something, so that a value of that name needs quotes.
const WORDS: [&str; 4] = ["and", "or", "not", "in"];

/// Which devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Any(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Has(String),
    In(Subject, Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Site,
    Device,
    Label(String),
}

/// What an expression asks about a device.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// Its id.
    pub device: &'a str,
    /// Its site.
    pub site: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

impl Expression {
    /// Whether a device is among those.
    pub fn selects(&self, device: &Described<'_>) -> bool {
        self.0.holds(device)
    }
}

impl Node {
    fn holds(&self, device: &Described<'_>) -> bool {
        match self {
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(device)),
            Self::All(nodes) => nodes.iter().all(|node| node.holds(device)),
            Self::Not(node) => !node.holds(device),
            Self::Has(label) => device.labels.contains_key(label),
            Self::In(subject, values) => {
                let value = match subject {
                    Subject::Site => Some(device.site),
                    Subject::Device => Some(device.device),
                    Subject::Label(label) => device.labels.get(label).map(String::as_str),
                };
                value.is_some_and(|value| values.iter().any(|one| one == value))
            }
        }
    }
}

crate::id::serde_as_text!(Expression);
#[cfg(feature = "schema")]
crate::id::schema_as!(Expression, String);

#[cfg(test)]
mod tests;

/// Whether a character stands in a value without quotes.
fn is_plain(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '.' | '_' | ':' | '/' | '-')
}
