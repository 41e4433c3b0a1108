//! Steps about the rows to train on alone: devices get what comes.

use std::collections::BTreeMap;

use polars::prelude::{Expr, IdxCa, QuantileMethod, UniqueKeepStrategy, col, lit, when};
use tern_protocol::rest::{BalanceMethod, ColumnKind, OutlierAct, OutlierBounds};

use super::{Preparing, Said, StepError, unfit};
use crate::frame::{LABEL, PLACE, TRAIN, feature};

impl Preparing {
    pub(super) fn drop_missing(&mut self, named: &[String]) -> Result<Said, StepError> {
        let places: Vec<usize> = if named.is_empty() {
            (0..self.columns.len()).collect()
        } else {
            let mut places = Vec::new();
            for name in named {
                let place = self.columns.iter().position(|column| column.name == *name);
                let Some(place) = place else {
                    return unfit(format!("there is no column `{name}`"));
                };
                places.push(place);
            }
            places
        };
        let lacks = places
            .iter()
            .map(|place| Self::column(*place).is_null())
            .reduce(Expr::or)
            .unwrap_or_else(|| lit(false));
        self.keep(col(TRAIN).not().or(lacks.not()))?;
        Ok(Said::of_training(format!(
            "rows to train on go where {} is missing",
            self.names(&places)
        )))
    }

    fn keep(&mut self, rows: Expr) -> Result<(), StepError> {
        self.frame.data = self.frame.lazy().filter(rows).collect()?;
        Ok(())
    }

    pub(super) fn outliers(
        &mut self,
        named: &[String],
        bounds: OutlierBounds,
        act: OutlierAct,
    ) -> Result<Said, StepError> {
        let sound = match bounds {
            OutlierBounds::Quantiles(low, high) => 0.0 <= low && low < high && high <= 1.0,
            OutlierBounds::Iqr(times) => times.is_finite() && times >= 0.0,
        };
        if !sound {
            return unfit(
                "give two quantiles from 0 to 1, the lower first, or a number of times from 0",
            );
        }
        let places = self.places(named, ColumnKind::Number)?;
        let (low, high) = match bounds {
            OutlierBounds::Quantiles(low, high) => (low, high),
            OutlierBounds::Iqr(_) => (0.25, 0.75),
        };
        let found = self.fit(&places, |column| {
            let at = |q: f64| column.clone().quantile(lit(q), QuantileMethod::Linear);
            vec![at(low), at(high)]
        })?;
        let mut fitted = BTreeMap::new();
        let (mut exprs, mut outside) = (Vec::new(), lit(false));
        for (place, found) in places.iter().zip(found) {
            let name = &self.columns[*place].name;
            let (Some(mut low), Some(mut high)) = (found[0], found[1]) else {
                return unfit(format!("column `{name}` has no number to train on"));
            };
            if let OutlierBounds::Iqr(times) = bounds {
                (low, high) = (low - times * (high - low), high + times * (high - low));
            }
            let (low, high) = (low as f32, high as f32);
            fitted.insert(name.clone(), vec![low.into(), high.into()]);
            let column = || Self::column(*place);
            let (below, above) = (column().lt(lit(low)), column().gt(lit(high)));
            let of_train = |is: Expr| col(TRAIN).and(is.fill_null(lit(false)));
            let (below, above) = (of_train(below), of_train(above));
            outside = outside.or(below.clone()).or(above.clone());
            exprs.push(
                when(below)
                    .then(lit(low))
                    .when(above)
                    .then(lit(high))
                    .otherwise(column())
                    .alias(feature(*place)),
            );
        }
        let word = match act {
            OutlierAct::Clip => {
                self.change(exprs)?;
                "become the bound"
            }
            OutlierAct::Drop => {
                self.keep(outside.not())?;
                "go with their rows"
            }
        };
        Ok(Said {
            text: format!(
                "outliers of {} {word} in the rows to train on",
                self.names(&places)
            ),
            on_device: false,
            fitted,
        })
    }

