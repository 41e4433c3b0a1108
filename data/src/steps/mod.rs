//! What is done to rows, step by step, and what devices have to do for it.

mod columns;
mod rows;

use std::collections::BTreeMap;

use polars::prelude::{Expr, col};
use tern_protocol::{
    rest::{
        ColumnKind, DatasetColumn, DatasetInput, DatasetLabel, Preparation, PrepareStep, Prepared,
        PreparedStep, TensorForm,
    },
    steps::PreStep,
    tensor::Dtype,
};

use super::{
    PrepareError, VALUES,
    frame::{Frame, feature},
};

/// Columns after a step, at most.
const COLUMNS: usize = 4_096;

/// Why a step cannot be done.
pub(crate) enum StepError {
    /// It does not fit.
    Unfit(String),
    /// Something failed.
    Failed(PrepareError),
}

impl<E: Into<PrepareError>> From<E> for StepError {
    fn from(err: E) -> Self {
        Self::Failed(err.into())
    }
}

impl StepError {
    pub(crate) fn of_step(self, step: usize, name: &'static str) -> PrepareError {
        match self {
            Self::Unfit(text) => PrepareError::Step { step, name, text },
            Self::Failed(err) => err,
        }
    }
}

fn unfit<T>(text: impl Into<String>) -> Result<T, StepError> {
    Err(StepError::Unfit(text.into()))
}

/// A dataset on its way.
pub(crate) struct Preparing {
    frame: Frame,
    /// The columns as they are now.
    columns: Vec<DatasetColumn>,
    /// As requests carry them.
    request: Vec<DatasetColumn>,
    tensor: Option<TensorForm>,
    has_classes: bool,
    pre: Vec<PreStep>,
    done: Vec<PreparedStep>,
}

/// What came of it.
pub(crate) struct Done {
    pub(crate) frame: Frame,
    pub(crate) input: DatasetInput,
    request: Vec<DatasetColumn>,
    pre: Vec<PreStep>,
    done: Vec<PreparedStep>,
}

impl Done {
    pub(crate) fn prepared(&self, preparation: &Preparation) -> Prepared {
        Prepared {
            preparation: preparation.clone(),
            done: self.done.clone(),
            pre: self.pre.clone(),
            request: self.request.clone(),
        }
    }
}

/// What a step says of itself.
struct Said {
    text: String,
    on_device: bool,
    fitted: BTreeMap<String, Vec<f64>>,
}

impl Said {
    fn of_training(text: String) -> Self {
        Self {
            text,
            on_device: false,
            fitted: BTreeMap::new(),
        }
    }
}

impl Preparing {
    pub(crate) fn new(input: &DatasetInput, label: &DatasetLabel, frame: Frame) -> Self {
        let (columns, tensor) = match input {
            DatasetInput::Table { columns } => (columns.clone(), None),
            DatasetInput::Tensor(form) => {
                let element = |place: usize| DatasetColumn {
                    name: format!("{}[{place}]", form.name),
                    kind: ColumnKind::Number,
                    categories: Vec::new(),
                };
                let elements = form.elements().unwrap_or_default();
                ((0..elements).map(element).collect(), Some(form.clone()))
            }
        };
        let mut pre = Vec::new();
        if tensor.as_ref().is_some_and(|form| form.dtype != Dtype::F32) {
            pre.push(PreStep::Cast { to: Dtype::F32 });
        }
        Self {
            has_classes: matches!(label, DatasetLabel::Classes { .. }) && frame.has_classes(),
            frame,
            request: columns.clone(),
            columns,
            tensor,
            pre,
            done: Vec::new(),
        }
    }

