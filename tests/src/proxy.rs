//! A TCP link that can be cut and restored, in front of a broker.
//!
//! It also gives a broker one address for ever, however often the hub behind it starts anew.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

/// Read size of a copying thread.
const COPY: usize = 64 * 1024;

/// How long a connection to the target may take: it is on loopback.
const CONNECT: Duration = Duration::from_secs(5);

/// A listening proxy. Threads of it end with the process or when their connection ends.
#[derive(Debug, Clone)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug)]
struct Line {
    target: SocketAddr,
    up: bool,
    open: Vec<TcpStream>,
    accepted: u64,
}

impl Proxy {
    /// A proxy in front of `target`, with the link up.
    #[track_caller]
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let line = Line {
            target,
            up: true,
            open: Vec::new(),
            accepted: 0,
        };
        let proxy = Self {
            address,
            line: Arc::new(Mutex::new(line)),
        };
        let accepting = proxy.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepting.join(stream);
            }
        });
        proxy
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection and refuses new ones.
    pub fn cut(&self) {
        let mut line = self.line();
        line.up = false;
        for stream in line.open.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes connections again.
    pub fn restore(&self) {
        self.line().up = true;
    }

    /// New connections go to this target.
    pub fn aim(&self, target: SocketAddr) {
        self.line().target = target;
    }

    /// Connections passed on to the target so far.
    pub fn accepted(&self) -> u64 {
        self.line().accepted
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line
            .lock()
            .expect("no thread panics while it holds the line")
    }

    /// Joins a new connection with the target, unless the link is down. Held under the lock, so
    /// that no connection slips through a cut.
    fn join(&self, near: TcpStream) {
        let mut line = self.line();
        if !line.up {
            return;
        }
        let Ok(far) = TcpStream::connect_timeout(&line.target, CONNECT) else {
            return;
        };
        let pairs = [(&near, &far), (&far, &near)].map(|(from, to)| {
            let copies = (from.try_clone(), to.try_clone());
            (
                copies.0.expect("a socket can be cloned"),
                copies.1.expect("a socket can be cloned"),
            )
        });
        for (from, to) in pairs {
            thread::spawn(move || copy(from, to));
        }
        line.accepted += 1;
        line.open.extend([near, far]);
    }
}

/// Copies until either end closes, then closes both.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; COPY];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
