//! The other end of the wire, in one thread a connection: a broker and a hub just good enough for
//! one agent. It speaks MQTT by the client library's own codec and keeps the hub's side of the
//! contract (`tern_protocol::log`): chunks for wants, acks for batches.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use bytes::BytesMut;
use rumqttc::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode, UnsubAck,
};
use tern_protocol::{
    blob::{BlobRef, Chunk, ChunkRange, Want},
    codec,
    desired::Desired,
    digest::Digest,
    id::{DeviceId, Sequence, WorkspaceId},
    log::{Ack, Batch, Body, Entry, EventKind},
    metadata::{Newest, Roots},
    reported::{Link, Reported},
    time::WallTime,
    topic::{Channel, MetadataRole, Topic},
};
use tern_trust::author::{Keys, Repository};

const PACKET_MAX: usize = 1 << 20;

/// When everything was signed: the clocks of devices have no say.
pub const NOW: WallTime = WallTime(1_790_000_000_000);

/// What the hub has and has heard.
#[derive(Default)]
pub struct State {
    pub blobs: HashMap<Digest, Vec<u8>>,
    pub desired: Option<Desired>,
    /// Chunks that may still be sent; `None`: as many as are wanted.
    pub chunks_left: Option<usize>,
    /// Whether batches are stored and acknowledged.
    pub acks: bool,
    pub wants: Vec<Want>,
    pub entries: BTreeMap<Sequence, Entry>,
    pub last: Sequence,
    pub reported: Option<Reported>,
    pub link: Option<Link>,
    pub connections: u32,
    pub subscriptions: BTreeSet<String>,
    /// What is published on the topics of the metadata, retained.
    pub metadata: BTreeMap<String, Vec<u8>>,
    connection: Option<TcpStream>,
}

#[derive(Clone)]
pub struct Hub {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    signer: Arc<Mutex<Signer>>,
}

/// Who signs what this hub offers.
pub struct Signer {
    pub keys: Keys,
    pub repository: Repository,
    /// What is offered of it, which the next change takes back.
    offered: Vec<Digest>,
}

impl Hub {
    pub fn start() -> Self {
        let keys = Keys::development().expect("keys");
        let repository = Repository::create(&keys, NOW);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let hub = Self {
            address: listener.local_addr().expect("it is bound"),
            state: Arc::new(Mutex::new(State {
                acks: true,
                ..State::default()
            })),
            signer: Arc::new(Mutex::new(Signer {
                keys,
                repository,
                offered: Vec::new(),
            })),
        };
        hub.announce();
        let accepting = hub.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hub = accepting.clone();
                thread::spawn(move || hub.converse(stream));
            }
        });
        hub
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a blob; gives its reference.
    pub fn offer(&self, bytes: Vec<u8>) -> BlobRef {
        let blob = BlobRef::of(&bytes);
        self.state().blobs.insert(blob.digest, bytes);
        blob
    }

    /// Changes the signed metadata, and tells of it.
    pub fn sign(&self, change: impl FnOnce(&mut Repository, &Keys)) {
        {
            let mut signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
            let Signer {
                keys, repository, ..
            } = &mut *signer;
            change(repository, keys);
        }
        self.announce();
    }

    fn announce(&self) {
        let mut signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in std::mem::take(&mut signer.offered) {
            self.state().blobs.remove(&digest);
        }
        let repository = &signer.repository;
        let roots = repository.roots.iter();
        let roots = Roots {
            roots: roots
                .map(|root| self.offer(root.bytes().to_vec()))
                .collect(),
        };
        let newest = Newest {
            timestamp: repository.timestamp.bytes().to_vec(),
            snapshot: self.offer(repository.snapshot.bytes().to_vec()),
            targets: self.offer(repository.targets.bytes().to_vec()),
        };
        signer.offered = vec![newest.snapshot.digest, newest.targets.digest];
        let told = [
            (MetadataRole::Root, codec::encode(&roots)),
            (MetadataRole::Timestamp, codec::encode(&newest)),
        ];
        for (role, payload) in told {
            let workspace = workspace();
            let topic = Topic::Metadata { workspace, role }.to_string();
            self.state().metadata.insert(topic.clone(), payload.clone());
            self.publish(&topic, payload);
        }
    }

    /// Signs for what is desired, and says it, now and to whoever subscribes later.
    pub fn desire(&self, desired: Desired) {
        self.sign(|repository, keys| {
            for slot in &desired.slots {
                repository.add(&slot.model, slot.version, slot.bundle, keys, NOW);
            }
        });
        self.desire_unsigned(desired);
    }

    /// Says what the device should be, now and to whoever subscribes later.
    pub fn desire_unsigned(&self, desired: Desired) {
        let payload = codec::encode(&desired);
        self.state().desired = Some(desired);
        self.publish(&topic(Channel::Desired), payload);
    }

    /// Sends anything to the device.
    pub fn publish(&self, topic: &str, payload: Vec<u8>) {
        let packet = Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload));
        write(&self.state(), &packet);
    }

    /// Cuts the connection without a word.
    pub fn cut(&self) {
        if let Some(stream) = self.state().connection.take() {
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
    }

    /// Inferences in the windows stored so far.
    pub fn inferences(&self) -> u64 {
        let state = self.state();
        let windows = state.entries.values().map(|entry| match &entry.body {
            Body::Window(window) => window.inferences,
            _ => 0,
        });
        windows.sum()
    }

    /// The kinds of events stored so far, in order, without those about metadata, whose place among them
    /// is left to chance.
    pub fn events(&self) -> Vec<EventKind> {
        let state = self.state();
        let events = state
            .entries
            .values()
            .filter_map(|entry| match &entry.body {
                Body::Event(event) if event.kind != EventKind::Metadata => Some(event.kind),
                _ => None,
            });
        events.collect()
    }

    fn converse(&self, mut stream: TcpStream) {
        let mut buffer = BytesMut::new();
        let mut bytes = [0; 16 * 1024];
        loop {
            match Packet::read(&mut buffer, PACKET_MAX) {
                Ok(packet) => self.hear(packet, &stream),
                Err(_) => match stream.read(&mut bytes) {
                    Ok(0) | Err(_) => return,
                    Ok(n) => buffer.extend_from_slice(&bytes[..n]),
                },
            }
        }
    }

    fn hear(&self, packet: Packet, stream: &TcpStream) {
        let mut state = self.state();
        match packet {
            Packet::Connect(_) => {
                state.connection = stream.try_clone().ok();
                state.connections += 1;
                state.subscriptions.clear();
                let code = ConnectReturnCode::Success;
                write(&state, &Packet::ConnAck(ConnAck::new(code, false)));
            }
            Packet::Subscribe(subscribe) => {
                let filter = subscribe.filters[0].path.clone();
                let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
                write(&state, &Packet::SubAck(SubAck::new(subscribe.pkid, codes)));
                if filter == topic(Channel::Desired)
                    && let Some(desired) = &state.desired
                {
                    let payload = codec::encode(desired);
                    let retained = Publish::new(filter.as_str(), QoS::AtMostOnce, payload);
                    write(&state, &Packet::Publish(retained));
                }
                if let Some(payload) = state.metadata.get(&filter) {
                    let retained = Publish::new(filter.as_str(), QoS::AtMostOnce, payload.clone());
                    write(&state, &Packet::Publish(retained));
                }
                state.subscriptions.insert(filter);
            }
            Packet::Unsubscribe(unsubscribe) => {
                for topic in &unsubscribe.topics {
                    state.subscriptions.remove(topic);
                }
                write(&state, &Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)));
            }
            Packet::PingReq => write(&state, &Packet::PingResp),
            Packet::Publish(publish) => {
                if publish.qos == QoS::AtLeastOnce {
                    write(&state, &Packet::PubAck(PubAck::new(publish.pkid)));
                }
                state.take(&publish);
            }
            _ => {}
        }
    }
}

