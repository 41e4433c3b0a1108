//! Plain mosquitto, which fans out the same bytes to as many subscribers.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rumqttc::{Event, Packet, QoS};
use tern_agent::fetch::bitmap::Bitmap;
use tern_protocol::{blob::Chunk, codec};
use tokio::task::JoinSet;

use super::{
    agent::{client, connected},
    model::Model,
};
use crate::parts::wait_for;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(10);

/// Where Debian puts it.
const PROGRAMS: [&str; 2] = ["/usr/sbin/mosquitto", "mosquitto"];

/// A running broker, ended with this.
pub(super) struct Mosquitto {
    process: Child,
    address: String,
}

impl Mosquitto {
    pub(super) fn start(folder: &Path) -> Result<Self> {
        // It gives no port by itself.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.join("mosquitto.conf");
        // As many messages in its queues as there are chunks; else as it comes.
        fs::write(
            &config,
            format!(
                "listener {} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n\
                 set_tcp_nodelay true\n",
                address.port()
            ),
        )?;
        let program = PROGRAMS
            .into_iter()
            .find(|program| Command::new(program).arg("-h").output().is_ok())
            .context("there is no mosquitto; `cargo xtask setup` says how to get it")?;
        let process = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("mosquitto.log"))?)
            .spawn()
            .context("starting mosquitto")?;
        let address = address.to_string();
        let mosquitto = Self { process, address };
        wait_for("mosquitto listens", START, || {
            std::net::TcpStream::connect(&mosquitto.address).ok()
        })?;
        Ok(mosquitto)
    }

    /// From the first publish until the last subscriber has all.
    pub(super) async fn fan_out(&self, model: &Model, subscribers: u32) -> Result<Duration> {
        let topic = model.topic()?;
        let mut hearing = JoinSet::new();
        for number in 0..subscribers {
            let (client, mut events) = client(&format!("bench-{number:05}"), &self.address)?;
            connected(&mut events).await?;
            client.subscribe(&topic, QoS::AtLeastOnce).await?;
            loop {
                if let Event::Incoming(Packet::SubAck(_)) = events.poll().await? {
                    break;
                }
            }
            let (bytes, blob) = (Arc::clone(&model.bytes), model.blob);
            hearing.spawn(async move {
                let _client = client;
                let mut have = Bitmap::new(blob.chunks());
                while !have.is_full() {
                    let Event::Incoming(Packet::Publish(publish)) = events.poll().await? else {
                        continue;
                    };
                    let chunk: Chunk = codec::decode(&publish.payload)?;
                    let (offset, len) = blob.place(chunk.index).context("within the blob")?;
                    let offset = offset as usize;
                    ensure!(
                        chunk.bytes[..] == bytes[offset..offset + len],
                        "other bytes came"
                    );
                    have.set(chunk.index);
                }
                Ok(())
            });
        }
        let (client, mut events) = client("bench-hub", &self.address)?;
        connected(&mut events).await?;
        let writing = tokio::spawn(async move { while events.poll().await.is_ok() {} });
        let start = Instant::now();
        for chunk in model.chunks() {
            client
                .publish(&topic, QoS::AtLeastOnce, false, chunk)
                .await?;
        }
        while let Some(done) = hearing.join_next().await {
            done??;
        }
        let took = start.elapsed();
        writing.abort();
        Ok(took)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
