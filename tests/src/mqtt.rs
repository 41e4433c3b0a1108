//! An MQTT client: says and hears bytes on topics, whatever they mean, with or without TLS.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use rumqttc::{
    Client, Event, MqttOptions, Outgoing, Packet, Publish, QoS, SubscribeReasonCode,
    TlsConfiguration, Transport,
};

use rustls::ClientConfig;

use crate::wait;

/// Requests that may wait in the client.
const QUEUE: usize = 256;

/// A packet with its headers: a payload of the protocol and room for the topic.
const PACKET: usize = tern_protocol::limits::PAYLOAD + 1024;

/// A connected client. Ends when dropped.
pub struct Mqtt {
    client: Client,
    heard: Receiver<Publish>,
    kept: Mutex<Vec<(String, Vec<u8>)>>,
    state: Arc<State>,
    said: AtomicU64,
    asked: AtomicU64,
}

#[derive(Default)]
struct State {
    connected: AtomicU64,
    acknowledged: AtomicU64,
    subscribed: AtomicU64,
    granted: Mutex<Vec<bool>>,
    last_error: Mutex<String>,
    ended: AtomicBool,
}

impl Mqtt {
    /// Connects as `client_id`, without TLS.
    #[track_caller]
    pub fn connect(broker: SocketAddr, client_id: &str) -> Self {
        let mqtt = Self::open(broker, client_id, None);
        mqtt.connected();
        mqtt
    }

    /// Connects as `client_id` with these certificates.
    #[track_caller]
    pub fn connect_tls(broker: SocketAddr, client_id: &str, tls: Arc<ClientConfig>) -> Self {
        let mqtt = Self::open(broker, client_id, Some(tls));
        mqtt.connected();
        mqtt
    }

    /// Tries to connect with these certificates, which must be refused; what was heard then.
    #[track_caller]
    pub fn refused(broker: SocketAddr, client_id: &str, tls: Arc<ClientConfig>) -> String {
        let mqtt = Self::open(broker, client_id, Some(tls));
        let heard = mqtt.ended();
        let connected = mqtt.state.connected.load(Ordering::SeqCst);
        assert_eq!(connected, 0, "{client_id} was let in, then: {heard}");
        heard
    }

