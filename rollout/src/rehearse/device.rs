//! What a device is like, and what the version does to it.

use rand::{Rng as _, rngs::StdRng};
use tern_protocol::rest::{DeviceGroup, Drift, Effect, Gate, Rate, Span};

use super::{
    chance::{binomial, uniform},
    presence::{Cursor, DAY},
};

/// How steep the distribution of latencies is: they are log-logistic, so that whoever is `f` times as slow has `f` to
/// this power times the odds of being over a budget. With 4 one in a hundred takes three times the median, which is
/// what small models on busy gateways look like.
const STEEPNESS: f64 = 4.0;

/// Never, as a time.
pub(super) const NEVER: i64 = i64::MAX;

/// What a gate counts, as it is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    Errors,
    Slow,
    Wrong,
    OverMemory,
    /// What nothing in a fleet speaks of.
    Other,
    /// What a shadow does, and nobody else.
    OfShadow,
    Silence(i64),
    Restarts(i64),
    /// Devices by how they ended, and what other programs say.
    Nothing,
}

impl Counts {
    pub(super) fn of(gate: &Gate) -> Self {
        let ms = |span: Span| i64::try_from(span.ms()).unwrap_or(NEVER);
        match gate {
            Gate::Errors(_) => Self::Errors,
            Gate::Latency(_) => Self::Slow,
            Gate::Accuracy(_) => Self::Wrong,
            Gate::Memory(_) => Self::OverMemory,
            Gate::Confidence(_) | Gate::Mix(_) | Gate::Cpu(_) | Gate::Metric(_) => Self::Other,
            Gate::Disagreement(_) => Self::OfShadow,
            Gate::Silence(unheard) => Self::Silence(ms(unheard.after)),
            Gate::Restarts(unheard) => Self::Restarts(ms(unheard.after)),
            Gate::ServeFailure(_) | Gate::Webhook(_) => Self::Nothing,
        }
    }

    const fn rate(self) -> Option<usize> {
        Some(match self {
            Self::Errors => 0,
            Self::Slow => 1,
            Self::Wrong => 2,
            Self::OverMemory => 3,
            Self::Other | Self::OfShadow => 4,
            _ => return None,
        })
    }
}

/// Where a device is with the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    Nothing,
    Fetching,
    /// It runs it beside what serves.
    Shadow,
    Version,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) group: u16,
    pub(super) cursor: Cursor,
    pub(super) rates: [f32; 5],
    pub(super) has: Has,
    /// Whether it ever fetched.
    pub(super) fetched: bool,
    /// Whether the effect is done to it, if it serves the version.
    pub(super) affected: bool,
    /// Whether it refuses any version.
    pub(super) stubborn: bool,
    /// Since when the version harms it; [`NEVER`] if it does not.
    pub(super) harm: i64,
    /// Since when it is watched, in simulated time.
    pub(super) watched: i64,
    /// What it counted since, by gate.
    pub(super) sums: Box<[u32]>,
}

impl Device {
    pub(super) fn new(group: (u16, &DeviceGroup), index: u32, seed: u64, effect: &Effect) -> Self {
        let (number, group) = group;
        let drawn = |what| uniform(seed, index, what);
        let rates = [
            group.errors,
            group.slow,
            group.wrong,
            group.over_memory,
            group.other,
        ];
        let mut what = 0;
        let rates = rates.map(|rate: Rate| {
            what += 2;
            let bad = drawn(what) < rate.bad.of_one();
            let own = if bad {
                drawn(what + 1) * rate.worst.of_one()
            } else {
                rate.usual.of_one()
            };
            own as f32
        });
        let platform = effect.platform.as_ref();
        let meant = platform.is_none_or(|platform| *platform == group.platform);
        Self {
            group: number,
            cursor: Cursor::default(),
            rates,
            has: Has::Nothing,
            fetched: false,
            affected: meant && effect.is_harm() && drawn(20) < effect.devices.of_one(),
            stubborn: drawn(21) < group.refuses.of_one(),
            harm: NEVER,
            watched: NEVER,
            sums: Box::default(),
        }
    }

