//! A network of one hidden layer: weights, and what they compute.
//!
//! Called by the trainer and by `package` for golden outputs. The forward pass here is candle's, so
//! that golden outputs come from another engine than the one that must reproduce them.

use candle_core::{Device, Result, Tensor};
use candle_nn::ops::softmax;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    data::CLASSES,
    image::{Image, PIXELS},
};

/// Grey values of 0 to 16 become 0 to 1 inside the graph, so that no caller can forget it.
pub const INPUT_SCALE: f32 = 1.0 / 16.0;

/// image · scale → hidden layer → ReLU → logits → softmax.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    /// Units of the hidden layer.
    pub hidden: usize,
    /// Weights of the hidden layer, [`PIXELS`] rows of `hidden`.
    pub hidden_weights: Vec<f32>,
    /// Its biases.
    pub hidden_bias: Vec<f32>,
    /// Weights of the output layer, `hidden` rows of [`CLASSES`].
    pub out_weights: Vec<f32>,
    /// Its biases.
    pub out_bias: Vec<f32>,
}

impl Mlp {
    /// Untrained weights: uniform, with the variance that keeps ReLU layers alive.
    ///
    /// Source: K. He et al., "Delving deep into rectifiers", ICCV 2015.
    pub fn random(seed: u64, hidden: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut layer = |rows: usize, columns: usize| -> Vec<f32> {
            let bound = (6.0 / rows as f32).sqrt();
            let weights = (0..rows * columns).map(|_| rng.random_range(-bound..bound));
            weights.collect()
        };
        Self {
            hidden,
            hidden_weights: layer(PIXELS, hidden),
            hidden_bias: vec![0.0; hidden],
            out_weights: layer(hidden, CLASSES),
            out_bias: vec![0.0; CLASSES],
        }
    }

    /// The same network with logits divided by `temperature`: a change of weights, not of graph.
    #[must_use]
    pub fn cooled(mut self, temperature: f32) -> Self {
        for value in self.out_weights.iter_mut().chain(&mut self.out_bias) {
            *value /= temperature;
        }
        self
    }

    /// Logits of each image, one row of [`CLASSES`] an image.
    pub fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>> {
        self.forward(images)?.to_vec2()
    }

    /// Probabilities of each image, one row of [`CLASSES`] an image.
    pub fn probabilities(&self, images: &[Image]) -> Result<Vec<Vec<f32>>> {
        softmax(&self.forward(images)?, 1)?.to_vec2()
    }

    fn forward(&self, images: &[Image]) -> Result<Tensor> {
        let cpu = &Device::Cpu;
        let hidden = Tensor::from_slice(&self.hidden_weights, (PIXELS, self.hidden), cpu)?;
        let out = Tensor::from_slice(&self.out_weights, (self.hidden, CLASSES), cpu)?;
        let layers = Layers {
            hidden,
            hidden_bias: Tensor::from_slice(&self.hidden_bias, self.hidden, cpu)?,
            out,
            out_bias: Tensor::from_slice(&self.out_bias, CLASSES, cpu)?,
        };
        layers.logits(&pixels(images)?)
    }
}

/// The weights as tensors; while training, as variables.
pub(crate) struct Layers {
    pub(crate) hidden: Tensor,
    pub(crate) hidden_bias: Tensor,
    pub(crate) out: Tensor,
    pub(crate) out_bias: Tensor,
}

impl Layers {
    /// The one place where the network is computed.
    pub(crate) fn logits(&self, pixels: &Tensor) -> Result<Tensor> {
        let scaled = pixels.affine(f64::from(INPUT_SCALE), 0.0)?;
        let hidden = scaled.matmul(&self.hidden)?;
        let hidden = hidden.broadcast_add(&self.hidden_bias)?.relu()?;
        hidden.matmul(&self.out)?.broadcast_add(&self.out_bias)
    }
}

/// Images as one tensor, a row each.
pub(crate) fn pixels(images: &[Image]) -> Result<Tensor> {
    let values: Vec<f32> = images.iter().flat_map(|image| image.0).collect();
    Tensor::from_vec(values, (images.len(), PIXELS), &Device::Cpu)
}

/// The most probable class of a row, and its probability (or logit).
pub fn best(row: &[f32]) -> (usize, f32) {
    let start = (0, f32::NEG_INFINITY);
    row.iter().enumerate().fold(start, |best, (class, value)| {
        if *value > best.1 {
            (class, *value)
        } else {
            best
        }
    })
}
