//! What an answer of a classifier says.

use tern_protocol::{
    quantile,
    tensor::{Dtype, Tensor},
};

use super::Loaded;
use crate::{engine::Answered, telemetry::Prediction};

impl Loaded {
    /// What each row of the first output says; all `None` unless the model is a classifier. `None` if
    /// a probability is not a number. An output that steps decided is read as it was before: what was
    /// decided alone has no confidence to count.
    pub fn said(&self, answered: &Answered) -> Option<Vec<Option<Prediction>>> {
        let classes = self.manifest.classes.len();
        let first = answered.outputs.first()?;
        let batched = self.model.outputs().next()?.shape.first() == Some(&-1);
        let rows = if batched {
            *first.shape.first()? as usize
        } else {
            1
        };
        if classes == 0 {
            return Some(vec![None; rows]);
        }
        let scores = answered.scores.as_ref().unwrap_or(first).to_f32()?;
        match self.model.threshold() {
            // Two sides of one score.
            Some(threshold) if classes != scores.len() / rows => scores
                .iter()
                .map(|score| Prediction::from_score(*score, threshold).map(Some))
                .collect(),
            _ => scores
                .chunks(classes)
                .map(|row| Prediction::from_probabilities(row).map(Some))
                .collect(),
        }
    }

    /// The output that the model calls `embedding`, if it has one of 32-bit floats.
    pub fn embedding<'a>(&self, outputs: &'a [Tensor]) -> Option<&'a Tensor> {
        let mut named = self.model.outputs();
        let place = named.position(|spec| spec.name == "embedding" && spec.dtype == Dtype::F32)?;
        outputs.get(place)
    }

    /// The first element of the first output of each of `rows` rows; nothing of a classifier.
    pub fn values(&self, answered: &Answered, rows: usize) -> Vec<f32> {
        let first = answered.outputs.first();
        let first = first.filter(|_| self.manifest.classes.is_empty());
        let values = first.and_then(Tensor::to_f32).unwrap_or_default();
        match values.len().checked_div(rows) {
            Some(width @ 1..) => values.chunks_exact(width).map(|row| row[0]).collect(),
            _ => Vec::new(),
        }
    }

    /// The ends of the interval that was predicted with each of `rows` rows; nothing of a classifier, and of a model that
    /// predicts none.
    pub fn intervals(&self, answered: &Answered, rows: usize) -> Vec<(f32, f32)> {
        let ends = quantile::ends(&self.manifest.outputs);
        let Some(ends) = ends.filter(|_| self.manifest.classes.is_empty()) else {
            return Vec::new();
        };
        let firsts = |place: usize| {
            let values = answered.outputs.get(place).and_then(Tensor::to_f32);
            let values = values.unwrap_or_default();
            let width = values.len().checked_div(rows).unwrap_or(0).max(1);
            values
                .chunks_exact(width)
                .map(|row| row[0])
                .collect::<Vec<_>>()
        };
        firsts(ends.low)
            .into_iter()
            .zip(firsts(ends.high))
            .collect()
    }
}
