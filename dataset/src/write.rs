//! Writes rows.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical},
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{ColumnPath, Type},
};
use tern_protocol::rest::{ColumnKind, DatasetInput};

use super::{Cell, Input, Label, Row, TableError};

/// Rows that are written together, and read together.
const GROUP: usize = 8_192;

/// Bytes of rows that are written together.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// What truths are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truths {
    /// Names.
    Classes,
    /// Numbers.
    Numbers,
}

/// A table that is being written.
pub struct TableWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Option<Vec<ColumnKind>>,
    truths: Truths,
    group: Vec<Row>,
    bytes: usize,
}

fn column(
    name: &str,
    physical: Physical,
    repetition: Repetition,
    is_text: bool,
) -> Result<Arc<Type>, ParquetError> {
    let mut builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
    if is_text {
        builder = builder
            .with_logical_type(Some(LogicalType::String))
            .with_converted_type(ConvertedType::UTF8);
    }
    builder.build().map(Arc::new)
}

fn schema(input: &DatasetInput, truths: Truths) -> Result<Type, ParquetError> {
    const REQUIRED: Repetition = Repetition::REQUIRED;
    const OPTIONAL: Repetition = Repetition::OPTIONAL;
    let text = |name| column(name, Physical::BYTE_ARRAY, REQUIRED, true);
    let number = |name| column(name, Physical::DOUBLE, REQUIRED, false);
    let mut fields = vec![
        text("id")?,
        text("device")?,
        text("site")?,
        column("at", Physical::INT64, REQUIRED, false)?,
        text("source")?,
        number("weight")?,
        match truths {
            Truths::Classes => text("label")?,
            Truths::Numbers => number("label")?,
        },
    ];
    match input {
        DatasetInput::Tensor(_) => {
            fields.push(column("input", Physical::BYTE_ARRAY, REQUIRED, false)?);
        }
        DatasetInput::Table { columns } => {
            for of in columns {
                fields.push(match of.kind {
                    ColumnKind::Number => column(&of.name, Physical::DOUBLE, OPTIONAL, false)?,
                    ColumnKind::Category => column(&of.name, Physical::BYTE_ARRAY, OPTIONAL, true)?,
                });
            }
        }
    }
    Type::group_type_builder("rows").with_fields(fields).build()
}

impl<W: Write + Send> TableWriter<W> {
    /// An empty table.
    pub fn new(to: W, input: &DatasetInput, truths: Truths) -> Result<Self, TableError> {
        let schema = schema(input, truths)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("tern".into())
            // Inputs are nearly never the same twice.
            .set_column_dictionary_enabled(ColumnPath::from("input"), false)
            .set_column_dictionary_enabled(ColumnPath::from("id"), false)
            .build();
        let writer = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties));
        Ok(Self {
            writer: writer?,
            columns: match input {
                DatasetInput::Tensor(_) => None,
                DatasetInput::Table { columns } => {
                    Some(columns.iter().map(|column| column.kind).collect())
                }
            },
            truths,
            group: Vec::new(),
            bytes: 0,
        })
    }

    /// One more row.
    pub fn push(&mut self, row: Row) -> Result<(), TableError> {
        self.bytes += row.bytes();
        self.group.push(row);
        if self.group.len() >= GROUP || self.bytes >= GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TableError> {
        let rows = std::mem::take(&mut self.group);
        self.bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        write_group(&mut group, &rows, self.columns.as_deref(), self.truths)?;
        group.close()?;
        Ok(())
    }

    /// Ends it; what it was written to.
    pub fn finish(mut self) -> Result<W, TableError> {
        self.flush()?;
        Ok(self.writer.into_inner()?)
    }
}

type Group<'a, W> = SerializedRowGroupWriter<'a, W>;

fn write_group<W: Write + Send>(
    group: &mut Group<'_, W>,
    rows: &[Row],
    columns: Option<&[ColumnKind]>,
    truths: Truths,
) -> Result<(), ParquetError> {
    texts(group, rows.iter().map(|row| row.id.as_str()))?;
    texts(group, rows.iter().map(|row| row.device.as_str()))?;
    texts(group, rows.iter().map(|row| row.site.as_str()))?;
    let times: Vec<i64> = rows.iter().map(|row| row.at).collect();
    if let Some(mut column) = group.next_column()? {
        column
            .typed::<Int64Type>()
            .write_batch(&times, None, None)?;
        column.close()?;
    }
    texts(group, rows.iter().map(|row| row.source.as_str()))?;
    numbers(group, rows.iter().map(|row| Some(row.weight)), false)?;
    match truths {
        Truths::Classes => {
            let names = rows.iter().map(|row| match &row.label {
                Label::Class(name) => name.as_str(),
                Label::Number(_) => "",
            });
            texts(group, names)?;
        }
        Truths::Numbers => {
            let of = rows.iter().map(|row| match row.label {
                Label::Number(number) => Some(number),
                Label::Class(_) => Some(f64::NAN),
            });
            numbers(group, of, false)?;
        }
    }
    let Some(columns) = columns else {
        let inputs = rows.iter().map(|row| match &row.input {
            Input::Tensor(bytes) => Some(bytes.as_slice()),
            Input::Table(_) => Some(&[][..]),
        });
        return arrays(group, inputs, false);
    };
    for (place, kind) in columns.iter().enumerate() {
        let cells = rows.iter().map(|row| match &row.input {
            Input::Table(cells) => cells.get(place).unwrap_or(&Cell::Missing),
            Input::Tensor(_) => &Cell::Missing,
        });
        match kind {
            ColumnKind::Number => {
                let of = cells.map(|cell| match cell {
                    Cell::Number(number) => Some(*number),
                    Cell::Missing | Cell::Category(_) => None,
                });
                numbers(group, of, true)?;
            }
            ColumnKind::Category => {
                let of = cells.map(|cell| match cell {
                    Cell::Category(name) => Some(name.as_bytes()),
                    Cell::Missing | Cell::Number(_) => None,
                });
                arrays(group, of, true)?;
            }
        }
    }
    Ok(())
}

fn texts<'a, W: Write + Send>(
    group: &mut Group<'_, W>,
    texts: impl Iterator<Item = &'a str>,
) -> Result<(), ParquetError> {
    arrays(group, texts.map(|text| Some(text.as_bytes())), false)
}

fn arrays<'a, W: Write + Send>(
    group: &mut Group<'_, W>,
    of: impl Iterator<Item = Option<&'a [u8]>>,
    is_optional: bool,
) -> Result<(), ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    for value in of {
        levels.push(i16::from(value.is_some()));
        values.extend(value.map(|bytes| ByteArray::from(bytes.to_vec())));
    }
    if let Some(mut column) = group.next_column()? {
        let levels = is_optional.then_some(&levels[..]);
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, levels, None)?;
        column.close()?;
    }
    Ok(())
}

fn numbers<W: Write + Send>(
    group: &mut Group<'_, W>,
    of: impl Iterator<Item = Option<f64>>,
    is_optional: bool,
) -> Result<(), ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    for value in of {
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    if let Some(mut column) = group.next_column()? {
        let levels = is_optional.then_some(&levels[..]);
        column
            .typed::<DoubleType>()
            .write_batch(&values, levels, None)?;
        column.close()?;
    }
    Ok(())
}
