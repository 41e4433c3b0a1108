//! A world of devices by hand, and what must never break.

mod explored;
mod interleaved;
mod others;
mod stories;

use tern_protocol::{
    id::RolloutId,
    rest::{Decision, Plan, Refusal},
};

use super::*;
use crate::event::{Event, Joined, Order, Reason};

const MINUTE: i64 = 60_000;

/// A rollout and the devices that do what a test says.
struct World {
    engine: Engine,
    batches: Vec<Batch>,
    decisions: Vec<Decision>,
    now: i64,
}

fn plan(yaml_as_json: &str) -> Plan {
    let plan: Plan = serde_json::from_str(yaml_as_json).expect("a plan");
    let problems = plan.problems();
    assert!(problems.is_empty(), "{problems:?}");
    plan
}

fn setup(json: &str) -> Setup {
    Setup {
        plan: plan(json),
        rollout: RolloutId(7),
        bytes: 1_000,
    }
}

fn joined(number: usize, site: &str, platform: &str) -> Event {
    Event::Joined(Box::new(Joined {
        device: format!("meter-{number:04}").parse().expect("an id"),
        site: site.parse().expect("a site"),
        platform: platform.into(),
        zone: None,
    }))
}

impl World {
    /// So many devices, half of them on either platform.
    fn of(json: &str, devices: usize) -> Self {
        let mut world = Self {
            engine: Engine::new(setup(json)),
            batches: Vec::new(),
            decisions: Vec::new(),
            now: 0,
        };
        let platform = |number: usize| {
            if number.is_multiple_of(2) {
                "linux arm"
            } else {
                "linux x86"
            }
        };
        let all = (0..devices).map(|number| joined(number, "harbour", platform(number)));
        world.tell(all.collect());
        world
    }

    fn tell(&mut self, events: Vec<Event>) {
        let batch = Batch {
            at: WallTime(self.now),
            events,
        };
        let applied = self.engine.apply(&batch);
        if applied.changed {
            self.batches.push(batch);
        } else {
            assert!(applied.decisions.is_empty());
        }
        self.decisions.extend(applied.decisions);
    }

    fn pass(&mut self, minutes: i64) {
        self.now += minutes * MINUTE;
        self.tell(Vec::new());
    }

    fn with(&self, place: Place) -> Vec<Index> {
        let all = (0..self.engine.len() as u32).map(Index);
        all.filter(|index| self.engine.place(*index) == Some(place))
            .collect()
    }

    /// All that were admitted fetch it and serve it for good, or refuse it.
    fn arrive(&mut self, refuses: impl Fn(Index) -> bool) {
        let mut events = Vec::new();
        for index in self.with(Place::Admitted) {
            events.push(Event::Heard(index));
            if refuses(index) {
                events.push(Event::Refused(index, Reason(Refusal::GoldenMismatch)));
            } else {
                events.extend([Event::Serving(index), Event::Confirmed(index)]);
            }
        }
        self.tell(events);
    }

    /// Everybody who is counted closes its first windows: a mean in thousandths each, on every gate of windows.
    fn windows(&mut self, rung: u8, level: impl Fn(Index, bool) -> u16) {
        let mut events = Vec::new();
        let listened: Vec<Index> = self.engine.listened().map(|(index, _)| index).collect();
        events.extend(listened.into_iter().map(Event::Heard));
        for index in (0..self.engine.len() as u32).map(Index) {
            if self.engine.watched(index).is_none() {
                continue;
            }
            let treated = self.engine.place(index).is_some_and(Place::is_admitted);
            if treated {
                events.push(Event::Counted(index, 1 << rung, 10 << rung));
            }
            for (gate, rule) in self.engine.setup().plan.gates.iter().enumerate() {
                if rule.counts() == tern_protocol::rest::Unit::Windows {
                    let gate = GateIndex(gate as u8);
                    events.push(Event::Rung(index, gate, rung, level(index, treated)));
                }
            }
        }
        self.tell(events);
        self.answer(|_, _| 0);
    }

    /// Answers what is asked of time.
    fn answer(&mut self, level: impl Fn(Index, bool) -> u16) {
        let questions = self.engine.questions(WallTime(self.now));
        let events = questions.into_iter().map(|question| {
            let treated = self
                .engine
                .place(question.device)
                .is_some_and(Place::is_admitted);
            let level = level(question.device, treated);
            Event::Rung(question.device, question.gate, question.rung, level)
        });
        let events: Vec<Event> = events.collect();
        self.tell(events);
    }

    fn deeds(&self) -> Vec<Deed> {
        self.decisions
            .iter()
            .map(|decision| decision.what)
            .collect()
    }

    fn last(&self) -> &Decision {
        self.decisions.last().expect("something was decided")
    }

    /// The same batches give the same decisions, to the byte, and the same engine.
    fn replays(&self) {
        let replayed = crate::replay::replay(self.engine.setup().clone(), &self.batches);
        let bytes = |decisions: &[Decision]| -> Vec<Vec<u8>> {
            decisions.iter().map(crate::replay::bytes).collect()
        };
        assert_eq!(bytes(&replayed.decisions), bytes(&self.decisions));
        let stored: Vec<Vec<u8>> = self
            .batches
            .iter()
            .map(|one| minicbor::to_vec(one).expect("it encodes"))
            .collect();
        let read: Vec<Batch> = stored
            .iter()
            .map(|one| minicbor::decode(one).expect("it decodes"))
            .collect();
        assert_eq!(read, self.batches);
    }
}
