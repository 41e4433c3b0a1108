//! Sending a blob.

use std::io::{self, Read};

use super::{error::ClientError, http::Http};

/// Blobs over this are announced first (`Expect: 100-continue`): one round trip more, but the
/// hub's refusal of a large one is heard before its bytes are sent. In bytes.
const ANNOUNCE: u64 = 1024 * 1024;

/// What the hub did with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is new.
    New,
    /// It had been there.
    Known,
}

pub(super) fn put(
    http: &Http,
    path: &str,
    len: u64,
    from: &mut dyn Read,
    progress: &mut dyn FnMut(u64),
) -> Result<Stored, ClientError> {
    let mut counted = Counted {
        from: from.take(len),
        sent: 0,
        progress,
        failed: None,
    };
    let answer = http.put(path, len, &mut counted, len > ANNOUNCE);
    match (counted.failed, answer) {
        // Our own file failed us; what the network says then is a consequence.
        (Some(err), _) => Err(ClientError::Source(err)),
        (None, Ok(201)) => Ok(Stored::New),
        (None, Ok(_)) => Ok(Stored::Known),
        (None, Err(err)) => Err(err),
    }
}

struct Counted<'a, R> {
    from: R,
    sent: u64,
    progress: &'a mut dyn FnMut(u64),
    failed: Option<io::Error>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.from.read(buffer) {
            Ok(read) => {
                self.sent += read as u64;
                (self.progress)(self.sent);
                Ok(read)
            }
            Err(err) => {
                let copy = io::Error::from(err.kind());
                self.failed = Some(err);
                Err(copy)
            }
        }
    }
}
