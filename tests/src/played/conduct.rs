//! How well a device does with a version, and the windows that come of it.

use tern_protocol::{
    metric::{MetricCounts, MetricKind, Sum},
    profile::CONFIDENCE_BINS,
    reported::SlotVersion,
    time::Instant,
    window::{Sketch, Window},
};

use crate::{agent::SLOT, noise::Noise};

/// The counter that devices tell of, if there is something to be told.
pub const REJECTS: &str = "rejects";

/// How a device does with a version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conduct {
    /// It refuses the version: its golden samples do not come out.
    pub refuses: bool,
    /// Share of requests that fail.
    pub errors: f64,
    /// How long a request takes, in microseconds: from a fifth less to a third more.
    pub latency_us: f64,
    /// Share of predictions that are wrong.
    pub wrong: f64,
    /// Predictions of each window whose truth comes.
    pub labels: u32,
    /// Share of predictions that are of the second of two classes.
    pub second: f64,
    /// How sure predictions are: a tenth more or less.
    pub sure: f64,
    /// Memory that the agent takes, in bytes: an eighth more or less.
    pub memory: u64,
    /// Share of one processor that the agent takes.
    pub cpu: f64,
    /// What an answer adds to the counter [`REJECTS`], which the model has to declare: a half more or less.
    pub rejects: f64,
    /// It starts again all the time.
    pub restarts: bool,
    /// It is not heard of any more.
    pub silent: bool,
}

impl Conduct {
    /// Requests in one window.
    pub const REQUESTS: u64 = 50;

    /// All is well.
    pub const GOOD: Self = Self {
        refuses: false,
        errors: 0.0,
        latency_us: 10_000.0,
        wrong: 0.1,
        labels: 1,
        second: 0.3,
        sure: 0.85,
        memory: 40 << 20,
        cpu: 0.05,
        rejects: 0.0,
        restarts: false,
        silent: false,
    };

    fn metrics(&self, inferences: u64, noise: &mut Noise) -> Vec<MetricCounts> {
        if self.rejects <= 0.0 {
            return Vec::new();
        }
        let sum = noise.around(self.rejects, 0.5) * inferences as f64;
        vec![MetricCounts {
            name: REJECTS.parse().expect("a name"),
            kind: MetricKind::Counter,
            count: inferences,
            sum: Sum::of(sum).expect("a sum of few"),
            range: None,
            bins: Vec::new(),
            refused: 0,
        }]
    }

    /// A window between two moments of one boot.
    pub(super) fn window(
        &self,
        version: &SlotVersion,
        opened: Instant,
        closed: Instant,
        noise: &mut Noise,
    ) -> Window {
        let errors = (self.errors * Self::REQUESTS as f64).round() as u64;
        let inferences = Self::REQUESTS - errors;
        let mut latency = tern_stats::sketch::Sketch::new();
        let mut classes = vec![0; 2];
        let mut confidence = vec![0; CONFIDENCE_BINS];
        for number in 0..inferences {
            let share = number as f64 / inferences as f64;
            latency.insert(self.latency_us * (0.8 + 0.53 * share));
            classes[usize::from(noise.happens(self.second))] += 1;
            let sure = noise.around(self.sure, 0.1).clamp(0.0, 0.999);
            confidence[(sure * CONFIDENCE_BINS as f64) as usize] += 1;
        }
        let lasted = closed.uptime.0.saturating_sub(opened.uptime.0);
        let memory = noise.around(1.0, 0.125) * self.memory as f64;
        Window {
            slot: SLOT.parse().expect("a name"),
            model: version.model.clone(),
            version: version.version,
            bundle: version.bundle,
            opened,
            closed,
            inferences,
            errors,
            latency: Sketch::from(&latency),
            classes,
            confidence,
            features: Vec::new(),
            rss: Some(memory as u64),
            cpu_ms: Some((self.cpu * lasted as f64) as u64),
            parts: None,
            margin: Vec::new(),
            repeated: Vec::new(),
            values: None,
            signals: Vec::new(),
            temperature: None,
            metrics: self.metrics(inferences, noise),
        }
    }
}
