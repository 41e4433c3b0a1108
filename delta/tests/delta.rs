//! Deltas of files that look like models, of files that look like nothing, and of files that lie.

#[path = "delta/hostile.rs"]
mod hostile;
#[path = "delta/onnx.rs"]
mod onnx;

use std::io::Cursor;

use proptest::prelude::*;
use tern_delta::{ApplyError, apply, encode};
use tern_protocol::blob::BlobRef;

use self::onnx::{Model, noise};

fn applied(base: &[u8], delta: &[u8], wanted: &[u8]) -> Result<Vec<u8>, ApplyError> {
    let mut out = Vec::new();
    apply(Cursor::new(base), delta, BlobRef::of(wanted), &mut out)?;
    Ok(out)
}

/// The length of the delta, which was seen to work.
#[track_caller]
fn delta_len(base: &[u8], new: &[u8]) -> usize {
    let delta = encode(base, new).expect("it encodes");
    let out = applied(base, &delta, new).expect("it applies");
    assert!(out == new, "another file came out");
    delta.len()
}

#[test]
fn what_did_not_change_costs_nothing() {
    let file = Model::new(1).file();
    assert!(delta_len(&file, &file) < 40);
    let empty = delta_len(&[], &[]);
    assert!(empty < 20, "{empty}");
    assert!(delta_len(&file, &[]) < 20);
    // Without a base it is packed by itself.
    assert!(delta_len(&[], &file) < file.len());
}

#[test]
fn metadata_alone_cost_their_own_length() {
    let old = Model::new(1);
    let mut new = old.clone();
    new.producer = "another producer, with a longer name than before".into();
    let len = delta_len(&old.file(), &new.file());
    assert!(len < 150, "{len}");
}

#[test]
fn renamed_nodes_and_tensors_do_not_hide_the_weights() {
    let old = Model::new(1);
    let mut new = old.clone();
    for node in &mut new.nodes {
        *node = format!("renamed/{node}");
    }
    let nodes = delta_len(&old.file(), &new.file());
    assert!(nodes < 400, "{nodes}");
    for (name, _, _) in &mut new.tensors {
        *name = format!("onnx::{name}_1");
    }
    let tensors = delta_len(&old.file(), &new.file());
    assert!(tensors < 800, "{tensors}");
}

#[test]
fn the_last_layer_alone_costs_the_last_layer() {
    let old = Model::new(1);
    let mut new = old.clone();
    let last = new.tensors.last_mut().expect("a model has tensors");
    last.2 = noise(9, last.2.len());
    let bytes = 4 * last.2.len();
    let len = delta_len(&old.file(), &new.file());
    assert!(len < bytes + 200, "{len} for {bytes} changed bytes");
}

#[test]
fn nudged_weights_take_a_part_of_the_file() {
    let old = Model::new(1);
    let mut new = old.clone();
    for (_, _, values) in &mut new.tensors {
        let nudges = noise(7, values.len());
        for (value, nudge) in values.iter_mut().zip(nudges) {
            *value *= 1.0 + 1e-3 * nudge;
        }
    }
    let (old, new) = (old.file(), new.file());
    let len = delta_len(&old, &new);
    assert!(len * 100 < new.len() * 60, "{len} of {}", new.len());
}

#[test]
fn another_shape_is_another_tensor_and_a_class_more_is_not() {
    let old = Model::new(1);
    let mut wider = old.clone();
    wider.tensors[0].1 = vec![128, 33];
    wider.tensors[0].2 = noise(3, 128 * 33);
    delta_len(&old.file(), &wider.file());

    let mut more = old.clone();
    let (_, dims, values) = &mut more.tensors[0];
    dims[0] += 1;
    values.extend(noise(5, dims[1] as usize));
    let row = 4 * dims[1] as usize;
    let len = delta_len(&old.file(), &more.file());
    assert!(len < row + 200, "{len} for a row of {row}");
}

#[test]
fn what_is_no_model_is_told_by_what_stands_around() {
    let text: Vec<u8> = (0..200_000_u32)
        .flat_map(|line| format!("{}\n", line.wrapping_mul(2_654_435_761)).into_bytes())
        .collect();
    let mut new = text.clone();
    for place in (1000..new.len()).step_by(90_000) {
        new.splice(place..place, *b"something that was not there");
    }
    let len = delta_len(&text, &new);
    assert!(len * 20 < text.len(), "{len} of {}", text.len());
}

#[test]
fn every_byte_that_is_changed_is_noticed() {
    let old = Model::tiny(1);
    let mut new = old.clone();
    new.tensors[0].2 = noise(4, new.tensors[0].2.len());
    new.producer = "somebody else".into();
    let (old, new) = (old.file(), new.file());
    let delta = encode(&old, &new).expect("it encodes");
    for place in 0..delta.len() {
        for bit in [1, 0x80] {
            let mut wrong = delta.clone();
            wrong[place] ^= bit;
            // Bytes of which nothing depends may be anything; the file that comes out may not.
            if let Ok(out) = applied(&old, &wrong, &new) {
                assert!(out == new, "byte {place} of the delta");
            }
        }
        let cut = applied(&old, &delta[..place], &new).expect_err("it is cut off");
        assert!(cut.is_final(), "{cut}");
    }
    for place in 0..old.len() {
        let mut wrong = old.clone();
        wrong[place] ^= 1;
        if let Ok(out) = applied(&wrong, &delta, &new) {
            assert!(out == new, "byte {place} of the base");
        }
    }
    let mut long = delta.clone();
    long.push(0);
    assert!(matches!(
        applied(&old, &long, &new),
        Err(ApplyError::Corrupt(_))
    ));
    let shorter = &old[..old.len() - 1];
    assert!(matches!(
        applied(shorter, &delta, &new),
        Err(ApplyError::WrongBase { .. })
    ));
    assert!(matches!(
        applied(&old, &delta, &old),
        Err(ApplyError::WrongLength { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_two_files_come_back(
        base in proptest::collection::vec(any::<u8>(), 0..3000),
        new in proptest::collection::vec(any::<u8>(), 0..3000),
        shared in 0..3000_usize,
    ) {
        let mut new = new;
        let start = &base[..shared.min(base.len())];
        new.splice(new.len() / 2..new.len() / 2, start.iter().copied());
        delta_len(&base, &new);
    }

    #[test]
    fn any_two_models_come_back(
        seeds in any::<(u64, u64)>(),
        cut in proptest::option::of(0..5000_usize),
        raw in any::<(bool, bool)>(),
    ) {
        let mut old = Model::tiny(seeds.0);
        let mut new = Model::tiny(seeds.1);
        (old.raw, new.raw) = raw;
        let (old, mut new) = (old.file(), new.file());
        if let Some(cut) = cut {
            new.truncate(cut);
        }
        delta_len(&old, &new);
    }

    #[test]
    fn a_delta_that_is_anything_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut delta = tern_delta::format::MAGIC.to_vec();
        delta.extend([4, 9]);
        delta.extend(bytes);
        let refused = applied(b"base", &delta, b"something");
        prop_assert!(refused.is_err());
    }
}
