//! Labels as CSV: `device,prediction,truth`, in any order of columns; or as Parquet ([`parquet`]).
//!
//! Called by `tern label import`. Must never break: what is wrong is said with its line or row, and
//! then nothing is sent at all.

mod parquet;

use std::io::{self, Read};

use csv::{ByteRecord, ReaderBuilder, Trim};
use tern_protocol::{
    id::{DeviceId, IdError, PredictionId},
    rest::NewLabel,
};

/// Longest file of labels, in bytes: it is held in memory, and a person can split a longer one. Some
/// ten million labels.
const FILE: u64 = 256 * 1024 * 1024;

const COLUMNS: [&str; 3] = ["device", "prediction", "truth"];

/// What is wrong with a file of labels.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabelsError {
    #[error(
        "the header has no column `{missing}`, only: {}; the first line names the columns, for \
         example device,prediction,truth",
        found.join(", ")
    )]
    Column {
        missing: &'static str,
        found: Vec<String>,
    },
    #[error("the file is empty; the first line names the columns device,prediction,truth")]
    Empty,
    #[error("line {line}: {column} is not valid UTF-8")]
    Utf8 { line: u64, column: &'static str },
    #[error("{at}: {column} is empty")]
    Missing { at: String, column: &'static str },
    #[error("{at}: {column} {source}")]
    Id {
        at: String,
        column: &'static str,
        source: IdError,
    },
    #[error("line {line}: it has {found} fields, the header has {expected}")]
    Fields {
        line: u64,
        found: usize,
        expected: usize,
    },
    #[error("row {row}: {column} is neither text nor a number")]
    Kind { row: u64, column: &'static str },
    #[error("it has {0} rows; split it, at most ten million are read")]
    TooMany(i64),
    #[error("it cannot be read as Parquet")]
    Parquet(#[source] ::parquet::errors::ParquetError),
    #[error("it is over {} MiB long; split it", FILE / (1024 * 1024))]
    TooLong,
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}

/// A label and where it stood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Its line, of CSV; its row, of Parquet.
    pub(crate) line: u64,
    pub(crate) label: NewLabel,
}

/// All labels of a file.
pub(crate) fn read(from: impl Read) -> Result<Vec<Row>, LabelsError> {
    let mut bytes = Vec::new();
    let mut bounded = from.take(FILE + 1);
    bounded.read_to_end(&mut bytes).map_err(LabelsError::Read)?;
    if bytes.len() as u64 > FILE {
        return Err(LabelsError::TooLong);
    }
    if bytes.starts_with(parquet::MAGIC) {
        return parquet::parse(bytes);
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<Row>, LabelsError> {
    let reading = |err: csv::Error| LabelsError::Read(err.into());
    // Flexible: rows of another length are refused below, with the right line.
    let mut reader = ReaderBuilder::new()
        .trim(Trim::All)
        .flexible(true)
        .from_reader(bytes);
    let header = reader.byte_headers().map_err(reading)?.clone();
    if header.is_empty() {
        return Err(LabelsError::Empty);
    }
    let places = places(&header)?;
    let mut lines = Lines::new(bytes);
    let mut rows = Vec::new();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(reading)? {
        let line = lines.of(record.position().map_or(0, csv::Position::byte));
        if record.len() != header.len() {
            return Err(LabelsError::Fields {
                line,
                found: record.len(),
                expected: header.len(),
            });
        }
        let device = field(&record, &places, 0, line)?;
        let prediction = field(&record, &places, 1, line)?;
        let truth = field(&record, &places, 2, line)?;
        let label = label(device, prediction, truth, || format!("line {line}"))?;
        rows.push(Row { line, label });
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
fn places(header: &ByteRecord) -> Result<[usize; 3], LabelsError> {
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
        *place = found.ok_or_else(|| LabelsError::Column {
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
) -> Result<&'r str, LabelsError> {
    let column = COLUMNS[which];
    let bytes = record.get(places[which]).unwrap_or_default();
    let text = std::str::from_utf8(bytes).map_err(|_| LabelsError::Utf8 { line, column })?;
    if text.is_empty() {
        return Err(LabelsError::Missing {
            at: format!("line {line}"),
            column,
        });
    }
    Ok(text)
}

/// A label from its texts; `at` says where it stood.
fn label(
    device: &str,
    prediction: &str,
    truth: &str,
    at: impl Fn() -> String,
) -> Result<NewLabel, LabelsError> {
    let wrong = |which: usize| {
        let at = at();
        move |source| LabelsError::Id {
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
        let rows = read(text.as_bytes()).map_err(|err| err.to_string())?;
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
        let said = read(&bytes[..]).expect_err("not UTF-8").to_string();
        assert_eq!(said, "line 2: truth is not valid UTF-8");
    }
}
