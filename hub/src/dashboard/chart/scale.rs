//! Axes: from values to round ticks.

use tern_protocol::rest::Metric;

/// A value axis.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::dashboard) struct Scale {
    /// Value at the bottom.
    pub(in crate::dashboard) low: f64,
    /// Value at the top.
    pub(in crate::dashboard) high: f64,
    /// Round values from bottom to top.
    pub(in crate::dashboard) ticks: Vec<f64>,
}

/// Steps that an axis is cut into, about.
const STEPS: f64 = 4.0;

/// Largest value that is drawn: beyond it arithmetic on ticks loses its meaning.
const LARGEST: f64 = 1e15;

impl Scale {
    /// The axis for values between `low` and `high` of this metric. Bounds are coarse on purpose:
    /// an axis that moves with every value cannot be compared with a look ago.
    pub(in crate::dashboard) fn fitting(metric: Metric, low: f64, high: f64) -> Self {
        match metric {
            Metric::Accuracy | Metric::Confidence if low >= 0.5 => Self::in_steps(0.5, 1.0, 5.0),
            Metric::Accuracy | Metric::Confidence | Metric::Prediction => Self::between(0.0, 1.0),
            Metric::Errors => Self::between(0.0, high.clamp(0.01, 1.0)),
            Metric::Traffic | Metric::Latency => Self::between(0.0, high),
            Metric::Custom if low >= 0.0 => Self::between(0.0, high),
            // On round values, and nought among them.
            Metric::Custom => {
                let low = low.max(-LARGEST);
                let step = nice_step((high.max(0.0) - low) / STEPS);
                Self::between((low / step).floor() * step, high.max(0.0))
            }
        }
    }

    fn between(low: f64, high: f64) -> Self {
        Self::in_steps(low, high, STEPS)
    }

    fn in_steps(low: f64, high: f64, about: f64) -> Self {
        let high = if high.is_finite() {
            high.min(LARGEST)
        } else {
            LARGEST
        };
        let high = if high > low { high } else { low + 1.0 };
        let step = nice_step((high - low) / about);
        let steps = ((high - low) / step - 1e-9).ceil().max(1.0) as u32;
        let ticks: Vec<f64> = (0..=steps).map(|i| low + step * f64::from(i)).collect();
        Self {
            low,
            high: low + step * f64::from(steps),
            ticks,
        }
    }

    /// From one tick to the next.
    pub(in crate::dashboard) fn step(&self) -> f64 {
        match self.ticks[..] {
            [first, second, ..] => second - first,
            _ => 1.0,
        }
    }

    /// Where a value lies, from 0 at the bottom to 1 at the top.
    pub(in crate::dashboard) fn place(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// The least of 1, 2, 2.5, 5 times a power of ten that is not under `raw`.
fn nice_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.max(1e-9).log10().floor());
    let factors = [1.0, 2.0, 2.5, 5.0, 10.0];
    let fitting = factors
        .into_iter()
        .find(|factor| factor * power >= raw * (1.0 - 1e-9));
    fitting.unwrap_or(10.0) * power
}

/// Steps of a time axis, in milliseconds: those of a clock.
const CLOCK_STEPS: [i64; 15] = {
    const SECOND: i64 = 1000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    [
        SECOND,
        5 * SECOND,
        15 * SECOND,
        30 * SECOND,
        MINUTE,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        4 * HOUR,
        12 * HOUR,
        24 * HOUR,
    ]
};

/// Most labels on a time axis: so many fit side by side on a phone.
const TIME_TICKS: i64 = 6;

/// Round moments between two others, evenly apart.
pub(super) fn time_ticks(from_ms: i64, to_ms: i64) -> Vec<i64> {
    let span = to_ms.saturating_sub(from_ms).max(1);
    let last = CLOCK_STEPS[CLOCK_STEPS.len() - 1];
    let step = CLOCK_STEPS
        .into_iter()
        .find(|step| span / step < TIME_TICKS)
        // Longer than the table: whole days, as many as it takes.
        .unwrap_or_else(|| last.saturating_mul(span / last / TIME_TICKS + 1));
    let first = from_ms
        .div_euclid(step)
        .saturating_add(i64::from(from_ms.rem_euclid(step) > 0));
    let moments = (0..=TIME_TICKS).map(|i| first.saturating_add(i).saturating_mul(step));
    moments.take_while(|moment| *moment <= to_ms).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let ticks = |metric, low, high| Scale::fitting(metric, low, high).ticks;
        assert_eq!(
            ticks(Metric::Traffic, 0.0, 37.0),
            [0.0, 10.0, 20.0, 30.0, 40.0]
        );
        assert_eq!(
            ticks(Metric::Latency, 3.0, 812.0),
            [0.0, 250.0, 500.0, 750.0, 1000.0]
        );
        assert_eq!(
            ticks(Metric::Prediction, 0.1, 0.2),
            [0.0, 0.25, 0.5, 0.75, 1.0]
        );
        let accuracy = ticks(Metric::Accuracy, 0.8, 0.97);
        assert_eq!((accuracy[0], *accuracy.last().unwrap()), (0.5, 1.0));
        assert_eq!(ticks(Metric::Accuracy, 0.3, 0.97)[..1], [0.0]);
    }

    #[test]
    fn any_values_make_an_axis() {
        let odd = [0.0, -1.0, 1e-12, 1e300, f64::INFINITY, f64::NAN];
        for metric in [
            Metric::Traffic,
            Metric::Latency,
            Metric::Errors,
            Metric::Accuracy,
        ] {
            for high in odd {
                let scale = Scale::fitting(metric, high, high);
                assert!(
                    (1..=12).contains(&scale.ticks.len()),
                    "{metric:?} {high} {scale:?}"
                );
                assert!(scale.high > scale.low, "{metric:?} {high} {scale:?}");
                assert!((0.0..=1.0).contains(&scale.place(0.5)), "{metric:?} {high}");
            }
        }
    }

    #[test]
    fn moments_are_round_and_few() {
        const MINUTE: i64 = 60_000;
        let quarter = time_ticks(7 * MINUTE + 15_000, 22 * MINUTE + 15_000);
        assert_eq!(quarter, [10 * MINUTE, 15 * MINUTE, 20 * MINUTE]);
        for span in [1, 1_000, 15 * MINUTE, 60 * MINUTE, 1440 * MINUTE, i64::MAX] {
            let ticks = time_ticks(123, 123i64.saturating_add(span));
            assert!(ticks.len() <= 7, "{span}: {ticks:?}");
        }
        assert!(time_ticks(i64::MIN, i64::MAX).len() <= 7);
    }
}
