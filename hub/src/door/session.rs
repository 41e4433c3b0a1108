//! One device that got in.

use std::io;

use tokio::{
    net::TcpStream,
    sync::broadcast::{Receiver, error::RecvError},
};
use tokio_rustls::server::TlsStream;

use tern_protocol::id::IdentityId;

use super::{Behind, copy};
use crate::{
    access::identity::{Refusal, Registry},
    broker::rules::Speaker,
};

/// Why a device was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLetIn {
    /// Its certificate speaks for nobody.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was revoked at this moment.
    #[error("its identity may no longer speak")]
    Ended,
    /// The broker takes no connection.
    #[error("the broker takes no connection: {0}")]
    Broker(#[from] io::Error),
}

/// Lets a device in, and returns when its session is over.
pub(super) async fn run(device: TlsStream<TcpStream>, behind: Behind) -> Result<(), NotLetIn> {
    let Behind {
        registry,
        broker,
        seats,
        ..
    } = behind;
    // Before the look at the registry, so that no end between the two is missed.
    let ended = registry.ended();
    let chain = device.get_ref().1.peer_certificates().unwrap_or_default();
    let admitted = registry.admit(chain)?;
    let inner = TcpStream::connect(broker).await?;
    inner.set_nodelay(true)?;
    let speaker = Speaker {
        workspace: admitted.workspace,
        device: admitted.device,
    };
    let seat = seats.take(inner.local_addr()?, speaker);
    if !registry.is_active(admitted.identity) {
        return Err(NotLetIn::Ended);
    }
    tokio::select! {
        // The cut comes first, however much there is to copy.
        biased;
        () = until_ended(&registry, ended, admitted.identity) => {
            tracing::info!(identity = admitted.identity.0, "a session was cut");
        }
        () = copy::both(device, inner) => {}
    }
    drop(seat);
    Ok(())
}

async fn until_ended(registry: &Registry, mut ended: Receiver<IdentityId>, own: IdentityId) {
    loop {
        match ended.recv().await {
            Ok(identity) if identity != own => {}
            Ok(_) => return,
            // Some were missed: one of them may be this one.
            Err(RecvError::Lagged(_)) => {
                if !registry.is_active(own) {
                    return;
                }
            }
            // The hub stops, and ends this session by itself.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
