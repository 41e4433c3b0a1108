//! What the evidence says.

use tern_protocol::rest::{Against, Between, Certainty, Gate, GateVerdict, Share, Unit, Verdict};
use tern_stats::{
    betting, compare,
    evidence::{adjusted, combined, combined_in_turn},
    ladder::Ladder,
    levels::{Levels, STEPS},
};

use super::{Engine, LOOK, Phase};
use crate::sentence;

/// The chance of error at which more harm than is allowed is refuted, if a gate asks for proof.
const SAFE: f64 = 0.05;

/// The chance that an interval that is shown ever misses the truth.
const SHOWN: f64 = 0.05;

/// Half of the step to which values are rounded: what is above a bound by less is at it.
const ROUNDED: f64 = 0.5 / STEPS as f64;

/// Logarithms of evidence are cut off here, since JSON knows no infinity.
const MOST: f64 = 700.0;

/// Devices of one platform that have to fail before its share of failures holds a stage up.
const PLATFORM: u64 = 2;

/// Something that may be true of the version.
struct Claim {
    gate: usize,
    against: Against,
    allowed: f64,
    harm: f64,
}

impl Engine {
    /// Looks at the evidence, if there is any that nobody has looked at. Whether it did.
    pub(super) fn look(&mut self) -> bool {
        let watches = matches!(
            self.phase,
            Phase::Moving | Phase::Asking(_) | Phase::Releasing
        );
        let now = self.now.0;
        let soon = self
            .looked
            .is_some_and(|at| now.saturating_sub(at.0) < LOOK);
        if !watches || !self.dirty || soon {
            return false;
        }
        self.dirty = false;
        self.looked = Some(self.now);
        self.settle();
        self.verdicts = self.verdicts(false);
        let failed = self
            .verdicts
            .iter()
            .find(|one| one.verdict == Verdict::Fail);
        if let Some(failed) = failed {
            let sentence = sentence::failed(self.stage, failed, self.counts);
            self.failed(sentence);
        }
        true
    }

    /// What the gates said when somebody looked last.
    pub fn last_verdicts(&self) -> &[GateVerdict] {
        &self.verdicts
    }

    /// What the gates say, with intervals.
    pub fn detailed(&self) -> Vec<GateVerdict> {
        if self.phase == Phase::New || self.stages[self.stage].ladders.is_empty() {
            return Vec::new();
        }
        self.verdicts(true)
    }

    fn verdicts(&self, detailed: bool) -> Vec<GateVerdict> {
        let claims = self.claims();
        let harm: Vec<f64> = claims.iter().map(|claim| claim.harm).collect();
        let harm = adjusted(&harm);
        let mut verdicts: Vec<GateVerdict> = claims
            .iter()
            .zip(harm)
            .map(|(claim, harm)| self.verdict(claim, harm.clamp(-MOST, MOST), detailed))
            .collect();
        for (index, gate) in self.setup.plan.gates.iter().enumerate() {
            if gate.bound().is_none() {
                verdicts.push(self.answered(index, gate));
            }
        }
        verdicts
    }

    fn answered(&self, index: usize, gate: &Gate) -> GateVerdict {
        let answer = self.answers.get(&(index as u8));
        let (verdict, reason) = answer.map_or((Verdict::Inconclusive, "not asked yet"), |answer| {
            (answer.0, answer.1.as_str())
        });
        GateVerdict {
            gate: gate.title(),
            against: Against::Others,
            allowed: 0.0,
            verdict,
            sentence: format!("{}: {}: {reason}", gate.title(), verdict.word()),
            treated: 0,
            control: 0,
            treated_mean: None,
            control_mean: None,
            between: None,
            harm: 0.0,
            safe: 0.0,
            p: 1.0,
        }
    }

