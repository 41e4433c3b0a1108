//! From stage to stage, and how it ends.

use tern_protocol::rest::{
    Against, Deed, Gate, GateVerdict, OnFail, OnInconclusive, OnPass, Share, Size, Verdict,
};
use tern_stats::ladder::Ladder;

use super::{
    Asked, Engine, Phase,
    member::{Arm, Counted, Place},
};
use crate::{
    draw::{self, Entrant, Lot},
    sentence,
};

impl Engine {
    /// Draws the lots and begins with the first stage.
    pub(super) fn start(&mut self) {
        let here: Vec<u32> = (0..self.members.len() as u32)
            .filter(|index| self.members[*index as usize].away.is_none())
            .collect();
        let all = here.len() as u64;
        // Half of a fleet at most: somebody has to try it.
        let control = self.setup.plan.control.of(all).min(all / 2) as usize;
        let mut drawn = draw::spread(self.entrants(&here, Lot::Control));
        let others = drawn.split_off(control);
        for index in &drawn {
            self.members[*index as usize].arm = Arm::Control;
        }
        self.counts.control = drawn.len() as u64;
        self.control = drawn;
        self.order = draw::spread(self.entrants(&others, Lot::Turn));
        for (place, index) in self.order.iter().enumerate() {
            self.members[*index as usize].ordered = Some(place as u32);
        }
        let sentence = sentence::start(all, self.counts.control, &self.setup.plan);
        self.decide(Deed::Start, None, sentence);
        self.phase = Phase::Moving;
        self.enter(0);
    }

    fn entrants(&self, indices: &[u32], lot: Lot) -> Vec<Entrant> {
        let entrant = |index: &u32| {
            let member = &self.members[*index as usize];
            Entrant {
                index: *index,
                stratum: member.stratum,
                hash: draw::hash(self.setup.rollout, &member.device, lot),
            }
        };
        indices.iter().map(entrant).collect()
    }

    /// Begins a stage: asks its devices in, and says with whom they are compared.
    fn enter(&mut self, stage: usize) {
        if stage > 0 && self.is_shadow(stage - 1) && !self.is_shadow(stage) {
            self.out_of_the_shadow();
        }
        self.stage = stage;
        self.answers.clear();
        self.verdicts.clear();
        self.dirty = true;
        let to = self.setup.plan.stages[stage].to.of(self.order.len() as u64) as usize;
        let to = to.max(self.taken_in);
        let added: Vec<u32> = self.order[self.taken_in..to].to_vec();
        self.taken_in = to;
        let is_here = |index: &&u32| self.members[**index as usize].away.is_none();
        let present: Vec<u32> = added.iter().filter(is_here).copied().collect();
        let facts = &mut self.stages[stage];
        facts.since = self.now;
        let gates = &self.setup.plan.gates;
        let margin = |gate: &Gate| gate.bound().and_then(|bound| bound.margin);
        facts.ladders = gates
            .iter()
            .map(|gate| Ladder::new(margin(gate).map_or(0.0, Share::of_one)))
            .collect();
        self.compare(&present);
        for index in present {
            self.members[index as usize].stage = stage as u8;
            self.ask_in(index);
        }
        // Those that came late and stand beside them.
        for index in 0..self.members.len() as u32 {
            let member = &self.members[index as usize];
            let late = member.ordered.is_none() && member.arm == Arm::Treatment;
            if late && member.place == Place::Outside && member.away.is_none() {
                self.take_in_late(index);
            }
        }
        if self.devices_wanted(stage) == 0 {
            self.stages[stage].soaking = Some(self.now);
        }
    }

    /// Devices that ran the version as a shadow are to serve it now, in their turn.
    fn out_of_the_shadow(&mut self) {
        for index in 0..self.members.len() as u32 {
            if !self.members[index as usize].place.is_admitted() {
                continue;
            }
            self.move_to(index, Place::Outside);
            let member = &mut self.members[index as usize];
            member.tries = 0;
            member.watched = None;
            member.timed = None;
            if member.counted == Counted::Good {
                member.counted = Counted::Not;
            }
        }
        self.taken_in = 0;
    }

