//! What steps make of element type and shape. Pure.

use alloc::{format, string::String, vec::Vec};

use super::{Channels, ELEMENTS, Method, NUMBERS, PostStep, PreStep, STEPS, before_decision};
use crate::tensor::{Dtype, TensorSpec};

/// Element type and dimensions; -1 in the first place stands for the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions.
    pub shape: Vec<i64>,
}

/// What is wrong with a declared step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {} ({name}): {message}", .step + 1)]
pub struct StepError {
    /// Which step of its input or output, from 0.
    pub step: usize,
    /// Its name.
    pub name: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// What is wrong and what to do.
type Wrong = (String, String);

impl Form {
    /// That of an input or output.
    pub fn of(spec: &TensorSpec) -> Self {
        Self {
            dtype: spec.dtype,
            shape: spec.shape.clone(),
        }
    }

    /// The dimensions without the batch.
    pub fn sample(&self) -> &[i64] {
        match self.shape.split_first() {
            Some((-1, rest)) => rest,
            _ => &self.shape,
        }
    }

    /// Whether the first dimension is the batch.
    pub fn is_batched(&self) -> bool {
        self.shape.first() == Some(&-1)
    }

    fn elements(&self) -> Option<usize> {
        let dims = self.sample().iter();
        dims.copied().try_fold(1usize, |len, dim| {
            let dim = usize::try_from(dim).ok().filter(|dim| *dim > 0)?;
            len.checked_mul(dim).filter(|len| *len <= ELEMENTS)
        })
    }

    fn with_sample(&self, sample: impl IntoIterator<Item = i64>) -> Self {
        let batch = self.is_batched().then_some(-1);
        Self {
            dtype: self.dtype,
            shape: batch.into_iter().chain(sample).collect(),
        }
    }

    fn is_float(&self) -> bool {
        matches!(self.dtype, Dtype::F32 | Dtype::F64)
    }

    fn floats(&self) -> Result<(), Wrong> {
        if self.is_float() {
            return Ok(());
        }
        Err((
            format!("it takes floats, here are {}", self.dtype),
            "put a `cast` to f32 before it".into(),
        ))
    }

    fn f32(&self) -> Result<(), Wrong> {
        if self.dtype == Dtype::F32 {
            return Ok(());
        }
        Err((
            format!("it takes f32, here are {}", self.dtype),
            "put a `cast` to f32 before it".into(),
        ))
    }

    /// Which dimension of a sample holds the channels, and which the rows; columns follow rows.
    /// `None` for the channels of an image without.
    pub fn image(&self, channels: Channels) -> Option<(Option<usize>, usize)> {
        match (self.sample().len(), channels) {
            (2, _) => Some((None, 0)),
            (3, Channels::Last) => Some((Some(2), 0)),
            (3, Channels::First) => Some((Some(0), 1)),
            _ => None,
        }
    }

    /// The dimension of a sample along which a list of so many numbers lies: `None` in the inner
    /// place if it is for all elements, or one for each.
    pub fn along(&self, numbers: usize, channels: Channels) -> Option<Option<usize>> {
        let sample = self.sample();
        if numbers == 1 || Some(numbers) == self.elements() {
            return Some(None);
        }
        let axis = match channels {
            Channels::Last => sample.len().checked_sub(1)?,
            Channels::First => 0,
        };
        (usize::try_from(*sample.get(axis)?) == Ok(numbers)).then_some(Some(axis))
    }

    /// What a step that was checked makes of this; the same where it does not fit.
    #[must_use]
    pub fn after(&self, step: &PreStep) -> Self {
        self.pre(step).unwrap_or_else(|_| self.clone())
    }

