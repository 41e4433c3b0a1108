//! One device that is only a voice.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    thread,
    time::{Duration, Instant as Moment},
};

use tern_protocol::{
    codec,
    desired::Desired,
    digest::Digest,
    id::{BootId, DeviceId, OutboxId, PredictionId, Revision, Sequence},
    log::{Ack, Batch, Body, Entry, Label},
    reported::{
        Link, OutboxReport, Platform, RejectReason, Rejected, Reported, Resources, Serving,
        SlotReport, SlotVersion,
    },
    time::{Instant, Uptime},
    topic::Channel,
};

use super::{Conduct, Conducts};
use crate::{agent::SLOT, device::topic, mqtt::Mqtt, noise::Noise};

/// Length of a window: as short as what is said of it allows.
const WINDOW: Duration = Duration::from_millis(400);

/// Entries in one batch.
const BATCH: usize = 40;

/// One device.
pub(super) struct Voice {
    broker: SocketAddr,
    id: DeviceId,
    number: usize,
    platform: &'static str,
    mqtt: Option<Mqtt>,
    boot: u32,
    booted: Moment,
    desired: Option<Desired>,
    answered: Revision,
    serving: Option<SlotVersion>,
    weights: Option<Digest>,
    rejected: Option<Rejected>,
    entries: VecDeque<Entry>,
    sequence: u64,
    acked: u64,
    opened: Moment,
    predictions: u64,
    noise: Noise,
    sent: Moment,
    told: bool,
}

impl Voice {
    pub(super) fn new(broker: SocketAddr, number: usize) -> Self {
        let now = Moment::now();
        Self {
            broker,
            id: format!("played-{number:03}").parse().expect("a name"),
            number,
            platform: if number.is_multiple_of(2) {
                "aarch64"
            } else {
                "armv7"
            },
            mqtt: None,
            boot: 1,
            booted: now,
            desired: None,
            answered: Revision::default(),
            serving: None,
            weights: None,
            rejected: None,
            entries: VecDeque::new(),
            sequence: 0,
            acked: 0,
            opened: now,
            predictions: 0,
            noise: Noise::seeded(number as u64),
            sent: now,
            told: false,
        }
    }

    /// The device's id.
    pub(super) fn name(&self) -> String {
        self.id.to_string()
    }

    /// What it serves.
    pub(super) const fn serving(&self) -> Option<&SlotVersion> {
        self.serving.as_ref()
    }

    /// Does what is due.
    pub(super) fn round(
        &mut self,
        weights: &BTreeMap<u32, Digest>,
        conducts: &Conducts,
        started: Moment,
    ) {
        let version = self.serving.as_ref().map(|serving| serving.version.get());
        let conduct = version.map(|version| conducts(self.number, self.platform, version));
        if conduct.is_some_and(|conduct| conduct.silent) {
            // What its last will says: these clients have none.
            let gone = Link {
                online: false,
                boot: BootId(self.boot),
            };
            if self.say(Channel::Link, codec::encode(&gone))
                && let Some(mqtt) = self.mqtt.take()
            {
                mqtt.settled();
            }
            return;
        }
        if !self.connected() {
            return;
        }
        self.listen();
        if let Some(desired) = self
            .desired
            .take_if(|desired| desired.revision > self.answered)
        {
            self.obey(&desired, weights, conducts);
        }
        if let Some(conduct) = conduct
            && self.opened.elapsed() >= WINDOW
        {
            self.close(conduct);
            if conduct.restarts && started.elapsed() > WINDOW {
                self.boot += 1;
                self.booted = Moment::now();
                self.told = false;
            }
        }
        if !self.told {
            self.tell();
        }
        self.send();
    }

    fn connected(&mut self) -> bool {
        if self.mqtt.as_ref().is_some_and(Mqtt::has_ended) {
            self.mqtt = None;
        }
        if self.mqtt.is_none() {
            let mqtt = Mqtt::open(self.broker, self.id.as_str(), None);
            let since = Moment::now();
            while !mqtt.is_connected()
                && !mqtt.has_ended()
                && since.elapsed() < Duration::from_secs(5)
            {
                thread::yield_now();
            }
            if !mqtt.is_connected() || mqtt.has_ended() {
                return false;
            }
            if !mqtt.asks_to_hear(&topic(&self.id, Channel::Desired))
                || !mqtt.asks_to_hear(&topic(&self.id, Channel::Ack))
            {
                return false;
            }
            self.mqtt = Some(mqtt);
            self.told = false;
            self.sent = Moment::now();
        }
        true
    }