    /// Deals the control to the devices of a stage. What was seen of the control before is not compared with them.
    fn compare(&mut self, treated: &[u32]) {
        self.halves.clear();
        self.listened.clear();
        self.compared.clear();
        for index in &self.control {
            let member = &mut self.members[*index as usize];
            member.partner = None;
            member.watched = None;
            member.timed = None;
            member.reached = Box::default();
            member.usual = Box::default();
        }
        if self.is_shadow(self.stage) {
            return;
        }
        let with_stratum = |index: &u32| (*index, self.members[*index as usize].stratum);
        let treated: Vec<(u32, u32)> = treated.iter().map(with_stratum).collect();
        let here = |index: &&u32| {
            let member = &self.members[**index as usize];
            member.away.is_none() && !member.place.is_admitted()
        };
        let control: Vec<(u32, u32)> = self.control.iter().filter(here).map(with_stratum).collect();
        for (control, treated) in draw::deal(&treated, &control) {
            self.members[control as usize].partner = Some(treated);
            let partner = &mut self.members[treated as usize].partner;
            partner.get_or_insert(control);
            self.compared.entry(treated).or_default().push(control);
        }
        self.stages[self.stage].paired = self.compared.len() as u64;
    }

    /// Devices of a stage that have to serve the version for good before it can pass.
    pub(super) fn devices_wanted(&self, stage: usize) -> u64 {
        let added = self.stages[stage].added;
        let minimum = self.setup.plan.stages[stage].minimum.devices;
        minimum.unwrap_or_else(|| added.div_ceil(2)).min(added)
    }

    /// What a stage as a whole still lacks before it can pass, in words.
    pub(super) fn lacking(&self) -> Option<String> {
        let plan = &self.setup.plan.stages[self.stage];
        let facts = &self.stages[self.stage];
        let wanted = self.devices_wanted(self.stage);
        if facts.confirmed < wanted {
            let verb = if plan.shadow {
                "run it"
            } else {
                "serve it for good"
            };
            return Some(format!("{} of {wanted} devices {verb}", facts.confirmed));
        }
        let wanted = plan.minimum.windows.unwrap_or(0);
        if facts.windows < wanted {
            return Some(format!("{} of {wanted} windows are closed", facts.windows));
        }
        let wanted = plan.minimum.inferences.unwrap_or(0);
        if facts.inferences < wanted {
            return Some(format!(
                "{} of {wanted} inferences are made",
                facts.inferences
            ));
        }
        let soaked = facts.soaking.is_some_and(|since| {
            let passed = self.now.0.saturating_sub(since.0).max(0).unsigned_abs();
            passed >= plan.soak.ms()
        });
        (!soaked).then(|| format!("it soaks for {}", plan.soak))
    }

    /// Whether all is there but the word of other programs.
    pub(super) fn may_ask(&self) -> bool {
        self.pass(|one| one.against != Against::Others)
    }

    /// Whether every gate of this stage passes, and all that it asks for is there.
    fn passes(&self) -> bool {
        self.pass(|_| true)
    }

    /// Whether all is there, and of these verdicts each is a pass.
    fn pass(&self, of: impl Fn(&GateVerdict) -> bool) -> bool {
        let mut verdicts = self.verdicts.iter().filter(|one| of(one));
        !self.dirty && self.lacking().is_none() && verdicts.all(|one| one.verdict == Verdict::Pass)
    }

    /// Advances, asks, or ends what has waited too long. Whether anything changed.
    pub(super) fn go_on(&mut self) -> bool {
        let asked = match self.phase {
            Phase::Moving => None,
            Phase::Asking(asked) => Some(asked),
            _ => return false,
        };
        if self.paused || asked == Some(Asked::Approval) {
            return false;
        }
        if self.passes() {
            let plan = &self.setup.plan;
            if plan.stages[self.stage].approval || plan.on.pass == OnPass::Ask {
                self.phase = Phase::Asking(Asked::Approval);
                let sentence = sentence::approval(self.stage, plan);
                self.decide(Deed::Ask, None, sentence);
            } else {
                self.advance(None);
            }
            return true;
        }
        let plan = &self.setup.plan;
        let cap = plan.stages[self.stage].cap.ms();
        let since = self.stages[self.stage].since;
        let passed = self.now.0.saturating_sub(since.0).max(0).unsigned_abs();
        if asked.is_some() || passed < cap {
            return false;
        }
        let lacking = self.lacking();
        let sentence = sentence::inconclusive(self.stage, plan, lacking.as_deref(), &self.verdicts);
        match plan.on.inconclusive {
            OnInconclusive::Ask => {
                self.phase = Phase::Asking(Asked::Inconclusive);
                self.decide(Deed::Ask, None, sentence);
            }
            OnInconclusive::RollBack => self.stop(sentence),
        }
        true
    }

