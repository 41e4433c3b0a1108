//! Whether the write-ahead log holds more than SQLite will read of it.
//!
//! SQLite reads the log up to the first frame whose checksum does not hold, and forgets the rest without a
//! word. After a power cut that is right: what stands there was being written, and nobody was told that it
//! was stored. After a byte has changed, what was acknowledged is among it.
//!
//! The two are told apart by what comes after. Each commit is synced before the next begins, so of two
//! commits behind a bad frame the first was on the disk whole: the frame is damaged. Damage to the last
//! commit of all looks as a cut does. Frames that were copied into the database already are no loss.
//!
//! Only for a database that nobody uses: a log that is being written changes while it is read.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use tern_protocol::digest::Digest;

/// Bytes before the first frame.
const HEADER: usize = 32;

/// Bytes of a frame before its page.
const FRAME: usize = 24;

/// Pages that SQLite knows, in bytes.
const PAGES: std::ops::RangeInclusive<u32> = 512..=65_536;

/// Commits behind a bad frame that prove that it was damaged.
const PROOF: u32 = 2;

/// How many commits of the log at `log` SQLite would forget, that are not in the database at `path`.
pub(super) fn forgotten(path: &Path, log: &Path) -> io::Result<u32> {
    let file = match File::open(log) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file?,
    };
    let database = File::open(path)?;
    let mut log = BufReader::new(file);
    let mut header = [0; HEADER];
    if !filled(&mut log, &mut header)? {
        return Ok(0);
    }
    let page = word(&header, 8);
    if !PAGES.contains(&page) || !page.is_power_of_two() {
        // Its size cannot be told any more. That of the database is the same.
        return unreadable(&database, log);
    }
    let mut sum = Sum::new(word(&header, 0));
    sum.add(&header[..24]);
    let salt = sum.is(&header[24..32]).then(|| salt(&header, 16));
    behind(&database, log, page, salt, sum)
}

/// As [`forgotten`], of a log whose header does not say how large a page is.
fn unreadable(database: &File, log: BufReader<File>) -> io::Result<u32> {
    let mut header = [0; 18];
    match database.read_exact_at(&mut header, 0) {
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
        read => read?,
    }
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        page => u32::from(page),
    };
    if !PAGES.contains(&page) {
        return Ok(0);
    }
    behind(database, log, page, None, Sum::new(0))
}

/// Commits that stand behind the first frame that is not good. `salt`: that of the log's frames, if its
/// header is good; else that of the first frame, and none is good.
fn behind(
    database: &File,
    mut log: BufReader<File>,
    page: u32,
    mut salt_of_log: Option<[u8; 8]>,
    mut sum: Sum,
) -> io::Result<u32> {
    let mut good = salt_of_log.is_some();
    let mut frame = vec![0; FRAME + page as usize];
    let mut commits = 0;
    // Where the log has each page last, of the commits that are forgotten; and of one that is not whole.
    let mut committed: HashMap<u32, Digest> = HashMap::new();
    let mut pending: HashMap<u32, Digest> = HashMap::new();
    while filled(&mut log, &mut frame)? {
        let (head, bytes) = frame.split_at(FRAME);
        let ours = *salt_of_log.get_or_insert(salt(head, 8)) == salt(head, 8);
        if good {
            sum.add(&head[..8]);
            sum.add(bytes);
            good = ours && sum.is(&head[16..24]);
        }
        let commits_here = word(head, 4) != 0;
        if good {
            // What is before the bad frame in the same transaction is forgotten with it.
            if commits_here {
                pending.clear();
            } else {
                pending.insert(word(head, 0), Digest::of(bytes));
            }
        } else if ours {
            pending.insert(word(head, 0), Digest::of(bytes));
            if commits_here {
                commits += 1;
                committed.extend(pending.drain());
            }
        }
    }
    if commits < PROOF {
        return Ok(0);
    }
    let mut bytes = vec![0; page as usize];
    for (number, wanted) in committed {
        let at = u64::from(number.saturating_sub(1)) * u64::from(page);
        match database.read_exact_at(&mut bytes, at) {
            Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => return Ok(commits),
            read => read?,
        }
        if Digest::of(&bytes) != wanted {
            return Ok(commits);
        }
    }
    Ok(0)
}

