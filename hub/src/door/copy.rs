//! Copies between a device and the broker.

use std::{pin::pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use super::bucket::Bucket;

/// Bytes of a buffer, of which each connection has one for each direction. Larger ones copy no
/// faster than a device's link.
const BUFFER: usize = 4 * 1024;

/// Bytes that one device may send a second in the long run. An agent that empties a long outbox
/// sends less: each batch waits for its acknowledgement.
const UP_PER_S: u64 = 2 * 1024 * 1024;

/// Bytes that one device may send at once after a silence: sixty of the largest messages.
const UP_BURST: u64 = 8 * 1024 * 1024;

/// How long a device that takes no more is still heard.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Copies both ways until one side is done. What the broker still has to say to a device that hung
/// up, or a device to a broker that hung up, reaches nobody.
pub(super) async fn both(device: impl AsyncRead + AsyncWrite, broker: TcpStream) {
    let (from_device, to_device) = tokio::io::split(device);
    let (from_broker, to_broker) = broker.into_split();
    let up = Bucket::full(UP_PER_S, UP_BURST, Instant::now());
    let mut up = pin!(one_way(from_device, to_broker, Some(up)));
    // Either ends the other; how does not matter, sockets break in many ways.
    let down = tokio::select! {
        _ = &mut up => return,
        down = one_way(from_broker, to_device, None) => down,
    };
    if let End::NotTaken = down {
        // It has hung up, and what it said before is still on its way: that it leaves in order, most
        // of all. Without it others would hear its last will.
        let _ = tokio::time::timeout(LAST_WORDS, up).await;
    }
}

/// How one way ended.
enum End {
    /// Nothing more came.
    Over,
    /// What came was not taken.
    NotTaken,
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut rate: Option<Bucket>,
) -> End {
    let mut buffer = vec![0; BUFFER];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            // It may be gone as well.
            let _ = to.shutdown().await;
            return End::Over;
        };
        let write = async {
            to.write_all(&buffer[..read]).await?;
            // Over TLS what was written may wait for more.
            to.flush().await
        };
        if write.await.is_err() {
            return End::NotTaken;
        }
        if let Some(rate) = &mut rate {
            let wait = rate.take(read as u64, Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_last_words_of_a_device_reach_a_broker_that_still_speaks() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        // Which of the two ways is looked at first is chance.
        for _ in 0..50 {
            let inner = TcpStream::connect(address).await.expect("it connects");
            let (mut broker, _) = listener.accept().await.expect("it connects");
            let (mut device, outer) = tokio::io::duplex(64);
            broker.write_all(&[0; 256]).await.expect("there is room");
            device.write_all(b"goodbye").await.expect("there is room");
            drop(device);
            // Else there is nothing yet that the device could not take.
            inner.readable().await.expect("it connects");
            both(outer, inner).await;
            let mut heard = Vec::new();
            let _ = broker.read_to_end(&mut heard).await;
            assert_eq!(heard, b"goodbye");
        }
    }
}
