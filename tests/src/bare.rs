//! The same model in bare tract: what outputs have to be.

use tern_protocol::tensor::Tensor;
use tract_onnx::prelude::*;

/// A model loaded the way tract's own documentation does it.
pub struct Bare(Arc<TypedRunnableModel>);

impl Bare {
    /// Loads and optimises an ONNX file for the shape of `sample`.
    #[track_caller]
    pub fn load(onnx: &[u8], sample: &Tensor) -> Self {
        let shape: Vec<usize> = sample.shape.iter().map(|&dim| dim as usize).collect();
        let loaded = tract_onnx::onnx()
            .model_for_read(&mut &*onnx)
            .and_then(|model| model.with_input_fact(0, f32::fact(&shape).into()))
            .and_then(InferenceModelExt::into_optimized)
            .and_then(IntoRunnable::into_runnable);
        Self(loaded.expect("a published model loads"))
    }

    /// The first output.
    #[track_caller]
    pub fn run(&self, input: &Tensor) -> Vec<f32> {
        let values = input.to_f32().expect("golden tensors are whole");
        let shape: Vec<usize> = input.shape.iter().map(|&dim| dim as usize).collect();
        let tensor = tract_onnx::prelude::Tensor::from_shape(&shape, &values);
        let outputs = self
            .0
            .run(tvec!(tensor.expect("shape and values agree").into()));
        let outputs = outputs.expect("a published model runs");
        let first = outputs[0]
            .to_plain_array_view::<f32>()
            .expect("its outputs are f32");
        first.iter().copied().collect()
    }
}
