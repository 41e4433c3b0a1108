//! The door for devices: ends their TLS, finds out who they are, and hands them on to the broker.
//!
//! Started by `serve`. Asks [`Registry`] who a certificate speaks for, takes a seat for the device at
//! the broker, and copies bytes both ways, in small buffers and at a bounded rate.
//!
//! Must never break:
//! - no byte of a client reaches the broker before its certificate is verified and its identity
//!   active, and its seat is taken;
//! - a session ends at once when its identity may no longer speak;
//! - whoever is silent or fails holds up nobody but their own address;
//! - a device that sends too fast waits; nothing of it is lost or reordered.

pub mod bucket;
mod copy;
mod session;
mod sources;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use self::sources::{Lane, Sources};
use crate::{
    access::{authority::Tls, identity::Registry},
    broker::seats::Seats,
    counters::Counters,
};

/// Longest that a TLS handshake may take: three round trips on a link of seconds.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// Longest that a connection waits for its turn, after those of its own address and then of all.
const TURN: Duration = Duration::from_mins(1);

/// Handshakes at a time. Each is a signature and some tens of kilobytes, so all are some tens of
/// megabytes; most of them wait for the client.
const HANDSHAKES: usize = 1_024;

/// Connections at a time, each with its sockets and buffers: a fleet of ten thousand, and half as
/// many more whose old connections are not yet known to be dead.
const CONNECTIONS: usize = 15_000;

/// Wait after the operating system refused a connection, most often for lack of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A door that is open.
#[derive(Debug)]
pub struct Door {
    /// Where.
    pub address: SocketAddr,
    stop: CancellationToken,
    open: JoinHandle<()>,
}

/// What stands behind it.
#[derive(Clone)]
pub struct Behind {
    /// Certificates as they are now.
    pub tls: watch::Receiver<Arc<Tls>>,
    /// Who may speak.
    pub registry: Registry,
    /// Where the broker takes devices.
    pub broker: SocketAddr,
    /// Who sits where at the broker.
    pub seats: Seats,
    /// Where refusals are counted.
    pub counters: Arc<Counters>,
}

impl Door {
    /// Opens it at a socket that listens.
    pub fn open(listener: TcpListener, behind: Behind) -> io::Result<Self> {
        Self::open_for(HANDSHAKES, listener, behind)
    }

    /// As [`Self::open`], with so many handshakes at a time.
    fn open_for(handshakes: usize, listener: TcpListener, behind: Behind) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let open = tokio::spawn(accept(listener, handshakes, behind, stop.clone()));
        Ok(Self {
            address,
            stop,
            open,
        })
    }

    /// Closes it, and ends all sessions.
    pub async fn close(self) {
        self.stop.cancel();
        // It ends with its next step; a panic in it was logged.
        let _ = self.open.await;
    }
}

async fn accept(listener: TcpListener, handshakes: usize, behind: Behind, stop: CancellationToken) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let handshakes = Arc::new(Semaphore::new(handshakes));
    let sources = Sources::new(Instant::now());
    loop {
        let next = async {
            let room = permit(&connections).await;
            (listener.accept().await, room)
        };
        let (accepted, room) = tokio::select! {
            () = stop.cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((socket, from)) => {
                let Some(lane) = sources.lane(from.ip(), Instant::now()) else {
                    behind.counters.refused_connections.one();
                    tracing::debug!(%from, "too many connections of this address are unfinished");
                    continue;
                };
                let (behind, stop) = (behind.clone(), stop.clone());
                let handshakes = Arc::clone(&handshakes);
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = receive(socket, from, behind, lane, handshakes) => {}
                    }
                    drop(room);
                });
            }
            Err(err) => {
                tracing::warn!(error = %err, "a device's connection was not accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = Arc::clone(semaphore).acquire_owned().await;
    permit.expect("nobody closes it")
}

async fn receive(
    socket: TcpStream,
    from: SocketAddr,
    behind: Behind,
    lane: Arc<Lane>,
    handshakes: Arc<Semaphore>,
) {
    let counters = Arc::clone(&behind.counters);
    match verified(socket, &behind, &lane, &handshakes).await {
        Ok(tls) => {
            // From here on it counts no more as unfinished.
            drop(lane);
            if let Err(err) = session::run(tls, behind).await {
                counters.refused_connections.one();
                tracing::debug!(%from, error = %err, "a device was not let in");
            }
        }
        Err(err) => {
            counters.refused_connections.one();
            tracing::debug!(%from, error = %err, "a TLS handshake failed");
        }
    }
}

/// A handshake, when it is this connection's turn. One that failed keeps its place among those of
/// its address for as long as the rate of failures wants, and no place among all.
async fn verified(
    socket: TcpStream,
    behind: &Behind,
    lane: &Lane,
    handshakes: &Arc<Semaphore>,
) -> io::Result<TlsStream<TcpStream>> {
    let turns = async {
        let own = lane.turns.acquire().await;
        (own.expect("nobody closes it"), permit(handshakes).await)
    };
    let (own, turn) = tokio::time::timeout(TURN, turns).await?;
    let tls = match tokio::time::timeout(HANDSHAKE, handshake(socket, behind)).await {
        Ok(tls) => tls,
        Err(late) => Err(late.into()),
    };
    drop(turn);
    if tls.is_err() {
        tokio::time::sleep(lane.failed(Instant::now())).await;
    }
    drop(own);
    tls
}

async fn handshake(socket: TcpStream, behind: &Behind) -> io::Result<TlsStream<TcpStream>> {
    socket.set_nodelay(true)?;
    // As they are now: rotation and renewal need no restart.
    let config = Arc::clone(&behind.tls.borrow().mqtt);
    TlsAcceptor::from(config).accept(socket).await
}

#[cfg(test)]
mod tests;
