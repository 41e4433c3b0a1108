//! What the windows and labels of one device add up to since it is watched. Pure.

use minicbor::{Decode, Encode};
use tern_protocol::{
    metric::{MetricCounts, MetricKind},
    profile::CONFIDENCE_BINS,
    rest::{Gate, MetricGate, Unit},
    shadow::ShadowWindow,
    time::WallTime,
    window::Window,
};
use tern_rollout::event::{Event, GateIndex, Index, USUAL_WINDOWS};
use tern_stats::{levels::STEPS, sketch::Sketch};

/// Parts of a whole in which shares of a window are added up.
const WHOLE: u64 = 1_000;

/// What is known of one device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub(super) struct Tally {
    /// Since when its windows are counted.
    #[n(0)]
    pub(super) since: Option<WallTime>,
    /// Windows.
    #[n(1)]
    pub(super) windows: u64,
    /// Inferences in them.
    #[n(2)]
    pub(super) inferences: u64,
    /// Part and whole, by gate of the plan.
    #[n(3)]
    sums: Vec<(u64, u64)>,
    /// Predictions of each class.
    #[n(4)]
    classes: Vec<u64>,
    /// How often it had started when it was first looked at in time.
    #[n(5)]
    pub(super) boot: Option<i64>,
    /// Windows of its shadow.
    #[n(7)]
    shadows: u64,
    /// Inputs that the shadow answered otherwise, and inputs that it saw.
    #[n(8)]
    otherwise: (u64, u64),
    /// What it did before the rollout, in thousandths by gate; more than a thousand: not known.
    #[n(9)]
    #[cbor(default)]
    usual: Vec<u16>,
    /// Labels so far.
    #[n(10)]
    #[cbor(default)]
    labelled: u64,
    /// Weights of those that were wrong, and of all, in millionths.
    #[n(11)]
    #[cbor(default)]
    wrong: (u64, u64),
}

/// Parts of a whole in which weights of labels are added up.
const WEIGHT: f64 = 1e6;

/// Values of a metric that a window weighs by at most: more say no more.
const METRIC_WEIGHT: u64 = 1 << 32;

/// No mean is that large: nothing is known.
const UNKNOWN: u16 = u16::MAX;

/// A window, as much of it as gates ask for.
pub(super) struct Heard<'a> {
    pub(super) inferences: u64,
    pub(super) errors: u64,
    /// Read only if a gate needs it.
    pub(super) body: Option<&'a Window>,
}

/// Whether a gate asks for more of a window than its counts.
pub(super) const fn needs_body(gate: &Gate) -> bool {
    matches!(
        gate,
        Gate::Latency(_)
            | Gate::Confidence(_)
            | Gate::Mix(_)
            | Gate::Memory(_)
            | Gate::Cpu(_)
            | Gate::Metric(_)
    )
}

impl Tally {
    /// Forgets all windows, and counts those from `since` on.
    pub(super) fn begin(&mut self, since: WallTime) {
        *self = Self {
            since: Some(since),
            boot: self.boot,
            shadows: self.shadows,
            otherwise: self.otherwise,
            usual: std::mem::take(&mut self.usual),
            ..Self::default()
        };
    }

    /// Adds a window from before the rollout. Whether more are wanted.
    pub(super) fn before(&mut self, gates: &[Gate], mix: &[u64], heard: &Heard<'_>) -> bool {
        if self.windows < u64::from(USUAL_WINDOWS) {
            let _ = self.window(Index(0), gates, mix, heard);
        }
        self.windows < u64::from(USUAL_WINDOWS)
    }

    /// What windows and labels from before the rollout add up to is what is usual for the device.
    pub(super) fn settle(self, gates: &[Gate], mix: &[u64]) -> Self {
        let usual = gates.iter().enumerate().map(|(place, gate)| {
            let known = match gate {
                Gate::Accuracy(_) => level(self.wrong.0, self.wrong.1),
                _ => self.mean(gates, place, mix),
            };
            known.unwrap_or(UNKNOWN)
        });
        Self {
            usual: usual.collect(),
            ..Self::default()
        }
    }

    /// What is usual for the device, to be told before its first window.
    pub(super) fn usual(&self, index: Index) -> Vec<Event> {
        let known = self.usual.iter().enumerate();
        let known = known.filter(|(_, level)| **level != UNKNOWN);
        known
            .map(|(gate, level)| Event::Usual(index, GateIndex(gate as u8), *level))
            .collect()
    }

