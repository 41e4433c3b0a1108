//! How much applying a delta holds, without the state of zstd, which is C. In a process of its own: what
//! other tests hold would count.

use std::io::{Cursor, sink};

use peak_alloc::PeakAlloc;
use tern_delta::{apply, encode, format::MEMORY};
use tern_protocol::blob::BlobRef;

#[global_allocator]
static MEMORY_USED: PeakAlloc = PeakAlloc;

/// Bytes that nothing makes smaller.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Eight MiB of another file, and of the same file changed everywhere a little: nothing of either
/// is held.
#[test]
fn applying_holds_a_constant_whatever_the_file() {
    let base = noise(1, 8 << 20);
    let mut near = base.clone();
    for byte in near.iter_mut().step_by(1000) {
        *byte ^= 0x55;
    }
    for new in [noise(2, 8 << 20), near] {
        let delta = encode(&base, &new).expect("it encodes");
        let wanted = BlobRef::of(&new);
        MEMORY_USED.reset_peak_usage();
        let before = MEMORY_USED.current_usage();
        apply(Cursor::new(&base), &delta[..], wanted, sink()).expect("it applies");
        let held = MEMORY_USED.peak_usage() - before;
        assert!(held < MEMORY, "{held} bytes were held");
    }
}
