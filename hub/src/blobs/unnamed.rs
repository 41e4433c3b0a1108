//! Bytes that come without their digest: they are hashed while they come in, and stored under what they turn out to be.
//!
//! What is larger than a part waits in a file without a name, which is gone when whoever wrote it is, however that
//! ended.

use std::{error::Error, io};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use tern_protocol::{blob::BlobRef, digest::Hasher};
use tokio::{
    fs::File,
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
};
use tokio_util::io::ReaderStream;

use super::{BlobError, Blobs, PART};

impl Blobs {
    /// Stores what `stream` yields, at most `limit` bytes of it, under its digest.
    pub async fn put_unnamed<S, E>(&self, mut stream: S, limit: u64) -> Result<BlobRef, BlobError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let io = |err: io::Error| BlobError::Storage {
            doing: "keeping an upload until its digest is known",
            err: err.into(),
        };
        let (mut hasher, mut received) = (Hasher::new(), 0_u64);
        let mut small = BytesMut::new();
        let mut large: Option<File> = None;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|err| BlobError::BrokenOff {
                received,
                err: err.into(),
            })?;
            received = received.saturating_add(piece.len() as u64);
            if received > limit {
                return Err(BlobError::TooLarge { limit });
            }
            hasher.update(&piece);
            small.extend_from_slice(&piece);
            if small.len() >= PART {
                let file = match &mut large {
                    Some(file) => file,
                    None => large.insert(File::from_std(self.nameless().await?)),
                };
                file.write_all(&small).await.map_err(io)?;
                small.clear();
            }
        }
        let digest = hasher.finish();
        let Some(mut file) = large else {
            return self.put_bytes(small.freeze()).await;
        };
        file.write_all(&small).await.map_err(io)?;
        file.flush().await.map_err(io)?;
        file.rewind().await.map_err(io)?;
        let pieces = ReaderStream::with_capacity(file, PART);
        self.put(pieces, digest, received)
            .await
            .map(super::Put::blob)
    }
}
