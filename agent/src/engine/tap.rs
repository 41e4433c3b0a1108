//! Values of a bundle's own metrics, read from tensors as the model runs.
//!
//! Called by `load` (which finds each tensor) and `Model::answer`. Must never break: a tensor that is no output is
//! brought out of the graph before it is optimised, so that the optimiser keeps what it holds.

use tern_protocol::{
    metric::{Reduce, TensorSource},
    steps,
};
use tract_onnx::{
    prelude::{DatumType, SpecialOps as _, TValue, TypedModel},
    tract_core::{internal::OutletId, ops::cast::cast},
};

use super::{LoadError, Port, RunError, load::optimise};

/// Where a value comes from in what a run gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    /// Which output of the plan.
    place: usize,
    reduce: Reduce,
}

/// Finds the tensors; those that are no declared output become outputs of the plan behind all others.
pub(super) fn wire(
    model: &mut TypedModel,
    sources: &[TensorSource],
    declared: &[Port],
) -> Result<Vec<Tap>, LoadError> {
    let mut outlets = model.output_outlets().map_err(optimise)?.to_vec();
    let mut taps = Vec::with_capacity(sources.len());
    for source in sources {
        let place = declared
            .iter()
            .position(|port| port.spec.name == source.output);
        let place = if let Some(place) = place {
            place
        } else {
            outlets.push(bring_out(model, source)?);
            outlets.len() - 1
        };
        taps.push(Tap {
            place,
            reduce: source.reduce,
        });
    }
    model.select_output_outlets(&outlets).map_err(optimise)?;
    Ok(taps)
}

/// The tensor as numbers, whatever its type.
fn bring_out(model: &mut TypedModel, source: &TensorSource) -> Result<OutletId, LoadError> {
    let wrong = |detail: String| LoadError::Tap {
        tensor: source.output.chars().take(80).collect(),
        detail,
    };
    let outlet = model.find_outlet_label(&source.output);
    let outlet = outlet.ok_or_else(|| wrong("the graph has no tensor of that name".into()))?;
    let fact = model.outlet_fact(outlet).map_err(optimise)?;
    let elements = fact.shape.as_concrete().map(|dims| {
        dims.iter()
            .try_fold(1_usize, |len, dim| len.checked_mul(*dim))
    });
    let numbers = fact.datum_type.is_number() || fact.datum_type == DatumType::Bool;
    match elements {
        Some(Some(1..=steps::ELEMENTS)) if numbers => {}
        Some(_) if numbers => {
            return Err(wrong(
                "it has no elements, or more than any tensor may".into(),
            ));
        }
        Some(_) => {
            return Err(wrong(format!(
                "it holds no numbers, but {:?}",
                fact.datum_type
            )));
        }
        None => return Err(wrong("its shape depends on what is in the input".into())),
    }
    let name = model
        .unique_name(format!("{}.metric", source.output))
        .into_owned();
    let wired = model.wire_node(name, cast(DatumType::F32), &[outlet]);
    Ok(wired.map_err(optimise)?[0])
}

impl Tap {
    /// Its value in what a run of one row gave.
    pub(super) fn read(self, found: &[TValue]) -> Result<f32, RunError> {
        let engine = |err: &dyn std::fmt::Display| RunError::Engine {
            detail: format!("{err:#}"),
        };
        let Some(value) = found.get(self.place) else {
            return Ok(f32::NAN);
        };
        let numbers = value.cast_to::<f32>().map_err(|err| engine(&err))?;
        let numbers = numbers
            .to_plain_array_view::<f32>()
            .map_err(|err| engine(&err))?;
        Ok(reduced(self.reduce, numbers.iter().copied()))
    }
}

/// One value; no number if there is no element, or if one is no number.
fn reduced(reduce: Reduce, elements: impl ExactSizeIterator<Item = f32>) -> f32 {
    let len = elements.len() as f64;
    // `max` and `min` of floats pass over what is no number.
    let strict = |keep: fn(f32, f32) -> f32| {
        move |a: f32, b: f32| {
            if a.is_nan() || b.is_nan() {
                f32::NAN
            } else {
                keep(a, b)
            }
        }
    };
    match reduce {
        Reduce::Mean => (elements.map(f64::from).sum::<f64>() / len) as f32,
        Reduce::Sum => elements.map(f64::from).sum::<f64>() as f32,
        Reduce::Max => elements.reduce(strict(f32::max)).unwrap_or(f32::NAN),
        Reduce::Min => elements.reduce(strict(f32::min)).unwrap_or(f32::NAN),
        Reduce::Last => elements.last().unwrap_or(f32::NAN),
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::tensor::Tensor;

    use super::*;
    use crate::engine::{Interface, Model, fixture};

    fn source(output: &str, reduce: Reduce) -> TensorSource {
        TensorSource {
            output: output.into(),
            reduce,
        }
    }

    fn tapped(taps: Vec<TensorSource>) -> Result<Model, LoadError> {
        let (inputs, outputs) = fixture::specs(4, 2);
        let interface = Interface {
            taps,
            ..Interface::plain(&inputs, &outputs)
        };
        Model::load_as(
            &fixture::classifier(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0], 2),
            &interface,
        )
    }

    #[test]
    fn outputs_and_tensors_between_give_a_value_a_row() {
        let model = tapped(vec![
            source("probabilities", Reduce::Max),
            source("scores", Reduce::Sum),
            source("scores", Reduce::Last),
        ])
        .expect("it loads");
        let rows = Tensor::from_f32(&[2, 4], &[1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 5.0]);
        let answered = model.answer(&[rows]).expect("it answers");
        assert_eq!(answered.outputs.len(), 1, "what is tapped is no answer");
        let taps = &answered.taps;
        assert_eq!(taps.len(), 6);
        let scores = answered.outputs[0].to_f32().expect("whole");
        assert!((taps[0] - scores[0].max(scores[1])).abs() < 1e-6);
        assert!((taps[3] - scores[2].max(scores[3])).abs() < 1e-6);
        assert!(
            (taps[1] - 1.0).abs() < 1e-6 && (taps[2] - 0.0).abs() < 1e-6,
            "{taps:?}"
        );
        assert!(
            (taps[4] - 7.0).abs() < 1e-6 && (taps[5] - 7.0).abs() < 1e-6,
            "{taps:?}"
        );
    }

    #[test]
    fn a_tensor_that_is_not_there_is_named() {
        let err = tapped(vec![source("no-such", Reduce::Mean)]).expect_err("there is none");
        assert_eq!(
            (err.check(), err.subject().as_str()),
            ("metrics", "no-such")
        );
        assert!(err.to_string().contains("no tensor of that name") && !err.remedy().is_empty());
    }

    #[test]
    fn what_is_no_number_is_not_passed_over() {
        let of = |reduce| reduced(reduce, [1.0, f32::NAN, 3.0].into_iter());
        for reduce in [Reduce::Mean, Reduce::Sum, Reduce::Max, Reduce::Min] {
            assert!(of(reduce).is_nan(), "{reduce}");
        }
        assert!((of(Reduce::Last) - 3.0).abs() < 1e-6);
        assert!(reduced(Reduce::Mean, [].into_iter()).is_nan());
    }
}
