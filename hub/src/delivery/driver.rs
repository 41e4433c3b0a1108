//! Reads wanted chunks from the blobs and hands them to the link, as fast as it takes them.

use std::collections::HashMap;

use bytes::Bytes;
use tern_protocol::{
    blob::{BlobRef, Chunk, Want},
    codec,
    digest::Digest,
    id::WorkspaceId,
};
use tokio::{sync::mpsc, time::Instant};

use super::carousel::{Carousel, Job, Limits, Next};
use crate::{app::App, store::chain};

/// Wants that wait to be looked at. A want is small, and a device whose want is dropped asks again.
const WANTS: usize = 4_096;

/// Lengths of blobs that are remembered, so that five hundred wants for one blob ask the disk once.
const LENGTHS: usize = 1_024;

/// A chunk on its way to the link, encoded.
#[derive(Debug, Clone)]
pub struct Chunks {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Of which blob.
    pub blob: Digest,
    /// The chunk as it is published.
    pub payload: Bytes,
}

/// A want and the workspace that it came from.
pub type Wanted = (WorkspaceId, Want);

/// Where wants are handed in.
pub fn queue() -> (mpsc::Sender<Wanted>, mpsc::Receiver<Wanted>) {
    mpsc::channel(WANTS)
}

/// Publishes what is wanted until `wants` is closed.
pub async fn run(
    app: App,
    limits: Limits,
    mut wants: mpsc::Receiver<Wanted>,
    chunks: mpsc::Sender<Chunks>,
) {
    let start = Instant::now();
    let mut carousel = Carousel::new(limits);
    let mut lengths = Lengths::default();
    loop {
        // Wants first: what is wanted by more devices before it goes out goes out once.
        loop {
            match wants.try_recv() {
                Ok(want) => take(&app, &mut carousel, &mut lengths, start, want).await,
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => return,
            }
        }
        let wait = match carousel.next(start.elapsed()) {
            Next::Send(job) => {
                if let Some(chunk) = read(&app, &job).await {
                    let bytes = chunk.payload.len();
                    if chunks.send(chunk).await.is_err() {
                        return;
                    }
                    carousel.sent(bytes);
                }
                continue;
            }
            Next::WaitUntil(at) => Some(start + at),
            Next::Idle => None,
        };
        let deadline = async {
            match wait {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            want = wants.recv() => match want {
                Some(want) => take(&app, &mut carousel, &mut lengths, start, want).await,
                None => return,
            },
            () = deadline => {}
        }
    }
}

#[derive(Default)]
struct Lengths(HashMap<Digest, u64>);

impl Lengths {
    async fn of(&mut self, app: &App, digest: Digest) -> Option<u64> {
        if let Some(len) = self.0.get(&digest) {
            return Some(*len);
        }
        match app.blobs.head(digest).await {
            Ok(Some(len)) => {
                if self.0.len() >= LENGTHS {
                    self.0.clear();
                }
                self.0.insert(digest, len);
                Some(len)
            }
            Ok(None) => None,
            Err(err) => {
                tracing::error!(%digest, error = chain(&err), "a wanted blob cannot be read");
                None
            }
        }
    }
}

async fn take(
    app: &App,
    carousel: &mut Carousel,
    lengths: &mut Lengths,
    start: Instant,
    (workspace, want): Wanted,
) {
    app.counters.wants.one();
    let Some(len) = lengths.of(app, want.blob).await else {
        tracing::debug!(%workspace, digest = %want.blob, "a blob is wanted that is not here");
        return;
    };
    let blob = BlobRef {
        digest: want.blob,
        len,
    };
    if let Err(why) = carousel.want(start.elapsed(), &workspace, blob, &want.ranges) {
        tracing::debug!(%workspace, digest = %want.blob, ?why, "a want was ignored");
    }
}

async fn read(app: &App, job: &Job) -> Option<Chunks> {
    let (offset, len) = job.blob.place(job.index)?;
    match app.blobs.get_range(job.blob.digest, offset, len).await {
        Ok(bytes) => {
            let chunk = Chunk {
                index: job.index,
                bytes: bytes.into(),
            };
            Some(Chunks {
                workspace: job.workspace.clone(),
                blob: job.blob.digest,
                payload: codec::encode(&chunk).into(),
            })
        }
        Err(err) => {
            let digest = job.blob.digest;
            tracing::error!(%digest, index = job.index, error = chain(&err), "chunk not read");
            None
        }
    }
}
