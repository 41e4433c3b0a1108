use tern_protocol::{blob::Chunk, limits};

use super::*;
use crate::{
    chance::Chance,
    fetch::{Errand, fetcher},
};

/// A base of some chunks, what follows on it, and the delta between them.
struct World {
    dir: tempfile::TempDir,
    blobs: Blobs,
    patches: Patches,
    base: Vec<u8>,
    new: Vec<u8>,
    delta: Vec<u8>,
    now: Uptime,
}

fn open(dir: &std::path::Path) -> Blobs {
    let files = Files::open(dir.join("blobs")).expect("it opens");
    Blobs::open(files, Chance::seeded(3)).expect("it lists")
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let base: Vec<u8> = (0..200_000_u32)
            .map(|i| (i.wrapping_mul(i) >> 7) as u8)
            .collect();
        let mut new = base.clone();
        new[70_000..71_000].fill(7);
        let delta = tern_delta::encode(&base, &new).expect("it encodes");
        let mut world = Self {
            blobs: open(dir.path()),
            dir,
            patches: Patches::default(),
            base,
            new,
            delta,
            now: Uptime(0),
        };
        let base = world.base.clone();
        world.blobs.want(BlobRef::of(&base));
        world.deliver(&base);
        world
    }

    fn target(&self) -> BlobRef {
        BlobRef::of(&self.new)
    }

    fn offer(&self) -> Offer {
        Offer {
            base: Digest::of(&self.base),
            delta: BlobRef::of(&self.delta),
        }
    }

    fn begin(&mut self) -> Option<Result<(), String>> {
        let (target, offer) = (self.target(), self.offer());
        self.patches
            .begin(target, &[offer], &mut self.blobs, self.now)
    }

    fn look(&mut self) -> Vec<News> {
        let wanted = BTreeSet::from([self.target().digest]);
        self.patches.look(&wanted, &mut self.blobs, self.now, true)
    }

    /// Sends a blob that is wanted, whatever the bytes are.
    fn deliver_as(&mut self, blob: BlobRef, bytes: &[u8]) {
        loop {
            match self.blobs.poll(self.now, true) {
                Some(Errand::Ask(want)) if want.blob == blob.digest => {
                    for index in 0..blob.chunks() {
                        let (offset, len) = blob.place(index).expect("within the blob");
                        let bytes = bytes[offset as usize..offset as usize + len].to_vec();
                        let chunk = Chunk { index, bytes };
                        self.blobs.chunk(blob.digest, &chunk, self.now);
                    }
                }
                Some(Errand::Verify(blob)) => {
                    let result = self.blobs.files().finish(blob);
                    self.blobs.finished(blob, result, self.now);
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        self.deliver_as(BlobRef::of(bytes), bytes);
    }

    fn make(&mut self) -> Result<(), MakeError> {
        let (target, offer) = (self.target(), self.offer());
        let made = make(self.blobs.files(), target, offer);
        self.patches.made(target, &made, &mut self.blobs);
        made
    }

    /// Names of the files in the directory of blobs.
    fn files(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.dir.path().join("blobs")).expect("it lists");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .map(|name| name.into_string().expect("text"))
            .collect()
    }
}

#[test]
fn a_file_is_made_of_what_is_here_and_a_little_that_comes() {
    let mut world = World::new();
    assert!(world.delta.len() < world.new.len() / 10);
    assert_eq!(world.begin(), Some(Ok(())));
    let (target, offer) = (world.target(), world.offer());
    assert_eq!(world.patches.travels(target), offer.delta);
    let mut shown = world.blobs.known();
    world.patches.show(&mut shown);
    assert_eq!(shown.get(&target.digest), Some(&BlobStatus::Coming));
    assert_eq!(world.look(), []);

    let delta = world.delta.clone();
    world.deliver(&delta);
    assert_eq!(world.look(), [News::Make(target, offer)]);
    assert_eq!(world.look(), [], "it is being made");
    world.make().expect("it is made");
    assert_eq!(world.blobs.status(target.digest), BlobStatus::Whole);
    let read = world.blobs.files().read(target, usize::MAX);
    assert_eq!(read.expect("it reads"), world.new);
    let left = [offer.base, target.digest].map(|digest| digest.to_string());
    assert_eq!(world.files(), BTreeSet::from(left), "the delta is gone");
    let counts = world.patches.counts();
    assert_eq!((counts.applied, counts.failed), (1, 0));
    assert_eq!(counts.bytes_saved, target.len - offer.delta.len);
}

#[test]
fn a_delta_to_something_else_is_noticed_and_not_tried_again() {
    let mut world = World::new();
    // It is named by its own digest, and makes other bytes than it should.
    let mut other = world.new.clone();
    other[5] ^= 1;
    world.delta = tern_delta::encode(&world.base, &other).expect("it encodes");
    assert_eq!(world.begin(), Some(Ok(())));
    let delta = world.delta.clone();
    world.deliver(&delta);
    assert_eq!(world.look().len(), 1);
    let err = world.make().expect_err("it makes something else");
    assert!(
        matches!(err, MakeError::Apply(ApplyError::Mismatch { .. })),
        "{err}"
    );
    let target = world.target();
    assert_eq!(world.blobs.status(target.digest), BlobStatus::Absent);
    assert_eq!(world.patches.counts().failed, 1);
    assert_eq!(world.begin(), None, "once is enough");
    // Neither after a restart; and the whole file comes as ever.
    world.blobs = open(world.dir.path());
    world.patches = Patches::default();
    assert_eq!(world.begin(), None);
    world.blobs.want(target);
    let new = world.new.clone();
    world.deliver(&new);
    assert_eq!(world.blobs.status(target.digest), BlobStatus::Whole);
    let left = [world.offer().base, target.digest].map(|digest| digest.to_string());
    assert_eq!(world.files(), BTreeSet::from(left));
}

#[test]
fn what_ends_the_agent_each_time_is_given_up() {
    let mut world = World::new();
    let target = world.target();
    for _ in 0..TRIES {
        assert_eq!(world.begin(), Some(Ok(())));
        let delta = world.delta.clone();
        world.deliver(&delta);
        assert_eq!(world.look().len(), 1);
        // A kill in the middle: the try is noted, and half a file is there.
        note_try(world.blobs.files(), target.digest).expect("it notes");
        let scratch = world.blobs.files().path(target.digest, SCRATCH);
        fs::write(scratch, b"half").expect("it writes");
        world.blobs = open(world.dir.path());
        world.patches = Patches::default();
    }
    assert_eq!(world.begin(), None);
    world.blobs.drop(target.digest).expect("it drops");
    assert!(
        !world
            .files()
            .contains(&format!("{}{SCRATCH}", target.digest))
    );
    assert_eq!(
        world.begin(),
        Some(Ok(())),
        "what is not needed is forgotten"
    );
}

#[test]
fn wrong_bytes_silence_and_a_missing_base_end_in_the_whole_file() {
    let mut world = World::new();
    let (target, offer) = (world.target(), world.offer());
    assert_eq!(world.begin(), Some(Ok(())));
    let wrong = vec![0; world.delta.len()];
    for _ in 0..fetcher::MISMATCHES_MAX {
        world.deliver_as(offer.delta, &wrong);
        world.now = world.blobs.deadline(true).unwrap_or(world.now);
    }
    let news = world.look();
    assert!(
        matches!(&news[..], [News::Failed(failed, _)] if *failed == target),
        "{news:?}"
    );
    assert_eq!(world.begin(), None);

    let mut world = World::new();
    assert_eq!(world.begin(), Some(Ok(())));
    assert_eq!(world.look(), []);
    world.now = world.now.plus(PATIENCE);
    let news = world.look();
    assert!(matches!(&news[..], [News::Failed(..)]), "{news:?}");

    let mut world = World::new();
    world.blobs.drop(offer.base).expect("it drops");
    assert_eq!(world.begin(), None);
    assert_eq!(world.patches.counts(), Counts::default(), "nothing failed");
}

#[test]
fn what_no_slot_waits_for_is_let_go() {
    let mut world = World::new();
    assert_eq!(world.begin(), Some(Ok(())));
    let news = world
        .patches
        .look(&BTreeSet::new(), &mut world.blobs, world.now, true);
    assert_eq!(news, []);
    assert_eq!(world.patches.helping().count(), 0);
    let delta = world.offer().delta;
    assert_eq!(world.blobs.status(delta.digest), BlobStatus::Absent);
    const { assert!(limits::CHUNK < 200_000, "the base has some chunks") };
}
