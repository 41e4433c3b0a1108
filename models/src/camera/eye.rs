//! One camera: takes pictures in its rhythm and sends them, until its orders end.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Instant,
};

use tern_protocol::id::DeviceId;

use super::{
    command::{Meter, Scene},
    oip::{Answer, Line, ShotError},
    pace::Pace,
};
use crate::{data::Sample, frames::Walk};

/// Orders that wait while a camera is busy with a request.
pub(super) const ORDERS: usize = 64;

/// What a running camera is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Its site looks different now.
    Scene(Scene),
    /// Its agent has moved, or its rate has changed.
    Meter(Box<Meter>),
}

/// A picture that was taken and sent.
#[derive(Debug)]
pub(super) struct Shot {
    pub(super) device: DeviceId,
    /// What it really shows.
    pub(super) digit: u8,
    pub(super) answer: Result<Answer, ShotError>,
    /// Whether it is the first in a row that got no answer.
    pub(super) first_failure: bool,
}

/// The camera's own state.
pub(super) struct Eye {
    meter: Meter,
    scene: Scene,
    field: Arc<[Sample]>,
    walk: Walk,
    line: Line,
    /// The next frame of the walk.
    frame: u64,
}

impl Eye {
    pub(super) fn new(meter: Meter, scene: Scene, field: Arc<[Sample]>) -> Self {
        Self {
            walk: walk(&field, &meter, &scene),
            line: Line::new(meter.agent, &meter.slot),
            meter,
            scene,
            field,
            frame: 0,
        }
    }

    /// Takes pictures until the orders end or nobody wants them any more.
    pub(super) fn run(mut self, orders: &Receiver<Order>, taken: impl Fn(Shot) -> bool) {
        let mut pace = Pace::new(self.meter.rate, Instant::now());
        loop {
            match orders.recv_timeout(pace.wait(Instant::now())) {
                Ok(Order::Scene(scene)) => self.look(scene),
                Ok(Order::Meter(meter)) => {
                    self.line = Line::new(meter.agent, &meter.slot);
                    pace.change(meter.rate, Instant::now());
                    self.meter = *meter;
                    self.look(self.scene);
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    if !taken(self.shoot(&mut pace)) {
                        return;
                    }
                }
            }
        }
    }

    fn look(&mut self, scene: Scene) {
        self.walk = walk(&self.field, &self.meter, &scene);
        self.scene = scene;
    }

    fn shoot(&mut self, pace: &mut Pace) -> Shot {
        let seen = self.walk.frame(self.frame, &self.scene.corruption);
        let answer = self.line.infer(&seen.image);
        let now = Instant::now();
        let first_failure = if answer.is_ok() {
            pace.answered(now);
            self.frame += 1;
            false
        } else {
            pace.failed(now)
        };
        Shot {
            device: self.meter.device.clone(),
            digit: seen.digit,
            answer,
            first_failure,
        }
    }
}

fn walk(field: &[Sample], meter: &Meter, scene: &Scene) -> Walk {
    let images = scene.images.of(field);
    Walk::new(images, meter.seed).expect("each half of the field part shows every digit (tested)")
}
