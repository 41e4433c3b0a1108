//! Downloads ranges of blobs from the hub, over HTTPS as this device.
//!
//! Called by `node` with what [`super::fetcher`] decided; what comes goes through the same channel as what
//! the link hears. Must never break:
//! - a download holds one chunk in memory, and goes no faster than chunks are written;
//! - bytes that were not asked for are not taken: a server that does not serve ranges gets nowhere;
//! - redirects are not followed, and nothing is shown to whoever is not the hub;
//! - what is not wanted any more ends at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::SendRequest,
    header::{CONTENT_RANGE, HOST, HeaderName, RANGE, RETRY_AFTER},
};
use rustls::ClientConfig;
use tern_protocol::{
    blob::{BlobRef, Chunk, ChunkRange},
    digest::Digest,
    id::WorkspaceId,
    limits,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    fetcher::Download,
    way::{Kind, Setback},
};
use crate::{identity::https, link::Heard};

/// Longest wait for a connection, over all addresses, and for the head of each answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest pause in the middle of an answer. Under an egress limit the hub sends a piece at a time.
const PAUSE: Duration = Duration::from_secs(30);

/// Where the hub is, and as whom it is asked.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// `https://HOST:PORT`, or `http://` of this machine; best first.
    pub bases: Vec<String>,
    /// TLS as this device, if it has joined.
    pub tls: Option<Arc<ClientConfig>>,
}

/// How a download ended, and which: one that was ended meanwhile says nothing of the one after it.
#[derive(Debug)]
pub struct Ended {
    /// Of which blob.
    pub digest: Digest,
    number: u64,
    /// How.
    pub result: Result<(), Setback>,
}

/// The downloads under way.
#[derive(Debug)]
pub struct Downloads {
    workspace: WorkspaceId,
    route: watch::Receiver<Route>,
    heard: mpsc::Sender<Heard>,
    under_way: BTreeMap<Digest, (u64, JoinHandle<()>)>,
    begun: u64,
}

impl Downloads {
    /// None yet. What comes goes to `heard`.
    pub fn new(
        workspace: WorkspaceId,
        route: watch::Receiver<Route>,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        Self {
            workspace,
            route,
            heard,
            under_way: BTreeMap::new(),
            begun: 0,
        }
    }

    /// Begins one.
    pub fn begin(&mut self, download: Download) {
        self.begun += 1;
        let number = self.begun;
        let digest = download.blob.digest;
        let route = self.route.borrow().clone();
        let path = format!("/api/v1/w/{}/delivery/blobs/{digest}", self.workspace);
        let heard = self.heard.clone();
        let task = tokio::spawn(async move {
            let result = run(&route, &path, &download, &heard).await;
            let ended = Ended {
                digest,
                number,
                result,
            };
            // Nobody hears it only when the agent ends.
            let _ = heard.send(Heard::Downloaded(ended)).await;
        });
        if let Some((_, old)) = self.under_way.insert(digest, (number, task)) {
            old.abort();
        }
    }

    /// Ends those that are not in `wanted`.
    pub fn keep(&mut self, wanted: &BTreeSet<Digest>) {
        self.under_way.retain(|digest, (_, task)| {
            let keep = wanted.contains(digest);
            if !keep {
                task.abort();
            }
            keep
        });
    }

    /// Whether this is the end of the newest download of its blob, which is then no longer under way.
    pub fn is_newest(&mut self, ended: &Ended) -> bool {
        let newest = self.under_way.get(&ended.digest);
        let is = newest.is_some_and(|(number, _)| *number == ended.number);
        if is {
            self.under_way.remove(&ended.digest);
        }
        is
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        self.keep(&BTreeSet::new());
    }
}

async fn run(
    route: &Route,
    path: &str,
    download: &Download,
    heard: &mpsc::Sender<Heard>,
) -> Result<(), Setback> {
    let connection = connect(route).await?;
    let https::Connection {
        mut sender,
        driver,
        authority,
    } = connection;
    let exchange = async {
        for range in &download.ranges {
            fetch(&mut sender, &authority, path, download.blob, *range, heard).await?;
        }
        Ok(())
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        done = &mut exchange => done,
        // The connection may end with what it brought still unread.
        _ = driver => exchange.await,
    }
}

async fn connect(route: &Route) -> Result<https::Connection<Empty<Bytes>>, Setback> {
    let share = PATIENCE / u32::try_from(route.bases.len().max(1)).unwrap_or(u32::MAX);
    let mut troubles = Vec::new();
    for base in &route.bases {
        match timeout(share, https::connect(route.tls.as_ref(), base)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(trouble)) => troubles.push(format!("{base}: {trouble}")),
            Err(_) => troubles.push(format!("{base}: no answer in {} s", share.as_secs())),
        }
    }
    if troubles.is_empty() {
        troubles.push("no address of the hub is known; set `delivery.hub`".into());
    }
    Err(Setback::new(Kind::Unreachable, troubles.join("; ")))
}

