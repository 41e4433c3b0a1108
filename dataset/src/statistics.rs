//! What is in a version, counted row by row. Pure; memory does not grow with the rows.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tern_protocol::{
    rest::{
        CategoryCount, ColumnKind, ColumnStatistics, DatasetInput, DatasetRows, DatasetStatistics,
        NumberStatistics, Split, SplitCounts,
    },
    tensor::{Dtype, Tensor},
};

use super::{Cell, Input, Label, Row};

/// Different classes, and categories of one column, at most.
pub const NAMES: usize = 4_096;

/// Bytes of all names of classes and categories together, with what is kept beside each: as many as a manifest holds.
const NAMES_BYTES: usize = NAMES_MIB << 20;
const NAMES_MIB: usize = 48;

/// What is kept beside a name, in bytes.
const BESIDE: usize = 64;

/// Sites and sources that are counted by name; rows of others are under an empty one.
const SITES: usize = 2_000;

/// Values of a column that quantiles and bins are of.
const SAMPLE: usize = 1_024;

/// Bins of a histogram.
const BINS: usize = 16;

/// Categories of a column that are told with their counts.
const TOLD: usize = 64;

/// Devices that are told apart.
const DEVICES: usize = 200_000;

/// Counts rows.
#[derive(Debug)]
pub struct Counting {
    rows: SplitCounts,
    classes: BTreeMap<String, SplitCounts>,
    numbers: Option<Numbers>,
    different: BTreeSet<u64>,
    sites: BTreeMap<String, SplitCounts>,
    sources: BTreeMap<String, u64>,
    devices: HashSet<String>,
    columns: Vec<Column>,
    names: Names,
}

/// What names may still take, in bytes.
#[derive(Debug)]
struct Names(usize);

impl Names {
    /// Makes room for one more.
    fn take(
        &mut self,
        name: &str,
        of: usize,
        what: impl Fn() -> String,
    ) -> Result<(), TooManyNames> {
        if of >= NAMES {
            return Err(TooManyNames::Different(what()));
        }
        let left = self.0.checked_sub(name.len() + BESIDE);
        self.0 = left.ok_or_else(|| TooManyNames::Long(what()))?;
        Ok(())
    }
}

#[derive(Debug)]
struct Column {
    name: String,
    missing: u64,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Numbers(Numbers),
    Categories(BTreeMap<String, u64>),
    Elements(Dtype, Numbers),
}

/// More names than there may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooManyNames {
    /// Of the label, or of one column.
    #[error("{0} has more than {NAMES} different values; are they numbers, or free text?")]
    Different(String),
    /// Of all of them together; here it became too much.
    #[error(
        "different values of all columns take more than {NAMES_MIB} MiB together, the last of {0}; are they free text?"
    )]
    Long(String),
}

impl Counting {
    /// Nothing was counted yet.
    pub fn new(input: &DatasetInput) -> Self {
        let columns = match input {
            DatasetInput::Tensor(form) => vec![Column {
                name: form.name.clone(),
                missing: 0,
                values: Values::Elements(form.dtype, Numbers::default()),
            }],
            DatasetInput::Table { columns } => columns
                .iter()
                .map(|column| Column {
                    name: column.name.clone(),
                    missing: 0,
                    values: match column.kind {
                        ColumnKind::Number => Values::Numbers(Numbers::default()),
                        ColumnKind::Category => Values::Categories(BTreeMap::new()),
                    },
                })
                .collect(),
        };
        Self {
            rows: SplitCounts::default(),
            classes: BTreeMap::new(),
            numbers: None,
            different: BTreeSet::new(),
            sites: BTreeMap::new(),
            sources: BTreeMap::new(),
            devices: HashSet::new(),
            columns,
            names: Names(NAMES_BYTES),
        }
    }

