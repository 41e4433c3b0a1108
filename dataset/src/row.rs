//! A row of a dataset, whatever table it stands in. Pure.

use tern_protocol::digest::Digest;

/// Where rows that no capture is are from.
pub const BASE: &str = "base";

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Of the capture (`DEVICE/BOOT-NUMBER`), or of the row.
    pub id: String,
    /// Where it was captured; empty if it was not.
    pub device: String,
    /// At which site.
    pub site: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// `base`, or where its truth is from.
    pub source: String,
    /// The inverse of the probability with which it was captured. 0: no estimate counts it, since it was asked for or
    /// chosen by what the model said. 1: it was not captured.
    pub weight: f64,
    /// What is true.
    pub label: Label,
    /// What a model gets.
    pub input: Input,
}

/// What is true.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    /// This class.
    Class(String),
    /// This number.
    Number(f64),
}

impl Label {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::Class(name) => name.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// What a model gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The elements of a tensor, little-endian.
    Tensor(Vec<u8>),
    /// A value a column.
    Table(Vec<Cell>),
}

/// A value of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// There is none.
    Missing,
    /// A number, never NaN.
    Number(f64),
    /// One of the column's categories.
    Category(String),
}

impl Cell {
    /// A number, or nothing if it is none.
    pub const fn number(value: f64) -> Self {
        if value.is_nan() {
            Self::Missing
        } else {
            Self::Number(value)
        }
    }
}

impl Input {
    /// What tells inputs apart.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Tensor(bytes) => Digest::of(bytes),
            Self::Table(cells) => {
                let mut text = Vec::with_capacity(cells.len() * 9);
                for cell in cells {
                    match cell {
                        Cell::Missing => text.push(0),
                        Cell::Number(number) => {
                            text.push(1);
                            // Zero is one number.
                            text.extend_from_slice(&(number + 0.0).to_le_bytes());
                        }
                        Cell::Category(name) => {
                            text.push(2);
                            text.extend_from_slice(&(name.len() as u64).to_le_bytes());
                            text.extend_from_slice(name.as_bytes());
                        }
                    }
                }
                Digest::of(&text)
            }
        }
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Tensor(bytes) => bytes.len(),
            Self::Table(cells) => {
                let names = cells.iter().map(|cell| match cell {
                    Cell::Category(name) => name.len(),
                    Cell::Missing | Cell::Number(_) => 0,
                });
                cells.len() * size_of::<Cell>() + names.sum::<usize>()
            }
        }
    }
}

impl Row {
    /// The capture that it is, if it is one: device, boot and number.
    pub fn capture(&self) -> Option<(&str, i64, i64)> {
        Self::capture_of(&self.id, &self.device, &self.source)
    }

    /// The capture that a row of this id, device and source is.
    pub fn capture_of<'a>(id: &'a str, device: &str, source: &str) -> Option<(&'a str, i64, i64)> {
        let (of, prediction) = id.split_once('/')?;
        let (boot, number) = prediction.split_once('-')?;
        (of == device && source != BASE)
            .then(|| Some((of, boot.parse().ok()?, number.parse().ok()?)))
            .flatten()
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let label = match &self.label {
            Label::Class(name) => name.len(),
            Label::Number(_) => 0,
        };
        let texts = [&self.id, &self.device, &self.site, &self.source];
        size_of::<Self>()
            + label
            + texts.into_iter().map(String::len).sum::<usize>()
            + self.input.bytes()
    }

    /// The id of a capture.
    pub fn id_of(device: &str, boot: i64, number: i64) -> String {
        format!("{device}/{boot}-{number}")
    }
}

/// A share of all digests, the same ones for the same share: from 0 to below 1.
pub fn lot(digest: &Digest) -> f64 {
    let head = digest
        .as_bytes()
        .first_chunk::<8>()
        .expect("a digest has 32 bytes");
    (u64::from_le_bytes(*head) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_inputs_apart_is_their_values() {
        let of = |cells: &[Cell]| Input::Table(cells.to_vec()).digest();
        let a = || Cell::Category("a".into());
        assert_eq!(of(&[Cell::Number(0.0)]), of(&[Cell::Number(-0.0)]));
        assert_ne!(of(&[Cell::Number(0.0)]), of(&[Cell::Missing]));
        assert_ne!(of(&[a(), a()]), of(&[Cell::Category("aa".into())]));
        assert_eq!(Cell::number(f64::NAN), Cell::Missing);
    }

    #[test]
    fn a_capture_is_known_by_its_id() {
        let mut row = Row {
            id: Row::id_of("meter-7", 3, 42),
            device: "meter-7".into(),
            site: String::new(),
            at: 0,
            source: "person".into(),
            weight: 1.0,
            label: Label::Number(1.0),
            input: Input::Tensor(Vec::new()),
        };
        assert_eq!(row.capture(), Some(("meter-7", 3, 42)));
        row.source = BASE.into();
        assert_eq!(row.capture(), None);
    }

    #[test]
    fn a_row_is_as_large_as_its_texts() {
        let of = |text: &str| Row {
            id: text.into(),
            device: text.into(),
            site: text.into(),
            at: 0,
            source: text.into(),
            weight: 1.0,
            label: Label::Class(text.into()),
            input: Input::Table(vec![Cell::Category(text.into()), Cell::Missing]),
        };
        assert_eq!(of(&"x".repeat(100)).bytes(), of("").bytes() + 600);
    }

    #[test]
    fn lots_are_spread_evenly() {
        let all = (0..2000u32).map(|n| lot(&Digest::of(&n.to_le_bytes())));
        let below = all.filter(|lot| *lot < 0.25).count();
        assert!((420..580).contains(&below), "{below}");
    }
}
