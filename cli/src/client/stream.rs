//! Server-sent events: what changes, as it changes.
//!
//! Source: WHATWG HTML, "Server-sent events", §9.2.6 (interpreting an event stream). We read `data`
//! fields only: the hub's event says in its data what it is.

use std::{
    io::{BufRead, BufReader, Read},
    marker::PhantomData,
    time::Duration,
};

use serde::de::DeserializeOwned;
use ureq::BodyReader;

use super::{error::ClientError, http::Http};

/// Silence after which the connection is taken for dead: the hub sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(45);

/// One line, and the data of one event, in bytes: a message of 128 KiB as Base64 is under it.
const LINE: usize = 256 * 1024;

/// Events of a workspace. Those of kinds that this version does not know are left out.
pub struct Stream<T> {
    http: Http,
    lines: BufReader<BodyReader<'static>>,
    data: Vec<u8>,
    over: bool,
    of: PhantomData<T>,
}

impl<T> Stream<T> {
    pub(super) fn open(
        http: &Http,
        path: &str,
        parameters: &[(&'static str, String)],
    ) -> Result<Self, ClientError> {
        let body = http.follow(path, parameters, "text/event-stream", SILENCE)?;
        Ok(Self {
            http: http.clone(),
            lines: BufReader::new(body.into_reader()),
            data: Vec::new(),
            over: false,
            of: PhantomData,
        })
    }

    /// The next line without its end; `None` at the end of the stream.
    fn line(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.lines).take(LINE as u64);
        let read = bounded
            .read_until(b'\n', &mut line)
            .map_err(|err| self.http.failed(ureq::Error::Io(err), SILENCE))?;
        if read == 0 {
            return Ok(None);
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        Ok(Some(line))
    }
}

impl<T: DeserializeOwned> Iterator for Stream<T> {
    type Item = Result<T, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.line() {
                Ok(Some(line)) => {
                    if let Some(change) = feed(&mut self.data, &line) {
                        return Some(Ok(change));
                    }
                }
                Ok(None) => self.over = true,
                Err(err) => {
                    self.over = true;
                    return Some(Err(err));
                }
            }
        }
        None
    }
}

impl<T> std::fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// Takes a line; an empty one ends an event.
fn feed<T: DeserializeOwned>(data: &mut Vec<u8>, line: &[u8]) -> Option<T> {
    if line.is_empty() {
        let change = serde_json::from_slice(data).ok();
        data.clear();
        return change;
    }
    if let Some(value) = line.strip_prefix(b"data:") {
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if data.len() + value.len() < LINE {
            data.extend_from_slice(value);
            data.push(b'\n');
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tern_protocol::rest::Change;

    use super::*;

    fn read(text: &str) -> Vec<Change> {
        let mut data = Vec::new();
        let lines = text.split('\n');
        lines
            .filter_map(|line| feed(&mut data, line.as_bytes()))
            .collect()
    }

    #[test]
    fn events_comments_and_strangers() {
        let text = ": keep-alive\n\nevent: rollout\ndata: {\"changed\":\"rollout\",\n\
                    data: \"id\":3}\n\nevent: moon\ndata: {\"changed\":\"moon\"}\n\n\
                    data:{\"changed\":\"device\",\"device\":\"meter-01\"}\n\ndata: cut";
        let changes = read(text);
        assert_eq!(
            changes,
            [
                Change::Rollout {
                    id: tern_protocol::id::RolloutId(3)
                },
                Change::Device {
                    device: "meter-01".parse().expect("a name")
                },
            ]
        );
    }
}
