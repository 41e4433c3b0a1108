//! Steps that change columns, on devices as in training: in 32-bit floats, in the same order.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::{
    ChunkedArray, DataFrame, DataType, Expr, Float32Type, IntoColumn as _, IntoLazy as _,
    NewChunkedArray as _, QuantileMethod, SortMultipleOptions, col, lit, when,
};
use tern_protocol::{
    rest::{ColumnKind, DatasetColumn, EncodeMethod, Fill, ScaleMethod},
    steps::{Channels, PreStep},
};

use super::{Preparing, Said, StepError, unfit};
use crate::frame::{AT, DEVICE, PLACE, TRAIN, feature};

/// Rows before that a window looks at.
const WINDOW: u32 = 64;

impl Preparing {
    /// Numbers of each column, found in the rows to train on: one row of expressions a column.
    pub(super) fn fit(
        &self,
        places: &[usize],
        of: impl Fn(Expr) -> Vec<Expr>,
    ) -> Result<Vec<Vec<Option<f64>>>, StepError> {
        let mut exprs = Vec::new();
        let mut width = 0;
        for place in places {
            let found = of(Self::column(*place).cast(DataType::Float64));
            width = found.len();
            for (which, expr) in found.into_iter().enumerate() {
                exprs.push(
                    expr.cast(DataType::Float64)
                        .alias(format!("{place}/{which}")),
                );
            }
        }
        let found = self
            .frame
            .lazy()
            .filter(col(TRAIN))
            .select(exprs)
            .collect()?;
        let mut numbers = Vec::with_capacity(places.len());
        for place in places {
            let mut row = Vec::with_capacity(width);
            for which in 0..width {
                let column = found.column(&format!("{place}/{which}"))?;
                let value = column.f64()?.get(0);
                row.push(value.filter(|value| value.is_finite()));
            }
            numbers.push(row);
        }
        Ok(numbers)
    }

    /// Replaces columns.
    pub(super) fn change(&mut self, exprs: Vec<Expr>) -> Result<(), StepError> {
        self.frame.data = self.frame.lazy().with_columns(exprs).collect()?;
        Ok(())
    }

    pub(super) fn missing(&mut self, named: &[String], with: &Fill) -> Result<Said, StepError> {
        let kind = match with {
            Fill::Drop => return self.drop_missing(named),
            Fill::Category(_) => ColumnKind::Category,
            Fill::Mean | Fill::Median | Fill::Constant(_) => ColumnKind::Number,
        };
        let places = self.places(named, kind)?;
        let mut filled = vec![None; self.columns.len()];
        let mut exprs = Vec::new();
        let mut fitted = BTreeMap::new();
        let word = match with {
            Fill::Category(name) => {
                for place in &places {
                    let column = &self.columns[*place];
                    let at = column.categories.iter().position(|known| known == name);
                    let Some(at) = at else {
                        return unfit(format!(
                            "`{name}` is no category of column `{}`",
                            column.name
                        ));
                    };
                    filled[*place] = Some(at as f32);
                    exprs.push(Self::column(*place).fill_null(lit(name.clone())));
                }
                format!("`{name}`")
            }
            Fill::Constant(value) => {
                let value = *value as f32;
                if !value.is_finite() {
                    return unfit("the number does not fit 32 bits");
                }
                for place in &places {
                    filled[*place] = Some(value);
                    exprs.push(Self::column(*place).fill_null(lit(value)));
                }
                value.to_string()
            }
            Fill::Mean | Fill::Median | Fill::Drop => {
                let is_mean = *with == Fill::Mean;
                let found = self.fit(&places, |column| {
                    vec![if is_mean {
                        column.mean()
                    } else {
                        column.median()
                    }]
                })?;
                for (place, found) in places.iter().zip(found) {
                    let name = &self.columns[*place].name;
                    let Some(value) = found[0] else {
                        return unfit(format!("column `{name}` has no number to train on"));
                    };
                    fitted.insert(name.clone(), vec![value]);
                    filled[*place] = Some(value as f32);
                    exprs.push(Self::column(*place).fill_null(lit(value as f32)));
                }
                (if is_mean { "the mean" } else { "the median" }).to_owned()
            }
        };
        self.change(exprs)?;
        self.pre.push(PreStep::Impute { values: filled });
        Ok(Said {
            text: format!("what is missing of {} becomes {word}", self.names(&places)),
            on_device: true,
            fitted,
        })
    }

