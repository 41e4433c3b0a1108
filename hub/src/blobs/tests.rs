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

fn file(dir: &Path, digest: Digest) -> std::path::PathBuf {
    let hex = digest.to_string();
    dir.join("sha256").join(&hex[..2]).join(&hex)
}

/// Changes one byte of a blob on the disk.
fn damage(dir: &Path, digest: Digest) {
    let path = file(dir, digest);
    let mut bytes = std::fs::read(&path).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
}

/// A hub's blobs as they are after a restart, with one that is damaged.
async fn damaged(bytes: &[u8]) -> (tempfile::TempDir, Blobs, Digest) {
    let dir = tempfile::tempdir().expect("a directory");
    let before = Blobs::open(dir.path()).expect("opens");
    let blob = before.put_bytes(Bytes::copy_from_slice(bytes)).await;
    let digest = blob.expect("stores").digest;
    damage(dir.path(), digest);
    let blobs = Blobs::open(dir.path()).expect("opens");
    (dir, blobs, digest)
}

type Reading<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), BlobError>> + 'a>>;
type Read = for<'a> fn(&'a Blobs, Digest) -> Reading<'a>;

#[tokio::test]
async fn a_damaged_blob_is_read_by_nobody_and_mended_by_storing_it_again() {
    let bytes = vec![9; 2 * PART + 1];
    let ways: [Read; 4] = [
        |blobs, digest| Box::pin(async move { blobs.find(digest).await.map(drop) }),
        |blobs, digest| Box::pin(async move { blobs.get_range(digest, 0, 9).await.map(drop) }),
        |blobs, digest| Box::pin(async move { blobs.read_all(digest, 1 << 30).await.map(drop) }),
        |blobs, digest| Box::pin(async move { blobs.stream(digest).await.map(drop) }),
    ];
    for read in ways {
        let (dir, blobs, digest) = damaged(&bytes).await;
        assert!(!blobs.is_known(digest));
        let answer = read(&blobs, digest).await;
        assert!(matches!(answer, Err(BlobError::Missing(_))), "{answer:?}");
        assert_eq!(blobs.lacking(), BTreeSet::from([digest]));
        assert_eq!(
            (blobs.damaged(), blobs.head(digest).await.ok()),
            (1, Some(None))
        );
        assert_eq!(files_below(&dir.path().join(claims::DAMAGED)), 1);
        // Twice is once.
        assert!(read(&blobs, digest).await.is_err());
        assert_eq!(blobs.damaged(), 1);

        let put = blobs.put(pieces(&bytes, 70_001), digest, 1 << 30).await;
        assert_eq!(put.expect("stores"), Put::Stored(BlobRef::of(&bytes)));
        assert_eq!(blobs.lacking(), BTreeSet::new());
        assert!(blobs.is_known(digest));
        assert_eq!(blobs.read_all(digest, 1 << 30).await.expect("reads"), bytes);
    }
}

#[tokio::test]
async fn whoever_could_send_a_blob_is_told_that_it_is_damaged_also_if_it_was_whole_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let blobs = Blobs::open(dir.path()).expect("opens");
    let blob = blobs.put_bytes(Bytes::from_static(b"some bytes")).await;
    let digest = blob.expect("stores").digest;
    assert!(blobs.is_known(digest));
    damage(dir.path(), digest);
    assert_eq!(blobs.claim_whole(digest).await.expect("looks"), None);
    let again = blobs.put(pieces(b"some bytes", 3), digest, 99).await;
    assert!(matches!(again, Ok(Put::Stored(_))), "{again:?}");
    // Or without asking before.
    damage(dir.path(), digest);
    let again = blobs.put(pieces(b"some bytes", 3), digest, 99).await;
    assert!(matches!(again, Ok(Put::Stored(_))), "{again:?}");
    assert_eq!(
        blobs.read_all(digest, 99).await.expect("reads"),
        "some bytes"
    );
    assert_eq!(blobs.damaged(), 2);
}

#[tokio::test]
async fn what_rots_while_the_hub_runs_is_found_when_somebody_begins_to_fetch_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let blobs = Blobs::open(dir.path()).expect("opens");
    let blob = blobs.put_bytes(Bytes::from_static(b"some bytes")).await;
    let blob = blob.expect("stores");
    let (long, now) = (Duration::from_secs(1_000_000_000), Duration::ZERO);
    damage(dir.path(), blob.digest);
    assert!(blobs.is_fresh(blob.digest, long) && !blobs.is_fresh(blob.digest, now));
    let trusted = blobs.find_fresh(blob.digest, long).await;
    assert_eq!(trusted.expect("it was whole"), blob);
    let hashed = blobs.find_fresh(blob.digest, now).await;
    assert!(matches!(hashed, Err(BlobError::Missing(_))), "{hashed:?}");
    assert!(blobs.is_lacking(blob.digest) && !blobs.is_fresh(blob.digest, long));
}

#[tokio::test]
async fn a_scrub_finds_damage_that_nobody_has_met() {
    let (_dir, blobs, digest) = damaged(b"left alone").await;
    let whole = blobs.put_bytes(Bytes::from_static(b"whole")).await;
    let whole = whole.expect("stores").digest;
    let pace = Pace::PerSecond(1 << 30);
    assert_eq!(blobs.scrub(whole, pace).await.expect("reads"), Found::Whole);
    assert_eq!(
        blobs.scrub(digest, pace).await.expect("reads"),
        Found::Damaged
    );
    assert_eq!(blobs.scrub(digest, pace).await.expect("reads"), Found::Gone);
}

#[tokio::test]
async fn the_last_damaged_blobs_are_kept_and_no_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let blobs = Blobs::open(dir.path()).expect("opens");
    for number in 0..9_u8 {
        let blob = blobs.put_bytes(Bytes::from(vec![number; 9])).await;
        let digest = blob.expect("stores").digest;
        damage(dir.path(), digest);
        blobs.claim_whole(digest).await.expect("looks");
        let last = dir
            .path()
            .join(claims::DAMAGED)
            .join(format!("{digest}.damaged"));
        assert!(last.is_file());
    }
    assert_eq!(files_below(&dir.path().join(claims::DAMAGED)), 4);
    assert_eq!(blobs.lacking().len(), 9);
}

#[tokio::test]
async fn what_is_gone_is_found_again_after_a_restart_and_what_is_back_is_not() {
    let (dir, blobs, digest) = damaged(b"wanted").await;
    blobs.find(digest).await.expect_err("it is damaged");
    let blobs = Blobs::open(dir.path()).expect("opens");
    assert_eq!(blobs.lacking(), BTreeSet::new());
    let wanted = HashSet::from([digest]);
    assert_eq!(blobs.look_for(&wanted).await.expect("looks"), [digest]);
    assert_eq!(
        blobs.look_for(&wanted).await.expect("looks"),
        [],
        "told once"
    );
    assert_eq!(blobs.lacking(), BTreeSet::from([digest]));
    // By hand, from a backup.
    std::fs::write(file(dir.path(), digest), b"wanted").expect("writes");
    blobs.look_for(&wanted).await.expect("looks");
    assert_eq!(blobs.lacking(), BTreeSet::new());
}