    /// The mean of its windows for a gate that counts them.
    fn mean(&self, gates: &[Gate], place: usize, mix: &[u64]) -> Option<u16> {
        match &gates[place] {
            gate if gate.counts() != Unit::Windows => None,
            Gate::Disagreement(_) => None,
            Gate::Mix(_) => distance(&self.classes, mix),
            _ => {
                let (part, whole) = *self.sums.get(place)?;
                level(part, whole)
            }
        }
    }

    /// Adds a window. If it is the first, second, fourth … the means so far.
    pub(super) fn window(
        &mut self,
        index: Index,
        gates: &[Gate],
        mix: &[u64],
        heard: &Heard<'_>,
    ) -> Vec<Event> {
        self.windows += 1;
        self.inferences = self.inferences.saturating_add(heard.inferences);
        self.sums.resize(gates.len(), (0, 0));
        for (gate, (part, whole)) in gates.iter().zip(&mut self.sums) {
            let (more, of) = share(gate, heard);
            *part = part.saturating_add(more);
            *whole = whole.saturating_add(of);
        }
        if let Some(body) = heard.body {
            let classes = body.classes.len().max(self.classes.len());
            self.classes.resize(classes, 0);
            for (sum, more) in self.classes.iter_mut().zip(&body.classes) {
                *sum = sum.saturating_add(*more);
            }
        }
        let Some(rung) = tern_stats::ladder::rung(self.windows) else {
            return Vec::new();
        };
        let mut events = vec![Event::Counted(index, self.windows, self.inferences)];
        for place in 0..gates.len() {
            // A device without traffic says nothing of a gate.
            if let Some(level) = self.mean(gates, place, mix) {
                events.push(Event::Rung(
                    index,
                    GateIndex(place as u8),
                    rung as u8,
                    level,
                ));
            }
        }
        events
    }

    /// Adds a window of its shadow. If it is the first, second, fourth … the mean so far.
    pub(super) fn shadow(
        &mut self,
        index: Index,
        gates: &[Gate],
        window: &ShadowWindow,
    ) -> Vec<Event> {
        let seen = window.compared.saturating_add(window.errors);
        if seen == 0 {
            return Vec::new();
        }
        self.shadows += 1;
        let agreed = window.agreed.min(window.compared);
        self.otherwise.0 = self.otherwise.0.saturating_add(seen - agreed);
        self.otherwise.1 = self.otherwise.1.saturating_add(seen);
        let Some(rung) = tern_stats::ladder::rung(self.shadows) else {
            return Vec::new();
        };
        let mut events = vec![Event::Counted(index, self.shadows, self.otherwise.1)];
        let gate = gates
            .iter()
            .position(|gate| matches!(gate, Gate::Disagreement(_)));
        if let Some((gate, level)) = gate.zip(level(self.otherwise.0, self.otherwise.1)) {
            events.push(Event::Rung(index, GateIndex(gate as u8), rung as u8, level));
        }
        events
    }

    /// Adds a label: whether the prediction was wrong, and the chance that it was asked about. If it is the first,
    /// second, fourth … the mean so far.
    pub(super) fn label(
        &mut self,
        index: Index,
        gate: GateIndex,
        wrong: bool,
        chance: f64,
    ) -> Option<Event> {
        self.labelled += 1;
        let weight = WEIGHT / chance.max(tern_stats::interval::PROBABILITY_FLOOR);
        let weight = weight.round() as u64;
        self.wrong.1 = self.wrong.1.saturating_add(weight);
        if wrong {
            self.wrong.0 = self.wrong.0.saturating_add(weight);
        }
        let rung = tern_stats::ladder::rung(self.labelled)?;
        let level = level(self.wrong.0, self.wrong.1)?;
        Some(Event::Rung(index, gate, rung as u8, level))
    }

    /// Adds a label from before the rollout, the newest first.
    pub(super) fn label_before(&mut self, wrong: bool, chance: f64) {
        if self.labelled < u64::from(USUAL_WINDOWS) {
            let _ = self.label(Index(0), GateIndex(0), wrong, chance);
        }
    }
}

fn level(part: u64, whole: u64) -> Option<u16> {
    let share = part.min(whole) as f64 / whole as f64;
    (whole > 0).then(|| (share * f64::from(STEPS)).round() as u16)
}

