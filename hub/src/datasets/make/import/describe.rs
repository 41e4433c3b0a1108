//! What is in files, before any row of them is taken: columns, kinds, classes.

use std::collections::{BTreeSet, HashSet};

use tern_dataset::{NAMES, OWN, Truths};
use tern_protocol::rest::{ColumnKind, DatasetColumn, DatasetImport};

use super::{
    super::super::{DatasetError, FILE, ROWS},
    Source,
    file::{Table, Value},
};

/// With more different whole numbers than this, truths are numbers unless something else was said.
const CLASSES: usize = 20;

/// Bytes of the names of all classes together.
const CLASSES_BYTES: usize = 4 * 1024 * 1024;

/// Columns that an error names.
const TOLD: usize = 20;

/// What is in the files.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Described {
    /// The column with the truth.
    pub(super) label: String,
    /// The columns that models get, in the order of the first file.
    pub(super) features: Vec<DatasetColumn>,
    /// Columns that are taken as what they are called.
    pub(super) as_called: Vec<String>,
    /// Whether there is a column with whole inputs.
    pub(super) has_input: bool,
    /// What truths are.
    pub(super) truths: Truths,
    /// The classes that there are.
    pub(super) classes: BTreeSet<String>,
}

/// What a column of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The truth.
    Truth,
    /// What it is called: one of [`OWN`].
    AsCalled,
    /// A feature, called so in the version.
    Feature(String),
}

/// What columns are, by their names.
pub(super) fn meanings(
    names: &[String],
    import: &DatasetImport,
) -> Result<Vec<Meaning>, DatasetError> {
    let refused = |text: String| Err(DatasetError::Refused(text));
    for wanted in [&import.label].into_iter().chain(&import.features) {
        if !names.contains(wanted) {
            let shown: Vec<&str> = names.iter().take(TOLD).map(String::as_str).collect();
            return refused(format!(
                "there is no column `{wanted}`, only: {}",
                shown.join(", ")
            ));
        }
    }
    if import.features.contains(&import.label) {
        return refused(format!("`{}` is the truth, and no feature", import.label));
    }
    let mut features = HashSet::new();
    let mut meanings = Vec::with_capacity(names.len());
    for name in names {
        let is_own = OWN.contains(&name.as_str());
        meanings.push(if *name == import.label {
            Meaning::Truth
        } else if is_own && !import.features.contains(name) {
            if name == "label" {
                return refused(
                    "there is a column `label` that is not the truth; call it another name, or keep it as a feature \
                     with `--feature label`"
                        .into(),
                );
            }
            Meaning::AsCalled
        } else {
            // Beside the hub's own column of that name, nobody could tell which is meant.
            let called = if is_own {
                format!("feature_{name}")
            } else {
                name.clone()
            };
            if !features.insert(called.clone()) {
                return refused(format!(
                    "there is a column `{called}`, as `{name}` would be called as a feature; call one of them another name"
                ));
            }
            Meaning::Feature(called)
        });
    }
    Ok(meanings)
}

/// What was seen of a column.
#[derive(Debug, Default)]
struct Seen {
    /// Something that is not a number.
    text: bool,
    fraction: bool,
}

impl Seen {
    fn add(&mut self, value: &Value, is_typed: bool) {
        if *value == Value::Missing {
            return;
        }
        match value.number() {
            Some(number) if !is_typed || matches!(value, Value::Number(_)) => {
                self.fraction |= number.fract() != 0.0;
            }
            _ => self.text = true,
        }
    }
}

/// The different truths that there are, as long as they may be classes.
#[derive(Debug, Default)]
struct Different {
    names: BTreeSet<String>,
    bytes: usize,
    too_many: bool,
}

impl Different {
    fn add(&mut self, value: &Value) {
        if self.too_many || *value == Value::Missing {
            return;
        }
        let name = value.text();
        if self.names.contains(&name) {
            return;
        }
        self.bytes += name.len();
        self.names.insert(name);
        self.too_many = self.names.len() > NAMES || self.bytes > CLASSES_BYTES;
    }
}

