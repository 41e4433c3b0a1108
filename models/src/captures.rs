//! Labelled images as CSV: `v0,…,v63,truth`, grey values from 0 to 16.
//!
//! Called by the trainer's `--extra` (what `tern capture export` wrote) and by the export of data.
//! Must never break: what is wrong is said with its line, and then nothing is trained at all.

use std::io::{Read, Write};

use csv::{ReaderBuilder, StringRecord, Trim, Writer};

use crate::{
    data::{CLASSES, Sample},
    image::{INK, Image, PIXELS},
};

/// Images in one file: they are held in memory and shown again each epoch.
pub const CAPTURES: usize = 100_000;

/// How far a grey value may lie outside of 0 to 16 before it is taken for another scale: sensors
/// and rounding overshoot a little.
const OVERSHOOT: f32 = 0.5;

/// What is wrong with a file of captures.
#[derive(Debug, thiserror::Error)]
pub enum CapturesError {
    /// A column is not there.
    #[error("the header has no column `{0}`; it is v0,…,v63,truth")]
    Column(String),
    /// No grey value.
    #[error("line {line}: {column} is `{value}`, not a grey value from 0 to 16")]
    Value {
        /// Counted from 1.
        line: u64,
        /// Its name.
        column: String,
        /// What is there.
        value: String,
    },
    /// No digit.
    #[error("line {line}: the truth is `{value}`, not a digit from 0 to 9")]
    Truth {
        /// Counted from 1.
        line: u64,
        /// What is there.
        value: String,
    },
    /// More than can be held.
    #[error("over {CAPTURES} images")]
    TooMany,
    /// No CSV, or no file to write.
    #[error("CSV")]
    Csv(#[from] csv::Error),
}

/// What a file of captures holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Captures {
    /// Images whose truth is known.
    pub labelled: Vec<Sample>,
    /// Rows without a truth: they were left out.
    pub unlabelled: usize,
}

/// Reads captures, whatever the order of the columns and whatever others there are.
pub fn read(from: impl Read) -> Result<Captures, CapturesError> {
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(from);
    let header = reader.headers()?.clone();
    let place = |column: &str| {
        let found = header.iter().position(|name| name == column);
        found.ok_or_else(|| CapturesError::Column(column.into()))
    };
    let pixels: Vec<usize> = (0..PIXELS)
        .map(|pixel| place(&format!("v{pixel}")))
        .collect::<Result<_, _>>()?;
    let truth = place("truth")?;
    let mut captures = Captures::default();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        let digit = record.get(truth).unwrap_or_default();
        if digit.is_empty() {
            captures.unlabelled += 1;
            continue;
        }
        if captures.labelled.len() == CAPTURES {
            return Err(CapturesError::TooMany);
        }
        let digit = digit
            .parse()
            .ok()
            .filter(|digit: &u8| usize::from(*digit) < CLASSES)
            .ok_or_else(|| CapturesError::Truth {
                line,
                value: shown(digit),
            })?;
        let mut image = [0.0; PIXELS];
        for ((pixel, value), at) in image.iter_mut().enumerate().zip(&pixels) {
            let text = record.get(*at).unwrap_or_default();
            *value = grey(text).ok_or_else(|| CapturesError::Value {
                line,
                column: format!("v{pixel}"),
                value: shown(text),
            })?;
        }
        captures.labelled.push(Sample {
            image: Image(image),
            digit,
        });
    }
    Ok(captures)
}

fn grey(text: &str) -> Option<f32> {
    within(text.parse().ok()?)
}

/// A grey value that a device told, kept within those that there are; nothing if it is far from them, or no number.
pub(crate) fn within(value: f32) -> Option<f32> {
    (-OVERSHOOT..=INK + OVERSHOOT)
        .contains(&value)
        .then(|| value.clamp(0.0, INK))
}

/// Enough of a value from outside to find it again.
fn shown(text: &str) -> String {
    text.chars().take(20).collect()
}

/// Writes images as captures.
pub fn write(to: impl Write, samples: &[Sample]) -> Result<(), CapturesError> {
    let mut writer = Writer::from_writer(to);
    let columns = (0..PIXELS).map(|pixel| format!("v{pixel}"));
    writer.write_record(columns.chain(["truth".into()]))?;
    for sample in samples {
        let values = sample.image.0.iter().map(ToString::to_string);
        writer.write_record(values.chain([sample.digit.to_string()]))?;
    }
    writer.flush().map_err(csv::Error::from)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        corruption::Corruption,
        data::{self, Part},
        frames::Walk,
    };

    fn text(samples: &[Sample]) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes, samples).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let field = data::load().unwrap().part(Part::Field);
        let fog = Corruption {
            fog: 0.6,
            ..Corruption::NONE
        };
        let samples = Walk::new(&field, 1).unwrap().frames(20, &fog);
        let text = text(&samples);
        assert_eq!(read(text.as_bytes()).unwrap().labelled, samples);
        // Other columns, and rows that nobody has labelled yet.
        let mut more: Vec<String> = text.lines().map(|line| format!("{line},x")).collect();
        let cut = more[1].rfind(",x").unwrap() - 1;
        more[1].remove(cut);
        let captures = read(more.join("\n").as_bytes()).unwrap();
        assert_eq!((captures.labelled.len(), captures.unlabelled), (19, 1));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let field = data::load().unwrap().part(Part::Field);
        let good = text(&field[..1]);
        let (header, row) = good.trim_end().split_once('\n').unwrap();
        let said = |text: String| read(text.as_bytes()).unwrap_err().to_string();
        assert!(said(header.replace("v63,", "")).contains("no column `v63`"));
        let values = row.rsplit_once(',').unwrap().0;
        assert!(
            said(format!("{header}\n{row}\n{values},12")).contains("line 3: the truth is `12`")
        );
        for bad in ["17", "-1", "NaN", "inf", "x", ""] {
            let row = format!("{bad},{}", row.split_once(',').unwrap().1);
            let said = said(format!("{header}\n{row}"));
            assert!(said.contains(&format!("line 2: v0 is `{bad}`")), "{said}");
        }
        assert!(said(String::new()).contains("no column `v0`"));
    }
}
