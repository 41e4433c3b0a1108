//! Rows as columns, and back.

use polars::prelude::{
    BooleanChunked, ChunkedArray, Column, DataFrame, Float32Type, IntoColumn as _, IntoLazy as _,
    LazyFrame, NamedFrom as _, NewChunkedArray as _, Series, StringChunked,
};
use tern_dataset::{Cell, Input, Label, Row, elements};
use tern_protocol::{
    rest::{ColumnKind, DatasetColumn, DatasetInput, Split},
    tensor::Dtype,
};

use super::{PrepareError, file::Directory};

/// The place of a row among all.
pub(crate) const PLACE: &str = "\u{1}place";

/// Whether it is to train on.
pub(crate) const TRAIN: &str = "\u{1}train";

/// What is true of it, as text.
pub(crate) const LABEL: &str = "\u{1}label";

/// Its device, and when.
pub(crate) const DEVICE: &str = "\u{1}device";
pub(crate) const AT: &str = "\u{1}at";

/// A column of features by its place, so that no name is taken twice.
pub(crate) fn feature(place: usize) -> String {
    format!("\u{2}{place}")
}

/// All rows: what steps change as columns, and the rest beside it.
pub(crate) struct Frame {
    /// A row each, in this order; rows may be there more than once, or no more.
    pub(crate) data: DataFrame,
    /// The rows without their inputs, by place.
    rows: Vec<(Split, Row)>,
}

impl Frame {
    /// Reads all rows.
    pub(crate) fn read(directory: &Directory) -> Result<Self, PrepareError> {
        let input = &directory.manifest.input;
        let mut columns = Columns::new(input);
        let mut rows = Vec::new();
        for split in Split::ALL {
            for row in directory.rows(split)? {
                let mut row = row?;
                let values = std::mem::replace(&mut row.input, Input::Tensor(Vec::new()));
                columns.push(input, values)?;
                rows.push((split, row));
            }
        }
        let mut all = columns.finish();
        let named = |name: &str, texts: Vec<String>| Series::new(name.into(), texts).into_column();
        let place: Vec<u32> = (0..rows.len() as u32).collect();
        let train = rows.iter().map(|(split, _)| *split == Split::Train);
        all.extend([
            Series::new(PLACE.into(), place).into_column(),
            BooleanChunked::from_iter_values(TRAIN.into(), train).into_column(),
            named(
                LABEL,
                rows.iter().map(|(_, row)| row.label.text()).collect(),
            ),
            named(
                DEVICE,
                rows.iter().map(|(_, row)| row.device.clone()).collect(),
            ),
            Series::new(
                AT.into(),
                rows.iter().map(|(_, row)| row.at).collect::<Vec<i64>>(),
            )
            .into_column(),
        ]);
        Ok(Self {
            data: DataFrame::new_infer_height(all)?,
            rows,
        })
    }

    /// For computing.
    pub(crate) fn lazy(&self) -> LazyFrame {
        self.data.clone().lazy()
    }

    /// Whether all truths are names.
    pub(crate) fn has_classes(&self) -> bool {
        self.rows
            .iter()
            .all(|(_, row)| matches!(row.label, Label::Class(_)))
    }

    /// Rows to train on.
    pub(crate) fn train_rows(&self) -> Result<u64, PrepareError> {
        let train = self.data.column(TRAIN)?.bool()?.sum().unwrap_or_default();
        Ok(u64::from(train))
    }

