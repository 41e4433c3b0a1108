//! An old reader meets a newer writer: it skips keys that it does not know.

use minicbor::{Decoder, Encoder, data::Type};

use crate::{golden, samples::every_message};

/// Larger than any key of version 1.
const NEW_KEY: u32 = 900;

/// Copies the next item and adds a key to each map on the way whose keys are integers.
fn copy(from: &mut Decoder<'_>, to: &mut Encoder<Vec<u8>>) {
    match from.datatype().expect("an item") {
        Type::Map => {
            let pairs = from
                .map()
                .expect("a map")
                .expect("our writer gives the length");
            let ours = pairs == 0 || from.datatype().expect("a key") != Type::String;
            to.map(pairs + u64::from(ours)).expect("to memory");
            if ours {
                to.u32(NEW_KEY).expect("to memory");
                // Something deep: skipping must skip all of it.
                to.array(2).and_then(|e| e.map(1)).expect("to memory");
                to.u8(0)
                    .and_then(|e| e.str("new"))
                    .and_then(|e| e.null())
                    .expect("to memory");
            }
            for _ in 0..2 * pairs {
                copy(from, to);
            }
        }
        Type::Array => {
            let items = from
                .array()
                .expect("an array")
                .expect("our writer gives the length");
            to.array(items).expect("to memory");
            for _ in 0..items {
                copy(from, to);
            }
        }
        _ => {
            let start = from.position();
            from.skip().expect("an item");
            let item = &from.input()[start..from.position()];
            to.writer_mut().extend_from_slice(item);
        }
    }
}

fn with_new_keys(bytes: &[u8]) -> Vec<u8> {
    let mut to = Encoder::new(Vec::new());
    copy(&mut Decoder::new(bytes), &mut to);
    to.into_writer()
}

#[test]
fn old_readers_skip_unknown_keys() {
    macro_rules! check {
        ($name:literal, $message:ty, $sample:expr) => {
            let newer = with_new_keys(&golden::bytes($name));
            assert!(newer.len() > golden::bytes($name).len());
            let read: $message = tern_protocol::codec::decode(&newer).expect($name);
            assert_eq!(read, $sample, "{} with new keys", $name);
        };
    }
    every_message!(check);
}

#[test]
fn an_entry_of_an_unknown_kind_keeps_its_place() {
    use tern_protocol::{codec, log};
    let mut bytes = Encoder::new(Vec::new());
    bytes.map(3).expect("to memory");
    bytes.u8(0).and_then(|e| e.u8(7)).expect("to memory");
    bytes
        .u8(1)
        .and_then(|e| e.array(2))
        .and_then(|e| e.u8(1))
        .and_then(|e| e.u8(5))
        .expect("to");
    bytes
        .u32(NEW_KEY)
        .and_then(|e| e.str("a body of a newer agent"))
        .expect("to memory");
    let entry: log::Entry = codec::decode(&bytes.into_writer()).expect("an entry");
    assert_eq!((entry.sequence.0, entry.body), (7, log::Body::Unknown));
}

/// What a reader made before shadows makes of what a writer of today says: the same, without them.
#[test]
fn old_readers_skip_shadows_and_resources() {
    use tern_protocol::{codec, desired::Desired, log, window::Window};

    /// Takes keys out of the outermost map, as a reader does that does not know them.
    fn without(bytes: &[u8], unknown: &[u32]) -> Vec<u8> {
        let mut from = Decoder::new(bytes);
        let pairs = from.map().expect("a map").expect("with its length");
        let mut kept = Vec::new();
        for _ in 0..pairs {
            let key = from.u32().expect("a key");
            let start = from.position();
            from.skip().expect("a value");
            if !unknown.contains(&key) {
                kept.push((key, from.input()[start..from.position()].to_vec()));
            }
        }
        let mut to = Encoder::new(Vec::new());
        to.map(kept.len() as u64).expect("to memory");
        for (key, value) in kept {
            to.u32(key).expect("to memory");
            to.writer_mut().extend(value);
        }
        to.into_writer()
    }

    let desired = without(&golden::bytes("desired-shadows"), &[2]);
    assert_eq!(desired, golden::bytes("desired"));
    assert!(codec::decode::<Desired>(&desired).is_ok_and(|read| read.shadows.is_empty()));
    let window = without(&golden::bytes("window-resources"), &[12, 13]);
    assert_eq!(window, golden::bytes("window"));
    let window: Window = codec::decode(&window).expect("an old writer's window");
    assert_eq!((window.rss, window.cpu_ms), (None, None));
    let batch: log::Batch = codec::decode(&golden::bytes("batch-shadow")).expect("a batch");
    let entry = codec::encode(&batch.entries[2]);
    let old: log::Entry = codec::decode(&without(&entry, &[7])).expect("an entry");
    assert_eq!((old.sequence.0, old.body), (43, log::Body::Unknown));
}
