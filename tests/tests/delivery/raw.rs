//! A device's request to the hub, byte by byte: what an agent would not ask.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tern_tests::fleet::Fleet;

/// Longest wait for bytes.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer whose body is still to be read.
pub struct Asked {
    pub status: u16,
    pub head: String,
    rest: Vec<u8>,
    stream: StreamOwned<ClientConnection, TcpStream>,
}

/// GET as a device with this TLS, over a connection of its own.
#[track_caller]
pub fn get(fleet: &Fleet, tls: &Arc<ClientConfig>, path: &str, range: Option<&str>) -> Asked {
    let mut tls = ClientConfig::clone(tls);
    tls.alpn_protocols = vec![b"tern-device".to_vec()];
    let name = "localhost".try_into().expect("a name");
    let connection = ClientConnection::new(Arc::new(tls), name).expect("a configuration");
    let port = fleet.hub.port();
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("the hub listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut stream = StreamOwned::new(connection, socket);
    let range = range.map_or(String::new(), |range| format!("range: {range}\r\n"));
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\n{range}connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the hub reads");
    let mut got = Vec::new();
    let end = loop {
        if let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let mut some = [0; 4096];
        let n = stream.read(&mut some).expect("the hub answers");
        assert!(n > 0, "an answer without an end: {got:?}");
        got.extend_from_slice(&some[..n]);
    };
    let rest = got.split_off(end + 4);
    let head = String::from_utf8(got).expect("text").to_lowercase();
    let status = head.split(' ').nth(1).expect("a status").parse();
    Asked {
        status: status.expect("a number"),
        head,
        rest,
        stream,
    }
}

impl Asked {
    /// The body, as far as it comes before the hub hangs up.
    pub fn body(mut self) -> Vec<u8> {
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = self.stream.read(&mut some) {
            self.rest.extend_from_slice(&some[..n]);
        }
        self.rest
    }

    /// Reads until so many bytes of the body are here.
    #[track_caller]
    pub fn read(&mut self, bytes: usize) {
        let mut some = [0; 4096];
        while self.rest.len() < bytes {
            let n = self.stream.read(&mut some).expect("it comes");
            assert!(n > 0, "it ended after {} bytes", self.rest.len());
            self.rest.extend_from_slice(&some[..n]);
        }
    }
}
