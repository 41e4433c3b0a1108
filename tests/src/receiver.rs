//! Who receives webhooks: answers what it is told, and keeps what it got.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};

use crate::pki::{self, Credentials};

/// A request that it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// The first line.
    pub request: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The status that it was answered with, or will be once it is let go.
    pub status: u16,
}

impl Got {
    /// The field of this name.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(field, _)| field == name);
        found.map_or_else(|| panic!("no {name} in {self:?}"), |(_, value)| value)
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("{err} in {self:?}"))
    }
}

/// A receiver on loopback.
pub struct Receiver {
    scheme: &'static str,
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

struct Shared {
    /// Statuses of the next answers, one each.
    answers: Mutex<VecDeque<u16>>,
    /// Status and body of all answers after those.
    then: Mutex<(u16, String)>,
    got: Mutex<Vec<Got>>,
    held: Mutex<bool>,
    let_go: Condvar,
    stop: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    /// One that answers with these statuses, one each, and 204 from then on.
    #[track_caller]
    pub fn start(answers: &[u16]) -> Self {
        Self::serving(answers, None)
    }

    /// As [`Self::start`], with TLS.
    #[track_caller]
    pub fn with_tls(credentials: &Credentials) -> Self {
        let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes());
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS")
            .with_no_client_auth()
            .with_single_cert(
                pki::certificates(&credentials.chain),
                key.expect("the key is PEM"),
            );
        Self::serving(&[], Some(Arc::new(tls.expect("they belong together"))))
    }

    #[track_caller]
    fn serving(answers: &[u16], tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            answers: Mutex::new(answers.iter().copied().collect()),
            then: Mutex::new((204, String::new())),
            got: Mutex::default(),
            held: Mutex::new(false),
            let_go: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        let serving = thread::spawn(move || {
            for stream in listener.incoming() {
                if served.stop.load(Ordering::Acquire) {
                    return;
                }
                // Each by itself: who is held keeps nobody else waiting.
                let (served, tls) = (Arc::clone(&served), tls.clone());
                thread::spawn(move || {
                    // Somebody who leaves in the middle is not answered.
                    let _ = stream.and_then(|stream| match tls {
                        None => serve(stream, &served),
                        Some(tls) => {
                            let tls = ServerConnection::new(tls);
                            let tls = tls.map_err(std::io::Error::other)?;
                            serve(StreamOwned::new(tls, stream), &served)
                        }
                    });
                });
            }
        });
        Self {
            scheme,
            address,
            shared,
            serving: Some(serving),
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let port = self.address.port();
        format!(
            "{}://localhost:{port}/hook?token=planted-in-the-address",
            self.scheme
        )
    }

    /// Answers with these statuses next, one each, in place of what it was told before.
    pub fn answer(&self, answers: &[u16]) {
        *lock(&self.shared.answers) = answers.iter().copied().collect();
    }

    /// From now on answers with this, once it has given the statuses that it was told before.
    pub fn says(&self, status: u16, body: &str) {
        *lock(&self.shared.then) = (status, body.to_owned());
    }

    /// From now on takes requests and leaves them without an answer.
    pub fn hold(&self) {
        *lock(&self.shared.held) = true;
    }

    /// Answers again, what it holds first.
    pub fn let_go(&self) {
        *lock(&self.shared.held) = false;
        self.shared.let_go.notify_all();
    }

    /// What it got so far.
    pub fn got(&self) -> Vec<Got> {
        lock(&self.shared.got).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.let_go();
        // Wakes it; if that fails it is gone already.
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

fn serve(stream: impl Read + Write, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = || -> std::io::Result<String> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    };
    let request = line()?;
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let next = lock(&shared.answers).pop_front();
    let (status, says) = next.map_or_else(
        || lock(&shared.then).clone(),
        |status| (status, String::new()),
    );
    lock(&shared.got).push(Got {
        request,
        headers,
        body,
        status,
    });
    let held = shared.let_go.wait_while(lock(&shared.held), |held| *held);
    drop(held.unwrap_or_else(PoisonError::into_inner));
    let stream = reader.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n\r\n{says}",
        says.len()
    )?;
    stream.flush()
}
