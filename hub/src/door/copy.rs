//! Copies between a device and the broker.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::server::TlsStream;

use super::bucket::Bucket;

/// Bytes of a buffer, of which each connection has one for each direction. Larger ones copy no
/// faster than a device's link.
const BUFFER: usize = 4 * 1024;

/// Bytes that one device may send a second in the long run. An agent that empties a long outbox
/// sends less: each batch waits for its acknowledgement.
const UP_PER_S: u64 = 2 * 1024 * 1024;

/// Bytes that one device may send at once after a silence: sixty of the largest messages.
const UP_BURST: u64 = 8 * 1024 * 1024;

/// Copies both ways until one side is done. What the broker still has to say to a device that hung
/// up, or a device to a broker that hung up, reaches nobody.
pub(super) async fn both(device: TlsStream<TcpStream>, broker: TcpStream) {
    let (from_device, to_device) = tokio::io::split(device);
    let (from_broker, to_broker) = broker.into_split();
    let up = Bucket::full(UP_PER_S, UP_BURST, Instant::now());
    // Either ends the other; how does not matter, sockets break in many ways.
    tokio::select! {
        _ = one_way(from_device, to_broker, Some(up)) => {}
        _ = one_way(from_broker, to_device, None) => {}
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut rate: Option<Bucket>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        // Over TLS what was written may wait for more.
        to.flush().await?;
        if let Some(rate) = &mut rate {
            let wait = rate.take(read as u64, Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
    }
}