    /// Starts to connect.
    #[track_caller]
    pub fn open(broker: SocketAddr, client_id: &str, tls: Option<Arc<ClientConfig>>) -> Self {
        let mut options = MqttOptions::new(client_id, broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(30));
        // What we say is for the broker to judge, so there is room for more than it takes.
        options.set_max_packet_size(PACKET, 4 * PACKET);
        if let Some(tls) = tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
        }
        let (client, mut connection) = Client::new(options, QUEUE);
        let (hears, heard) = mpsc::channel();
        let state = Arc::new(State::default());
        let seen = Arc::clone(&state);
        thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        seen.connected.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(Event::Incoming(Packet::PubAck(_))) => {
                        seen.acknowledged.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(Event::Incoming(Packet::SubAck(ack))) => {
                        let granted = ack.return_codes.iter();
                        let granted =
                            granted.map(|code| matches!(code, SubscribeReasonCode::Success(_)));
                        seen.granted.lock().expect("not poisoned").extend(granted);
                        seen.subscribed.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        if hears.send(publish).is_err() {
                            break;
                        }
                    }
                    Ok(Event::Outgoing(Outgoing::Disconnect)) => break,
                    Ok(_) => {}
                    Err(err) => {
                        *seen.last_error.lock().expect("not poisoned") = err.to_string();
                        break;
                    }
                }
            }
            seen.ended.store(true, Ordering::SeqCst);
        });
        Self {
            client,
            heard,
            kept: Mutex::default(),
            state,
            said: AtomicU64::new(0),
            asked: AtomicU64::new(0),
        }
    }

    #[track_caller]
    fn connected(&self) {
        wait::until("an MQTT connection", || {
            let error = &self.state.last_error;
            assert!(
                self.is_connected() || !self.has_ended(),
                "the broker refused a connection: {}",
                error.lock().expect("not poisoned")
            );
            self.reached(&self.state.connected, 1)
        });
    }

    /// Waits until the connection has ended; why.
    #[track_caller]
    pub fn ended(&self) -> String {
        wait::until("the end of an MQTT connection", || {
            wait::that(self.has_ended(), || "it stands".into())
        });
        self.state.last_error.lock().expect("not poisoned").clone()
    }

    /// Whether the broker let it in, now or earlier.
    pub fn is_connected(&self) -> bool {
        self.state.connected.load(Ordering::SeqCst) > 0
    }

    /// Whether the connection has ended.
    pub fn has_ended(&self) -> bool {
        self.state.ended.load(Ordering::SeqCst)
    }

    /// Publishes with QoS 1; [`Self::settled`] waits for the broker's answer.
    #[track_caller]
    pub fn say(&self, topic: &str, retain: bool, payload: Vec<u8>) {
        assert!(
            self.try_say(topic, retain, payload),
            "the connection's thread runs"
        );
    }

    /// As [`Self::say`], unless the broker has ended the connection already.
    pub fn try_say(&self, topic: &str, retain: bool, payload: Vec<u8>) -> bool {
        self.said.fetch_add(1, Ordering::SeqCst);
        let said = self
            .client
            .publish(topic, QoS::AtLeastOnce, retain, payload);
        said.is_ok()
    }

    /// Waits until the broker has acknowledged everything that was said.
    #[track_caller]
    pub fn settled(&self) {
        let said = self.said.load(Ordering::SeqCst);
        wait::until("the broker's acknowledgements", || {
            self.reached(&self.state.acknowledged, said)
        });
    }

    /// Whether the broker has acknowledged everything that was said.
    pub fn is_settled(&self) -> bool {
        self.state.acknowledged.load(Ordering::SeqCst) >= self.said.load(Ordering::SeqCst)
    }

    /// Subscribes with QoS 1, which must be granted.
    #[track_caller]
    pub fn hear(&self, filter: &str) {
        assert!(self.asks_to_hear(filter), "{filter} was refused");
    }

    /// Subscribes with QoS 1 and waits for the broker's answer: whether it was granted. A broker
    /// that ends the connection instead has refused.
    #[track_caller]
    pub fn asks_to_hear(&self, filter: &str) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        if self.client.subscribe(filter, QoS::AtLeastOnce).is_err() {
            // Its thread has ended with the connection.
            return false;
        }
        wait::until("a subscription", || {
            let answered = self.reached(&self.state.subscribed, asked);
            if self.has_ended() { Ok(()) } else { answered }
        });
        let granted = self.state.granted.lock().expect("not poisoned");
        granted.get(asked as usize - 1).copied().unwrap_or(false)
    }

    /// Everything heard so far whose topic satisfies `wanted`.
    pub fn heard(&self, wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
        let mut kept = self.kept.lock().expect("not poisoned");
        kept.extend(
            self.heard
                .try_iter()
                .map(|publish| (publish.topic, publish.payload.to_vec())),
        );
        let payloads = kept.iter().filter(|(topic, _)| wanted(topic));
        payloads.map(|(_, payload)| payload.clone()).collect()
    }

    /// Takes what was heard so far whose topic satisfies `wanted`: it is not heard again.
    pub fn take(&self, wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
        let payloads = self.heard(&wanted);
        let mut kept = self.kept.lock().expect("not poisoned");
        kept.retain(|(topic, _)| !wanted(topic));
        payloads
    }

    fn reached(&self, counter: &AtomicU64, wanted: u64) -> Result<(), String> {
        let count = counter.load(Ordering::SeqCst);
        wait::that(count >= wanted, || {
            let error = self.state.last_error.lock().expect("not poisoned");
            format!("{count} of {wanted}, last error: {error}")
        })
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        // The thread may have ended with the broker.
        let _ = self.client.try_disconnect();
    }
}