    /// Does one step.
    pub(crate) fn step(&mut self, step: &PrepareStep) -> Result<(), StepError> {
        let rows_before = self.frame.train_rows()?;
        let said = match step {
            PrepareStep::Missing { columns, with } => self.missing(columns, with)?,
            PrepareStep::Outliers {
                columns,
                bounds,
                act,
            } => self.outliers(columns, *bounds, *act)?,
            PrepareStep::Dedupe {} => self.dedupe()?,
            PrepareStep::Scale { columns, method } => self.scale(columns, *method)?,
            PrepareStep::Encode { columns, method } => self.encode(columns, *method)?,
            PrepareStep::Window {
                columns,
                lags,
                means,
                sent,
            } => self.window(columns, lags, means, *sent)?,
            PrepareStep::Balance { method, seed } => self.balance(*method, *seed)?,
        };
        self.done.push(PreparedStep {
            step: step.name().into(),
            text: said.text,
            on_device: said.on_device,
            fitted: said.fitted,
            rows_before,
            rows_after: self.frame.train_rows()?,
        });
        Ok(())
    }

    /// All steps are done.
    pub(crate) fn finish(self) -> Result<Done, PrepareError> {
        let left = self
            .columns
            .iter()
            .find(|column| column.kind == ColumnKind::Category);
        if let Some(column) = left {
            return Err(PrepareError::Refused(format!(
                "column `{}` has categories, which no model takes; add a step `encode`",
                column.name
            )));
        }
        let input = match self.tensor {
            Some(form) => DatasetInput::Tensor(TensorForm {
                dtype: Dtype::F32,
                ..form
            }),
            None => DatasetInput::Table {
                columns: self.columns,
            },
        };
        Ok(Done {
            frame: self.frame,
            input,
            request: self.request,
            pre: self.pre,
            done: self.done,
        })
    }

    /// Refuses more columns than there may be, before they are made.
    fn must_be_narrow(&self, columns: usize) -> Result<(), StepError> {
        if columns > COLUMNS {
            return unfit(format!(
                "it makes {columns} columns, the limit is {COLUMNS}"
            ));
        }
        Self::must_fit(self.frame.data.height(), columns)
    }

    /// Refuses more values than are held at once, before they are made.
    fn must_fit(rows: usize, columns: usize) -> Result<(), StepError> {
        if (rows as u64).saturating_mul(columns as u64) > VALUES {
            return unfit(format!(
                "it makes {rows} rows of {columns} columns, which are more than {VALUES} values"
            ));
        }
        Ok(())
    }

    /// The places of columns that are named, or of all of a kind.
    fn places(&self, named: &[String], kind: ColumnKind) -> Result<Vec<usize>, StepError> {
        let word = match kind {
            ColumnKind::Number => "numbers",
            ColumnKind::Category => "categories",
        };
        if named.is_empty() {
            let all = self.columns.iter().enumerate();
            let places: Vec<usize> = all
                .filter(|(_, column)| column.kind == kind)
                .map(|(place, _)| place)
                .collect();
            if places.is_empty() {
                return unfit(format!("there is no column of {word}"));
            }
            return Ok(places);
        }
        let mut places = Vec::with_capacity(named.len());
        for name in named {
            let found = self.columns.iter().position(|column| column.name == *name);
            match found {
                None => return unfit(format!("there is no column `{name}`")),
                Some(place) if self.columns[place].kind != kind => {
                    return unfit(format!("column `{name}` is not of {word}"));
                }
                Some(place) if places.contains(&place) => {
                    return unfit(format!("column `{name}` is named twice"));
                }
                Some(place) => places.push(place),
            }
        }
        Ok(places)
    }

    /// A column as the frame has it.
    fn column(place: usize) -> Expr {
        col(feature(place))
    }

    /// How columns are called in a sentence.
    fn names(&self, places: &[usize]) -> String {
        const SHOWN: usize = 4;
        if places.len() == self.columns.len() && places.len() > SHOWN {
            return format!("all {} columns", places.len());
        }
        let mut names: Vec<&str> = places
            .iter()
            .take(SHOWN)
            .map(|place| self.columns[*place].name.as_str())
            .collect();
        let more = places.len().saturating_sub(SHOWN);
        let rest = format!("{more} more");
        if more > 0 {
            names.push(&rest);
        }
        names.join(", ")
    }
}