    /// Finds what has changed once, for all who ask afterwards.
    fn settle(&mut self) {
        let gates = &self.setup.plan.gates;
        for facts in &mut self.stages {
            for (gate, ladder) in gates.iter().zip(&mut facts.ladders) {
                let bound = gate.bound().filter(|bound| bound.margin.is_some());
                if let Some(bound) = bound {
                    ladder.settle(bound.certainty == Certainty::Proven);
                }
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (index, gate) in self.setup.plan.gates.iter().enumerate() {
            let Some(bound) = gate.bound() else { continue };
            let claim = |against, allowed: Share, harm: f64| Claim {
                gate: index,
                against,
                allowed: allowed.of_one(),
                harm,
            };
            if let Some(margin) = bound.margin {
                let harm = self
                    .over_stages(|stage| self.stages[stage].ladders.get(index).map(Ladder::harm));
                claims.push(claim(Against::Control, margin, harm));
            }
            if let Some(limit) = bound.limit {
                let harm = if matches!(gate, Gate::ServeFailure(_)) {
                    let over = |levels: &Levels| betting::above(levels, limit.of_one());
                    let each = self.ends.by_platform.values().map(over);
                    let platforms = combined(&each.collect::<Vec<_>>());
                    combined(&[over(&self.ends.all), platforms])
                } else {
                    self.alone[index].over(limit.of_one())
                };
                claims.push(claim(Against::Limit, limit, harm));
            }
        }
        claims
    }

    /// The average of evidence over all stages of the plan in their turn, those that have not begun among them: an
    /// e-value whatever the stages have to do with each other. Their product would not be one, since all of them are
    /// compared with the same control, whose devices are what they are for good.
    fn over_stages(&self, of: impl Fn(usize) -> Option<f64>) -> f64 {
        let stages = 0..self.stages.len();
        let live = stages.filter(|stage| !self.is_shadow(*stage));
        combined_in_turn(
            &live
                .map(|stage| of(stage).unwrap_or(0.0))
                .collect::<Vec<_>>(),
        )
    }

    fn verdict(&self, claim: &Claim, harm: f64, detailed: bool) -> GateVerdict {
        let gate = &self.setup.plan.gates[claim.gate];
        let bound = gate.bound().unwrap_or_default();
        let proven = bound.certainty == Certainty::Proven;
        let mut found = Found::default();
        match (claim.against, gate) {
            (Against::Control, _) => self.against_control(claim, proven, detailed, &mut found),
            (_, Gate::ServeFailure(_)) => self.ended(claim, proven, detailed, &mut found),
            _ => self.against_limit(claim, proven, detailed, &mut found),
        }
        let alpha = self.setup.plan.false_stops.of_one();
        let more = found
            .value
            .is_some_and(|value| value > claim.allowed + ROUNDED);
        let unproven = proven && found.safe < -SAFE.ln();
        let (verdict, why) = if harm >= -alpha.ln() {
            (Verdict::Fail, sentence::Why::Proven)
        } else if let Some(lacks) = found.lacks {
            (Verdict::Inconclusive, sentence::Why::Lacks(lacks))
        } else if more {
            (Verdict::Inconclusive, sentence::Why::More)
        } else if unproven {
            (Verdict::Inconclusive, sentence::Why::Unproven)
        } else {
            (Verdict::Pass, sentence::Why::Within)
        };
        let mut answer = GateVerdict {
            gate: gate.title(),
            against: claim.against,
            allowed: claim.allowed,
            verdict,
            sentence: String::new(),
            treated: found.treated,
            control: found.control,
            treated_mean: found.treated_mean,
            control_mean: found.control_mean,
            between: found.between,
            harm,
            safe: found.safe.clamp(-MOST, MOST),
            p: (-harm).exp().min(1.0),
        };
        answer.sentence = sentence::gate(gate, &answer, found.changed, &why);
        answer
    }

    fn against_control(&self, claim: &Claim, proven: bool, detailed: bool, found: &mut Found) {
        let facts = &self.stages[self.stage];
        let Some(ladder) = facts.ladders.get(claim.gate) else {
            return;
        };
        let (treated, control) = ladder.shown();
        found.means(treated, Some(control));
        found.value = found
            .treated_mean
            .zip(found.control_mean)
            .map(|(t, c)| t - c);
        let changes = ladder.shown_changes();
        // What devices differ in for good is no harm. Differences of changes count twice.
        found.changed =
            changes.and_then(|(treated, control)| Some(2.0 * (treated.mean()? - control.mean()?)));
        found.value = found.changed.or(found.value);
        if proven || detailed {
            found.safe = self
                .over_stages(|stage| self.stages[stage].ladders.get(claim.gate).map(Ladder::safe));
        }
        if detailed {
            found.between = match changes {
                Some((treated, control)) => compare::difference(treated, control, SHOWN)
                    .map(between)
                    .map(|half| Between {
                        mean: 2.0 * half.mean,
                        low: (2.0 * half.low).max(-1.0),
                        high: (2.0 * half.high).min(1.0),
                    }),
                None => compare::difference(treated, control, SHOWN).map(between),
            };
        }
        let (known, of_control) = ladder.devices();
        let wanted = self.devices_wanted(self.stage).min(facts.paired).max(1);
        found.lacks = if self.is_shadow(self.stage) {
            None
        } else if facts.paired == 0 && facts.added > 0 {
            Some("no device of the control to compare with".into())
        } else if facts.added > 0 && known < wanted {
            Some(format!("{known} of {wanted} devices have told"))
        } else if facts.added > 0 && of_control == 0 {
            Some("no device of the control has told".into())
        } else {
            None
        };
    }

    fn against_limit(&self, claim: &Claim, proven: bool, detailed: bool, found: &mut Found) {
        let ladder = &self.alone[claim.gate];
        let (treated, _) = ladder.shown();
        found.means(treated, None);
        found.value = found.treated_mean;
        if proven || detailed {
            found.safe = ladder.under(claim.allowed);
        }
        if detailed {
            found.between = betting::confidence_sequence(treated, SHOWN).map(between);
        }
        let gate = &self.setup.plan.gates[claim.gate];
        let asked = self.is_shadow(self.stage) == matches!(gate, Gate::Disagreement(_));
        let (known, _) = ladder.devices();
        let wanted = match gate.counts() {
            // Truth comes where somebody looks, not from every device.
            Unit::Labels => 1,
            _ => self.devices_wanted(self.stage).max(1),
        };
        if asked && known < wanted && self.stages[self.stage].added > 0 {
            found.lacks = Some(format!("{known} of {wanted} devices have told"));
        }
    }

    fn ended(&self, claim: &Claim, proven: bool, detailed: bool, found: &mut Found) {
        let ends = &self.ends;
        found.means(&ends.all, None);
        let failing = ends.by_platform.values().filter(|levels| {
            let failed = levels.counts().find(|(level, _)| *level > 0);
            failed.is_some_and(|(_, count)| count >= PLATFORM)
        });
        let worst = failing.filter_map(Levels::mean).fold(0.0, f64::max);
        found.value = found.treated_mean.map(|mean| mean.max(worst));
        if proven || detailed {
            found.safe = betting::below(&ends.all, claim.allowed);
        }
        if detailed {
            found.between = betting::confidence_sequence(&ends.all, SHOWN).map(between);
        }
    }
}

/// What is known of a claim.
#[derive(Default)]
struct Found {
    treated: u64,
    control: u64,
    treated_mean: Option<f64>,
    control_mean: Option<f64>,
    /// What is compared with what is allowed.
    value: Option<f64>,
    /// By how much more the treated changed than the control did, if what is usual is known.
    changed: Option<f64>,
    between: Option<Between>,
    safe: f64,
    lacks: Option<String>,
}

impl Found {
    fn means(&mut self, treated: &Levels, control: Option<&Levels>) {
        self.treated = treated.n();
        self.treated_mean = treated.mean();
        self.control = control.map_or(0, Levels::n);
        self.control_mean = control.and_then(Levels::mean);
    }
}

fn between(estimate: tern_stats::interval::Estimate) -> Between {
    Between {
        mean: estimate.mean,
        low: estimate.low,
        high: estimate.high,
    }
}
