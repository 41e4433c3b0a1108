//! Bytes from anywhere: decoding gives a message or an error, never a panic.

use proptest::prelude::*;

use crate::{golden, samples::every_message};

fn decode_as_everything(bytes: &[u8]) {
    macro_rules! check {
        ($name:literal, $message:ty, $sample:expr) => {
            drop(tern_protocol::codec::decode::<$message>(bytes));
        };
    }
    every_message!(check);
}

/// A golden file with some bytes replaced, removed or added: it gets past the first bytes.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let mut files = Vec::new();
    macro_rules! add {
        ($name:literal, $message:ty, $sample:expr) => {
            files.push(golden::bytes($name));
        };
    }
    every_message!(add);
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..3u8);
    (
        prop::sample::select(files),
        prop::collection::vec(damage, 1..8),
    )
        .prop_map(|(mut bytes, damages)| {
            for (at, byte, kind) in damages {
                let at = at.index(bytes.len().max(1));
                match kind {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => bytes.insert(at.min(bytes.len()), byte),
                }
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        decode_as_everything(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(bytes in damaged()) {
        decode_as_everything(&bytes);
    }

    #[test]
    fn topics_from_anywhere_never_panic(text in "\\PC{0,80}|tern/1/[a-z+#/0-9$]{0,40}") {
        if let Ok(topic) = text.parse::<tern_protocol::topic::Topic>() {
            prop_assert_eq!(topic.to_string(), text);
        }
    }
}

#[test]
fn more_than_one_payload_is_refused() {
    use tern_protocol::{blob::Chunk, codec, limits};
    let long = vec![0x1b; limits::PAYLOAD + 1];
    assert!(matches!(
        codec::decode::<Chunk>(&long),
        Err(codec::DecodeError::TooLong { .. })
    ));
}

#[test]
fn two_messages_glued_together_are_refused() {
    use tern_protocol::{codec, log::Ack};
    let twice = golden::bytes("ack").repeat(2);
    assert!(matches!(
        codec::decode::<Ack>(&twice),
        Err(codec::DecodeError::Trailing { .. })
    ));
}