/// Fetches one run of chunks.
async fn fetch(
    sender: &mut SendRequest<Empty<Bytes>>,
    authority: &str,
    path: &str,
    blob: BlobRef,
    range: ChunkRange,
    heard: &mpsc::Sender<Heard>,
) -> Result<(), Setback> {
    let start = u64::from(range.first) * limits::CHUNK as u64;
    let end = start + u64::from(range.count) * limits::CHUNK as u64;
    let end = end.min(blob.len);
    let cut = |err: &hyper::Error| Setback::new(Kind::Cut, crate::chain(err));
    let late = |_| Setback::new(Kind::Cut, format!("no answer in {} s", PATIENCE.as_secs()));
    let request = Request::get(path)
        .header(HOST, authority)
        .header(RANGE, format!("bytes={start}-{}", end.saturating_sub(1)))
        .body(Empty::new())
        .map_err(|err| Setback::new(Kind::Malformed, err.to_string()))?;
    let asked = async {
        // The connection may still be busy with the end of the answer before.
        sender.ready().await?;
        sender.send_request(request).await
    };
    let answer = timeout(PATIENCE, asked).await.map_err(late)?;
    let answer = answer.map_err(|err| cut(&err))?;
    check(&answer, start, end, blob.len)?;
    let mut body = answer.into_body();
    let mut chunk = Vec::with_capacity(limits::CHUNK);
    let mut index = range.first;
    let mut left = end - start;
    while left > 0 {
        let frame = timeout(PAUSE, body.frame()).await;
        let frame = frame.map_err(|_| {
            let text = format!("nothing came for {} s", PAUSE.as_secs());
            Setback::new(Kind::Cut, text)
        })?;
        let Some(frame) = frame else {
            return Err(Setback::new(
                Kind::Cut,
                "the answer ended before its length",
            ));
        };
        let frame = frame.map_err(|err| cut(&err))?;
        let mut bytes = frame.into_data().unwrap_or_default();
        if bytes.len() as u64 > left {
            let text = "more bytes came than were asked for";
            return Err(Setback::new(Kind::Malformed, text));
        }
        left -= bytes.len() as u64;
        while !bytes.is_empty() {
            let (_, whole) = blob.place(index).unwrap_or_default();
            let take = bytes.len().min(whole.saturating_sub(chunk.len()));
            if take == 0 {
                break;
            }
            chunk.extend_from_slice(&bytes.split_to(take));
            if chunk.len() == whole {
                let next = Vec::with_capacity(limits::CHUNK);
                let bytes = std::mem::replace(&mut chunk, next);
                let piece = Heard::Chunk(blob.digest, Chunk { index, bytes });
                if heard.send(piece).await.is_err() {
                    return Ok(());
                }
                index += 1;
            }
        }
    }
    // To its end, so that the connection is free for the next.
    match timeout(PAUSE, body.frame()).await {
        Ok(None) => Ok(()),
        Ok(Some(Ok(frame))) if frame.data_ref().is_none_or(Bytes::is_empty) => Ok(()),
        Ok(Some(Ok(_))) => Err(Setback::new(Kind::Malformed, "the answer is too long")),
        Ok(Some(Err(err))) => Err(cut(&err)),
        Err(_) => Err(Setback::new(Kind::Cut, "the answer does not end")),
    }
}

/// Whether an answer is what was asked for.
fn check(answer: &Response<Incoming>, start: u64, end: u64, len: u64) -> Result<(), Setback> {
    let text = |name: HeaderName| {
        answer
            .headers()
            .get(name)
            .and_then(|text| text.to_str().ok())
    };
    judge(
        answer.status(),
        text(CONTENT_RANGE),
        text(RETRY_AFTER),
        (start, end, len),
    )
}

fn judge(
    status: StatusCode,
    range: Option<&str>,
    again: Option<&str>,
    (start, end, len): (u64, u64, u64),
) -> Result<(), Setback> {
    let kind = match status {
        StatusCode::PARTIAL_CONTENT => {
            let expected = format!("bytes {start}-{}/{len}", end.saturating_sub(1));
            if range == Some(expected.as_str()) {
                return Ok(());
            }
            let found: String = range.unwrap_or("no range").chars().take(80).collect();
            let text = format!("the hub answers {found} for {expected}");
            return Err(Setback::new(Kind::Malformed, text));
        }
        StatusCode::OK if start == 0 && end == len => return Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Kind::Refused,
        StatusCode::NOT_FOUND | StatusCode::GONE => Kind::Missing,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Kind::Busy,
        status if status.is_server_error() => Kind::Failed,
        // Redirects among them: they would lead to somebody who is not the hub.
        _ => Kind::Malformed,
    };
    let seconds = again.and_then(|text| text.trim().parse().ok());
    Err(Setback {
        kind,
        text: format!("the hub answers {}", status.as_u16()),
        again: seconds.map(Duration::from_secs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_classed() {
        let kind = |status: u16, range| {
            let status = StatusCode::from_u16(status).expect("a status");
            judge(status, range, None, (10, 20, 100)).map_err(|setback| setback.kind)
        };
        assert_eq!(kind(206, Some("bytes 10-19/100")), Ok(()));
        for wrong in [Some("bytes 0-9/100"), Some("bytes 10-19/101"), None] {
            assert_eq!(kind(206, wrong), Err(Kind::Malformed), "{wrong:?}");
        }
        for (status, expected) in [
            (200, Kind::Malformed),
            (301, Kind::Malformed),
            (307, Kind::Malformed),
            (401, Kind::Refused),
            (403, Kind::Refused),
            (404, Kind::Missing),
            (416, Kind::Malformed),
            (429, Kind::Busy),
            (500, Kind::Failed),
            (503, Kind::Busy),
        ] {
            assert_eq!(kind(status, None), Err(expected), "{status}");
        }
        assert_eq!(judge(StatusCode::OK, None, None, (0, 100, 100)), Ok(()));
    }

    #[test]
    fn the_hub_says_when_to_come_again() {
        let busy = |again| judge(StatusCode::TOO_MANY_REQUESTS, None, again, (0, 1, 1));
        let wait = busy(Some("7")).map_err(|setback| setback.again);
        assert_eq!(wait, Err(Some(Duration::from_secs(7))));
        for other in [None, Some("soon"), Some("Wed, 21 Oct 2026 07:28:00 GMT")] {
            assert_eq!(busy(other).map_err(|setback| setback.again), Err(None));
        }
    }
}
