//! A plain MQTT client: says and hears bytes on topics, whatever they mean.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use rumqttc::{Client, Event, MqttOptions, Outgoing, Packet, Publish, QoS};

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
    last_error: Mutex<String>,
}

impl Mqtt {
    /// Connects as `client_id`.
    #[track_caller]
    pub fn connect(broker: SocketAddr, client_id: &str) -> Self {
        let mut options = MqttOptions::new(client_id, broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(30));
        options.set_max_packet_size(PACKET, PACKET);
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
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
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
        });
        let mqtt = Self {
            client,
            heard,
            kept: Mutex::default(),
            state,
            said: AtomicU64::new(0),
            asked: AtomicU64::new(0),
        };
        wait::until("an MQTT connection", || {
            mqtt.reached(&mqtt.state.connected, 1)
        });
        mqtt
    }

    /// Publishes with QoS 1; [`Self::settled`] waits for the broker's answer.
    #[track_caller]
    pub fn say(&self, topic: &str, retain: bool, payload: Vec<u8>) {
        self.said.fetch_add(1, Ordering::SeqCst);
        let said = self
            .client
            .publish(topic, QoS::AtLeastOnce, retain, payload);
        said.expect("the connection's thread runs");
    }

    /// Waits until the broker has acknowledged everything that was said.
    #[track_caller]
    pub fn settled(&self) {
        let said = self.said.load(Ordering::SeqCst);
        wait::until("the broker's acknowledgements", || {
            self.reached(&self.state.acknowledged, said)
        });
    }

    /// Subscribes with QoS 1 and waits for the broker's answer.
    #[track_caller]
    pub fn hear(&self, filter: &str) {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.client
            .subscribe(filter, QoS::AtLeastOnce)
            .expect("the connection's thread runs");
        wait::until("a subscription", || {
            self.reached(&self.state.subscribed, asked)
        });
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
