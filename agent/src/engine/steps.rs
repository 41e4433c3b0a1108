//! Pre- and post-steps as nodes of the graph, wired before tract optimises it, so that it optimises
//! model and steps as one.
//!
//! What steps make of shapes is said by the protocol; here they are only built. Must never break: a
//! declaration that the protocol passes gives a graph that computes what its documentation says.

use tern_protocol::{
    steps::{Channels, Form, Method, PostStep, PreStep, StepError, before_decision},
    tensor::Dtype,
};
use tract_onnx::{
    prelude::{
        Datum as _, DatumType, IntoArcTensor as _, SpecialOps as _, Tensor, TractResult, TypedFact,
        TypedModel, tvec,
    },
    tract_core::{
        internal::{AxisOp, OutletId, ToDim as _, perm_to_ops},
        ops::{
            array::Gather,
            binary::TypedBinOp,
            cast::cast,
            logic::{Iff, comp_eq, comp_gte},
            math::{add, is_nan, mul, sub},
            nn::{Reduce, Reducer, Softmax, SoftmaxKind},
        },
    },
};

use super::{LoadError, Place, Port, check::datum_type};

/// Puts the steps of an input before it: the graph takes what a request carries.
pub(super) fn before(
    model: &mut TypedModel,
    index: usize,
    request: &Port,
    steps: &[PreStep],
) -> TractResult<()> {
    let old = model.input_outlets()?[index];
    let fact = TypedFact::dt_shape(datum_type(request.spec.dtype), &request.row[..]);
    let name = model
        .unique_name(format!("{}.request", request.spec.name))
        .into_owned();
    let source = model.add_source(name, fact)?;
    // `add_source` names it as an input of its own; it takes the place of the old one instead.
    let mut inputs = model.input_outlets()?.to_vec();
    inputs.retain(|outlet| *outlet != source);
    inputs[index] = source;

    let mut form = Form::of(&request.spec);
    let mut wire = Wire {
        prefix: request.spec.name.clone(),
        model,
        at: source,
    };
    for step in steps {
        wire.pre(&form, step)?;
        form = form.after(step);
    }
    let new = wire.at;
    let followers = model.node(old.node).outputs[old.slot].successors.clone();
    for inlet in followers {
        model.add_edge(new, inlet)?;
    }
    let outputs = model.output_outlets()?.to_vec();
    let outputs = outputs
        .into_iter()
        .map(|outlet| if outlet == old { new } else { outlet });
    let outputs: Vec<_> = outputs.collect();
    model.select_output_outlets(&outputs)?;
    model.set_input_outlets(&inputs)
}

/// Where an output is after its steps, and before it was decided, if it is.
pub(super) struct After {
    /// What an answer holds.
    pub(super) answer: OutletId,
    /// The scores, if the answer does not show them.
    pub(super) scores: Option<(OutletId, Form)>,
}

/// Puts the steps of an output after it.
pub(super) fn after(
    model: &mut TypedModel,
    index: usize,
    port: &Port,
    steps: &[PostStep],
) -> Result<After, LoadError> {
    let at = model.output_outlets().map_err(super::load::optimise)?[index];
    let fact = model.outlet_fact(at).map_err(super::load::optimise)?;
    let mut form = form(port, fact)?;
    let wrong = |err: StepError| LoadError::step(Place::Output, &port.spec.name, &err);
    tern_protocol::steps::request_output(&form, steps).map_err(wrong)?;
    let mut wire = Wire {
        prefix: port.spec.name.clone(),
        model,
        at,
    };
    let decided = before_decision(steps);
    let mut scores = None;
    for (place, step) in steps.iter().enumerate() {
        if place == decided {
            scores = Some((wire.at, form.clone()));
        }
        wire.post(&form, *step).map_err(super::load::optimise)?;
        form = tern_protocol::steps::request_output(&form, &[*step]).unwrap_or(form);
    }
    Ok(After {
        answer: wire.at,
        scores,
    })
}

/// At how much the first output is decided, if by a threshold.
pub(super) fn threshold(steps: &[PostStep]) -> Option<f32> {
    match steps.get(before_decision(steps)) {
        Some(PostStep::Threshold { at }) => Some(*at),
        _ => None,
    }
}

/// What the graph gives for a declared output, as the protocol says it.
fn form(port: &Port, fact: &TypedFact) -> Result<Form, LoadError> {
    let found = || format!("{:?} {:?}", fact.datum_type, fact.shape).to_lowercase();
    let unusable = |detail: String| LoadError::Step {
        place: Place::Output,
        name: port.spec.name.clone(),
        detail,
        remedy: "leave the steps out, or end the graph with a tensor of fixed shape and of f32, \
                 f64, i32, i64 or u8"
            .into(),
    };
    let all = [Dtype::F32, Dtype::F64, Dtype::I32, Dtype::I64, Dtype::U8];
    let dtype = all
        .into_iter()
        .find(|dtype| datum_type(*dtype) == fact.datum_type)
        .ok_or_else(|| unusable(format!("the graph gives {}", found())))?;
    let dims = fact.shape.as_concrete();
    let mut shape: Vec<i64> = match dims {
        Some(dims) => dims.iter().map(|dim| *dim as i64).collect(),
        None => return Err(unusable(format!("the graph gives {}", found()))),
    };
    if port.batched {
        match shape.first_mut() {
            Some(first @ 1) => *first = -1,
            _ => {
                return Err(unusable(format!(
                    "the graph gives no batch, but {}",
                    found()
                )));
            }
        }
    }
    Ok(Form { dtype, shape })
}

