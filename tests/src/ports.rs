//! Ports for programs that do not take one from the system by themselves.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use crate::{process::Process, wait};

/// An address of loopback where nobody listens now. Another process may take it before it is used:
/// whoever starts a program there tries again with another one when it ends.
#[track_caller]
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the system gives ports");
    listener.local_addr().expect("it is bound")
}

/// The process, once it listens there; nothing if it ended.
#[track_caller]
pub fn listens(process: Process, address: SocketAddr) -> Option<Process> {
    listens_within(wait::DEADLINE, process, address)
}

/// As [`listens`], for a program that takes its time.
#[track_caller]
pub fn listens_within(
    longest: Duration,
    mut process: Process,
    address: SocketAddr,
) -> Option<Process> {
    let what = format!("{} to listen", process.name());
    wait::until_within(longest, &what, || {
        if process.has_ended() {
            return Ok(None);
        }
        let connected = TcpStream::connect(address);
        connected.map(|_| Some(())).map_err(|err| err.to_string())
    })?;
    Some(process)
}