    /// What it counts in windows or labels that are spread evenly over a span of time: how many of `n` are bad.
    pub(super) fn count(
        &self,
        counts: Counts,
        n: u64,
        span: (i64, i64),
        world: (&Drift, &Effect),
        rng: &mut StdRng,
    ) -> u64 {
        let Some(place) = counts.rate() else {
            return 0;
        };
        let (drift, effect) = world;
        let common = match counts {
            Counts::Errors => drift.errors.of_one(),
            Counts::Slow => drift.slow.of_one(),
            Counts::Wrong => drift.wrong.of_one(),
            _ => 0.0,
        };
        let base = f64::from(self.rates[place]) + common * noon(span);
        let base = base.min(1.0);
        let harmed = match counts {
            Counts::Errors => base + effect.errors.of_one(),
            Counts::Wrong => base + effect.wrong.of_one(),
            Counts::OverMemory => base + effect.over_memory.of_one(),
            Counts::Slow => slower(base, effect.slower),
            _ => base,
        };
        let part = self.harmed(span);
        let rate = base + (harmed.min(1.0) - base) * part;
        binomial(rng, n, rate)
    }

    /// As [`Self::count`], of a span before it had the version.
    pub(super) fn count_before(
        &self,
        counts: Counts,
        n: u64,
        span: (i64, i64),
        drift: &Drift,
        rng: &mut StdRng,
    ) -> u64 {
        self.count(counts, n, span, (drift, &Effect::default()), rng)
    }

    /// The part of a span of time in which the version harms it.
    fn harmed(&self, (from, to): (i64, i64)) -> f64 {
        if self.harm >= to {
            return 0.0;
        }
        let harmed = to - self.harm.max(from);
        harmed as f64 / (to - from).max(1) as f64
    }

    /// In how many of some spans of time it starts again.
    pub(super) fn restarted(
        &self,
        a_day: f64,
        effect: &Effect,
        (since, length): (i64, i64),
        spans: std::ops::Range<i64>,
        rng: &mut StdRng,
    ) -> u32 {
        let by_itself = 1.0 - (-a_day * length as f64 / DAY as f64).exp();
        let by_harm = effect.restarts.map_or(0.0, |every| {
            (length as f64 / every.ms().max(1) as f64).min(1.0)
        });
        let restarted = spans.filter(|span| {
            let from = since + span * length;
            let harmed = self.harmed((from, from + length));
            let spared = (1.0 - by_itself) * (1.0 - by_harm * harmed);
            rng.random::<f64>() >= spared
        });
        restarted.count() as u32
    }
}

/// How much of what comes at noon and goes by midnight there is in a span of time: the mean of half of
/// 1 − cos(2πt/day).
fn noon((from, to): (i64, i64)) -> f64 {
    let turn = std::f64::consts::TAU / DAY as f64;
    let (from, to) = (from as f64, to as f64);
    if to - from < 1_000.0 {
        return 0.5 * (1.0 - (turn * from).cos());
    }
    let waves = ((turn * to).sin() - (turn * from).sin()) / (turn * (to - from));
    0.5 * (1.0 - waves)
}

/// The share over a budget when everything takes so many times as long.
fn slower(share: f64, times: f64) -> f64 {
    if share >= 1.0 {
        return 1.0;
    }
    let odds = share / (1.0 - share) * times.max(0.0).powf(STEEPNESS);
    odds / (1.0 + odds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_all_at_noon_and_half_over_a_day() {
        let hour = 3_600_000;
        assert!(noon((0, 0)).abs() < 1e-9);
        assert!((noon((12 * hour, 12 * hour)) - 1.0).abs() < 1e-9);
        assert!((noon((5 * hour, 5 * hour + DAY)) - 0.5).abs() < 1e-9);
        assert!(noon((11 * hour, 13 * hour)) > 0.95);
    }

    #[test]
    fn slower_is_over_the_budget_more_often() {
        assert!((slower(0.01, 1.4) - 0.0374).abs() < 0.001);
        assert!((slower(0.5, 1.0) - 0.5).abs() < 1e-12);
        assert!((slower(1.0, 2.0) - 1.0).abs() < 1e-12);
    }
}
