//! Devices download what ships in their workspace, where MQTT does not serve.
//!
//! Must never break:
//! - a blob leaves only to a device of a workspace whose versions name it;
//! - a download holds a few pieces in memory, whatever its length, and a place only while it moves;
//! - a device that may speak no more gets nothing more.

use std::{io, ops::Range, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use tern_protocol::id::DeviceId;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    blobs::{BlobPath, facts},
    extract::{Path, Workspace},
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::principal::Who,
    app::App,
    blobs::BlobError,
    delivery::{carousel::Key, driver::FRESH, egress::Place},
    registry,
    store::chain,
};

/// Bytes read at once.
const PIECE: u64 = 128 * 1024;

/// Pieces between disk and socket.
const PIECES: usize = 2;

/// Longest that a device may take for a piece. Slower ones are gone, or hold a place on purpose.
const PAUSE: Duration = Duration::from_mins(1);

/// Seconds after which a device that found no place tries again.
const AGAIN: u64 = 5;

/// What the hub makes again by itself takes less than this.
const MENDED: Duration = Duration::from_secs(2);

/// Seconds after which a device tries again whose blob waits for somebody to publish it again.
const LACKING: u64 = 15;

/// Download a blob that a version of the workspace names, or a range of it (`Range: bytes=0-65535`).
#[utoipa::path(
    get, path = "/delivery/blobs/{digest}", tag = "devices", params(BlobPath),
    responses(
        (status = 200, description = "Its bytes", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The bytes of the range", body = Vec<u8>, content_type = "application/octet-stream"),
    ),
)]
pub(super) async fn download(
    State(app): State<App>,
    Extension(asker): Asking,
    Workspace(workspace): Workspace,
    Path(BlobPath { digest }): Path<BlobPath>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if !registry::ships(&app.store, &workspace, digest).await? {
        return Err(ApiError::not_found(format!(
            "no version of a model of workspace `{workspace}` has a blob {digest}"
        )));
    }
    let blob = match app.blobs.find_within(digest, FRESH, MENDED).await {
        Err(BlobError::Missing(_)) if app.blobs.is_lacking(digest) => {
            let text = format!("blob {digest} is damaged at the hub and waits to be mended");
            return Err(ApiError::unavailable(text).again_in(LACKING));
        }
        found => found?,
    };
    let asked = match headers.get(header::RANGE) {
        None => None,
        Some(range) => Some(asked(range, blob.len)?),
    };
    let identity = match asker.who {
        Who::Device { identity, .. } => Some(identity),
        _ => None,
    };
    let Some(place) = app.egress.place(identity) else {
        app.counters.downloads_refused.one();
        let text = "as many downloads are under way as there may be; try again";
        return Err(ApiError::too_many(text).again_in(AGAIN));
    };
    app.counters.downloads.one();
    let mut answer = facts(blob);
    let range = asked.clone().unwrap_or(0..blob.len);
    let status = part(&mut answer, asked.as_ref(), blob.len);
    let (pieces, body) = mpsc::channel(PIECES);
    let counted = Counted {
        key: (workspace, digest),
        device: match asker.who {
            Who::Device { device, .. } => Some(device),
            _ => None,
        },
        len: blob.len,
    };
    let still = move |app: &App| identity.is_none_or(|identity| app.registry.is_active(identity));
    tokio::spawn(send(app, counted, range, place, still, pieces));
    let body = Body::from_stream(ReceiverStream::new(body));
    Ok((status, answer, body).into_response())
}

/// Says which part of so many bytes follows, all of them if none was asked for.
pub(super) fn part(headers: &mut HeaderMap, asked: Option<&Range<u64>>, len: u64) -> StatusCode {
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let Some(Range { start, end }) = asked else {
        headers.insert(header::CONTENT_LENGTH, len.into());
        return StatusCode::OK;
    };
    headers.insert(header::CONTENT_LENGTH, (end - start).into());
    if let Ok(text) = HeaderValue::from_str(&format!("bytes {start}-{}/{len}", end - 1)) {
        headers.insert(header::CONTENT_RANGE, text);
    }
    StatusCode::PARTIAL_CONTENT
}

/// Whose download of what it is.
struct Counted {
    key: Key,
    device: Option<DeviceId>,
    len: u64,
}

/// Hands the bytes of a range to whoever reads the body, while it may have them.
async fn send(
    app: App,
    counted: Counted,
    range: Range<u64>,
    place: Place,
    still: impl Fn(&App) -> bool,
    pieces: mpsc::Sender<io::Result<Bytes>>,
) {
    let _place = place;
    let digest = counted.key.1;
    let mut at = range.start;
    while at < range.end {
        if !still(&app) {
            tracing::info!(%digest, "a download was cut: its device may no longer speak");
            let _ = pieces.try_send(Err(io::ErrorKind::PermissionDenied.into()));
            return;
        }
        // The bound fits: it is at most a piece.
        let len = (range.end - at).min(PIECE) as usize;
        app.egress.pass(len).await;
        let read = app.blobs.get_range(digest, at, len).await;
        let piece = match read {
            Ok(bytes) => {
                let count = bytes.len() as u64;
                app.counters.download_bytes.add(count);
                let key = counted.key.clone();
                let (at, device) = (app.clock.now(), counted.device.as_ref());
                app.ledger.downloaded(key, device, at, counted.len, count);
                Ok(bytes)
            }
            Err(err) => {
                tracing::error!(%digest, error = chain(&err), "a download broke");
                Err(io::Error::other("the blob cannot be read"))
            }
        };
        let broken = piece.is_err();
        let sent = tokio::time::timeout(PAUSE, pieces.send(piece)).await;
        if broken || !matches!(sent, Ok(Ok(()))) {
            // The connection ends with the body, before its length: the device resumes.
            return;
        }
        at += len as u64;
    }
}

/// The one range that is asked for, within the blob. Several at once are not served: a device asks for
/// one after the other on the same connection.
pub(super) fn asked(range: &HeaderValue, len: u64) -> Result<Range<u64>, ApiError> {
    let text = range.to_str().unwrap_or_default();
    let bounds = text
        .strip_prefix("bytes=")
        .and_then(|bounds| bounds.split_once('-'));
    let bounds = bounds.and_then(|(first, last)| {
        let first: u64 = first.parse().ok()?;
        let end = match last {
            "" => len,
            last => last.parse::<u64>().ok()?.checked_add(1)?.min(len),
        };
        (first < end).then_some(first..end)
    });
    bounds.ok_or_else(|| {
        ApiError::range(format!(
            "one range is served at a time, as `bytes=0-65535`, within the {len} bytes of the blob"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_within_the_blob_is_taken() {
        let asked = |text: &str| asked(&HeaderValue::from_str(text).expect("text"), 100).ok();
        assert_eq!(asked("bytes=0-99"), Some(0..100));
        assert_eq!(asked("bytes=10-"), Some(10..100));
        assert_eq!(asked("bytes=99-18446744073709551614"), Some(99..100));
        for bad in [
            "bytes=100-",
            "bytes=5-4",
            "bytes=-5",
            "bytes=0-1,3-4",
            "bytes=0-18446744073709551615",
            "bytes=",
            "chunks=0-1",
            "",
        ] {
            assert_eq!(asked(bad), None, "{bad}");
        }
    }
}