/// The end of what is wired so far.
struct Wire<'a> {
    model: &'a mut TypedModel,
    prefix: String,
    at: OutletId,
}

impl Wire<'_> {
    fn name(&self, what: &str) -> String {
        self.model
            .unique_name(format!("{}.{what}", self.prefix))
            .into_owned()
    }

    fn constant(&mut self, what: &str, tensor: Tensor) -> TractResult<OutletId> {
        let name = self.name(what);
        self.model.add_const(name, tensor.into_arc_tensor())
    }

    /// `numbers` of this type, along one axis of a tensor of this rank.
    fn numbers(
        &mut self,
        what: &str,
        numbers: &[f64],
        dtype: DatumType,
        shape: &[usize],
    ) -> TractResult<OutletId> {
        let tensor = Tensor::from_shape(shape, numbers)?;
        let tensor = tensor.cast_to_dt(dtype)?.into_owned();
        self.constant(what, tensor)
    }

    fn then(
        &mut self,
        what: &str,
        op: impl Into<Box<dyn tract_onnx::tract_core::internal::TypedOp>>,
        more: &[OutletId],
    ) -> TractResult<()> {
        let name = self.name(what);
        let mut inputs = vec![self.at];
        inputs.extend(more);
        self.at = self.model.wire_node(name, op, &inputs)?[0];
        Ok(())
    }

    fn pre(&mut self, form: &Form, step: &PreStep) -> TractResult<()> {
        let batch = usize::from(form.is_batched());
        let rank = form.shape.len();
        let dtype = datum_type(form.dtype);
        match step {
            PreStep::Scale { factor, offset } => {
                let ones = vec![1; rank];
                let factor = self.numbers("factor", &[f64::from(*factor)], dtype, &ones)?;
                self.then("scale", mul(), &[factor])?;
                let offset = self.numbers("offset", &[f64::from(*offset)], dtype, &ones)?;
                self.then("offset", add(), &[offset])
            }
            PreStep::Normalise {
                mean,
                std,
                channels,
            } => {
                let shape = Self::list_shape(form, mean.len(), *channels);
                let mean: Vec<_> = mean.iter().map(|x| f64::from(*x)).collect();
                let factor: Vec<_> = std.iter().map(|x| 1.0 / f64::from(*x)).collect();
                let mean = self.numbers("mean", &mean, dtype, &shape)?;
                self.then("centre", sub(), &[mean])?;
                let factor = self.numbers("std", &factor, dtype, &shape)?;
                self.then("normalise", mul(), &[factor])
            }
            PreStep::Resize {
                height,
                width,
                method,
                channels,
            } => {
                let rows = form.image(*channels).map_or(0, |(_, rows)| rows);
                for (axis, to) in [(rows, *height), (rows + 1, *width)] {
                    let from = form.sample()[axis] as usize;
                    self.resample(batch + axis, rank, from, to as usize, *method, dtype)?;
                }
                Ok(())
            }
            PreStep::Cast { to } => self.then("cast", cast(datum_type(*to)), &[]),
            PreStep::Reshape { shape } => {
                let from = form.sample().iter().map(|dim| (*dim as usize).to_dim());
                let to = shape.iter().map(|dim| (*dim as usize).to_dim());
                let op = AxisOp::Reshape(batch, from.collect(), to.collect());
                self.then("reshape", op, &[])
            }
            PreStep::Transpose { axes } => {
                let mut order: Vec<usize> = (0..batch).collect();
                order.extend(axes.iter().map(|axis| *axis as usize + batch));
                for op in perm_to_ops(&order) {
                    self.then("transpose", op, &[])?;
                }
                Ok(())
            }
            PreStep::Impute { values } => self.impute(form, values),
            PreStep::OneHot { sizes } => self.one_hot(rank, sizes),
        }
    }

    /// Missing elements become these; one without a value becomes NaN, which it was.
    fn impute(&mut self, form: &Form, values: &[Option<f32>]) -> TractResult<()> {
        let input = self.at;
        let shape = Self::list_shape(form, values.len(), Channels::Last);
        let values: Vec<f32> = values
            .iter()
            .map(|value| value.unwrap_or(f32::NAN))
            .collect();
        let values = Tensor::from_shape(&shape, &values)?;
        let values = self.constant("fill", values)?;
        self.then("missing", is_nan(), &[])?;
        self.then("impute", Iff, &[values, input])
    }

    /// Each element is spread over its categories, and compared with the place of each.
    fn one_hot(&mut self, rank: usize, sizes: &[u32]) -> TractResult<()> {
        let (mut from, mut places, mut encoded) = (Vec::new(), Vec::new(), Vec::new());
        for (element, size) in sizes.iter().enumerate() {
            for place in 0..(*size).max(1) {
                from.push(element as i64);
                places.push(place as f32);
                encoded.push(*size > 0);
            }
        }
        let mut shape = vec![1; rank];
        shape[rank - 1] = from.len();
        let from = self.constant("spread", tract_onnx::prelude::tensor1(&from))?;
        self.then("spread", Gather::new(rank - 1), &[from])?;
        let spread = self.at;
        let places = self.constant("places", Tensor::from_shape(&shape, &places)?)?;
        self.then("is", TypedBinOp(comp_eq(), None), &[places])?;
        self.then("onehot", cast(f32::datum_type()), &[])?;
        if encoded.iter().all(|encoded| *encoded) {
            return Ok(());
        }
        let (hot, encoded) = (self.at, Tensor::from_shape(&shape, &encoded)?);
        self.at = self.constant("encoded", encoded)?;
        self.then("onehot", Iff, &[hot, spread])
    }

    /// The shape under which a list of numbers meets a tensor.
    fn list_shape(form: &Form, numbers: usize, channels: Channels) -> Vec<usize> {
        let batch = usize::from(form.is_batched());
        let sample = form.sample().iter().map(|dim| *dim as usize);
        match form.along(numbers, channels) {
            _ if numbers == 1 => vec![1; form.shape.len()],
            Some(Some(axis)) => {
                let mut shape = vec![1; form.shape.len()];
                shape[batch + axis] = numbers;
                shape
            }
            _ => std::iter::repeat_n(1, batch).chain(sample).collect(),
        }
    }

    /// Another length along one axis.
    fn resample(
        &mut self,
        axis: usize,
        rank: usize,
        from: usize,
        to: usize,
        method: Method,
        dtype: DatumType,
    ) -> TractResult<()> {
        if from == to {
            return Ok(());
        }
        let places: Vec<f32> = (0..to).map(|place| half_pixel(place, from, to)).collect();
        let last = (from - 1) as f32;
        match method {
            Method::Nearest => {
                let nearest = |place: &f32| (place - 0.5).ceil().clamp(0.0, last) as i64;
                let indices: Vec<_> = places.iter().map(nearest).collect();
                let indices = self.constant("nearest", tract_onnx::prelude::tensor1(&indices))?;
                self.then("resize", Gather::new(axis), &[indices])
            }
            Method::Bilinear => {
                let places = places.iter().map(|place| place.clamp(0.0, last));
                let below: Vec<i64> = places.clone().map(|place| place as i64).collect();
                let above: Vec<_> = below
                    .iter()
                    .map(|at| (at + 1).min(from as i64 - 1))
                    .collect();
                let share = places.zip(&below);
                let share: Vec<_> = share
                    .map(|(place, below)| f64::from(place - *below as f32))
                    .collect();
                let source = self.at;
                let below = self.constant("below", tract_onnx::prelude::tensor1(&below))?;
                self.then("below", Gather::new(axis), &[below])?;
                let lower = self.at;
                self.at = source;
                let above = self.constant("above", tract_onnx::prelude::tensor1(&above))?;
                self.then("above", Gather::new(axis), &[above])?;
                self.then("step", sub(), &[lower])?;
                let mut shape = vec![1; rank];
                shape[axis] = to;
                let share = self.numbers("share", &share, dtype, &shape)?;
                self.then("share", mul(), &[share])?;
                self.then("resize", add(), &[lower])
            }
        }
    }

    fn post(&mut self, form: &Form, step: PostStep) -> TractResult<()> {
        let rank = form.shape.len();
        match step {
            PostStep::Softmax {} => {
                let op = Softmax::new(tvec!(rank - 1), None, SoftmaxKind::Softmax);
                self.then("softmax", op, &[])
            }
            PostStep::Argmax {} => {
                let op = Reduce::new(tvec!(rank - 1), Reducer::ArgMax(false));
                self.then("argmax", op, &[])?;
                self.then("argmax", AxisOp::Rm(rank - 1), &[])
            }
            PostStep::Threshold { at } => {
                let dtype = datum_type(form.dtype);
                let at = self.numbers("threshold", &[f64::from(at)], dtype, &vec![1; rank])?;
                self.then("threshold", TypedBinOp(comp_gte(), None), &[at])?;
                self.then("threshold", cast(DatumType::U8), &[])
            }
            // Names are given where the answer is written.
            PostStep::Labels {} => Ok(()),
        }
    }
}

/// Where the centre of a pixel lies in the image that it is made of, in 32 bits as onnxruntime
/// computes it, so that ties fall the same way.
fn half_pixel(place: usize, from: usize, to: usize) -> f32 {
    let scale = to as f32 / from as f32;
    (place as f32 + 0.5) / scale - 0.5
}
