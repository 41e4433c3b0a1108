//! What is in files, before any row of them is taken: columns, kinds, classes.

use std::collections::BTreeSet;

use tern_dataset::{NAMES, OWN, Truths};
use tern_protocol::rest::{ColumnKind, DatasetColumn, DatasetImport};

use super::{
    super::super::{DatasetError, ROWS},
    Source,
    file::{Table, Value},
};

/// With more different whole numbers than this, truths are numbers unless something else was said.
const CLASSES: usize = 20;

/// What is in the files.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Described {
    /// The column with the truth.
    pub(super) label: String,
    /// The columns that models get, in the order of the first file.
    pub(super) features: Vec<DatasetColumn>,
    /// Whether there is a column with whole inputs.
    pub(super) has_input: bool,
    /// What truths are.
    pub(super) truths: Truths,
    /// The classes that there are.
    pub(super) classes: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Seen {
    any: bool,
    /// Not a number.
    text: bool,
    fraction: bool,
    names: BTreeSet<String>,
    too_many: bool,
}

impl Seen {
    fn add(&mut self, value: &Value, is_typed: bool) {
        if *value == Value::Missing {
            return;
        }
        self.any = true;
        match value.number() {
            Some(number) if !is_typed || matches!(value, Value::Number(_)) => {
                self.fraction |= number.fract() != 0.0;
            }
            _ => self.text = true,
        }
        if !self.too_many {
            self.names.insert(value.text());
            self.too_many = self.names.len() > NAMES;
        }
    }
}

/// Reads all files once.
pub(super) fn describe(
    sources: &[Source],
    import: &DatasetImport,
) -> Result<Described, DatasetError> {
    let refused = |text: String| Err(DatasetError::Refused(text));
    let mut names: Vec<String> = Vec::new();
    let mut seen: Vec<Seen> = Vec::new();
    let mut rows = 0;
    for source in sources {
        let table = Table::open(source)?;
        if names.is_empty() {
            names.clone_from(&table.names);
            seen.resize_with(names.len(), Seen::default);
        }
        let places: Vec<usize> = table
            .names
            .iter()
            .filter_map(|name| names.iter().position(|of| of == name))
            .collect();
        if places.len() != names.len() || table.names.len() != names.len() {
            return refused(format!(
                "{} has other columns than {}: all files of an import have the same",
                source.title, sources[0].title
            ));
        }
        for record in table.records {
            rows += 1;
            if rows > ROWS {
                return refused(format!("there are more than {ROWS} rows"));
            }
            for (place, value) in places.iter().zip(&record?) {
                seen[*place].add(value, table.is_typed);
            }
        }
    }
    let Some(label) = names.iter().position(|name| *name == import.label) else {
        let shown: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
        return refused(format!(
            "there is no column `{}`, only: {}",
            import.label,
            shown.join(", ")
        ));
    };
    if rows == 0 {
        return refused("there is no row in it".into());
    }
    let of = &seen[label];
    let guess = !of.text && (of.fraction || of.names.len() > CLASSES);
    let truths = if import.numbers.unwrap_or(guess) {
        Truths::Numbers
    } else {
        Truths::Classes
    };
    if truths == Truths::Classes && of.too_many {
        return refused(format!(
            "`{}` has more than {NAMES} different values, which are no classes",
            import.label
        ));
    }
    let mut features = Vec::new();
    for (place, name) in names.iter().enumerate() {
        if place == label || OWN.contains(&name.as_str()) && name != "label" {
            continue;
        }
        if name == "label" {
            return refused(
                "there is a column `label` that is not the truth; call it another name".into(),
            );
        }
        features.push(DatasetColumn {
            name: name.clone(),
            kind: if seen[place].text {
                ColumnKind::Category
            } else {
                ColumnKind::Number
            },
            categories: Vec::new(),
        });
    }
    Ok(Described {
        label: import.label.clone(),
        features,
        has_input: names.iter().any(|name| name == "input"),
        truths,
        classes: if truths == Truths::Classes {
            seen[label].names.clone()
        } else {
            BTreeSet::new()
        },
    })
}
