//! MLflow's language for searches: `metrics.acc > 0.9 and tags."mlflow.user" = 'ada'`, and `metrics.acc DESC`.
//!
//! ```text
//! filter     = comparison { "and" comparison }
//! comparison = subject ( "=" | "!=" | ">" | ">=" | "<" | "<=" | "like" | "ilike" ) value
//!            | subject ["not"] "in" "(" text { "," text } ")" | subject "is" ["not"] "null"
//! subject    = [ entity "." ] key              the entity `attributes` may be left out
//! entity     = metric[s] | param[s] | parameter[s] | tag[s] | attr | attribute[s] | run | dataset[s]
//! key        = letters, digits and _ . / - : @ | "anything" | `anything`
//! value      = number | 'text' | "text"
//! order      = subject [ "asc" | "desc" ]
//! ```
//!
//! Called by `search`, which knows what there is to compare and makes SQL of it. Pure.
//!
//! Must never break: what is displayed parses to what it was; no text takes more than its bounds.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::parse::FilterError;

/// A list of comparisons, all of which have to hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter(pub Vec<Comparison>);

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What is compared.
    pub subject: Subject,
    /// How.
    pub op: Op,
    /// With what.
    pub operand: Operand,
}

/// What is compared, or ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Of which kind it is.
    pub entity: Entity,
    /// Its name.
    pub key: String,
}

/// Kinds of things with names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// The latest value of a metric.
    Metric,
    /// A param.
    Param,
    /// A tag.
    Tag,
    /// What the thing itself has.
    Attribute,
    /// A data set that a run used.
    Dataset,
}

impl Entity {
    const ALL: [(Self, &'static [&'static str]); 5] = [
        (Self::Metric, &["metrics", "metric"]),
        (Self::Param, &["params", "param", "parameters", "parameter"]),
        (Self::Tag, &["tags", "tag"]),
        (Self::Attribute, &["attributes", "attribute", "attr", "run"]),
        (Self::Dataset, &["datasets", "dataset"]),
    ];

    fn named(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(entity, names)| names.contains(&word).then_some(entity))
    }

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Metric => "metrics",
            Self::Param => "params",
            Self::Tag => "tags",
            Self::Attribute => "attributes",
            Self::Dataset => "datasets",
        }
    }
}

/// How something is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The same.
    Equal,
    /// Another.
    Differs,
    /// More.
    Above,
    /// As much or more.
    AtLeast,
    /// Less.
    Below,
    /// As much or less.
    AtMost,
    /// Like a pattern with `%` and `_`.
    Like,
    /// The same, whatever its capitals.
    ILike,
    /// One of a list.
    In,
    /// None of a list.
    NotIn,
    /// Not there.
    IsNull,
    /// There.
    IsNotNull,
}

impl Op {
    /// As it is written, in filters and in SQL.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Differs => "!=",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Like => "LIKE",
            Self::ILike => "ILIKE",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::IsNull => "IS NULL",
            Self::IsNotNull => "IS NOT NULL",
        }
    }
}

/// What something is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Texts.
    List(Vec<String>),
    /// Nothing, where the question is whether there is something.
    None,
}

/// By what a list is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By this.
    pub subject: Subject,
    /// The lowest first.
    pub ascending: bool,
}

/// A text in quotes that it does not contain; one that has all of them cannot be written.
fn quoted(text: &str, quotes: &[char]) -> String {
    let quote = quotes.iter().find(|quote| !text.contains(**quote));
    let quote = quote.unwrap_or(&quotes[0]);
    format!("{quote}{text}{quote}")
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}",
            self.entity.word(),
            quoted(&self.key, &['`', '"'])
        )
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const QUOTES: [char; 2] = ['\'', '"'];
        match self {
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Text(text) => f.write_str(&quoted(text, &QUOTES)),
            Self::List(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text, &QUOTES)).collect();
                write!(f, "({})", texts.join(", "))
            }
            Self::None => Ok(()),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.op.word())?;
        match self.operand {
            Operand::None => Ok(()),
            _ => write!(f, " {}", self.operand),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, comparison) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { " AND " } else { "" })?;
            comparison.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.ascending { "ASC" } else { "DESC" };
        write!(f, "{} {word}", self.subject)
    }
}
