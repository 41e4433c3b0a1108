//! Records of a file, Parquet or CSV.

use std::{
    fs::File,
    io::{self, Read, Seek as _},
    os::unix::fs::FileExt as _,
};

use csv::{ReaderBuilder, StringRecord};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::{Field, reader::RowIter},
};

use tern_protocol::steps::ELEMENTS;

use super::{
    super::super::{DatasetError, ROWS},
    Source, pages,
};

/// Bytes with which every Parquet file begins.
const MAGIC: &[u8] = b"PAR1";

/// Columns of a file, at most.
const COLUMNS: usize = super::super::COLUMNS + 16;

/// Longest text of a column, in bytes.
const FIELD: usize = 64 * 1024;

/// Longest record, in bytes, without a whole input: its texts together, or a row of a CSV.
const RECORD: usize = 4 * 1024 * 1024;

/// Longest whole input, in bytes: as many elements as a model may take, of the largest type.
const INPUT: usize = ELEMENTS * 8;

/// Bytes of a CSV that are read at once.
const AT_ONCE: usize = 64 * 1024;

/// A value of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Missing,
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// The number that it is or says.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Missing | Self::Bytes(_) => None,
        }
    }

    /// As text: a whole number without its fraction.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    /// How many bytes it takes, at least.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Missing | Self::Number(_) => size_of::<f64>(),
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// As errors show it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Missing => "nothing".into(),
            Self::Bytes(bytes) => format!("{} bytes", bytes.len()),
            other => {
                let text: String = other.text().chars().take(40).collect();
                format!("`{text}`")
            }
        }
    }
}

type Records = Box<dyn Iterator<Item = Result<Vec<Value>, DatasetError>>>;

/// A file that is open.
pub(super) struct Table {
    /// Its columns.
    pub(super) names: Vec<String>,
    /// Whether its types say what is a number.
    pub(super) is_typed: bool,
    /// Its records, each with a value a column.
    pub(super) records: Records,
}

fn refused(source: &Source, err: impl std::fmt::Display) -> DatasetError {
    DatasetError::Refused(format!("{}: {err}", source.title))
}

impl Table {
    /// Opens a file from its beginning.
    pub(super) fn open(source: &Source) -> Result<Self, DatasetError> {
        let reading = DatasetError::io("reading a file to import");
        let mut head = [0; MAGIC.len()];
        let read = source.file.read_at(&mut head, 0).map_err(reading)?;
        let table = if head[..read] == *MAGIC {
            Self::parquet(source)?
        } else {
            Self::csv(source)?
        };
        if table.names.len() > COLUMNS {
            return Err(refused(
                source,
                format!("it has more than {COLUMNS} columns"),
            ));
        }
        let mut sorted: Vec<&str> = table.names.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        let mut next = sorted.iter().zip(sorted.iter().skip(1));
        if let Some((twice, _)) = next.find(|(one, next)| one == next) {
            return Err(refused(source, format!("column `{twice}` is there twice")));
        }
        if let Some(name) = table
            .names
            .iter()
            .find(|name| name.is_empty() || name.len() > 200 || name.chars().any(char::is_control))
        {
            return Err(refused(
                source,
                format!("`{}` is no name of a column", name.escape_debug()),
            ));
        }
        Ok(table)
    }

    fn parquet(source: &Source) -> Result<Self, DatasetError> {
        let wrong = |why: String| refused(source, format!("it cannot be read as Parquet: {why}"));
        pages::check_footer(&source.file).map_err(wrong)?;
        let reader = SerializedFileReader::new(at_start(&source.file)?);
        let reader = reader.map_err(|err| wrong(err.to_string()))?;
        let facts = reader.metadata().file_metadata();
        if facts.num_rows() > ROWS as i64 {
            return Err(refused(source, format!("it has more than {ROWS} rows")));
        }
        let fields = facts.schema().get_fields();
        if let Some(nested) = fields.iter().find(|field| field.is_group()) {
            let name = nested.name();
            return Err(refused(
                source,
                format!("column `{name}` is nested; one value a row is what is taken"),
            ));
        }
        let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        pages::check(&source.file, reader.metadata()).map_err(wrong)?;
        let title = source.title.clone();
        let rows = RowIter::from_file_into(Box::new(reader));
        let records = (1u64..).zip(rows).map(move |(at, row)| {
            let wrong = |text: String| DatasetError::Refused(format!("{title}, row {at}: {text}"));
            let row = row.map_err(|err| wrong(err.to_string()))?;
            let (mut record, mut texts) = (Vec::new(), 0);
            for (name, field) in row.into_columns() {
                let value = value(field).ok_or_else(|| {
                    wrong(format!("column `{name}` is neither a number nor text"))
                })?;
                let (bytes, most) = match &value {
                    Value::Bytes(bytes) if name == "input" => (bytes.len(), INPUT),
                    value => {
                        texts += value.bytes();
                        (value.bytes(), FIELD)
                    }
                };
                if bytes > most {
                    return Err(wrong(format!("column `{name}` has more than {most} bytes")));
                }
                if texts > RECORD {
                    return Err(wrong(format!("it has more than {RECORD} bytes")));
                }
                record.push(value);
            }
            Ok(record)
        });
        Ok(Self {
            names,
            is_typed: true,
            records: Box::new(records),
        })
    }

