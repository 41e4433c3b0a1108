//! The digits, split into parts that never mix.
//!
//! Called by the trainer, the cameras and tests. Must never break: an image belongs to one part
//! for ever, whatever seed somebody trains with. So the split has a seed of its own, by row number.
//!
//! Data: "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine
//! Learning Repository (test part), CC BY 4.0; see `data/README.md`.

use std::io::{self, Read};

use flate2::read::GzDecoder;

use crate::{
    image::{INK, Image, PIXELS},
    seed,
};

/// Digits that a wheel can show.
pub const CLASSES: usize = 10;

/// The file, part of the binary, so that a trainer or a camera runs anywhere.
const FILE: &[u8] = include_bytes!("../data/digits.csv.gz");

/// Longest unpacked file, in bytes; ours has 266 kB.
const FILE_LIMIT: u64 = 1024 * 1024;

/// Seed of the split. Changing it moves field images into training: never do. It is the first one
/// from 0x7e41 up that puts each digit into the golden part twice.
const SPLIT_SEED: u64 = 0x7e6c;

/// Golden samples: enough to show each digit twice, few enough to ship with every version.
pub const GOLDEN: usize = 30;

/// Validation images: an accuracy of 97 % is then known to about ±2 %.
const VALIDATION: usize = 297;

/// Field images, of which half may be captured and half remain to measure on.
const FIELD: usize = 470;

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Part {
    /// Weights are fitted to it.
    Train,
    /// Accuracy, temperature and confidences are measured on it.
    Validation,
    /// Ships with a model as proof that it computes the same everywhere.
    Golden,
    /// What cameras see; no trainer ever does, but for captures.
    Field,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Train, Self::Validation, Self::Golden, Self::Field];
}

/// A picture and the digit it shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The picture.
    pub image: Image,
    /// The digit, 0 to 9.
    pub digit: u8,
}

/// All samples, with the part that each belongs to.
#[derive(Debug, Clone)]
pub struct Dataset {
    samples: Vec<Sample>,
    parts: Vec<Part>,
}

/// Why the data cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Not gzip, or not text.
    #[error("unpacking the digits")]
    Unpack(#[from] io::Error),
    /// A line that is no image.
    #[error("line {line} of the digits is not 64 grey values of 0 to 16 and a digit")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// Too few images for the split.
    #[error("only {0} digits: too few to split")]
    Few(usize),
}

/// The digits that come with this crate.
pub fn load() -> Result<Dataset, DataError> {
    let mut text = String::new();
    GzDecoder::new(FILE)
        .take(FILE_LIMIT)
        .read_to_string(&mut text)?;
    let samples: Vec<Sample> = text
        .lines()
        .enumerate()
        .map(|(at, line)| sample(line).ok_or(DataError::Line { line: at + 1 }))
        .collect::<Result<_, _>>()?;
    let parts = split(samples.len())?;
    Ok(Dataset { samples, parts })
}

fn sample(line: &str) -> Option<Sample> {
    let mut values = line.split(',');
    let mut pixels = [0.0; PIXELS];
    for pixel in &mut pixels {
        let value: f32 = values.next()?.parse().ok()?;
        *pixel = (0.0..=INK).contains(&value).then_some(value)?;
    }
    let digit = values.next()?.parse().ok()?;
    let whole = values.next().is_none() && usize::from(digit) < CLASSES;
    whole.then_some(Sample {
        image: Image(pixels),
        digit,
    })
}

/// The part of each row.
fn split(rows: usize) -> Result<Vec<Part>, DataError> {
    let sizes = [
        (Part::Golden, GOLDEN),
        (Part::Validation, VALIDATION),
        (Part::Field, FIELD),
    ];
    let held_out: usize = sizes.iter().map(|(_, size)| size).sum();
    if rows <= 2 * held_out {
        return Err(DataError::Few(rows));
    }
    let mut parts = vec![Part::Train; rows];
    let mut rest = seed::order(SPLIT_SEED, rows).into_iter();
    for (part, size) in sizes {
        for row in rest.by_ref().take(size) {
            parts[row] = part;
        }
    }
    Ok(parts)
}

impl Dataset {
    /// The samples of a part, in the file's order.
    pub fn part(&self, part: Part) -> Vec<Sample> {
        self.rows(part).map(|row| self.samples[row]).collect()
    }

    /// Row numbers of a part.
    pub fn rows(&self, part: Part) -> impl Iterator<Item = usize> {
        let rows = self.parts.iter().enumerate();
        rows.filter(move |(_, of)| **of == part).map(|(row, _)| row)
    }

    /// How many samples there are in all.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tern_protocol::digest::Digest;

    use super::*;

    #[test]
    fn the_parts_are_disjoint_and_complete_and_stay() {
        let data = load().unwrap();
        assert_eq!(data.len(), 1797);
        let mut seen = BTreeSet::new();
        for part in Part::ALL {
            for row in data.rows(part) {
                assert!(seen.insert(row), "row {row} is in two parts");
            }
        }
        assert_eq!(seen.len(), data.len());
        let sizes = Part::ALL.map(|part| data.part(part).len());
        assert_eq!(sizes, [1000, VALIDATION, GOLDEN, FIELD]);
        // Pinned: the split may never move.
        let first: Vec<_> = data.rows(Part::Field).take(5).collect();
        assert_eq!(first, [2, 7, 11, 13, 17]);
        let parts: Vec<u8> = data.parts.iter().map(|part| *part as u8).collect();
        assert_eq!(Digest::of(&parts).short(), "33429ad22d6c");
        for digit in 0..CLASSES {
            let shown = data.part(Part::Golden);
            let shown = shown.iter().filter(|s| usize::from(s.digit) == digit);
            assert!(
                shown.count() >= 2,
                "{digit} is not twice in the golden part"
            );
        }
    }

    #[test]
    fn lines_that_are_no_image() {
        let line = |values: usize, digit: &str| format!("{}{digit}", "1,".repeat(values));
        assert!(sample(&line(64, "7")).is_some());
        for bad in [
            line(63, "7"),
            line(65, "7"),
            line(64, "10"),
            line(64, "x"),
            String::new(),
        ] {
            assert!(sample(&bad).is_none(), "{bad}");
        }
        assert!(sample(&line(64, "7").replacen('1', "17", 1)).is_none());
        assert!(sample(&line(64, "7").replacen('1', "NaN", 1)).is_none());
        assert!(split(1000).is_err());
    }
}