    pub(super) fn scale(
        &mut self,
        named: &[String],
        method: ScaleMethod,
    ) -> Result<Said, StepError> {
        let places = self.places(named, ColumnKind::Number)?;
        let quantile =
            |column: &Expr, q: f64| column.clone().quantile(lit(q), QuantileMethod::Linear);
        let found = self.fit(&places, |column| match method {
            ScaleMethod::Standard => vec![column.clone().mean(), column.std(0)],
            ScaleMethod::MinMax => vec![column.clone().min(), column.clone().max() - column.min()],
            ScaleMethod::Robust => vec![
                column.clone().median(),
                quantile(&column, 0.75) - quantile(&column, 0.25),
            ],
        })?;
        let mut mean = vec![0.0f32; self.columns.len()];
        let mut std = vec![1.0f32; self.columns.len()];
        let mut fitted = BTreeMap::new();
        let mut exprs = Vec::new();
        for (place, found) in places.iter().zip(found) {
            let name = &self.columns[*place].name;
            let Some(centre) = found[0].map(|centre| centre as f32) else {
                return unfit(format!("column `{name}` has no number to train on"));
            };
            // What never varies stays where it is.
            let spread = found[1].map(|spread| spread as f32);
            let spread = spread.filter(|spread| spread.is_normal() && *spread > 0.0);
            let spread = spread.unwrap_or(1.0);
            (mean[*place], std[*place]) = (centre, spread);
            fitted.insert(name.clone(), vec![centre.into(), spread.into()]);
            // As the engine does it: a difference, and a product with the inverse.
            let factor = (1.0 / f64::from(spread)) as f32;
            exprs.push((Self::column(*place) - lit(centre)) * lit(factor));
        }
        self.change(exprs)?;
        self.pre.push(PreStep::Normalise {
            mean,
            std,
            channels: Channels::Last,
        });
        let word = match method {
            ScaleMethod::Standard => "to mean 0 and deviation 1",
            ScaleMethod::MinMax => "to 0 to 1",
            ScaleMethod::Robust => "to median 0 and distance of quartiles 1",
        };
        Ok(Said {
            text: format!("{} scaled {word}", self.names(&places)),
            on_device: true,
            fitted,
        })
    }

