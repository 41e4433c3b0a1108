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
