//! Answers requests: HTTP, watched directories, standard input.
//!
//! Called by `main`, in a thread of its own. Must never break: what the node does, or the disk, or
//! the link, holds up no answer.

mod files;
mod http;
mod metrics;
mod numbers;
mod oip;
pub mod predict;
pub mod recent;
mod status;

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tern_protocol::id::DeviceId;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use self::predict::Predictor;
use crate::{config, durable, identity::standing::Standing, node::board::Board};

/// Connections at once. Each may hold a body of 8 MiB for a moment.
const CONNECTIONS_MAX: usize = 64;

/// Requests under way may end within this time when the agent stops.
const GOODBYE: Duration = Duration::from_secs(1);

/// Wait after the system refused a connection: it is short of descriptors or memory.
const REFUSED_WAIT: Duration = Duration::from_millis(100);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("listening on {listen}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        #[source]
        err: io::Error,
    },
}

/// What all requests share.
#[derive(Debug)]
pub struct Shared {
    /// Whose agent this is.
    pub device: DeviceId,
    /// Runs models.
    pub predictor: Predictor,
    /// What the node knows.
    pub board: Arc<Board>,
    /// Who the device is to its hub, once it has joined.
    pub identity: Option<Standing>,
}

/// What `/metrics` says.
pub fn numbers(shared: &Shared) -> String {
    metrics::metrics(shared)
}

/// Binds the HTTP server and writes its address to a file, for those who let the system choose.
pub fn bind(listen: SocketAddr, file: &Path) -> Result<std::net::TcpListener, ServeError> {
    let bound = std::net::TcpListener::bind(listen).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    let (listener, address) = bound.map_err(|err| ServeError::Listen { listen, err })?;
    if let Err(err) = durable::replace(file, address.to_string().as_bytes()) {
        // Whoever knows the port is answered all the same, also on a full disk.
        tracing::warn!(file = %file.display(), "the address cannot be written: {err}");
    }
    tracing::info!("listening http={address}");
    Ok(listener)
}

/// Serves until `stop` says true, then lets requests under way end.
pub async fn run(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    slots: Vec<config::Slot>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut tasks = JoinSet::new();
    for slot in slots {
        if let Some(dir) = slot.watch {
            let name = slot.name.clone();
            tasks.spawn(files::watch(Arc::clone(&shared), name, dir, stop.clone()));
        }
        if slot.stdin {
            tasks.spawn(files::stdin(Arc::clone(&shared), slot.name, stop.clone()));
        }
    }
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&room).acquire_owned() => place.expect("it is never closed"),
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(REFUSED_WAIT).await;
            continue;
        };
        // Answers are small and awaited.
        let _ = stream.set_nodelay(true);
        let connection = http::connection(stream, Arc::clone(&shared), stop.clone());
        tasks.spawn(async move {
            connection.await;
            drop(place);
        });
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    let ended = async { while tasks.join_next().await.is_some() {} };
    if timeout(GOODBYE, ended).await.is_err() {
        tracing::debug!("requests were cut off");
    }
    Ok(())
}
