//! A rollout in full swing, for those who measure what a look at it costs: every device serves the version, and in each
//! tick one in a hundred tells what it did.

use tern_protocol::{id::RolloutId, rest::Plan};

use super::{
    chance::uniform,
    device::Counts,
    world::{MORNING, wall},
};
use crate::{
    engine::{Arm, Engine, Setup},
    event::{Batch, Event, GateIndex, Index, Joined},
};

/// Parts of the fleet that tell something in a tick each.
pub const PARTS: u32 = 100;

/// Between two ticks, in milliseconds: in so long a hundredth of the devices has to be looked at, if all are every
/// quarter of an hour.
const TICK: i64 = 9_000;

/// Sites over which devices are spread.
const SITES: u32 = 20;

/// Events that are one device's in a tick: on each of five gates what it did, once what is usual, and its counts.
#[derive(Debug)]
pub struct Load {
    /// The engine, to be told.
    pub engine: Engine,
    devices: u32,
    now: i64,
}

impl Load {
    /// So many devices, none of which has joined.
    pub fn new(devices: u32) -> Self {
        let plan: Plan = serde_json::from_str(
            r#"{"slot":"reader","model":"reader","version":2,"stages":[{"to":"100%","soak":"30d","cap":"60d"}],
            "gates":[{"serve-failure":{"limit":"10%"}},{"errors":{"margin":"1%"}},{"latency":{"budget":"50ms","margin":"1%"}},
            {"accuracy":{"margin":"1%"}},{"silence":{"after":"15m","margin":"10%"}},{"restarts":{"after":"15m","margin":"10%"}}]}"#,
        )
        .expect("it is a plan");
        let setup = Setup {
            plan,
            rollout: RolloutId(1),
            bytes: 4 << 20,
        };
        Self {
            engine: Engine::new(setup),
            devices,
            now: MORNING,
        }
    }

    /// All devices join. Once it is applied, those of the first stage are admitted.
    pub fn joins(&self) -> Batch {
        let joined = |index: u32| {
            let site = format!("site-{}", index % SITES);
            let platform = if index.is_multiple_of(3) {
                "linux aarch64"
            } else {
                "linux x86_64"
            };
            Event::Joined(Box::new(Joined {
                device: format!("d{index:07}")
                    .parse()
                    .expect("letters and digits are an id"),
                site: site.parse().expect("letters and digits are a name"),
                platform: platform.into(),
                zone: None,
            }))
        };
        Batch {
            at: wall(self.now),
            events: (0..self.devices).map(joined).collect(),
        }
    }

    fn part(&self, part: u32) -> impl Iterator<Item = Index> + use<> {
        (part..self.devices).step_by(PARTS as usize).map(Index)
    }

    /// One part of the fleet fetches the version and serves it for good.
    pub fn arrives(&mut self, part: u32) -> Batch {
        self.now += TICK;
        let mut events = Vec::new();
        for index in self.part(part) {
            events.push(Event::Heard(index));
            if self.engine.arm(index) != Some(Arm::Control) {
                events.extend([Event::Serving(index), Event::Confirmed(index)]);
            }
        }
        let at = wall(self.now);
        Batch { at, events }
    }

    /// One part of the fleet tells what it did up to a rung. Those that are asked what they did in time are of the same
    /// part, if parts arrived in order.
    pub fn tick(&mut self, part: u32, rung: u8) -> Batch {
        self.now += TICK;
        let at = wall(self.now);
        let gates = &self.engine.setup().plan.gates;
        let mut events = Vec::new();
        let first = rung == 0;
        for question in self.engine.questions(at) {
            let (device, gate) = (question.device, question.gate);
            if question.rung == 0 {
                events.push(Event::Usual(device, gate, 0));
            }
            events.push(Event::Rung(device, gate, question.rung, 0));
        }
        for index in self.part(part) {
            for (gate, rule) in gates.iter().enumerate() {
                let is_counted = matches!(
                    Counts::of(rule),
                    Counts::Errors | Counts::Slow | Counts::Wrong
                );
                if !is_counted {
                    continue;
                }
                let gate = GateIndex(gate as u8);
                let usual = level(index, gate, 100);
                if first {
                    events.push(Event::Usual(index, gate, usual));
                }
                let wobble = (40.0 * (uniform(5, index.0, u32::from(rung)) - 0.5)) as i16;
                let did = usual.saturating_add_signed(wobble).min(1_000);
                events.push(Event::Rung(index, gate, rung, did));
            }
            events.push(Event::Counted(index, 1 << rung, 20 << rung));
        }
        Batch { at, events }
    }
}

/// What a device usually does: four in five a little, the others up to two in five.
fn level(index: Index, gate: GateIndex, what: u32) -> u16 {
    let drawn = |which| uniform(4, index.0, what + 2 * u32::from(gate.0) + which);
    let share = if drawn(0) < 0.2 { 400.0 } else { 40.0 };
    (share * drawn(1)) as u16
}