    /// One more.
    pub fn add(&mut self, split: Split, row: &Row) -> Result<(), TooManyNames> {
        self.rows.add(split);
        match &row.label {
            Label::Class(name) => {
                if let Some(class) = self.classes.get_mut(name) {
                    class.add(split);
                } else {
                    let what = || "the label".to_owned();
                    self.names.take(name, self.classes.len(), what)?;
                    self.classes.entry(name.clone()).or_default().add(split);
                }
            }
            Label::Number(number) => {
                self.numbers.get_or_insert_default().add(*number);
                if split == Split::Train && self.different.len() < 2 {
                    self.different.insert((number + 0.0).to_bits());
                }
            }
        }
        let known = self.sites.contains_key(&row.site) || self.sites.len() < SITES;
        let site = if known { row.site.as_str() } else { "" };
        match self.sites.get_mut(site) {
            Some(site) => site.add(split),
            None => self.sites.entry(site.to_owned()).or_default().add(split),
        }
        let known = self.sources.contains_key(&row.source) || self.sources.len() < SITES;
        let source = if known { row.source.as_str() } else { "" };
        match self.sources.get_mut(source) {
            Some(rows) => *rows += 1,
            None => {
                self.sources.insert(source.to_owned(), 1);
            }
        }
        if !row.device.is_empty()
            && self.devices.len() < DEVICES
            && !self.devices.contains(&row.device)
        {
            self.devices.insert(row.device.clone());
        }
        match &row.input {
            Input::Tensor(bytes) => {
                if let Some(Column {
                    missing,
                    values: Values::Elements(dtype, numbers),
                    ..
                }) = self.columns.first_mut()
                {
                    for value in elements(*dtype, bytes) {
                        if value.is_nan() {
                            *missing += 1;
                        } else {
                            numbers.add(value.into());
                        }
                    }
                }
            }
            Input::Table(cells) => {
                for (column, cell) in self.columns.iter_mut().zip(cells) {
                    column.add(cell, &mut self.names)?;
                }
            }
        }
        Ok(())
    }

    /// How many rows there are of what; `classes` are all that there can be.
    pub fn rows(&self, classes: &[String]) -> DatasetRows {
        let trained = |class: &String| {
            let of = self.classes.get(class).copied().unwrap_or_default();
            (class.clone(), of.train)
        };
        DatasetRows {
            splits: self.rows,
            classes: classes.iter().map(trained).collect(),
            different: self.numbers.as_ref().map(|_| self.different.len() as u64),
            as_called: Vec::new(),
        }
    }

    /// The classes that there are.
    pub fn classes(&self) -> impl Iterator<Item = &String> {
        self.classes.keys()
    }

    /// The categories of each column that there are, sorted.
    pub fn categories(&self) -> Vec<Vec<String>> {
        let of = |column: &Column| match &column.values {
            Values::Categories(names) => names.keys().cloned().collect(),
            Values::Numbers(_) | Values::Elements(..) => Vec::new(),
        };
        self.columns.iter().map(of).collect()
    }

    /// All that was counted.
    pub fn told(&self) -> DatasetStatistics {
        DatasetStatistics {
            classes: self.classes.clone(),
            numbers: self.numbers.as_ref().map(|numbers| ColumnStatistics {
                name: "label".into(),
                count: numbers.count,
                missing: 0,
                number: numbers.told(),
                categories: Vec::new(),
            }),
            sites: self.sites.clone(),
            sources: self.sources.clone(),
            devices: self.devices.len() as u64,
            columns: self.columns.iter().map(Column::told).collect(),
        }
    }
}

impl Column {
    fn add(&mut self, cell: &Cell, all: &mut Names) -> Result<(), TooManyNames> {
        match (cell, &mut self.values) {
            (Cell::Number(number), Values::Numbers(numbers)) => numbers.add(*number),
            (Cell::Category(name), Values::Categories(names)) => {
                if let Some(count) = names.get_mut(name) {
                    *count += 1;
                } else {
                    all.take(name, names.len(), || format!("column `{}`", self.name))?;
                    names.insert(name.clone(), 1);
                }
            }
            _ => self.missing += 1,
        }
        Ok(())
    }

    fn told(&self) -> ColumnStatistics {
        let (count, number, categories) = match &self.values {
            Values::Numbers(numbers) | Values::Elements(_, numbers) => {
                (numbers.count, numbers.told(), Vec::new())
            }
            Values::Categories(names) => {
                let count = names.values().sum();
                let mut told: Vec<CategoryCount> = names
                    .iter()
                    .map(|(name, rows)| CategoryCount {
                        name: name.clone(),
                        rows: *rows,
                    })
                    .collect();
                // Stable: of equally many the first by name.
                told.sort_by_key(|one| std::cmp::Reverse(one.rows));
                told.truncate(TOLD);
                (count, None, told)
            }
        };
        ColumnStatistics {
            name: self.name.clone(),
            count,
            missing: self.missing,
            number,
            categories,
        }
    }
}

/// The elements of a tensor as floats.
pub fn elements(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let tensor = Tensor {
        dtype,
        shape: vec![u32::try_from(bytes.len() / dtype.size()).unwrap_or_default()],
        data: bytes.to_vec(),
    };
    tensor.to_f32().unwrap_or_default()
}

/// Numbers, and a sample of them that is the same for the same numbers in the same order.
#[derive(Debug, Default)]
struct Numbers {
    count: u64,
    min: f64,
    max: f64,
    mean: f64,
    squares: f64,
    sample: Vec<f64>,
    dice: u64,
}

