//! Hundreds of devices of different speed behind a broker that drops what a slow one does not take.

use std::collections::{BTreeSet, VecDeque};

use super::*;

/// A step of time.
const STEP: Duration = ms(20);

/// A device, and what the broker holds for it.
struct Device {
    /// Chunks a second that it takes.
    speed: f64,
    queue: VecDeque<u32>,
    have: BTreeSet<u32>,
    credit: f64,
    joins: Duration,
    asks: Duration,
    done: Option<Duration>,
}

struct World {
    carousel: Carousel,
    model: BlobRef,
    devices: Vec<Device>,
    /// Chunks that the broker holds for one device.
    room: usize,
    /// Chunks that the link between hub and broker takes in a step.
    link: usize,
    now: Duration,
    sent: usize,
}

impl World {
    fn new(chunks: u32, room: usize, speeds: impl Iterator<Item = f64>) -> Self {
        let devices = speeds.map(|speed| Device {
            speed,
            queue: VecDeque::new(),
            have: BTreeSet::new(),
            credit: 0.0,
            joins: Duration::ZERO,
            asks: Duration::ZERO,
            done: None,
        });
        Self {
            carousel: Carousel::new(Limits::default()),
            model: blob("model", chunks),
            devices: devices.collect(),
            room,
            // 1,000 chunks a second.
            link: 20,
            now: Duration::ZERO,
            sent: 0,
        }
    }

    fn step(&mut self) {
        let (model, now) = (self.model, self.now);
        for (number, device) in self.devices.iter_mut().enumerate() {
            if device.done.is_some() || now < device.joins || now < device.asks {
                continue;
            }
            device.asks = now + ms(3_000);
            let missing = (0..model.chunks()).filter(|index| !device.have.contains(index));
            let mut ranges: Vec<ChunkRange> = Vec::new();
            for index in missing {
                match ranges.last_mut() {
                    Some(range) if range.first + range.count == index => range.count += 1,
                    _ => ranges.push(ChunkRange {
                        first: index,
                        count: 1,
                    }),
                }
            }
            let _ = want(&mut self.carousel, now, number, model, &ranges);
        }
        for _ in 0..self.link {
            let Next::Send(job) = self.carousel.next(now) else {
                break;
            };
            self.sent += 1;
            let listening = |device: &&mut Device| device.done.is_none() && now >= device.joins;
            for device in self.devices.iter_mut().filter(listening) {
                if device.queue.len() >= self.room {
                    device.queue.pop_front();
                }
                device.queue.push_back(job.index);
            }
        }
        for device in &mut self.devices {
            device.credit = (device.credit + device.speed * STEP.as_secs_f64()).min(100.0);
            while device.credit >= 1.0 {
                let Some(index) = device.queue.pop_front() else {
                    break;
                };
                device.credit -= 1.0;
                device.asks = now + ms(3_000);
                device.have.insert(index);
                if device.have.len() == model.chunks() as usize {
                    device.done.get_or_insert(now);
                    device.queue.clear();
                }
            }
        }
        self.now += STEP;
    }

    /// Runs until all have all; when each had it.
    fn run(&mut self) -> Vec<Duration> {
        while self.devices.iter().any(|device| device.done.is_none()) {
            self.step();
            let waiting = self.devices.iter().filter(|device| device.done.is_none());
            assert!(
                self.now < Duration::from_hours(1),
                "{} devices never get it",
                waiting.count()
            );
        }
        self.devices
            .iter()
            .filter_map(|device| device.done)
            .collect()
    }
}

#[test]
fn four_hundred_and_ninety_nine_fast_devices_do_not_wait_for_a_slow_one() {
    let speeds = |slow: usize| (0..500).map(move |n| if n < slow { 20.0 } else { 2_000.0 });
    let alone = World::new(2_000, 200, speeds(0)).run();
    let alone = alone.into_iter().max().expect("they are");
    let mut world = World::new(2_000, 200, speeds(1));
    let done = world.run();
    let fast = done[1..].iter().max().expect("they are");
    assert!(
        *fast <= alone + ms(100),
        "{fast:?} beside a slow one, {alone:?} without"
    );
    // 2,000 chunks at 20 a second are a hundred seconds, if it does nothing but take.
    assert!(done[0] < Duration::from_secs(400), "{:?}", done[0]);
    assert!(
        world.sent < 5 * 2_000,
        "{} chunks were sent of 2000: the slow one is not waited for",
        world.sent
    );
}

#[test]
fn a_fleet_of_mixed_speed_gets_it_all_the_fast_ones_first() {
    let speed = |n: usize| [2_000.0, 400.0, 100.0, 40.0][n % 4];
    let mut world = World::new(500, 100, (0..400).map(speed));
    let done = world.run();
    for (number, at) in done.iter().enumerate() {
        let alone = 500.0 / speed(number);
        assert!(
            at.as_secs_f64() < 10.0 * alone + 60.0,
            "a device of {} chunks/s took {at:?}",
            speed(number)
        );
    }
    let fast = done.iter().step_by(4).max().expect("a hundred");
    assert!(*fast < Duration::from_secs(30), "{fast:?}");
    assert!(world.sent < 20 * 500, "{} chunks for 500", world.sent);
}

#[test]
fn a_fleet_that_is_slow_as_one_makes_the_blob_slow_down() {
    let mut world = World::new(1_000, 100, (0..300).map(|_| 50.0));
    world.run();
    // At full speed nine of ten chunks would be lost in each pass, ten passes and more.
    assert!(world.sent < 4 * 1_000, "{} chunks for 1000", world.sent);
}

#[test]
fn devices_that_keep_up_get_each_chunk_once() {
    let mut world = World::new(320, 2_048, (0..500).map(|n| 100.0 + f64::from(n)));
    for (number, device) in world.devices.iter_mut().enumerate() {
        device.joins = ms(number as u64 / 2);
        device.asks = device.joins;
    }
    world.run();
    assert!(world.sent <= 336, "{} chunks for 320", world.sent);
}
