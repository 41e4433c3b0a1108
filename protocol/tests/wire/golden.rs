//! The bytes of version 1, one file a message. They never change; a new fact gets a new key, and
//! then a new file beside the old one. `TERN_BLESS=1` writes files that are not there yet.

use std::path::PathBuf;

use crate::samples::every_message;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v1-{name}.cbor"))
}

/// Bytes of a golden file.
pub fn bytes(name: &str) -> Vec<u8> {
    let path = path(name);
    std::fs::read(&path).unwrap_or_else(|err| {
        panic!(
            "{}: {err}; TERN_BLESS=1 writes a file that is not there yet",
            path.display()
        )
    })
}

#[test]
fn the_encoding_of_version_1_is_pinned() {
    macro_rules! check {
        ($name:literal, $message:ty, $sample:expr) => {
            let sample: $message = $sample;
            let encoded = tern_protocol::codec::encode(&sample);
            if std::env::var_os("TERN_BLESS").is_some() && !path($name).exists() {
                std::fs::write(path($name), &encoded).expect("writing a golden file");
            }
            assert_eq!(encoded, bytes($name), "{} is written differently", $name);
            let read: $message = tern_protocol::codec::decode(&bytes($name)).expect($name);
            assert_eq!(read, sample, "{} is read differently", $name);
        };
    }
    every_message!(check);
}