impl Numbers {
    fn add(&mut self, number: f64) {
        if self.count == 0 {
            (self.min, self.max) = (number, number);
        }
        self.count += 1;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        // Welford: exact enough also far from zero.
        let off = number - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (number - self.mean);
        if self.sample.len() < SAMPLE {
            self.sample.push(number);
            return;
        }
        // Each number has the same chance to be in the sample (algorithm R), by dice of a fixed seed (SplitMix64).
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut dice = self.dice;
        dice = (dice ^ (dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        dice = (dice ^ (dice >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let place = ((dice ^ (dice >> 31)) % self.count) as usize;
        if let Some(one) = self.sample.get_mut(place) {
            *one = number;
        }
    }

    fn told(&self) -> Option<NumberStatistics> {
        if self.count == 0 {
            return None;
        }
        let mut sample = self.sample.clone();
        sample.sort_by(f64::total_cmp);
        let at = |q: f64| {
            let place = q * (sample.len() - 1) as f64;
            let (below, part) = (place.floor() as usize, place.fract());
            let next = sample[(below + 1).min(sample.len() - 1)];
            sample[below] + (next - sample[below]) * part
        };
        let mut bins = vec![0.0; BINS];
        let width = (self.max - self.min) / BINS as f64;
        for value in &sample {
            let bin = if width > 0.0 {
                (((value - self.min) / width) as usize).min(BINS - 1)
            } else {
                0
            };
            bins[bin] += 1.0 / sample.len() as f64;
        }
        // What JSON has no word for is told as the largest number.
        let told = |value: f64| value.clamp(f64::MIN, f64::MAX);
        let std = (self.squares / self.count as f64).sqrt();
        Some(NumberStatistics {
            min: told(self.min),
            max: told(self.max),
            mean: if self.mean.is_finite() {
                self.mean
            } else {
                0.0
            },
            std: if std.is_finite() { std } else { 0.0 },
            quantiles: [0.05, 0.25, 0.5, 0.75, 0.95].map(|q| told(at(q))).to_vec(),
            bins,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_summed_up() {
        let mut numbers = Numbers::default();
        for n in 0..10_000 {
            numbers.add(f64::from(n));
        }
        let said = numbers.told().expect("numbers");
        assert_eq!((said.min, said.max), (0.0, 9_999.0));
        assert!((said.mean - 4_999.5).abs() < 1e-6 && (said.std - 2_886.75).abs() < 0.1);
        assert!((said.quantiles[2] - 5_000.0).abs() < 500.0, "{said:?}");
        assert!((said.bins.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(Numbers::default().told().is_none());
    }

    #[test]
    fn names_are_bounded_in_number_and_in_bytes() {
        let column = |name: &str| tern_protocol::rest::DatasetColumn {
            name: name.into(),
            kind: ColumnKind::Category,
            categories: Vec::new(),
        };
        let input = DatasetInput::Table {
            columns: vec![column("a"), column("b")],
        };
        let row = |a: String, b: String| Row {
            id: String::new(),
            device: String::new(),
            site: String::new(),
            at: 0,
            source: b.clone(),
            weight: 1.0,
            label: Label::Number(0.0),
            input: Input::Table(vec![Cell::Category(a), Cell::Category(b)]),
        };
        let mut counting = Counting::new(&input);
        let mut add = |n: usize, long: usize| {
            let row = row(format!("{n:long$}"), (n % 3_000).to_string());
            counting.add(Split::Train, &row)
        };
        for n in 0..NAMES {
            add(n, 8).expect("as many as there may be");
        }
        add(0, 8).expect("it is known");
        assert_eq!(
            add(NAMES, 8),
            Err(TooManyNames::Different("column `a`".into()))
        );
        // Of sources that are too many the rest is told together.
        assert_eq!(counting.told().sources[""], (3_000 - SITES) as u64);

        let mut counting = Counting::new(&input);
        let said = (0..NAMES).find_map(|n| {
            let row = row(format!("{n:16384}"), "b".into());
            counting.add(Split::Train, &row).err()
        });
        let said = said.expect("64 MiB of names").to_string();
        assert!(
            said.contains("48 MiB together, the last of column `a`"),
            "{said}"
        );
    }

    #[test]
    fn one_number_is_one_bin() {
        let mut numbers = Numbers::default();
        numbers.add(3.0);
        numbers.add(3.0);
        let said = numbers.told().expect("numbers");
        assert_eq!((said.std, said.bins[0]), (0.0, 1.0));
    }
}