    fn pre(&self, step: &PreStep) -> Result<Self, Wrong> {
        let finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
        let not_finite = || {
            (
                "a number is not finite, or too large for 32 bits".into(),
                "give plain numbers".into(),
            )
        };
        match step {
            PreStep::Scale { factor, offset } => {
                self.floats()?;
                if !finite(&[*factor, *offset]) {
                    return Err(not_finite());
                }
                Ok(self.clone())
            }
            PreStep::Normalise {
                mean,
                std,
                channels,
            } => {
                self.floats()?;
                if !finite(mean) || !finite(std) {
                    return Err(not_finite());
                }
                if std.iter().any(|std| *std <= 0.0) {
                    return Err((
                        "a standard deviation is not above 0".into(),
                        "give 1 for what never varies".into(),
                    ));
                }
                let fits = |numbers: &[f32]| {
                    numbers.len() <= NUMBERS && self.along(numbers.len(), *channels).is_some()
                };
                if mean.len() != std.len() || !fits(mean) {
                    return Err((
                        format!(
                            "{} means and {} deviations do not fit a sample of {:?}",
                            mean.len(),
                            std.len(),
                            self.sample()
                        ),
                        format!(
                            "give as many of both: one, one a channel, or one an element, at most \
                             {NUMBERS}; `channels` says `first` or `last`"
                        ),
                    ));
                }
                Ok(self.clone())
            }
            PreStep::Resize {
                height,
                width,
                method,
                channels,
            } => {
                let (_, rows) = self.image(*channels).ok_or_else(|| {
                    (
                        format!("a sample of {:?} is no image", self.sample()),
                        "it takes 2 dimensions, or 3 with channels; `reshape` makes them".into(),
                    )
                })?;
                if *method == Method::Bilinear {
                    self.floats()?;
                }
                let mut sample = self.sample().to_vec();
                (sample[rows], sample[rows + 1]) = ((*height).into(), (*width).into());
                Ok(self.with_sample(sample))
            }
            PreStep::Cast { to } => Ok(Self {
                dtype: *to,
                shape: self.shape.clone(),
            }),
            PreStep::Reshape { shape } => {
                let after = self.with_sample(shape.iter().take(NUMBERS).map(|dim| (*dim).into()));
                if shape.len() <= 16 && after.elements() == self.elements() {
                    return Ok(after);
                }
                Err((
                    format!("{:?} has not as many elements as {shape:?}", self.sample()),
                    "give at most 16 dimensions of as many elements, without the batch".into(),
                ))
            }
            PreStep::Transpose { axes } => {
                let sample = self.sample();
                let mut sorted = axes.clone();
                sorted.sort_unstable();
                if !sorted.iter().copied().eq(0..sample.len() as u32) {
                    return Err((
                        format!("{axes:?} is no order of {} dimensions", sample.len()),
                        "name each dimension of a sample once, counted from 0 without the batch"
                            .into(),
                    ));
                }
                Ok(self.with_sample(axes.iter().map(|axis| sample[*axis as usize])))
            }
            PreStep::Impute { values } => {
                self.f32()?;
                let given: Vec<f32> = values.iter().copied().flatten().collect();
                if !finite(&given) {
                    return Err(not_finite());
                }
                let elements = self.elements();
                if values.len() <= NUMBERS && (values.len() == 1 || Some(values.len()) == elements)
                {
                    return Ok(self.clone());
                }
                Err((
                    format!(
                        "{} values do not fit a sample of {:?}",
                        values.len(),
                        self.sample()
                    ),
                    format!("give one for all, or one an element, at most {NUMBERS}"),
                ))
            }
            PreStep::OneHot { sizes } => {
                self.f32()?;
                let fits = sizes.len() <= NUMBERS
                    && *self.sample() == [sizes.len() as i64]
                    && sizes.iter().any(|size| *size > 0);
                let after = onehot(sizes).filter(|_| fits);
                after.map(|len| self.with_sample([len])).ok_or_else(|| {
                    (
                        format!("{} lists of categories do not fit a sample of {:?}", sizes.len(), self.sample()),
                        format!(
                            "a sample has one dimension; give a number for each element, 0 for those that stay, and at \
                             most {NUMBERS} elements after"
                        ),
                    )
                })
            }
        }
    }

