use super::*;

const LIMIT: u64 = 64 << 20;

fn trees(store: &Store) -> Trees {
    store.trees().expect("it is open")
}

fn open(dir: &Path) -> (Store, Opening) {
    Store::open(dir, LIMIT).expect("it opens")
}

#[test]
fn boots_are_counted_and_the_outbox_keeps_its_id() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let id = store.outbox_id().expect("it has one");
    assert_eq!(store.next_boot().expect("it writes"), BootId(1));
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!(store.next_boot().expect("it writes"), BootId(2));
    assert_eq!(store.outbox_id().expect("it has one"), id);
}

#[test]
fn a_damaged_store_is_put_aside() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let id = store.outbox_id().expect("it has one");
    drop(store);
    for file in ["db", "conf"] {
        fs::write(dir.path().join("store").join(file), b"not a store at all").expect("it writes");
    }
    let (store, opening) = open(dir.path());
    assert!(matches!(opening, Opening::Fresh { aside, .. } if aside.exists()));
    assert_ne!(store.outbox_id().expect("it has one"), id);
}

#[test]
fn a_damaged_store_does_not_cost_what_serves() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let slot: SlotName = "digits".parse().expect("a name");
    let bundle = tern_protocol::blob::BlobRef::of(b"bundle");
    let mut record = SlotRecord::default();
    record.activated(slot::Kept {
        version: tern_protocol::reported::SlotVersion {
            model: "digits".parse().expect("a name"),
            version: "1".parse().expect("a version"),
            bundle: bundle.digest,
        },
        bundle,
    });
    store.set_slot(&slot, &record).expect("it writes");
    drop(store);
    let damage = || {
        for file in ["db", "conf"] {
            fs::write(dir.path().join("store").join(file), b"not a store").expect("it writes");
        }
    };
    damage();
    let (store, opening) = open(dir.path());
    assert!(matches!(opening, Opening::Fresh { .. }), "{opening:?}");
    assert_eq!(store.slot(&slot).expect("it reads"), record);
    drop(store);
    // A copy that rotted is none.
    let copy = dir.path().join("slots/digits");
    let mut bytes = fs::read(&copy).expect("it is there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&copy, bytes).expect("it writes");
    damage();
    let (store, _) = open(dir.path());
    assert_eq!(store.slot(&slot).expect("it reads"), SlotRecord::default());
}

#[test]
fn a_store_that_went_back_in_time_is_noticed_and_put_right_from_the_copies() {
    let dir = tempfile::tempdir().expect("a directory");
    let slot: SlotName = "digits".parse().expect("a name");
    let record = |served| SlotRecord {
        trial: Some(slot::Trial {
            starts: 0,
            served_s: served,
        }),
        ..SlotRecord::default()
    };
    let (store, _) = open(dir.path());
    store.next_boot().expect("it writes");
    store.set_slot(&slot, &record(1)).expect("it writes");
    drop(store);
    let log = dir.path().join("store/db");
    let old = fs::read(&log).expect("it is there");
    let (store, opening) = open(dir.path());
    assert!(matches!(opening, Opening::Usual), "{opening:?}");
    assert_eq!(store.next_boot().expect("it writes"), BootId(2));
    store.set_slot(&slot, &record(2)).expect("it writes");
    drop(store);
    fs::write(&log, old).expect("it writes");
    let (store, opening) = open(dir.path());
    assert!(matches!(opening, Opening::WentBack), "{opening:?}");
    assert!(store.damage().is_some());
    assert_eq!(store.slot(&slot).expect("it reads"), record(2));
    assert_eq!(store.next_boot().expect("it writes"), BootId(3));
    drop(store);
    // A log whose beginning is damaged is an empty one to sled.
    let mut bytes = fs::read(&log).expect("it is there");
    bytes[0] ^= 1;
    fs::write(&log, bytes).expect("it writes");
    for name in fs::read_dir(dir.path().join("store")).expect("it lists") {
        let path = name.expect("it lists").path();
        if path.to_string_lossy().contains("snap.") {
            fs::remove_file(path).expect("it is there");
        }
    }
    let (store, opening) = open(dir.path());
    assert!(!matches!(opening, Opening::Usual), "{opening:?}");
    assert_eq!(store.slot(&slot).expect("it reads"), record(2));
    assert_eq!(store.next_boot().expect("it writes"), BootId(4));
}

