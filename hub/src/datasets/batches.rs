//! Rows that a thread reads and a task takes, some at a time.
//!
//! Must never break: what waits is bounded in bytes as well as in rows; a thread that ends by a panic is an error, and not
//! the end of the rows, or a version would be done without some of them.

use std::{io, mem};

use tern_dataset::Rows;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{DatasetError, Row};

/// Rows that are handed on together, at most.
const TOGETHER: usize = 256;

/// Bytes of rows that are handed on together: a row more may be in them.
const BYTES: usize = 4 * 1024 * 1024;

/// Batches that wait for whoever takes them.
const WAITING: usize = 2;

/// What comes of reading.
pub(super) type Batches<T> = mpsc::Receiver<Result<Vec<T>, DatasetError>>;

/// Takes one, with about how many bytes it has; whether anybody takes more.
pub(super) type Take<'a, T> = dyn FnMut(T, usize) -> bool + 'a;

/// Has a thread read, until there is no more or whoever takes it drops the receiver. The last batch may be an error.
pub(super) fn in_batches<T: Send + 'static>(
    read: impl FnOnce(&mut Take<'_, T>) -> Result<(), DatasetError> + Send + 'static,
) -> Batches<T> {
    let (to, batches) = mpsc::channel(WAITING);
    let if_it_panics = to.clone();
    let reading = spawn_blocking(move || {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let read = read(&mut |one, its_bytes| {
            batch.push(one);
            bytes += its_bytes;
            if batch.len() < TOGETHER && bytes < BYTES {
                return true;
            }
            bytes = 0;
            to.blocking_send(Ok(mem::take(&mut batch))).is_ok()
        });
        // Nobody may take it any more: then nobody needs it.
        let _ = match read {
            Ok(()) if batch.is_empty() => Ok(()),
            Ok(()) => to.blocking_send(Ok(batch)),
            Err(err) => to.blocking_send(Err(err)),
        };
    });
    tokio::spawn(async move {
        if let Err(panicked) = reading.await {
            let err = DatasetError::Io {
                doing: "reading rows",
                source: io::Error::other(panicked),
            };
            let _ = if_it_panics.send(Err(err)).await;
        }
    });
    batches
}

/// Hands all rows of a file of ours on; whether anybody takes more.
pub(super) fn pass_on(rows: Rows, take: &mut Take<'_, Row>) -> Result<bool, DatasetError> {
    for row in rows {
        let row = row?;
        let bytes = row.bytes();
        if !take(row, bytes) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_bounded_in_items_and_in_bytes() {
        let mut batches = in_batches(|take| {
            for number in 0..600_usize {
                assert!(take(number, 1));
            }
            for number in 600..603 {
                assert!(take(number, BYTES));
            }
            Ok(())
        });
        let (mut all, mut sizes) = (Vec::new(), Vec::new());
        while let Some(batch) = batches.recv().await {
            let batch = batch.expect("nothing is wrong");
            sizes.push(batch.len());
            all.extend(batch);
        }
        assert_eq!(all, (0..603).collect::<Vec<_>>());
        assert_eq!(sizes, [256, 256, 89, 1, 1]);
    }

    #[tokio::test]
    async fn what_is_wrong_comes_last_and_a_panic_is_no_end() {
        let mut batches = in_batches(|take| {
            take(1, 0);
            Err(DatasetError::Refused("row 2".into()))
        });
        let first = batches.recv().await.expect("an answer");
        assert!(matches!(first, Err(DatasetError::Refused(_))), "{first:?}");
        assert!(batches.recv().await.is_none());

        let mut batches = in_batches::<u8>(|take| {
            take(1, BYTES);
            panic!("as a library may on bytes that nobody thought of");
        });
        let first = batches.recv().await.expect("an answer");
        assert_eq!(first.expect("a row"), [1]);
        let then = batches.recv().await.expect("not the end");
        assert!(matches!(then, Err(DatasetError::Io { .. })), "{then:?}");
        assert!(batches.recv().await.is_none());
    }

    #[tokio::test]
    async fn nobody_who_takes_ends_it() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let batches = in_batches(move |take| {
            let mut taken = 0_u64;
            while take(taken, BYTES) {
                taken += 1;
            }
            let _ = tell.send(taken);
            Ok(())
        });
        drop(batches);
        told.await.expect("it ends");
    }
}