    /// The next stage begins, or all stages are done.
    fn advance(&mut self, by: Option<String>) {
        let last = self.stage + 1 == self.setup.plan.stages.len();
        let what = match (&by, last) {
            (Some(_), _) => Deed::Approve,
            (None, true) => Deed::Release,
            (None, false) => Deed::Advance,
        };
        let plan = &self.setup.plan;
        let sentence =
            sentence::advance(self.stage, plan, by.is_some(), self.counts, &self.verdicts);
        self.decide(what, by, sentence);
        if last {
            self.release();
        } else {
            self.phase = Phase::Moving;
            self.enter(self.stage + 1);
        }
    }

    /// Whether those that were kept back get the version at the end.
    pub(super) fn releases(&self) -> bool {
        let last = self.setup.plan.stages.last();
        last.is_some_and(|stage| stage.to == Size::Share(Share::percent(100)))
    }

    fn release(&mut self) {
        self.phase = Phase::Releasing;
        self.halves.clear();
        self.listened.clear();
        self.compared.clear();
        for index in 0..self.members.len() as u32 {
            let member = &mut self.members[index as usize];
            if member.arm == Arm::Control {
                member.partner = None;
                member.watched = None;
                member.timed = None;
            }
            if member.place == Place::Outside && member.away.is_none() {
                self.take_in_late(index);
            }
        }
    }

    /// Complete once all have come to an end.
    pub(super) fn finish(&mut self) -> bool {
        if self.phase != Phase::Releasing || self.open > 0 || self.waiting > 0 {
            return false;
        }
        self.phase = Phase::Complete;
        let sentence = sentence::complete(self.counts);
        self.decide(Deed::Complete, None, sentence);
        true
    }

    /// A gate failed.
    pub(super) fn failed(&mut self, sentence: String) {
        match self.setup.plan.on.fail {
            OnFail::RollBack => self.stop(sentence),
            OnFail::Hold => {
                self.phase = Phase::Held;
                self.decide(Deed::Hold, None, sentence);
            }
        }
    }

    fn stop(&mut self, sentence: String) {
        self.decide(Deed::Stop, None, sentence);
        self.end_all(true);
    }

    fn end_all(&mut self, back: bool) {
        self.phase = Phase::Ended { back };
        let all = 0..self.members.len() as u32;
        let moved = all.filter(|index| self.members[*index as usize].place.is_admitted());
        self.touched.extend(moved);
    }

    /// A person lets it go on.
    pub(super) fn approve(&mut self, by: &str) {
        if matches!(self.phase, Phase::Moving | Phase::Asking(_)) && self.denied().is_none() {
            self.advance(Some(by.to_owned()));
        }
    }

    pub(super) fn pause(&mut self, by: &str, paused: bool) {
        if self.paused == paused || matches!(self.phase, Phase::Ended { .. }) {
            return;
        }
        self.paused = paused;
        let (what, sentence) = if paused {
            (
                Deed::Pause,
                "paused: no more devices are moved; evidence of harm still stops it",
            )
        } else {
            (Deed::Resume, "resumed")
        };
        self.decide(what, Some(by.to_owned()), sentence.into());
    }

    pub(super) fn abort(&mut self, by: &str, back: bool) {
        if matches!(self.phase, Phase::Ended { .. }) {
            return;
        }
        let sentence = if back {
            "aborted by a person; moved devices go back to what they had"
        } else {
            "aborted by a person; moved devices stay where they are"
        };
        self.decide(Deed::Abort, Some(by.to_owned()), sentence.into());
        self.end_all(back);
    }
}