#[test]
fn a_snapshot_that_was_cut_off_is_no_damage() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let id = store.outbox_id().expect("it has one");
    drop(store);
    let store = dir.path().join("store");
    for half in [&b""[..], &[7; 266]] {
        let name = store.join("snap.FFFFFFFF00000000.generating");
        fs::write(&name, half).expect("it writes");
        let (opened, opening) = open(dir.path());
        assert!(matches!(opening, Opening::Usual), "{opening:?}");
        assert_eq!(opened.outbox_id().expect("it has one"), id);
        assert!(!name.exists());
    }
}

#[test]
fn a_record_that_cannot_be_read_counts_as_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let slot = "digits".parse().expect("a name");
    trees(&store)
        .slots
        .insert("digits", b"garbage")
        .expect("it writes");
    trees(&store)
        .facts
        .insert(KEY_DESIRED, b"\xff\xff")
        .expect("it writes");
    assert_eq!(store.slot(&slot).expect("it reads"), SlotRecord::default());
    assert_eq!(store.desired().expect("it reads"), Desired::default());
}

#[test]
fn a_newer_layout_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    store
        .set_fact(KEY_LAYOUT, &(LAYOUT + 1))
        .expect("it writes");
    store.flush().expect("it flushes");
    drop(store);
    let refusal = Store::open(dir.path(), LIMIT).expect_err("it is newer");
    assert!(
        matches!(refusal, StateError::Newer { found: 2, .. }),
        "{refusal}"
    );
}

/// Much goes through, little stays.
fn churn(store: &Store) {
    let outbox = trees(store).outbox;
    for n in 0u32..200 {
        let written = outbox.insert(n.to_be_bytes(), vec![1; 20_000]);
        written.expect("it writes");
        outbox.remove(n.to_be_bytes()).expect("it removes");
    }
    outbox.insert(b"kept", b"here").expect("it writes");
    store.flush().expect("it flushes");
}

#[test]
fn a_store_is_rewritten_while_it_is_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let user = store.clone();
    churn(&store);
    let before = store.size();
    let gained = store.compact(1 << 20).expect("there is room");
    assert!(
        gained.is_some_and(|gained| gained > 1 << 20),
        "{gained:?} of {before}"
    );
    assert_eq!(
        store.compact(1 << 20).expect("there is room"),
        None,
        "once is enough"
    );
    let kept = trees(&user).outbox.get(b"kept").expect("it reads");
    assert_eq!(
        kept.as_deref(),
        Some(&b"here"[..]),
        "all users have the new one"
    );
    assert_eq!(user.next_boot().expect("it writes"), BootId(1));
    drop((store, user));
    let (store, opening) = open(dir.path());
    assert!(matches!(opening, Opening::Usual), "{opening:?}");
    assert_eq!(store.next_boot().expect("it writes"), BootId(2));
    assert!(!dir.path().join("store.old").exists() && !dir.path().join("store.new").exists());
}

#[test]
fn a_store_over_its_limit_is_rewritten_and_keeps_its_content() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    store.next_boot().expect("it writes");
    churn(&store);
    drop(store);
    let (store, _) = Store::open(dir.path(), 1 << 20).expect("it opens");
    assert_eq!(
        trees(&store)
            .outbox
            .get(b"kept")
            .expect("it reads")
            .as_deref(),
        Some(&b"here"[..])
    );
    assert_eq!(store.next_boot().expect("it writes"), BootId(2));
    assert!(!dir.path().join("store.old").exists());
}
