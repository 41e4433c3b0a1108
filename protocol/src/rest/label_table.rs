//! Labels as CSV: `device,prediction,truth`, in any order of columns.
//!
//! Called by `tern label import` and by the hub's `POST …/labels`, so that a file means the same whichever way it goes.
//! Must never break: what is wrong is said with its line, and then there are no labels at all.

use alloc::{borrow::ToOwned as _, format, string::String, vec::Vec};

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::NewLabel;
use crate::id::{DeviceId, IdError, PredictionId};

/// Columns that there have to be.
pub const COLUMNS: [&str; 3] = ["device", "prediction", "truth"];

/// What is wrong with a table of labels.
#[derive(Debug, thiserror::Error)]
pub enum LabelTableError {
    /// A column is missing.
    #[error(
        "the header has no column `{missing}`, only: {}; the first line names the columns, for \
         example device,prediction,truth",
        found.join(", ")
    )]
    Column {
        /// Which.
        missing: &'static str,
        /// Which there are.
        found: Vec<String>,
    },
    /// There is nothing, not even a header.
    #[error("the file is empty; the first line names the columns device,prediction,truth")]
    Empty,
    /// A text is no text.
    #[error("line {line}: {column} is not valid UTF-8")]
    Utf8 {
        /// Where.
        line: u64,
        /// What.
        column: &'static str,
    },
    /// A field is empty.
    #[error("{at}: {column} is empty")]
    Missing {
        /// Where.
        at: String,
        /// What.
        column: &'static str,
    },
    /// A field is no name.
    #[error("{at}: {column} {source}")]
    Id {
        /// Where.
        at: String,
        /// What.
        column: &'static str,
        /// Why not.
        source: IdError,
    },
    /// A line has fewer or more fields than the header.
    #[error("line {line}: it has {found} fields, the header has {expected}")]
    Fields {
        /// Where.
        line: u64,
        /// How many.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// It is no CSV.
    #[error("it cannot be read as CSV")]
    Csv(#[source] csv::Error),
}

/// A label and where it stood.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelRow {
    /// Its line, of CSV; its row, of other tables.
    pub line: u64,
    /// The label.
    pub label: NewLabel,
}

/// All labels of a table.
pub fn parse(bytes: &[u8]) -> Result<Vec<LabelRow>, LabelTableError> {
    let reading = LabelTableError::Csv;
    // Flexible: rows of another length are refused below, with the right line.
    let mut reader = ReaderBuilder::new()
        .trim(Trim::All)
        .flexible(true)
        .from_reader(bytes);
    let header = reader.byte_headers().map_err(reading)?.clone();
    if header.is_empty() {
        return Err(LabelTableError::Empty);
    }
    let places = places(&header)?;
    let mut lines = Lines::new(bytes);
    let mut rows = Vec::new();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(reading)? {
        let line = lines.of(record.position().map_or(0, csv::Position::byte));
        if record.len() != header.len() {
            return Err(LabelTableError::Fields {
                line,
                found: record.len(),
                expected: header.len(),
            });
        }
        let device = field(&record, &places, 0, line)?;
        let prediction = field(&record, &places, 1, line)?;
        let truth = field(&record, &places, 2, line)?;
        let label = label(device, prediction, truth, || format!("line {line}"))?;
        rows.push(LabelRow { line, label });
    }
    Ok(rows)
}

/// Counts lines. The `csv` crate's own count is behind after `\r\n` and before empty lines.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u64,
}

impl<'b> Lines<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            line: 1,
        }
    }

    /// The line of the record that begins at `offset`, or after the line ends there. Offsets rise.
    fn of(&mut self, offset: u64) -> u64 {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        while let Some(byte) = self.bytes.get(self.at) {
            if self.at >= offset && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

/// Where each of [`COLUMNS`] stands.
fn places(header: &ByteRecord) -> Result<[usize; 3], LabelTableError> {
    // Spreadsheets like to begin a file with a byte-order mark.
    let names: Vec<String> = header
        .iter()
        .map(|name| {
            String::from_utf8_lossy(name)
                .trim_start_matches('\u{feff}')
                .to_owned()
        })
        .collect();
    let mut places = [0; 3];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let found = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(column));
        *place = found.ok_or_else(|| LabelTableError::Column {
            missing: column,
            found: names
                .iter()
                .map(|name| name.chars().take(40).collect())
                .collect(),
        })?;
    }
    Ok(places)
}

fn field<'r>(
    record: &'r ByteRecord,
    places: &[usize; 3],
    which: usize,
    line: u64,
) -> Result<&'r str, LabelTableError> {
    let column = COLUMNS[which];
    let bytes = record.get(places[which]).unwrap_or_default();
    let text = core::str::from_utf8(bytes).map_err(|_| LabelTableError::Utf8 { line, column })?;
    if text.is_empty() {
        return Err(LabelTableError::Missing {
            at: format!("line {line}"),
            column,
        });
    }
    Ok(text)
}

/// A label from its texts; `at` says where it stood.
pub fn label(
    device: &str,
    prediction: &str,
    truth: &str,
    at: impl Fn() -> String,
) -> Result<NewLabel, LabelTableError> {
    let wrong = |which: usize| {
        let at = at();
        move |source| LabelTableError::Id {
            at,
            column: COLUMNS[which],
            source,
        }
    };
    Ok(NewLabel {
        device: device.parse::<DeviceId>().map_err(wrong(0))?,
        prediction: prediction.parse::<PredictionId>().map_err(wrong(1))?,
        truth: truth.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Vec<(u64, String)>, String> {
        let rows = parse(text.as_bytes()).map_err(|err| err.to_string())?;
        let said = rows.into_iter().map(|row| {
            let NewLabel {
                device,
                prediction,
                truth,
            } = row.label;
            (row.line, format!("{device} {prediction} {truth}"))
        });
        Ok(said.collect())
    }

    #[test]
    fn any_order_of_columns_more_of_them_and_quotes() {
        let text = "\u{feff}truth, Prediction ,note,device\r\n7,3-1042,x,meter-01\r\n\r\n\
                    \"a, b\",1-1,\"two\nlines\",m\r\n";
        let expected = vec![
            (2, "meter-01 3-1042 7".to_owned()),
            (4, "m 1-1 a, b".to_owned()),
        ];
        assert_eq!(check(text), Ok(expected));
        assert_eq!(check("device,prediction,truth\n"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("", "the file is empty"),
            (
                "device,prediction\n",
                "no column `truth`, only: device, prediction",
            ),
            (
                "device,prediction,truth\nm,1-1,7\nm,x,7\n",
                "line 3: prediction `x` is not",
            ),
            (
                "device,prediction,truth\n../x,1-1,7\n",
                "line 2: device `../x` is not a name",
            ),
            (
                "device,prediction,truth\nm,1-1, \n",
                "line 2: truth is empty",
            ),
            (
                "device,prediction,truth\r\nm,1-1\r\n",
                "line 2: it has 2 fields, the header has 3",
            ),
        ] {
            let said = check(text).expect_err(text);
            assert!(said.contains(expected), "{text:?} gave {said:?}");
        }
        let bytes = b"device,prediction,truth\nm,1-1,\xff\n";
        let said = parse(&bytes[..]).expect_err("not UTF-8").to_string();
        assert_eq!(said, "line 2: truth is not valid UTF-8");
    }
}
