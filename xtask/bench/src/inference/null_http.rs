//! An HTTP server that reads a request and gives a fixed answer: what HTTP itself costs here.

use std::{convert::Infallible, net::TcpListener, thread};

use anyhow::Result;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;

/// The server; it runs until the process ends.
pub(super) struct NullHttp {
    pub(super) address: String,
}

impl NullHttp {
    /// Starts it on a thread of its own, single-threaded as the agent is.
    pub(super) fn start(answer: Vec<u8>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let answer = Bytes::from(answer);
        thread::spawn(move || {
            // Without a server the client fails, and says so.
            let _ = runtime.block_on(serve(listener, answer));
        });
        Ok(Self { address })
    }
}

async fn serve(listener: TcpListener, answer: Bytes) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer.clone();
            async move {
                // The agent reads its request too.
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(Response::new(Full::new(answer)))
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}
