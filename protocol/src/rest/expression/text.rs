//! An expression as a text that parses to it.

use alloc::string::{String, ToString as _};
use core::fmt;

use super::{Expression, Node, Subject, WORDS, is_plain};

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, Binding::Any)
    }
}

/// What stands around a node, from loose to tight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Any,
    All,
    Not,
}

impl Node {
    fn write(&self, f: &mut fmt::Formatter<'_>, around: Binding) -> fmt::Result {
        let own = match self {
            Self::Any(_) => Binding::Any,
            Self::All(_) => Binding::All,
            Self::Not(_) | Self::Has(_) | Self::In(..) => Binding::Not,
        };
        let loose = own < around;
        if loose {
            f.write_str("(")?;
        }
        match self {
            Self::Any(nodes) => joined(f, nodes, " or ", Binding::All)?,
            Self::All(nodes) => joined(f, nodes, " and ", Binding::Not)?,
            Self::Not(node) => match &**node {
                Self::In(subject, values) => test(f, subject, values, true)?,
                node => {
                    f.write_str("not ")?;
                    node.write(f, Binding::Not)?;
                }
            },
            Self::Has(label) => write!(f, "{}", Subject::Label(label.clone()))?,
            Self::In(subject, values) => test(f, subject, values, false)?,
        }
        if loose { f.write_str(")") } else { Ok(()) }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, nodes: &[Node], by: &str, around: Binding) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            f.write_str(by)?;
        }
        node.write(f, around)?;
    }
    Ok(())
}

fn test(
    f: &mut fmt::Formatter<'_>,
    subject: &Subject,
    values: &[String],
    not: bool,
) -> fmt::Result {
    if let [value] = values {
        let is = if not { "!=" } else { "=" };
        return write!(f, "{subject} {is} {}", spelled(value));
    }
    let is = if not { "not in" } else { "in" };
    write!(f, "{subject} {is} (")?;
    for (index, value) in values.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{}", spelled(value))?;
    }
    f.write_str(")")
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site => f.write_str("site"),
            Self::Device => f.write_str("device"),
            Self::Label(name) => write!(f, "label.{}", spelled(name)),
        }
    }
}

/// A value, in quotes if it needs them.
fn spelled(value: &str) -> String {
    let plain = !value.is_empty() && value.chars().all(is_plain) && !WORDS.contains(&value);
    if plain {
        return value.to_string();
    }
    let mut spelled = String::from("\"");
    for char in value.chars() {
        if matches!(char, '"' | '\\') {
            spelled.push('\\');
        }
        spelled.push(char);
    }
    spelled.push('"');
    spelled
}