    fn listen(&mut self) {
        let Some(mqtt) = &self.mqtt else { return };
        let wanted = topic(&self.id, Channel::Desired);
        for bytes in mqtt.take(|topic| topic == wanted) {
            let desired: Desired = codec::decode(&bytes).expect("the hub says what it wants");
            if self
                .desired
                .as_ref()
                .is_none_or(|known| known.revision < desired.revision)
            {
                self.desired = Some(desired);
            }
        }
        let acks = topic(&self.id, Channel::Ack);
        for bytes in mqtt.take(|topic| topic == acks) {
            let ack: Ack = codec::decode(&bytes).expect("the hub sends acks");
            self.acked = self.acked.max(ack.stored.0);
        }
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.sequence.0 <= self.acked)
        {
            self.entries.pop_front();
        }
    }

    /// Does what is wanted, at once.
    fn obey(&mut self, desired: &Desired, weights: &BTreeMap<u32, Digest>, conducts: &Conducts) {
        self.answered = desired.revision;
        self.told = false;
        let Some(want) = desired.slots.iter().find(|want| want.slot.as_str() == SLOT) else {
            return;
        };
        let version = SlotVersion {
            model: want.model.clone(),
            version: want.version,
            bundle: want.bundle.digest,
        };
        if conducts(self.number, self.platform, want.version.get()).refuses {
            self.rejected = Some(Rejected {
                version,
                reason: RejectReason::GoldenMismatch,
                text: "sample 3 differs by 0.4".into(),
            });
            return;
        }
        self.rejected = None;
        if self.serving.as_ref() != Some(&version) {
            self.serving = Some(version);
            self.weights = weights.get(&want.version.get()).copied();
            self.opened = Moment::now();
        }
    }

    fn now(&self) -> Instant {
        self.moment(Moment::now())
    }

    fn moment(&self, at: Moment) -> Instant {
        let since = at.saturating_duration_since(self.booted);
        Instant {
            boot: BootId(self.boot),
            uptime: Uptime(since.as_millis() as u64),
        }
    }

    /// Closes a window.
    fn close(&mut self, conduct: Conduct) {
        let Some(serving) = self.serving.clone() else {
            return;
        };
        let now = Moment::now();
        let opened = self.opened.max(self.booted);
        self.opened = now;
        let (opened, closed) = (self.moment(opened), self.moment(now));
        let window = conduct.window(&serving, opened, closed, &mut self.noise);
        self.entry(Body::Window(Box::new(window)));
        for _ in 0..conduct.labels {
            self.predictions += 1;
            let wrong = self.noise.happens(conduct.wrong);
            let label = Label {
                prediction: PredictionId {
                    boot: BootId(self.boot),
                    number: self.predictions,
                },
                slot: SLOT.parse().expect("a name"),
                model: serving.model.clone(),
                version: serving.version,
                predicted_at: closed,
                subject: None,
                class: u32::from(wrong),
                confidence: 0.9,
                truth: 0,
            };
            self.entry(Body::Label(Box::new(label)));
        }
    }

    fn entry(&mut self, body: Body) {
        self.sequence += 1;
        let entry = Entry {
            sequence: Sequence(self.sequence),
            at: self.now(),
            wall: None,
            body,
        };
        self.entries.push_back(entry);
    }

    /// Says what it is.
    fn tell(&mut self) {
        let now = self.now();
        let serving = self
            .serving
            .as_ref()
            .zip(self.weights)
            .map(|(version, weights)| Serving {
                version: version.clone(),
                weights,
                since: now,
                inferences: 0,
                errors: 0,
                golden_difference: 0.0,
                confirmed: true,
            });
        let reported = Reported {
            agent: "0.1.0".into(),
            now,
            wall: None,
            site: "harbour".parse().expect("a name"),
            labels: BTreeMap::default(),
            platform: Platform {
                os: "linux".into(),
                arch: self.platform.into(),
                cpus: 1,
            },
            resources: Resources::default(),
            answers: self.answered,
            slots: vec![SlotReport {
                slot: SLOT.parse().expect("a name"),
                serving,
                previous: None,
                progress: None,
                rejected: self.rejected.clone(),
                shadow: None,
            }],
            outbox: OutboxReport::default(),
            malformed: 0,
            trust: None,
            deltas: None,
            erased: None,
            captures: None,
        };
        let link = Link {
            online: true,
            boot: BootId(self.boot),
        };
        let said = self.say(Channel::Link, codec::encode(&link))
            && self.say(Channel::State, codec::encode(&reported));
        self.told = said;
    }

    /// Sends what was not acknowledged: at once if there is something new, else again after a while.
    fn send(&mut self) {
        let Some(first) = self.entries.front() else {
            return;
        };
        if self.sent.elapsed() < WINDOW {
            return;
        }
        self.sent = Moment::now();
        let batch = Batch {
            outbox: OutboxId(1),
            acked: Sequence(self.acked),
            after: Sequence(first.sequence.0 - 1),
            now: self.now(),
            entries: self.entries.iter().take(BATCH).cloned().collect(),
        };
        self.say(Channel::Log, codec::encode(&batch));
    }

    fn say(&self, channel: Channel, payload: Vec<u8>) -> bool {
        let topic = topic(&self.id, channel);
        let mqtt = self.mqtt.as_ref();
        mqtt.is_some_and(|mqtt| mqtt.try_say(&topic, channel.retained(), payload))
    }
}
