//! Decoding allocates at most a small multiple of the input's size. One test, alone in its
//! process: the allocator counts for all threads.

use minicbor::Encoder;
use peak_alloc::PeakAlloc;
use tern_protocol::{blob, codec, desired, limits, log, manifest, profile, reported, window};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Bytes of memory per byte of input, at most. The worst is a list whose items say next to
/// nothing: a value of some 60 bytes from 7, in a list that has just doubled.
const FACTOR: usize = 64;

/// What an error or a first small allocation may take besides.
const SMALL: usize = 4 * 1024;

/// A list that claims to be as long as can be and holds `item` until the payload is full.
fn list_of(item: &[u8]) -> Vec<u8> {
    let mut bytes = Encoder::new(Vec::new());
    bytes.array(u64::MAX).expect("to memory");
    let mut bytes = bytes.into_writer();
    while bytes.len() + item.len() < limits::PAYLOAD {
        bytes.extend_from_slice(item);
    }
    bytes
}

/// Hostile values for every key of a message, one at a time, other keys absent.
fn hostile() -> Vec<Vec<u8>> {
    let entry = [0xa2, 0x00, 0x01, 0x01, 0x82, 0x01, 0x00];
    let empty_string_of_any_length = [0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let values = [
        list_of(&[0x00]),
        list_of(&[0x80]),
        list_of(&[0xa0]),
        list_of(&[0x82, 0x00, 0x00]),
        list_of(&[0x60]),
        list_of(&entry),
        empty_string_of_any_length.to_vec(),
        [&[0x5b][..], &[0xff; 8]].concat(),
        [&[0xbb][..], &[0xff; 8]].concat(),
        [&[0x9b][..], &[0xff; 8]].concat(),
    ];
    let keys = 0..16u8;
    let with_key = |key: u8| {
        let values = values.iter();
        values.map(move |value| [&[0xbf, key], value.as_slice()].concat())
    };
    keys.flat_map(with_key)
        .chain(values.iter().cloned())
        .collect()
}

fn check<T: for<'b> minicbor::Decode<'b, ()>>(message: &str, bytes: &[u8]) {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    let read = codec::decode_within::<T>(bytes, limits::PAYLOAD);
    let peak = ALLOCATED.peak_usage() - before;
    let bound = FACTOR * bytes.len() + SMALL;
    let shown = &bytes[..bytes.len().min(12)];
    assert!(
        peak <= bound,
        "{message} took {peak} of {} bytes {shown:x?}…",
        bytes.len()
    );
    drop(read);
}

#[test]
fn decoding_allocates_at_most_a_small_multiple_of_the_input() {
    for bytes in hostile() {
        check::<log::Batch>("batch", &bytes);
        check::<log::Entry>("entry", &bytes);
        check::<window::Window>("window", &bytes);
        check::<window::Sketch>("sketch", &bytes);
        check::<reported::Reported>("reported", &bytes);
        check::<desired::Desired>("desired", &bytes);
        check::<manifest::Manifest>("manifest", &bytes);
        check::<manifest::Golden>("golden", &bytes);
        check::<profile::Reference>("reference", &bytes);
        check::<blob::Want>("want", &bytes);
        check::<blob::Chunk>("chunk", &bytes);
    }
    // A list that is read to its end.
    for (item, name) in [
        (&[0xa2, 0x00, 0x01, 0x01, 0x82, 0x01, 0x00][..], "entries"),
        (&[0x82, 0x00, 0x00], "pairs"),
        (&[0x80], "lists"),
    ] {
        let count = 10_000u64;
        let mut bytes = Encoder::new(Vec::new());
        bytes.array(count).expect("to memory");
        let mut bytes = bytes.into_writer();
        bytes.extend(item.repeat(count as usize));
        check::<Vec<log::Entry>>(name, &bytes);
        check::<Vec<window::SketchBin>>(name, &bytes);
        check::<Vec<window::FeatureCounts>>(name, &bytes);
    }
}
