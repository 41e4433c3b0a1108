use super::*;

fn pieces(
    bytes: &[u8],
    size: usize,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Unpin + use<> {
    let pieces: Vec<_> = bytes
        .chunks(size)
        .map(|p| Ok(Bytes::copy_from_slice(p)))
        .collect();
    futures::stream::iter(pieces)
}

fn files_below(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let entries = entries.map(|entry| entry.expect("a directory entry").path());
    entries
        .map(|path| if path.is_dir() { files_below(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn what_is_put_reads_back_whole_and_in_ranges() {
    let dir = tempfile::tempdir().expect("a directory");
    let blobs = Blobs::open(dir.path()).expect("opens");
    let bytes: Vec<u8> = (0..3 * PART + 17).map(|i| (i % 251) as u8).collect();
    let digest = Digest::of(&bytes);
    assert_eq!(blobs.head(digest).await.expect("looks"), None);
    let put = blobs
        .put(pieces(&bytes, 70_001), digest, bytes.len() as u64)
        .await;
    assert_eq!(put.expect("stores"), Put::Stored(BlobRef::of(&bytes)));
    let again = blobs
        .put(pieces(&bytes, 4096), digest, bytes.len() as u64)
        .await;
    assert_eq!(again.expect("stores"), Put::Known(BlobRef::of(&bytes)));
    let all = blobs
        .read_all(digest, bytes.len() as u64)
        .await
        .expect("reads");
    assert_eq!(all, bytes);
    let some = blobs
        .get_range(digest, PART as u64 - 3, 9)
        .await
        .expect("reads");
    assert_eq!(some, bytes[PART - 3..PART + 6]);
    let (len, stream) = blobs.stream(digest).await.expect("streams");
    let streamed: Vec<Bytes> = stream.map(|piece| piece.expect("a piece")).collect().await;
    assert_eq!((len, streamed.concat()), (bytes.len() as u64, bytes));
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let dir = tempfile::tempdir().expect("a directory");
    let blobs = Blobs::open(dir.path()).expect("opens");
    let blob = blobs.put_bytes(Bytes::new()).await.expect("stores");
    assert_eq!(blob.len, 0);
    assert_eq!(
        blobs.read_all(blob.digest, 0).await.expect("reads"),
        Bytes::new()
    );
}

#[tokio::test]
async fn a_bad_upload_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let blobs = Blobs::open(dir.path()).expect("opens");
    let bytes = vec![7; 100_000];
    let digest = Digest::of(&bytes);

    let wrong = blobs.put(pieces(&bytes[1..], 999), digest, 1 << 20).await;
    assert!(
        matches!(wrong, Err(BlobError::DigestMismatch { .. })),
        "{wrong:?}"
    );
    let large = blobs.put(pieces(&bytes, 999), digest, 99_999).await;
    assert!(
        matches!(large, Err(BlobError::TooLarge { limit: 99_999 })),
        "{large:?}"
    );
    let broken = pieces(&bytes[..50_000], 999)
        .chain(futures::stream::iter([Err(std::io::Error::other("gone"))]));
    let broken = blobs.put(broken, digest, 1 << 20).await;
    assert!(
        matches!(
            broken,
            Err(BlobError::BrokenOff {
                received: 50_000,
                ..
            })
        ),
        "{broken:?}"
    );

    assert_eq!(blobs.head(digest).await.expect("looks"), None);
    assert_eq!(files_below(dir.path()), 0);
    let read = blobs.read_all(digest, 1 << 20).await;
    assert!(matches!(read, Err(BlobError::Missing(_))), "{read:?}");
}

#[tokio::test]
async fn ranges_outside_a_blob_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let blobs = Blobs::open(dir.path()).expect("opens");
    let blob = blobs
        .put_bytes(Bytes::from_static(b"0123456789"))
        .await
        .expect("stores");
    assert_eq!(
        blobs.get_range(blob.digest, 8, 2).await.expect("reads"),
        "89"
    );
    for (offset, len) in [(9, 2), (11, 0), (u64::MAX, 5)] {
        let read = blobs.get_range(blob.digest, offset, len).await;
        assert!(matches!(read, Err(BlobError::Range { .. })), "{read:?}");
    }
}

#[tokio::test]
async fn staged_files_of_a_killed_hub_go_at_the_next_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let blobs = Blobs::open(dir.path()).expect("opens");
    let kept = blobs
        .put_bytes(Bytes::from_static(b"kept"))
        .await
        .expect("stores");
    let mut upload = blobs
        .files
        .put_multipart(&place(Digest::of(b"half")))
        .await
        .expect("begins");
    upload
        .put_part(PutPayload::from_static(b"ha"))
        .await
        .expect("writes");
    // As after `kill -9`: the staged file's owner never gets to remove it.
    std::mem::forget(upload);
    assert_eq!(files_below(dir.path()), 2);
    assert_eq!(blobs.head(Digest::of(b"half")).await.expect("looks"), None);

    let blobs = Blobs::open(dir.path()).expect("opens again");
    assert_eq!(files_below(dir.path()), 1);
    assert_eq!(blobs.head(kept.digest).await.expect("looks"), Some(4));
}