/// Fills a buffer; not if the file ends before that.
fn filled(file: &mut BufReader<File>, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn salt(bytes: &[u8], at: usize) -> [u8; 8] {
    bytes[at..at + 8].try_into().expect("eight bytes")
}

/// The checksum that runs through a log (<https://sqlite.org/fileformat2.html#checksum_algorithm>).
struct Sum {
    parts: (u32, u32),
    read: fn([u8; 4]) -> u32,
}

impl Sum {
    /// Of a log that begins with this word, which says how words are read.
    fn new(magic: u32) -> Self {
        Self {
            parts: (0, 0),
            read: if magic & 1 == 1 {
                u32::from_be_bytes
            } else {
                u32::from_le_bytes
            },
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let (mut first, mut second) = self.parts;
        for pair in bytes.chunks_exact(8) {
            let word = |at| (self.read)([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
            first = first.wrapping_add(word(0)).wrapping_add(second);
            second = second.wrapping_add(word(4)).wrapping_add(first);
        }
        self.parts = (first, second);
    }

    fn is(&self, stored: &[u8]) -> bool {
        self.parts == (word(stored, 0), word(stored, 4))
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, Statement};

    use super::{
        super::{sqlite::LOG, *},
        *,
    };

    /// A database as a `kill -9` leaves it, whose log has these many commits more than the schema's.
    async fn killed(commits: i64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(Place::in_dir(dir.path())).await.expect("opens");
        for value in 0..commits {
            let sql = format!("INSERT INTO counter (name, value) VALUES ('x{value}', {value})");
            let insert = Statement::from_string(store.backend(), sql);
            store.write().execute_raw(insert).await.expect("writes");
        }
        let copy = tempfile::tempdir().expect("a temporary directory");
        for name in [FILE, LOG] {
            std::fs::copy(dir.path().join(name), copy.path().join(name)).expect("copies");
        }
        store.close().await;
        copy
    }

    fn forgotten_in(dir: &Path) -> u32 {
        forgotten(&dir.join(FILE), &dir.join(LOG)).expect("reads")
    }

    fn change(dir: &Path, at: usize) {
        let path = dir.join(LOG);
        let mut bytes = std::fs::read(&path).expect("reads");
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("writes");
    }

    #[tokio::test]
    async fn a_changed_byte_before_other_commits_is_damage_wherever_it_is() {
        let dir = killed(20).await;
        assert_eq!(forgotten_in(dir.path()), 0, "it is whole");
        let len = std::fs::read(dir.path().join(LOG)).expect("reads").len();
        let frames = (len - HEADER) / (FRAME + 4096);
        let mut places: Vec<_> = (0..HEADER).collect();
        for frame in [0, frames / 2, frames - 8] {
            let start = HEADER + frame * (FRAME + 4096);
            places.extend([0, 4, 8, 15, 16, 23, 24, 2_000, FRAME + 4095].map(|at| start + at));
        }
        for at in places {
            change(dir.path(), at);
            assert!(forgotten_in(dir.path()) >= PROOF, "byte {at} of {len}");
            change(dir.path(), at);
        }
        change(dir.path(), HEADER + 100);
        match Store::open(Place::in_dir(dir.path())).await {
            Err(StoreError::Log { commits, .. }) => assert!(commits >= 20, "{commits}"),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn what_a_power_cut_leaves_is_no_damage() {
        let dir = killed(5).await;
        let path = dir.path().join(LOG);
        let whole = std::fs::read(&path).expect("reads");
        // The last commit, torn anywhere.
        let last = whole.len() - (FRAME + 4096);
        for at in [last, last + 30, whole.len() - 1] {
            let mut torn = whole.clone();
            torn[at..].fill(0);
            std::fs::write(&path, &torn).expect("writes");
            assert_eq!(forgotten_in(dir.path()), 0, "torn at {at}");
            torn.truncate(at);
            std::fs::write(&path, &torn).expect("writes");
            assert_eq!(forgotten_in(dir.path()), 0, "cut at {at}");
        }
    }

    #[tokio::test]
    async fn what_is_in_the_database_is_not_lost_with_the_log() {
        let dir = killed(5).await;
        let whole = std::fs::read(dir.path().join(LOG)).expect("reads");
        let store = Store::open(Place::in_dir(dir.path())).await.expect("opens");
        store.close().await;
        std::fs::write(dir.path().join(LOG), whole).expect("writes");
        // The log begins anew, and its header is torn.
        change(dir.path(), 20);
        assert_eq!(forgotten_in(dir.path()), 0);
        Store::open(Place::in_dir(dir.path())).await.expect("opens");
    }
}