impl State {
    fn take(&mut self, publish: &Publish) {
        let Ok(Topic::Device { channel, .. }) = publish.topic.parse() else {
            panic!("the agent publishes on {}", publish.topic);
        };
        let payload = &publish.payload;
        match channel {
            Channel::Link => self.link = Some(codec::decode(payload).expect("a link")),
            Channel::State => self.reported = Some(codec::decode(payload).expect("a report")),
            Channel::Want => {
                let want: Want = codec::decode(payload).expect("a want");
                self.serve(&want);
                self.wants.push(want);
            }
            Channel::Log => {
                let batch: Batch = codec::decode(payload).expect("a batch");
                self.store(batch);
            }
            Channel::Desired | Channel::Ack => panic!("the agent speaks down"),
        }
    }

    fn serve(&mut self, want: &Want) {
        let Some(bytes) = self.blobs.get(&want.blob).cloned() else {
            return;
        };
        let topic = blob_topic(want.blob);
        for index in want.ranges.iter().copied().flat_map(indices) {
            match &mut self.chunks_left {
                Some(0) => return,
                Some(left) => *left -= 1,
                None => {}
            }
            let start = index as usize * tern_protocol::limits::CHUNK;
            let end = (start + tern_protocol::limits::CHUNK).min(bytes.len());
            let bytes = bytes[start..end].to_vec();
            let chunk = codec::encode(&Chunk { index, bytes });
            let publish = Publish::new(topic.as_str(), QoS::AtMostOnce, chunk);
            write(self, &Packet::Publish(publish));
        }
    }

    fn store(&mut self, batch: Batch) {
        if !self.acks {
            return;
        }
        if batch.after <= self.last.max(batch.acked) {
            for entry in batch.entries {
                if entry.sequence > self.last {
                    self.last = entry.sequence;
                    self.entries.insert(entry.sequence, entry);
                }
            }
        }
        let ack = codec::encode(&Ack {
            outbox: batch.outbox,
            stored: self.last,
        });
        let publish = Publish::new(topic(Channel::Ack), QoS::AtMostOnce, ack);
        write(self, &Packet::Publish(publish));
    }
}

pub fn indices(range: ChunkRange) -> std::ops::Range<u32> {
    range.first..range.first + range.count
}

pub fn topic(channel: Channel) -> String {
    let topic = Topic::Device {
        workspace: workspace(),
        device: device(),
        channel,
    };
    topic.to_string()
}

/// The topics on which devices hear of metadata.
pub fn metadata_topics() -> impl Iterator<Item = String> {
    tern_protocol::topic::metadata(&workspace())
}

pub fn blob_topic(digest: Digest) -> String {
    let workspace = workspace();
    Topic::Blob { workspace, digest }.to_string()
}

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn device() -> DeviceId {
    "meter-01".parse().expect("a name")
}

fn write(state: &State, packet: &Packet) {
    if let Some(mut stream) = state.connection.as_ref() {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, PACKET_MAX).expect("it is small");
        // A connection that is gone is noticed by its reader.
        stream.write_all(&bytes).ok();
    }
}