    /// The rows of a split, in order, with their inputs.
    pub(crate) fn rows(
        &self,
        split: Split,
        input: &DatasetInput,
    ) -> Result<Vec<Row>, PrepareError> {
        let width = match input {
            DatasetInput::Table { columns } => columns.len(),
            DatasetInput::Tensor(form) => form.elements().unwrap_or_default(),
        };
        let mut columns = Vec::with_capacity(width);
        for place in 0..width {
            columns.push(self.data.column(&feature(place))?.f32()?.clone());
        }
        let places = self.data.column(PLACE)?.u32()?.clone();
        let mut rows = Vec::new();
        for (at, place) in places.iter().enumerate() {
            let place = place.unwrap_or_default() as usize;
            let Some((_, row)) = self.rows.get(place).filter(|(of, _)| *of == split) else {
                continue;
            };
            let values = columns.iter().map(|column| column.get(at));
            let input = match input {
                DatasetInput::Tensor(_) => Input::Tensor(
                    values
                        .flat_map(|value| value.unwrap_or(f32::NAN).to_le_bytes())
                        .collect(),
                ),
                DatasetInput::Table { .. } => Input::Table(
                    values
                        .map(|value| {
                            value.map_or(Cell::Missing, |value| Cell::number(value.into()))
                        })
                        .collect(),
                ),
            };
            rows.push(Row {
                input,
                ..row.clone()
            });
        }
        Ok(rows)
    }
}

/// Values on their way into columns.
enum Columns {
    Elements(Dtype, Vec<Vec<Option<f32>>>),
    Cells(Vec<OfKind>),
}

enum OfKind {
    Numbers(Vec<Option<f32>>),
    Names(Vec<Option<String>>),
}

/// As a device has it: what is missing is missing on both sides.
fn there(value: f32) -> Option<f32> {
    (!value.is_nan()).then_some(value)
}

impl Columns {
    fn new(input: &DatasetInput) -> Self {
        match input {
            DatasetInput::Tensor(form) => {
                let width = form.elements().unwrap_or_default();
                Self::Elements(form.dtype, vec![Vec::new(); width])
            }
            DatasetInput::Table { columns } => {
                let of = |column: &DatasetColumn| match column.kind {
                    ColumnKind::Number => OfKind::Numbers(Vec::new()),
                    ColumnKind::Category => OfKind::Names(Vec::new()),
                };
                Self::Cells(columns.iter().map(of).collect())
            }
        }
    }

    fn push(&mut self, input: &DatasetInput, values: Input) -> Result<(), PrepareError> {
        let strange = || PrepareError::Refused(format!("a row does not fit {input:?}"));
        match (self, values) {
            (Self::Elements(dtype, columns), Input::Tensor(bytes)) => {
                let values = elements(*dtype, &bytes);
                if values.len() != columns.len() {
                    return Err(strange());
                }
                for (column, value) in columns.iter_mut().zip(values) {
                    column.push(there(value));
                }
                Ok(())
            }
            (Self::Cells(columns), Input::Table(cells)) if columns.len() == cells.len() => {
                for (column, cell) in columns.iter_mut().zip(cells) {
                    match (column, cell) {
                        (OfKind::Numbers(values), Cell::Number(value)) => {
                            values.push(there(value as f32));
                        }
                        (OfKind::Names(values), Cell::Category(name)) => values.push(Some(name)),
                        (OfKind::Numbers(values), _) => values.push(None),
                        (OfKind::Names(values), _) => values.push(None),
                    }
                }
                Ok(())
            }
            _ => Err(strange()),
        }
    }

    fn finish(self) -> Vec<Column> {
        let numbers = |place: usize, values: Vec<Option<f32>>| {
            let array: ChunkedArray<Float32Type> =
                ChunkedArray::from_iter_options(feature(place).into(), values.into_iter());
            array.into_column()
        };
        match self {
            Self::Elements(_, columns) => columns
                .into_iter()
                .enumerate()
                .map(|(place, values)| numbers(place, values))
                .collect(),
            Self::Cells(columns) => columns
                .into_iter()
                .enumerate()
                .map(|(place, values)| match values {
                    OfKind::Numbers(values) => numbers(place, values),
                    OfKind::Names(values) => {
                        StringChunked::from_iter_options(feature(place).into(), values.into_iter())
                            .into_column()
                    }
                })
                .collect(),
        }
    }
}
