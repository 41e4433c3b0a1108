//! How much room the disk has, and what to do about it.
//!
//! Called by `node`; [`judge`], [`shortfall`] and [`evict`] are pure. Must never break: what serves and its
//! predecessor are never among what is given up for room.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tern_protocol::digest::Digest;

use crate::fetch::files::{RESERVE, Stocked, free_bytes};

/// Bytes of the reserve: the store grows by whole segments of 512 KiB and uses them again, so these are eight.
pub const HELD: u64 = 4 << 20;

/// With less free than this the reserve is given to the store.
const SCANT: u64 = 1 << 20;

/// With less free than this nothing is kept that is not needed.
const KEPT_FREE: u64 = 64 << 20;

/// Blobs that are kept beyond those that are needed, at most.
const KEPT_MAX: usize = 64;

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is as it should be.
    #[default]
    Enough,
    /// Nothing is taken in that can be left out: no captures, no larger outbox, no new blobs.
    Short,
    /// The store lives from the reserve.
    Full,
}

/// The level after it was `before`; it takes twice the reserve to be at ease again.
pub fn judge(before: Level, free: u64) -> Level {
    match before {
        _ if free < SCANT => Level::Full,
        Level::Enough if free >= RESERVE => Level::Enough,
        _ if free >= 2 * RESERVE => Level::Enough,
        Level::Full if free < RESERVE => Level::Full,
        _ => Level::Short,
    }
}

/// Bytes that unneeded blobs have to give back, when blobs take `taken` bytes of `limit`.
pub fn shortfall(taken: u64, limit: u64, free: Option<u64>) -> u64 {
    let over = taken.saturating_sub(limit);
    let missing = free.map_or(0, |free| KEPT_FREE.saturating_sub(free));
    over.max(missing)
}

/// Which blobs go to give back this many bytes: of those that nobody needs the ones that came first, and
/// never more than it takes.
pub fn evict(stock: &[Stocked], needed: &BTreeSet<&Digest>, shortfall: u64) -> Vec<Digest> {
    let spare = stock.iter().filter(|blob| !needed.contains(&blob.digest));
    let surplus = spare.clone().count().saturating_sub(KEPT_MAX);
    let mut given = 0;
    let gone = spare.enumerate().take_while(|(place, blob)| {
        let goes = given < shortfall || *place < surplus;
        given += blob.bytes;
        goes
    });
    gone.map(|(_, blob)| blob.digest).collect()
}

/// A file that holds room for the store. sled cannot go on after a write that failed, so it must not come to
/// that: when the disk is nearly full, the file goes and its room is the store's.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// The reserve below this directory.
    pub fn below(dir: &Path) -> Self {
        Self {
            path: dir.join("reserve"),
        }
    }

    /// Whether it is there.
    pub fn is_held(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|facts| facts.len() == HELD)
    }

    /// Takes it, if the disk can give it and stay at ease.
    pub fn hold(&self) -> io::Result<bool> {
        if self.is_held() {
            return Ok(true);
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        if free_bytes(dir).is_some_and(|free| free < 2 * RESERVE + HELD) {
            return Ok(false);
        }
        let written = self.write();
        if written.is_err() {
            // Half a reserve is none.
            let _ = fs::remove_file(&self.path);
        }
        written.map(|()| true)
    }

    fn write(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        // Written, not only allocated: not every file system can promise room, and of those that pack
        // their files none makes anything of this.
        let mut block = vec![0; 64 << 10];
        getrandom::fill(&mut block).map_err(io::Error::other)?;
        for _ in 0..HELD / block.len() as u64 {
            file.write_all(&block)?;
        }
        file.sync_all()
    }

    /// Gives it up; whether it was there.
    pub fn release(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blob(n: u8, bytes: u64) -> Stocked {
        Stocked {
            digest: Digest::of(&[n]),
            bytes,
        }
    }

    #[test]
    fn the_first_that_came_go_first_and_only_as_many_as_it_takes() {
        let stock = [blob(1, 10), blob(2, 20), blob(3, 30), blob(4, 40)];
        let needed = BTreeSet::from([&stock[0].digest]);
        let gone = |shortfall| evict(&stock, &needed, shortfall);
        assert_eq!(gone(0), []);
        assert_eq!(gone(1), [stock[1].digest]);
        assert_eq!(gone(20), [stock[1].digest]);
        assert_eq!(gone(21), [stock[1].digest, stock[2].digest]);
        assert_eq!(gone(u64::MAX).len(), 3, "what is needed stays");
    }

    #[test]
    fn many_small_ones_are_not_kept_for_ever() {
        let stock: Vec<_> = (0..=u8::MAX).map(|n| blob(n, 1)).collect();
        let gone = evict(&stock, &BTreeSet::new(), 0);
        assert_eq!(gone.len(), 256 - KEPT_MAX);
        assert_eq!(gone[0], stock[0].digest);
    }

    #[test]
    fn levels_do_not_flutter() {
        use Level::{Enough, Full, Short};
        let steps = [
            (RESERVE, Enough),
            (RESERVE - 1, Short),
            (RESERVE + 1, Short),
            (SCANT - 1, Full),
            (SCANT + HELD, Full),
            (RESERVE, Short),
            (2 * RESERVE, Enough),
        ];
        let mut level = Enough;
        for (free, next) in steps {
            level = judge(level, free);
            assert_eq!(level, next, "{free} bytes free");
        }
    }

    #[test]
    fn a_reserve_takes_its_room_and_gives_it_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let reserve = Reserve::below(dir.path());
        assert!(!reserve.release() && !reserve.is_held());
        assert!(reserve.hold().expect("it writes"));
        assert!(reserve.is_held() && reserve.hold().expect("it is there"));
        fs::write(dir.path().join("reserve"), b"half").expect("it writes");
        assert!(!reserve.is_held(), "half a reserve is none");
        assert!(reserve.hold().expect("it writes"));
        assert!(reserve.release() && !reserve.is_held());
    }

    proptest! {
        #[test]
        fn what_is_needed_never_goes_and_what_goes_is_enough(
            sizes in prop::collection::vec(0u64..1_000, 0..40),
            needs in prop::collection::vec(any::<bool>(), 40),
            shortfall in 0u64..20_000,
        ) {
            let stock: Vec<_> = (0..).zip(&sizes).map(|(n, bytes)| blob(n, *bytes)).collect();
            let needed = stock.iter().zip(&needs).filter(|(_, need)| **need);
            let needed: BTreeSet<_> = needed.map(|(blob, _)| &blob.digest).collect();
            let gone = evict(&stock, &needed, shortfall);
            prop_assert!(gone.iter().all(|digest| !needed.contains(digest)));
            let bytes = |of: &dyn Fn(&Stocked) -> bool| -> u64 {
                stock.iter().filter(|blob| of(blob)).map(|blob| blob.bytes).sum()
            };
            let spare = bytes(&|blob| !needed.contains(&blob.digest));
            let given = bytes(&|blob| gone.contains(&blob.digest));
            prop_assert!(given >= shortfall.min(spare));
        }
    }
}