    fn csv(source: &Source) -> Result<Self, DatasetError> {
        let title = source.title.clone();
        let mut reader = ReaderBuilder::new()
            .buffer_capacity(AT_ONCE)
            .from_reader(Bounded {
                from: at_start(&source.file)?,
                left: RECORD,
            });
        let header = reader
            .headers()
            .map_err(|err| refused(source, format!("it is neither Parquet nor CSV: {err}")))?;
        let names: Vec<String> = header
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
            .collect();
        let mut record = StringRecord::new();
        let records = std::iter::from_fn(move || {
            // The crate says the line of what is wrong.
            let wrong = |err: String| DatasetError::Refused(format!("{title}: {err}"));
            reader.get_mut().left = RECORD;
            match reader.read_record(&mut record) {
                Ok(false) => None,
                Err(err) => Some(Err(wrong(err.to_string()))),
                Ok(true) if record.iter().any(|field| field.len() > FIELD) => {
                    Some(Err(wrong(format!("a field has more than {FIELD} bytes"))))
                }
                Ok(true) => Some(Ok(record
                    .iter()
                    .map(|field| match field.trim() {
                        "" | "NaN" | "nan" => Value::Missing,
                        text => Value::Text(text.to_owned()),
                    })
                    .collect())),
            }
        });
        Ok(Self {
            names,
            is_typed: false,
            records: Box::new(records),
        })
    }
}

/// Reads no further than one record may be long: a quote that is not closed makes one of all that follows.
struct Bounded {
    from: File,
    /// Bytes that may still be read for the record that is being read.
    left: usize,
}

impl Read for Bounded {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = to.len().min(self.left);
        if most == 0 && !to.is_empty() {
            return Err(io::Error::other(format!(
                "a row has more than {RECORD} bytes; is a quote not closed?"
            )));
        }
        let read = self.from.read(&mut to[..most])?;
        self.left -= read;
        Ok(read)
    }
}

fn at_start(file: &File) -> Result<File, DatasetError> {
    let open = || -> io::Result<File> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        Ok(file)
    };
    open().map_err(DatasetError::io("reading a file to import"))
}

fn value(field: Field) -> Option<Value> {
    let number = |number: f64| {
        if number.is_nan() {
            Value::Missing
        } else {
            Value::Number(number)
        }
    };
    Some(match field {
        Field::Null => Value::Missing,
        Field::Bool(value) => Value::Number(f64::from(u8::from(value))),
        Field::Byte(value) => Value::Number(value.into()),
        Field::Short(value) => Value::Number(value.into()),
        Field::Int(value) => Value::Number(value.into()),
        Field::Long(value) => Value::Number(value as f64),
        Field::UByte(value) => Value::Number(value.into()),
        Field::UShort(value) => Value::Number(value.into()),
        Field::UInt(value) => Value::Number(value.into()),
        Field::ULong(value) => Value::Number(value as f64),
        Field::Float(value) => number(value.into()),
        Field::Double(value) => number(value),
        Field::Str(text) => Value::Text(text),
        Field::Bytes(bytes) => Value::Bytes(bytes.data().to_vec()),
        Field::TimestampMillis(at) => Value::Number(at as f64),
        Field::TimestampMicros(at) => Value::Number((at / 1_000) as f64),
        _ => return None,
    })
}