    pub(super) fn dedupe(&mut self) -> Result<Said, StepError> {
        let mut same: Vec<Expr> = (0..self.columns.len()).map(Self::column).collect();
        same.push(col(LABEL));
        let kept = self
            .frame
            .lazy()
            .filter(col(TRAIN))
            .unique_stable_generic(Some(same), UniqueKeepStrategy::First)
            .select([col(PLACE)])
            .collect()?;
        let mut keep = vec![false; self.frame.data.height()];
        let kept: std::collections::HashSet<u32> =
            kept.column(PLACE)?.u32()?.iter().flatten().collect();
        let places = self.frame.data.column(PLACE)?.u32()?;
        let train = self.frame.data.column(TRAIN)?.bool()?;
        let mut seen = std::collections::HashSet::new();
        for (at, (place, train)) in places.iter().zip(train.iter()).enumerate() {
            let place = place.unwrap_or_default();
            // A row that is there more than once has one place.
            keep[at] = train != Some(true) || (kept.contains(&place) && seen.insert(place));
        }
        self.take(
            keep.iter()
                .enumerate()
                .filter(|(_, keep)| **keep)
                .map(|(at, _)| at),
        )?;
        Ok(Said::of_training(
            "of rows to train on that are the same one stays".into(),
        ))
    }

    /// Takes these rows, in this order.
    fn take(&mut self, rows: impl Iterator<Item = usize>) -> Result<(), StepError> {
        let rows: Vec<polars::prelude::IdxSize> =
            rows.map(|at| at as polars::prelude::IdxSize).collect();
        let rows = IdxCa::from_vec("".into(), rows);
        self.frame.data = self.frame.data.take(&rows)?;
        Ok(())
    }

    pub(super) fn balance(&mut self, method: BalanceMethod, seed: u64) -> Result<Said, StepError> {
        if !self.has_classes {
            return unfit("truths are numbers, and it is for classes");
        }
        let labels = self.frame.data.column(LABEL)?.str()?;
        let train = self.frame.data.column(TRAIN)?.bool()?;
        let mut of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut others = Vec::new();
        for (at, (label, train)) in labels.iter().zip(train.iter()).enumerate() {
            if train == Some(true) {
                of.entry(label.unwrap_or_default().into())
                    .or_default()
                    .push(at);
            } else {
                others.push(at);
            }
        }
        let sizes = of.values().map(Vec::len);
        let wanted = match method {
            BalanceMethod::Over => sizes.max(),
            BalanceMethod::Under => sizes.min(),
        };
        let Some(wanted) = wanted else {
            return unfit("there is no row to train on");
        };
        let rows = wanted.saturating_mul(of.len()).saturating_add(others.len());
        Self::must_fit(rows, self.columns.len())?;
        let mut dice = Dice(seed);
        let mut chosen = others;
        for rows in of.values() {
            let mut left = wanted;
            while left >= rows.len() {
                chosen.extend(rows);
                left -= rows.len();
            }
            let mut rest = rows.clone();
            dice.shuffle(&mut rest);
            chosen.extend(rest.into_iter().take(left));
        }
        // In the order in which they were, so that the seed decides nothing but which.
        chosen.sort_unstable();
        self.take(chosen.into_iter())?;
        let word = match method {
            BalanceMethod::Over => "rows of rarer classes are there more than once",
            BalanceMethod::Under => "rows of more frequent classes go",
        };
        Ok(Said::of_training(format!(
            "{word}, so that each class has {wanted} rows to train on (seed {seed})"
        )))
    }
}

/// SplitMix64: the same numbers for the same seed, here and everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut dice = self.0;
        dice = (dice ^ (dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        dice = (dice ^ (dice >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        dice ^ (dice >> 31)
    }

    fn shuffle(&mut self, rows: &mut [usize]) {
        for last in (1..rows.len()).rev() {
            // The bias of the remainder is 2⁻⁴⁰ for a million rows.
            let other = (self.roll() % (last as u64 + 1)) as usize;
            rows.swap(last, other);
        }
    }
}