/// Reads all files once.
pub(super) fn describe(
    sources: &[Source],
    import: &DatasetImport,
) -> Result<Described, DatasetError> {
    let refused = |text: String| Err(DatasetError::Refused(text));
    let mut names: Vec<String> = Vec::new();
    let mut meanings = Vec::new();
    let mut seen: Vec<Seen> = Vec::new();
    let mut truths = Different::default();
    let (mut rows, mut bytes) = (0, 0_u64);
    for source in sources {
        let table = Table::open(source)?;
        if names.is_empty() {
            names.clone_from(&table.names);
            meanings = self::meanings(&names, import)?;
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
                bytes = bytes.saturating_add(value.bytes() as u64);
                if meanings[*place] == Meaning::Truth {
                    truths.add(value);
                }
            }
            // A file may hold one text a million times and be short.
            if bytes > FILE {
                return refused(format!(
                    "the rows are more than {} GiB once they are unpacked",
                    FILE >> 30
                ));
            }
        }
    }
    if rows == 0 {
        return refused("there is no row in it".into());
    }
    let label = meanings.iter().position(|of| *of == Meaning::Truth);
    let of = label.map(|place| &seen[place]);
    let are_numbers =
        of.is_some_and(|of| !of.text && (of.fraction || truths.names.len() > CLASSES));
    let kind = if import.numbers.unwrap_or(are_numbers) {
        Truths::Numbers
    } else {
        Truths::Classes
    };
    if kind == Truths::Classes && truths.too_many {
        return refused(format!(
            "`{}` has more than {NAMES} different values, or longer ones than names are, which are no classes",
            import.label
        ));
    }
    let (mut features, mut as_called) = (Vec::new(), Vec::new());
    for ((name, meaning), seen) in names.iter().zip(meanings).zip(seen) {
        match meaning {
            Meaning::Truth => {}
            Meaning::AsCalled => as_called.push(name.clone()),
            Meaning::Feature(name) => features.push(DatasetColumn {
                name,
                kind: if seen.text {
                    ColumnKind::Category
                } else {
                    ColumnKind::Number
                },
                categories: Vec::new(),
            }),
        }
    }
    Ok(Described {
        label: import.label.clone(),
        features,
        has_input: as_called.iter().any(|name| name == "input"),
        as_called,
        truths: kind,
        classes: if kind == Truths::Classes {
            truths.names
        } else {
            BTreeSet::new()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(label: &str, features: &[&str]) -> DatasetImport {
        DatasetImport {
            files: Vec::new(),
            label: label.into(),
            features: features.iter().map(|name| (*name).to_owned()).collect(),
            held_out: None,
            tensor: None,
            numbers: None,
            new_schema: false,
        }
    }

    fn of(names: &[&str], import: &DatasetImport) -> Result<Vec<Meaning>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        meanings(&names, import).map_err(|err| err.to_string())
    }

    #[test]
    fn a_column_is_what_it_is_called_unless_it_is_to_be_a_feature() {
        let feature = |name: &str| Meaning::Feature(name.into());
        let names = ["id", "weight", "size", "fault"];
        assert_eq!(
            of(&names, &import("fault", &[])).expect("it is fine"),
            [
                Meaning::AsCalled,
                Meaning::AsCalled,
                feature("size"),
                Meaning::Truth
            ]
        );
        // One that is a feature anyway may be named as well.
        assert_eq!(
            of(&names, &import("fault", &["weight", "size"])).expect("it is fine"),
            [
                Meaning::AsCalled,
                feature("feature_weight"),
                feature("size"),
                Meaning::Truth
            ]
        );
        assert_eq!(
            of(&["label", "y"], &import("y", &["label"])).expect("it is fine"),
            [feature("feature_label"), Meaning::Truth]
        );
        assert_eq!(
            of(&["label", "y"], &import("label", &[])).expect("it is fine"),
            [Meaning::Truth, feature("y")]
        );
    }

    #[test]
    fn what_cannot_be_a_feature_is_said() {
        type Case<'a> = (&'a [&'a str], &'a str, &'a [&'a str], &'a str);
        let cases: [Case<'_>; 5] = [
            (
                &["a", "y"],
                "y",
                &["weight"],
                "no column `weight`, only: a, y",
            ),
            (&["a", "y"], "y", &["y"], "`y` is the truth"),
            (&["a", "y"], "z", &[], "no column `z`"),
            (&["label", "y"], "y", &[], "--feature label"),
            (
                &["weight", "feature_weight", "y"],
                "y",
                &["weight"],
                "there is a column `feature_weight`",
            ),
        ];
        for (names, label, features, why) in cases {
            let said = of(names, &import(label, features)).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
    }
}