    fn post(&self, step: PostStep, before: Option<PostStep>) -> Result<Self, Wrong> {
        let of_last = || {
            let batch = usize::from(self.is_batched());
            self.shape.len().checked_sub(batch + 1).ok_or_else(|| {
                (
                    "the output has no dimension besides the batch".into(),
                    "leave it out".into(),
                )
            })
        };
        match step {
            PostStep::Softmax {} => {
                self.floats()?;
                of_last().map(|_| self.clone())
            }
            PostStep::Argmax {} => {
                of_last()?;
                let mut shape = self.shape.clone();
                shape.pop();
                Ok(Self {
                    dtype: Dtype::I64,
                    shape,
                })
            }
            PostStep::Threshold { at } => {
                self.floats()?;
                if !at.is_finite() {
                    return Err((
                        "the threshold is not finite".into(),
                        "give a plain number".into(),
                    ));
                }
                Ok(Self {
                    dtype: Dtype::U8,
                    shape: self.shape.clone(),
                })
            }
            PostStep::Labels {} => match before {
                Some(PostStep::Argmax {} | PostStep::Threshold { .. }) => Ok(self.clone()),
                _ => Err((
                    "it names what `argmax` or `threshold` found, and neither is before it".into(),
                    "put `argmax` before it".into(),
                )),
            },
        }
    }
}

/// Elements after one-hot encoding; nothing if they are too many.
fn onehot(sizes: &[u32]) -> Option<i64> {
    let mut len = 0usize;
    for size in sizes {
        len = len.checked_add((*size).max(1) as usize)?;
    }
    (len <= NUMBERS).then_some(len as i64)
}

fn bounded(form: &Form) -> Result<(), Wrong> {
    if form.elements().is_some() {
        return Ok(());
    }
    Err((
        format!(
            "a sample of {:?} has none or too many elements",
            form.sample()
        ),
        format!("keep dimensions above 0 and samples below {ELEMENTS} elements"),
    ))
}

fn wrong(step: usize, name: &'static str) -> impl FnOnce(Wrong) -> StepError {
    move |(message, remedy)| StepError {
        step,
        name,
        message,
        remedy,
    }
}

fn few(count: usize, name: &'static str) -> Result<(), StepError> {
    if count <= STEPS {
        return Ok(());
    }
    Err(wrong(STEPS, name)((
        format!("{count} steps, the limit is {STEPS}"),
        "put them into the model".into(),
    )))
}

/// What the graph gets of a request's input.
pub fn graph_input(request: &TensorSpec, steps: &[PreStep]) -> Result<Form, StepError> {
    few(steps.len(), "steps")?;
    let mut form = Form::of(request);
    for (index, step) in steps.iter().enumerate() {
        let checked = bounded(&form).and_then(|()| form.pre(step));
        let checked = checked.and_then(|form| bounded(&form).map(|()| form));
        form = checked.map_err(wrong(index, step.name()))?;
    }
    Ok(form)
}

/// What an answer holds of the graph's output.
pub fn request_output(graph: &Form, steps: &[PostStep]) -> Result<Form, StepError> {
    few(steps.len(), "steps")?;
    let mut form = graph.clone();
    let mut before = None;
    for (index, step) in steps.iter().enumerate() {
        let last = before == Some(PostStep::Labels {});
        let checked = if last {
            Err(("nothing comes after `labels`".into(), "put it last".into()))
        } else {
            form.post(*step, before)
        };
        form = checked.map_err(wrong(index, step.name()))?;
        before = Some(*step);
    }
    Ok(form)
}

/// The scores of a classifier: its first output as it stands before the first `argmax` or
/// `threshold`. How they are read is said by [`crate::manifest::Manifest::classes`].
pub fn scores(graph: &Form, steps: &[PostStep]) -> Result<Form, StepError> {
    let shown = before_decision(steps);
    request_output(graph, &steps[..shown.min(steps.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dtype: Dtype, shape: &[i64]) -> TensorSpec {
        TensorSpec {
            name: "image".into(),
            dtype,
            shape: shape.into(),
        }
    }

    fn resize(height: u32, width: u32, method: Method) -> PreStep {
        PreStep::Resize {
            height,
            width,
            method,
            channels: Channels::Last,
        }
    }

    fn normalise(mean: &[f32], std: &[f32]) -> PreStep {
        PreStep::Normalise {
            mean: mean.into(),
            std: std.into(),
            channels: Channels::Last,
        }
    }

    #[test]
    fn values_of_a_table_are_filled_in_and_encoded() {
        let row = spec(Dtype::F32, &[-1, 3]);
        let impute = |values: &[Option<f32>]| PreStep::Impute {
            values: values.into(),
        };
        let onehot = |sizes: &[u32]| PreStep::OneHot {
            sizes: sizes.into(),
        };
        let steps = [impute(&[Some(1.0), None, Some(0.0)]), onehot(&[0, 4, 2])];
        let form = graph_input(&row, &steps).expect("it fits");
        assert_eq!(form.shape, [-1, 7]);
        for (wrong, word) in [
            (impute(&[Some(1.0), None]), "do not fit"),
            (impute(&[Some(f32::INFINITY)]), "not finite"),
            (onehot(&[0, 0, 0]), "do not fit"),
            (onehot(&[2, 2]), "do not fit"),
            (onehot(&[u32::MAX, u32::MAX, 2]), "do not fit"),
            (onehot(&[4096, 1, 1]), "do not fit"),
        ] {
            let said = graph_input(&row, &[wrong]).expect_err("it does not fit");
            assert!(said.to_string().contains(word), "{said}");
        }
        let bytes = spec(Dtype::U8, &[-1, 3]);
        let said = graph_input(&bytes, &[impute(&[None])]).expect_err("no floats");
        assert!(said.remedy.contains("cast"), "{said}");
        let image = spec(Dtype::F32, &[-1, 3, 3]);
        assert!(graph_input(&image, &[onehot(&[2, 2, 2])]).is_err());
    }

    #[test]
    fn a_camera_image_becomes_what_a_net_takes() {
        let steps = [
            PreStep::Cast { to: Dtype::F32 },
            resize(224, 224, Method::Bilinear),
            PreStep::Scale {
                factor: 1.0 / 255.0,
                offset: 0.0,
            },
            normalise(&[0.5, 0.4, 0.3], &[0.2, 0.2, 0.2]),
            PreStep::Transpose {
                axes: vec![2, 0, 1],
            },
        ];
        let form = graph_input(&spec(Dtype::U8, &[-1, 480, 640, 3]), &steps);
        let expected = Form {
            dtype: Dtype::F32,
            shape: vec![-1, 3, 224, 224],
        };
        assert_eq!(form, Ok(expected));
    }

    #[test]
    fn bad_steps_are_named() {
        let image = spec(Dtype::F32, &[-1, 8, 8]);
        let bytes = spec(Dtype::U8, &[-1, 8, 8]);
        let scale = |factor| PreStep::Scale {
            factor,
            offset: 0.0,
        };
        let cases = [
            (&bytes, vec![scale(2.0)], 0, "scale"),
            (&image, vec![scale(f32::INFINITY)], 0, "scale"),
            (
                &image,
                vec![scale(1.0), normalise(&[0.0], &[0.0])],
                1,
                "normalise",
            ),
            (&image, vec![normalise(&[f32::NAN], &[1.0])], 0, "normalise"),
            (
                &image,
                vec![normalise(&[0.0; 5], &[1.0; 5])],
                0,
                "normalise",
            ),
            (
                &image,
                vec![normalise(&[0.0; 8], &[1.0; 1])],
                0,
                "normalise",
            ),
            (&bytes, vec![resize(4, 4, Method::Bilinear)], 0, "resize"),
            (&image, vec![resize(0, 4, Method::Nearest)], 0, "resize"),
            (
                &image,
                vec![resize(u32::MAX, u32::MAX, Method::Nearest)],
                0,
                "resize",
            ),
            (
                &image,
                vec![PreStep::Reshape { shape: vec![63] }],
                0,
                "reshape",
            ),
            (
                &image,
                vec![PreStep::Transpose { axes: vec![0, 0] }],
                0,
                "transpose",
            ),
            (
                &image,
                vec![PreStep::Transpose {
                    axes: vec![u32::MAX],
                }],
                0,
                "transpose",
            ),
            (&image, vec![scale(1.0); STEPS + 1], STEPS, "steps"),
        ];
        for (spec, steps, step, name) in cases {
            let err = graph_input(spec, &steps).expect_err(name);
            assert_eq!((err.step, err.name), (step, name), "{steps:?}");
            assert!(!err.message.is_empty() && !err.remedy.is_empty());
        }
        let line = spec(Dtype::F32, &[-1, 64]);
        assert!(graph_input(&line, &[resize(4, 4, Method::Nearest)]).is_err());
    }

    #[test]
    fn outputs_end_as_indices_with_names() {
        let logits = Form {
            dtype: Dtype::F32,
            shape: vec![-1, 10],
        };
        let steps = [
            PostStep::Softmax {},
            PostStep::Argmax {},
            PostStep::Labels {},
        ];
        let index = Form {
            dtype: Dtype::I64,
            shape: vec![-1],
        };
        assert_eq!(request_output(&logits, &steps), Ok(index.clone()));
        assert_eq!(scores(&logits, &steps), Ok(logits.clone()));
        let bad: [&[PostStep]; 5] = [
            &[PostStep::Labels {}],
            &[PostStep::Softmax {}, PostStep::Labels {}],
            &[PostStep::Argmax {}, PostStep::Softmax {}],
            &[PostStep::Threshold { at: f32::NAN }],
            &[
                PostStep::Argmax {},
                PostStep::Labels {},
                PostStep::Labels {},
            ],
        ];
        for steps in bad {
            assert!(request_output(&logits, steps).is_err(), "{steps:?}");
        }
        assert!(request_output(&index, &[PostStep::Argmax {}]).is_err());
    }
}