    pub(super) fn encode(
        &mut self,
        named: &[String],
        method: EncodeMethod,
    ) -> Result<Said, StepError> {
        let places = self.places(named, ColumnKind::Category)?;
        let names = self.names(&places);
        if method == EncodeMethod::OneHot {
            let of_places = places
                .iter()
                .map(|place| self.columns[*place].categories.len());
            let columns = self.columns.len() - places.len() + of_places.sum::<usize>();
            self.must_be_narrow(columns)?;
        }
        let before = std::mem::take(&mut self.columns);
        let (mut sizes, mut columns, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for (place, column) in before.iter().enumerate() {
            if !places.contains(&place) {
                sizes.push(0);
                columns.push(column.clone());
                all.push(self.frame.data.column(&feature(place))?.clone());
                continue;
            }
            if column.categories.is_empty() {
                return unfit(format!("column `{}` has no categories", column.name));
            }
            let codes = self.codes(place, &column.categories)?;
            match method {
                EncodeMethod::Ordinal => {
                    sizes.push(0);
                    columns.push(DatasetColumn {
                        name: column.name.clone(),
                        kind: ColumnKind::Number,
                        categories: Vec::new(),
                    });
                    let array: ChunkedArray<Float32Type> = ChunkedArray::from_iter_options(
                        "".into(),
                        codes.into_iter().map(|code| code.map(|code| code as f32)),
                    );
                    all.push(array.into_column());
                }
                EncodeMethod::OneHot => {
                    sizes.push(column.categories.len() as u32);
                    for (at, name) in column.categories.iter().enumerate() {
                        columns.push(DatasetColumn {
                            name: format!("{}={name}", column.name),
                            kind: ColumnKind::Number,
                            categories: Vec::new(),
                        });
                        let hot = codes
                            .iter()
                            .map(|code| if *code == Some(at) { 1.0f32 } else { 0.0 });
                        let array: ChunkedArray<Float32Type> =
                            ChunkedArray::from_iter_values("".into(), hot);
                        all.push(array.into_column());
                    }
                }
            }
        }
        self.columns = columns;
        self.replace(all)?;
        if method == EncodeMethod::OneHot {
            self.pre.push(PreStep::OneHot { sizes });
        }
        let word = match method {
            EncodeMethod::OneHot => "become a column a category",
            EncodeMethod::Ordinal => "become their places, which is what requests carry",
        };
        Ok(Said {
            text: format!("{names} {word}"),
            on_device: true,
            fitted: BTreeMap::new(),
        })
    }

    /// The places of a column's categories.
    fn codes(&self, place: usize, categories: &[String]) -> Result<Vec<Option<usize>>, StepError> {
        let known: HashMap<&str, usize> = categories
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), at))
            .collect();
        let column = self.frame.data.column(&feature(place))?.str()?;
        let codes = column
            .iter()
            .map(|name| name.and_then(|name| known.get(name).copied()));
        Ok(codes.collect())
    }

    /// Takes these columns of features instead of those that there are.
    fn replace(&mut self, all: Vec<polars::prelude::Column>) -> Result<(), StepError> {
        let mut columns: Vec<polars::prelude::Column> = all
            .into_iter()
            .enumerate()
            .map(|(place, column)| column.with_name(feature(place).into()))
            .collect();
        for own in [PLACE, TRAIN, crate::frame::LABEL, DEVICE, AT] {
            columns.push(self.frame.data.column(own)?.clone());
        }
        self.frame.data = DataFrame::new_infer_height(columns)?;
        Ok(())
    }

    pub(super) fn window(
        &mut self,
        named: &[String],
        lags: &[u32],
        means: &[u32],
        sent: bool,
    ) -> Result<Said, StepError> {
        if !sent {
            return unfit(
                "a device's engine remembers no inputs, so it cannot make these; `sent: true` says that requests carry them",
            );
        }
        if !self.done.is_empty() {
            return unfit("it comes first: requests carry what it makes of the values as they are");
        }
        if self.tensor.is_some() {
            return unfit("it is for tables");
        }
        let most = |all: &[u32], least: u32| all.iter().any(|n| *n < least || *n > WINDOW);
        if (lags.is_empty() && means.is_empty()) || most(lags, 1) || most(means, 2) {
            return unfit(format!(
                "give `lags` from 1 and `means` from 2, both up to {WINDOW}"
            ));
        }
        if named.is_empty() {
            return unfit("name the columns");
        }
        let nameless = self.frame.data.column(DEVICE)?.str()?;
        if nameless.iter().flatten().any(str::is_empty) {
            return unfit("a row has no device, so nothing is known of what came before it");
        }
        let places = self.places(named, ColumnKind::Number)?;
        let made = places.len() * (lags.len() + means.len());
        self.must_be_narrow(self.columns.len() + made)?;
        let sorted = self
            .frame
            .lazy()
            .sort([DEVICE, AT, PLACE], SortMultipleOptions::default())
            .collect()?;
        // So many rows before, if that is of the same device.
        let before = |place: usize, lag: u32| {
            let shift = |expr: Expr| expr.shift(lit(i64::from(lag)));
            when(col(DEVICE).eq(shift(col(DEVICE))))
                .then(shift(Self::column(place)))
                .otherwise(lit(polars::prelude::NULL))
                .cast(DataType::Float32)
        };
        let mut columns = self.columns.clone();
        let mut exprs = Vec::new();
        for place in &places {
            let name = self.columns[*place].name.clone();
            let mut add = |text: String, expr: Expr| {
                exprs.push(expr.alias(feature(columns.len())));
                columns.push(DatasetColumn {
                    name: text,
                    kind: ColumnKind::Number,
                    categories: Vec::new(),
                });
            };
            for lag in lags {
                add(format!("{name} {lag} before"), before(*place, *lag));
            }
            for rows in means {
                let mut sum = Self::column(*place);
                for lag in 1..*rows {
                    sum = sum + before(*place, lag);
                }
                add(format!("{name} mean of {rows}"), sum / lit(*rows as f32));
            }
        }
        let names = self.names(&places);
        self.frame.data = sorted
            .lazy()
            .with_columns(exprs)
            .sort([PLACE], SortMultipleOptions::default())
            .collect()?;
        self.columns.clone_from(&columns);
        self.request = columns;
        Ok(Said {
            text: format!("{names} with what came before, which requests carry"),
            on_device: false,
            fitted: BTreeMap::new(),
        })
    }
}