/// What a window adds to a gate: part and whole.
fn share(gate: &Gate, heard: &Heard<'_>) -> (u64, u64) {
    let Heard {
        inferences,
        errors,
        body,
    } = heard;
    match (gate, body) {
        (Gate::Errors(_), _) => (*errors, errors.saturating_add(*inferences)),
        (Gate::Latency(rule), Some(body)) => match Sketch::try_from(&body.latency) {
            Ok(sketch) => {
                let budget = rule.budget.ms() as f64 * 1_000.0;
                (sketch.above(budget), sketch.count())
            }
            Err(_) => (0, 0),
        },
        (Gate::Confidence(_), Some(body)) => lacking(&body.confidence),
        (Gate::Metric(rule), Some(body)) => on_its_way(rule, body),
        (Gate::Memory(rule), Some(body)) => budgeted(rss(body), rule.budget.get()),
        (Gate::Cpu(rule), Some(body)) => {
            let lasted = body.closed.uptime.0.saturating_sub(body.opened.uptime.0);
            let used = cpu(body).map(|ms| ms.saturating_mul(1_000_000) / lasted.max(1));
            budgeted(used, u64::from(rule.budget.millionths()))
        }
        _ => (0, 0),
    }
}

fn budgeted(used: Option<u64>, budget: u64) -> (u64, u64) {
    used.map_or((0, 0), |used| (u64::from(used > budget) * WHOLE, WHOLE))
}

/// The largest resident memory of the agent in the window, in bytes.
const fn rss(body: &Window) -> Option<u64> {
    body.rss
}

/// Processor time of the agent in the window, in milliseconds.
const fn cpu(body: &Window) -> Option<u64> {
    body.cpu_ms
}

/// How far a metric of the bundle is on the way from its best to its worst; nothing of a bundle that does not declare it.
fn on_its_way(rule: &MetricGate, body: &Window) -> (u64, u64) {
    let counts = body.metrics.iter().find(|counts| counts.name == rule.name);
    let weight = |counts: &MetricCounts| match counts.kind {
        MetricKind::Counter => body.inferences,
        MetricKind::Gauge | MetricKind::Histogram => counts.count,
    };
    let weighed = counts.map(|counts| (counts, weight(counts).min(METRIC_WEIGHT)));
    let Some((counts, weight @ 1..)) = weighed else {
        return (0, 0);
    };
    let mean = counts.sum.value() / weight as f64;
    let place = (rule.place(mean) * WHOLE as f64).round() as u64;
    (place * weight, WHOLE * weight)
}

/// The confidence that predictions lack: bins count predictions from 0 to 1.
fn lacking(bins: &[u64]) -> (u64, u64) {
    let mut sums = (0_u64, 0_u64);
    for (bin, count) in bins.iter().enumerate() {
        let middle = (bin as f64 + 0.5) / CONFIDENCE_BINS as f64;
        let lacks = ((1.0 - middle) * WHOLE as f64).round() as u64;
        sums.0 = sums.0.saturating_add(lacks.saturating_mul(*count));
        sums.1 = sums.1.saturating_add(WHOLE.saturating_mul(*count));
    }
    sums
}

/// Total variation distance between two mixes of classes, in thousandths; nothing without predictions, now or before.
fn distance(classes: &[u64], mix: &[u64]) -> Option<u16> {
    let total = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>();
    let (ours, theirs) = (total(classes), total(mix));
    if ours == 0.0 || theirs == 0.0 {
        return None;
    }
    let share = |counts: &[u64], total: f64, class: usize| {
        counts.get(class).map_or(0.0, |count| *count as f64 / total)
    };
    let classes_max = classes.len().max(mix.len());
    let sum: f64 = (0..classes_max)
        .map(|class| (share(classes, ours, class) - share(mix, theirs, class)).abs())
        .sum();
    Some((0.5 * sum * f64::from(STEPS)).round().min(f64::from(STEPS)) as u16)
}

#[cfg(test)]
mod tests {
    use tern_protocol::{log::Body, metric::Sum};

    use super::*;
    use crate::monitor::fixture::Device;

