//! Trains the reference network on the CPU.
//!
//! Called by `tern-models train` and by tests. Must never break: the same configuration and the
//! same samples give the same weights; the field part is never read in here.

mod augment;
mod evaluate;
mod temperature;

use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, loss::cross_entropy};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

pub use self::evaluate::{Evaluation, evaluate};
use crate::{
    data::{CLASSES, Sample},
    image::{Image, PIXELS},
    mlp::{Layers, Mlp, pixels},
    seed,
};

/// Images in one step of the optimiser.
const BATCH: usize = 32;

/// Decoupled weight decay: keeps weights small where the data say nothing.
const WEIGHT_DECAY: f64 = 0.02;

/// A captured image is shown this many times an epoch at most: a handful of them must not be
/// learnt by heart.
const REPEATS: usize = 8;

/// Most epochs of one training.
pub const EPOCHS_LIMIT: usize = 10_000;

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// Decides initial weights, order and augmentation.
    pub seed: u64,
    /// How often each image is shown.
    pub epochs: usize,
    /// Step of the optimiser at the start; it falls to zero along a cosine.
    pub learning_rate: f64,
    /// Units of the hidden layer.
    pub hidden: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            epochs: 60,
            learning_rate: 5e-3,
            hidden: 96,
        }
    }
}

/// Where training stands.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Progress {
    /// Epochs done.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Mean loss of the last one.
    pub loss: f32,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The network, its temperature already in its weights.
    pub mlp: Mlp,
    /// What its logits were divided by, so that its confidences mean what they say.
    pub temperature: f32,
    /// On the validation part.
    pub validation: Evaluation,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Nothing to learn from, or nothing to measure on.
    #[error("the {0} part is empty")]
    Empty(&'static str),
    /// A configuration that cannot work.
    #[error("{what} is {value}; {allowed}")]
    Config {
        /// Which setting.
        what: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// The loss is no number any more.
    #[error("training diverged in epoch {0}; lower the learning rate")]
    Diverged(usize),
    /// candle refused.
    #[error("computing with candle")]
    Candle(#[from] candle_core::Error),
}

/// Trains on `base` and on `extra`, which are captures: they are shown so often that they weigh as
/// much as the base, within reason. `told` hears of each epoch.
pub fn train(
    config: &Config,
    base: &[Sample],
    extra: &[Sample],
    validation: &[Sample],
    told: impl FnMut(Progress),
) -> Result<Trained, TrainError> {
    config.check()?;
    let start = Mlp::random(seed::mix(config.seed, 0), config.hidden);
    go_on(start, config, base, extra, validation, told)
}

/// As [`train`], from the weights of a network that was trained before; `config.hidden` counts for
/// nothing. What it has learnt stays near where it was, and so a delta to it is small.
pub fn go_on(
    start: Mlp,
    config: &Config,
    base: &[Sample],
    extra: &[Sample],
    validation: &[Sample],
    mut told: impl FnMut(Progress),
) -> Result<Trained, TrainError> {
    config.check()?;
    for (part, name) in [(base, "training"), (validation, "validation")] {
        if part.is_empty() {
            return Err(TrainError::Empty(name));
        }
    }
    let mut samples: Vec<Sample> = base.to_vec();
    for _ in 0..repeats(base.len(), extra.len()) {
        samples.extend_from_slice(extra);
    }
    let network = Network::new(start)?;
    let mut optimiser = AdamW::new(network.vars(), params(config.learning_rate))?;
    let mut rng = StdRng::seed_from_u64(seed::mix(config.seed, 1));
    for epoch in 0..config.epochs {
        let done = epoch as f64 / config.epochs as f64;
        optimiser.set_learning_rate(
            config.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        );
        samples.shuffle(&mut rng);
        let mut losses = 0.0;
        for batch in samples.chunks(BATCH) {
            let images: Vec<Image> = batch
                .iter()
                .map(|sample| augment::augment(&sample.image, &mut rng))
                .collect();
            let digits: Vec<u32> = batch.iter().map(|sample| sample.digit.into()).collect();
            let truth = Tensor::from_vec(digits, batch.len(), &Device::Cpu)?;
            let loss = cross_entropy(&network.layers.logits(&pixels(&images)?)?, &truth)?;
            optimiser.backward_step(&loss)?;
            losses += loss.to_scalar::<f32>()? * batch.len() as f32;
        }
        let loss = losses / samples.len() as f32;
        if !loss.is_finite() {
            return Err(TrainError::Diverged(epoch + 1));
        }
        told(Progress {
            epoch: epoch + 1,
            epochs: config.epochs,
            loss,
        });
    }
    let mlp = network.weights()?;
    let temperature = temperature::fit(&mlp, validation)?;
    let mlp = mlp.cooled(temperature);
    let validation = evaluate(&mlp, validation)?;
    Ok(Trained {
        mlp,
        temperature,
        validation,
    })
}

impl Config {
    fn check(&self) -> Result<(), TrainError> {
        let wrong = |what, value, allowed| {
            Err(TrainError::Config {
                what,
                value,
                allowed,
            })
        };
        if !(1..=EPOCHS_LIMIT).contains(&self.epochs) {
            return wrong("epochs", self.epochs as f64, "1 to 10000 can be trained");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return wrong(
                "learning rate",
                self.learning_rate,
                "over 0, up to 1; 0.005 is a good start",
            );
        }
        if !(1..=1_000_000).contains(&self.hidden) {
            return wrong("hidden", self.hidden as f64, "1 to 1000000 units");
        }
        Ok(())
    }
}

/// How often each capture is shown an epoch.
fn repeats(base: usize, extra: usize) -> usize {
    match extra {
        0 => 0,
        extra => (base / extra).clamp(1, REPEATS),
    }
}

fn params(learning_rate: f64) -> ParamsAdamW {
    ParamsAdamW {
        lr: learning_rate,
        weight_decay: WEIGHT_DECAY,
        ..ParamsAdamW::default()
    }
}

/// A network whose weights are variables.
struct Network {
    layers: Layers,
    vars: [Var; 4],
}

impl Network {
    fn new(start: Mlp) -> candle_core::Result<Self> {
        let cpu = &Device::Cpu;
        let vars = [
            Var::from_vec(start.hidden_weights, (PIXELS, start.hidden), cpu)?,
            Var::from_vec(start.hidden_bias, start.hidden, cpu)?,
            Var::from_vec(start.out_weights, (start.hidden, CLASSES), cpu)?,
            Var::from_vec(start.out_bias, CLASSES, cpu)?,
        ];
        let [hidden, hidden_bias, out, out_bias] = vars.each_ref().map(|v| v.as_tensor().clone());
        let layers = Layers {
            hidden,
            hidden_bias,
            out,
            out_bias,
        };
        Ok(Self { layers, vars })
    }

    fn vars(&self) -> Vec<Var> {
        self.vars.to_vec()
    }

    fn weights(&self) -> candle_core::Result<Mlp> {
        let [hidden, hidden_bias, out, out_bias] = &self.vars;
        let flat = |var: &Var| var.as_tensor().flatten_all()?.to_vec1();
        let hidden_bias = flat(hidden_bias)?;
        Ok(Mlp {
            hidden: hidden_bias.len(),
            hidden_weights: flat(hidden)?,
            hidden_bias,
            out_weights: flat(out)?,
            out_bias: flat(out_bias)?,
        })
    }
}
