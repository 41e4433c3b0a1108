//! The hub's HTTP side at the wire: ranges of blobs over plain HTTP on loopback, and what may go wrong.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use tern_protocol::digest::Digest;

/// A blob of more bytes is large: weights, but not golden samples.
const LARGE: usize = 600_000;

/// How a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// As the hub does.
    Range,
    /// The whole blob, whatever is asked for.
    Whole,
    /// So many bytes of the range, then the connection is cut.
    Cut(usize),
    /// More bytes than the range has, in an answer without a length.
    TooMuch,
    /// This status and header line.
    Status(u16, String),
}

#[derive(Default)]
pub struct State {
    pub blobs: HashMap<Digest, Vec<u8>>,
    /// The next answers about blobs over [`LARGE`]; after those as the hub does.
    pub next: Vec<Answer>,
    /// Ranges that were asked for, with the path.
    pub asked: Vec<(String, String)>,
    /// Bytes of bodies that were sent.
    pub sent: usize,
}

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = Self {
            address: listener.local_addr().expect("it is bound"),
            state: Arc::default(),
        };
        let accepting = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = accepting.clone();
                thread::spawn(move || server.converse(&stream));
            }
        });
        server
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn converse(&self, stream: &TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().expect("a socket can be cloned")).lines();
        loop {
            let mut head = Vec::new();
            loop {
                match lines.next() {
                    Some(Ok(line)) if line.is_empty() => break,
                    Some(Ok(line)) => head.push(line),
                    _ => return,
                }
            }
            if self.answer(&head, stream).is_none() {
                return;
            }
        }
    }

    /// None ends the connection.
    fn answer(&self, head: &[String], mut stream: &TcpStream) -> Option<()> {
        let path = head.first()?.split(' ').nth(1)?.to_owned();
        let range = head.iter().find_map(|line| line.strip_prefix("range: "))?;
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        let (start, end) = (first.parse().ok()?, last.parse::<usize>().ok()? + 1);
        let digest: Digest = path.rsplit('/').next()?.parse().ok()?;
        let (bytes, answer) = {
            let mut state = self.state();
            state.asked.push((path.clone(), range.to_owned()));
            let bytes = state.blobs.get(&digest)?.clone();
            let scripted = bytes.len() > LARGE && !state.next.is_empty();
            let answer = if scripted {
                state.next.remove(0)
            } else {
                Answer::Range
            };
            (bytes, answer)
        };
        let partial = |status: &str, len: Option<usize>| {
            let length = len.map_or(String::new(), |len| format!("content-length: {len}\r\n"));
            let total = bytes.len();
            let last = end - 1;
            format!(
                "HTTP/1.1 {status}\r\ncontent-range: bytes {start}-{last}/{total}\r\n{length}\r\n"
            )
        };
        let (head, body, goes_on) = match answer {
            Answer::Range => {
                let body = &bytes[start..end];
                (
                    partial("206 Partial", Some(body.len())),
                    body.to_vec(),
                    true,
                )
            }
            Answer::Whole => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", bytes.len());
                (head, bytes.clone(), false)
            }
            Answer::Cut(at) => {
                let body = bytes[start..end.min(start + at)].to_vec();
                (partial("206 Partial", Some(end - start)), body, false)
            }
            Answer::TooMuch => {
                let body = [&bytes[start..end], &[0; 5000]].concat();
                (partial("206 Partial", None), body, false)
            }
            Answer::Status(status, header) => {
                let head = format!("HTTP/1.1 {status} No\r\n{header}\r\ncontent-length: 0\r\n\r\n");
                (head, Vec::new(), true)
            }
        };
        stream.write_all(head.as_bytes()).ok()?;
        // Whoever does not want it hangs up.
        stream.write_all(&body).ok()?;
        self.state().sent += body.len();
        goes_on.then_some(())
    }
}