    fn gates() -> Vec<Gate> {
        serde_json::from_str(r#"[{"errors":{"margin":"1%"}},{"silence":{"margin":"1%"}}]"#)
            .expect("gates")
    }

    #[test]
    fn means_are_told_at_the_first_second_and_fourth_window() {
        let gates = gates();
        let mut tally = Tally::default();
        let mut told = Vec::new();
        for errors in [10, 0, 5, 5, 0] {
            let heard = Heard {
                inferences: 10,
                errors,
                body: None,
            };
            told.push(tally.window(Index(3), &gates, &[], &heard));
        }
        assert_eq!(
            told[0],
            [
                Event::Counted(Index(3), 1, 10),
                Event::Rung(Index(3), GateIndex(0), 0, 500)
            ]
        );
        assert_eq!(told[1][1], Event::Rung(Index(3), GateIndex(0), 1, 333));
        assert_eq!((told[2].len(), told[4].len()), (0, 0));
        assert_eq!(told[3][1], Event::Rung(Index(3), GateIndex(0), 2, 333));
    }

    #[test]
    fn means_of_labels_are_told_at_the_first_second_and_fourth_and_weigh_by_their_chance() {
        let mut tally = Tally::default();
        let told = [(true, 0.1), (false, 0.9), (false, 0.9), (true, 0.9)]
            .map(|(wrong, chance)| tally.label(Index(0), GateIndex(1), wrong, chance));
        let rung = |rung, level| Some(Event::Rung(Index(0), GateIndex(1), rung, level));
        assert_eq!(told, [rung(0, 1000), rung(1, 900), None, rung(2, 833)]);
    }

    #[test]
    fn labels_from_before_say_what_is_usual() {
        let gates: Vec<Gate> =
            serde_json::from_str(r#"[{"errors":{"margin":"1%"}},{"accuracy":{"margin":"1%"}}]"#)
                .expect("gates");
        let mut tally = Tally::default();
        for number in 0..300 {
            tally.label_before(number % 4 == 0, 0.5);
        }
        let settled = tally.settle(&gates, &[]);
        let told = settled.usual(Index(3));
        assert_eq!(told, [Event::Usual(Index(3), GateIndex(1), 250)]);
    }

    #[test]
    fn a_metric_of_the_bundle_is_as_bad_as_it_is_far_on_its_way() {
        let rule = |best, worst| MetricGate {
            name: "rejects".parse().expect("a name"),
            best,
            worst,
            margin: None,
            limit: None,
            certainty: tern_protocol::rest::Certainty::Estimate,
        };
        let Body::Window(mut body) = Device::new("meter-1").window(0, 1_000, 10) else {
            panic!("no window");
        };
        let of = |body: &Window, rule: &MetricGate| {
            let (part, whole) = on_its_way(rule, body);
            level(part, whole)
        };
        assert_eq!(of(&body, &rule(0.0, 1.0)), None, "it is not declared");
        let sum = [4.0, 1.0].into_iter().fold(Sum::default(), |sum, value| {
            sum.plus(Sum::of(value).expect("a number"))
        });
        let mut told = |kind| {
            body.metrics = vec![MetricCounts {
                name: "rejects".parse().expect("a name"),
                kind,
                count: 2,
                sum,
                range: None,
                bins: Vec::new(),
                refused: 0,
            }];
            (*body).clone()
        };
        let counter = told(MetricKind::Counter);
        assert_eq!(
            of(&counter, &rule(0.0, 1.0)),
            Some(500),
            "half a reject an inference"
        );
        let gauge = told(MetricKind::Gauge);
        assert_eq!(of(&gauge, &rule(0.0, 10.0)), Some(250));
        assert_eq!(of(&gauge, &rule(10.0, 0.0)), Some(750), "more is better");
        assert_eq!(
            of(&gauge, &rule(0.0, 1.0)),
            Some(1_000),
            "no worse than the worst"
        );
        assert_eq!(of(&gauge, &rule(3.0, 9.0)), Some(0));
    }

    #[test]
    fn mixes_and_confidence() {
        assert_eq!(distance(&[10, 0], &[50, 50]), Some(500));
        assert_eq!(distance(&[10, 10], &[]), None, "nobody knows what is usual");
        assert_eq!(distance(&[], &[1]), None);
        let mut bins = vec![0; CONFIDENCE_BINS];
        bins[CONFIDENCE_BINS - 1] = 4;
        let (part, whole) = lacking(&bins);
        assert!(part * 20 <= whole, "{part} of {whole}");
    }
}
