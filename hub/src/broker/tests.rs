//! Behaviour of the real broker that the hub relies on.

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, Packet, Publish, QoS};
use tokio::time::timeout;

use super::*;

/// Longest that any of these takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

async fn broker() -> Broker {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    start(any_port).await.expect("the broker starts")
}

async fn start(plain: SocketAddr) -> Result<Broker, BrokerError> {
    Broker::start(Some(plain), Arc::new(Counters::default())).await
}

/// Where anybody on this machine connects.
fn plain(broker: &Broker) -> SocketAddr {
    broker.plain.expect("it was asked for")
}

fn connect(id: &str, to: SocketAddr) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, to.ip().to_string(), to.port());
    options
        .set_max_packet_size(256 * 1024, 256 * 1024)
        .set_inflight(100);
    AsyncClient::new(options, 100)
}

async fn until(
    connection: &mut EventLoop,
    mut wanted: impl FnMut(&Incoming) -> bool,
) -> Result<(), String> {
    let polling = async {
        loop {
            match connection.poll().await {
                Ok(Event::Incoming(packet)) if wanted(&packet) => return Ok(()),
                Ok(_) => {}
                Err(err) => return Err(err.to_string()),
            }
        }
    };
    timeout(PATIENCE, polling)
        .await
        .map_err(|_| "waited too long".to_owned())?
}

async fn subscribed(id: &str, to: SocketAddr, filter: &str) -> (AsyncClient, EventLoop) {
    subscribe(connect(id, to), filter).await
}

/// The hub's own client.
async fn hub(broker: &Broker, filter: &str) -> (AsyncClient, EventLoop) {
    let address = broker.hub.address;
    let mut options = MqttOptions::new("hub", address.ip().to_string(), address.port());
    options
        .set_max_packet_size(256 * 1024, 256 * 1024)
        .set_credentials("hub", broker.hub.password.reveal());
    subscribe(AsyncClient::new(options, 100), filter).await
}

async fn subscribe(
    (client, mut connection): (AsyncClient, EventLoop),
    filter: &str,
) -> (AsyncClient, EventLoop) {
    client
        .subscribe(filter, QoS::AtLeastOnce)
        .await
        .expect("room in the queue");
    let subscribed = until(&mut connection, |packet| {
        matches!(packet, Packet::SubAck(_))
    })
    .await;
    subscribed.expect("it subscribes");
    (client, connection)
}

fn publishes(packet: &Incoming) -> Option<&Publish> {
    match packet {
        Packet::Publish(publish) => Some(publish),
        _ => None,
    }
}

/// Sends numbers on a topic of its own until the broker has confirmed all of them.
async fn send_numbers(sender: usize, many: usize, to: SocketAddr) {
    let (client, mut connection) = connect(&format!("device-{sender}"), to);
    let sending = tokio::spawn(async move {
        for n in 0..many {
            let sent = client.publish(
                format!("tern/1/t/{sender}"),
                QoS::AtLeastOnce,
                false,
                n.to_string(),
            );
            sent.await.expect("the connection lives");
        }
    });
    let mut confirmed = 0;
    let all = until(&mut connection, |packet| {
        confirmed += usize::from(matches!(packet, Packet::PubAck(_)));
        confirmed == many
    });
    all.await.expect("all are confirmed");
    sending.await.expect("all are sent");
}

/// The hub reads nothing until the whole burst is confirmed to its senders, as when its database is
/// busy: what the broker confirmed has to be in its queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_fifty_thousand_into_a_busy_hub_is_whole() {
    const SENDERS: usize = 5;
    const EACH: usize = 10_000;
    let broker = broker().await;
    let (_hub, mut hearing) = hub(&broker, "tern/1/t/#").await;
    let senders = (0..SENDERS).map(|sender| send_numbers(sender, EACH, plain(&broker)));
    futures::future::join_all(senders).await;
    // Each sender's messages come in their order, and all of them.
    let mut next = [0; SENDERS];
    let mut left = SENDERS * EACH;
    let heard = until(&mut hearing, |packet| {
        if let Some(publish) = publishes(packet) {
            let sender: usize = publish.topic["tern/1/t/".len()..]
                .parse()
                .expect("a number");
            let number: usize = String::from_utf8_lossy(&publish.payload)
                .parse()
                .expect("one too");
            assert_eq!(number, next[sender], "sender {sender}");
            next[sender] += 1;
            left -= 1;
        }
        left == 0
    });
    heard
        .await
        .unwrap_or_else(|err| panic!("{err}: {left} messages are missing"));
    broker.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_payload_passes_and_is_retained() {
    let broker = broker().await;
    let payload = vec![7; limits::PAYLOAD];
    let (client, mut connection) = connect("device", plain(&broker));
    let sent = client
        .publish("tern/1/t/x", QoS::AtLeastOnce, true, payload.clone())
        .await;
    sent.expect("room in the queue");
    until(&mut connection, |packet| {
        matches!(packet, Packet::PubAck(_))
    })
    .await
    .expect("confirmed");
    let (_late, mut hearing) = subscribed("late", plain(&broker), "tern/1/t/+").await;
    let heard = until(&mut hearing, |packet| {
        publishes(packet).is_some_and(|publish| publish.retain && publish.payload == payload)
    });
    heard
        .await
        .expect("the retained message comes to those who come later");
    broker.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_free_again_after_a_stop_and_a_taken_one_is_named() {
    let first = broker().await;
    let address = plain(&first);
    let (_client, mut connection) = connect("device", address);
    until(&mut connection, |packet| {
        matches!(packet, Packet::ConnAck(_))
    })
    .await
    .expect("connects");
    match start(address).await {
        Err(BrokerError::Bind { address: named, .. }) => assert_eq!(named, address),
        other => panic!("expected a refusal, got {other:?}"),
    }
    first.stop();
    until(&mut connection, |_| false)
        .await
        .expect_err("the connection is closed");
    let again = async {
        loop {
            match start(address).await {
                Ok(broker) => return broker,
                // The old runtime ends in the background.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    timeout(PATIENCE, again)
        .await
        .expect("the port is free again")
        .stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_will_is_published_when_a_device_is_cut_off() {
    let broker = broker().await;
    let (_hub, mut hearing) = hub(&broker, "tern/1/t/#").await;
    let mut options = MqttOptions::new("device", "127.0.0.1", plain(&broker).port());
    options.set_last_will(rumqttc::LastWill::new(
        "tern/1/t/will",
        "gone",
        QoS::AtLeastOnce,
        true,
    ));
    let (_client, mut connection) = AsyncClient::new(options, 1);
    until(&mut connection, |packet| {
        matches!(packet, Packet::ConnAck(_))
    })
    .await
    .expect("connects");
    drop(connection);
    let heard = until(&mut hearing, |packet| {
        publishes(packet).is_some_and(|publish| publish.topic == "tern/1/t/will")
    });
    heard.await.expect("the will is published");
    broker.stop();
}
