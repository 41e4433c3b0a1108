//! Reads rows.

use parquet::{
    file::reader::{ChunkReader, SerializedFileReader},
    record::{Field, reader::RowIter},
};
use tern_protocol::rest::{ColumnKind, DatasetInput, DatasetLabel};

use super::{Cell, Input, Label, Row, TableError, Truths};

/// The rows of a file of ours, in order. Memory holds a group of them.
pub struct Rows {
    rows: RowIter<'static>,
    columns: Option<Vec<(String, ColumnKind)>>,
    truths: Truths,
}

fn strange(what: &str) -> TableError {
    TableError::Strange(what.into())
}

impl Rows {
    /// Begins to read.
    pub fn new(
        file: impl ChunkReader + 'static,
        input: &DatasetInput,
        label: &DatasetLabel,
    ) -> Result<Self, TableError> {
        let reader = SerializedFileReader::new(file)?;
        Ok(Self {
            rows: RowIter::from_file_into(Box::new(reader)),
            columns: match input {
                DatasetInput::Tensor(_) => None,
                DatasetInput::Table { columns } => {
                    let of = columns.iter().map(|of| (of.name.clone(), of.kind));
                    Some(of.collect())
                }
            },
            truths: match label {
                DatasetLabel::Classes { .. } => Truths::Classes,
                DatasetLabel::Number => Truths::Numbers,
            },
        })
    }

    fn row(&self, fields: Vec<(String, Field)>) -> Result<Row, TableError> {
        let mut fields = Fields(fields.into_iter());
        let (id, device, site) = (
            fields.text("id")?,
            fields.text("device")?,
            fields.text("site")?,
        );
        let Field::Long(at) = fields.next("at")? else {
            return Err(strange("at"));
        };
        let source = fields.text("source")?;
        let weight = fields.number("weight")?.ok_or_else(|| strange("weight"))?;
        let label = match self.truths {
            Truths::Classes => Label::Class(fields.text("label")?),
            Truths::Numbers => {
                Label::Number(fields.number("label")?.ok_or_else(|| strange("label"))?)
            }
        };
        let input = match &self.columns {
            None => match fields.next("input")? {
                Field::Bytes(bytes) => Input::Tensor(bytes.data().to_vec()),
                _ => return Err(strange("input")),
            },
            Some(columns) => {
                let mut cells = Vec::with_capacity(columns.len());
                for (name, kind) in columns {
                    cells.push(match (kind, fields.next(name)?) {
                        (_, Field::Null) => Cell::Missing,
                        (ColumnKind::Number, Field::Double(number)) => Cell::number(number),
                        (ColumnKind::Category, Field::Str(name)) => Cell::Category(name),
                        _ => return Err(strange(name)),
                    });
                }
                Input::Table(cells)
            }
        };
        Ok(Row {
            id,
            device,
            site,
            at,
            source,
            weight,
            label,
            input,
        })
    }
}

impl Iterator for Rows {
    type Item = Result<Row, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(
            row.map_err(TableError::from)
                .and_then(|row| self.row(row.into_columns())),
        )
    }
}

/// The fields of a row, in the order in which they were written.
struct Fields(std::vec::IntoIter<(String, Field)>);

impl Fields {
    fn next(&mut self, name: &str) -> Result<Field, TableError> {
        match self.0.next() {
            Some((found, field)) if found == name => Ok(field),
            _ => Err(strange(name)),
        }
    }

    fn text(&mut self, name: &str) -> Result<String, TableError> {
        match self.next(name)? {
            Field::Str(text) => Ok(text),
            _ => Err(strange(name)),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<f64>, TableError> {
        match self.next(name)? {
            Field::Double(number) => Ok(Some(number)),
            Field::Null => Ok(None),
            _ => Err(strange(name)),
        }
    }
}
