//! Ids and names that nobody chose.

use super::TrackingError;
use crate::blobs::BlobError;

const QUALITIES: [&str; 32] = [
    "able", "bold", "brisk", "calm", "clever", "crisp", "curious", "deep", "eager", "fair", "fond",
    "gentle", "glad", "grand", "keen", "kind", "lively", "mellow", "merry", "mild", "nimble",
    "placid", "polite", "proud", "quick", "quiet", "serene", "sleek", "steady", "sturdy", "swift",
    "wise",
];

const BIRDS: [&str; 32] = [
    "auk", "bittern", "bunting", "coot", "crane", "curlew", "dunlin", "eider", "finch", "gannet",
    "godwit", "grebe", "gull", "heron", "ibis", "kestrel", "knot", "lapwing", "lark", "martin",
    "merlin", "osprey", "petrel", "plover", "puffin", "rail", "robin", "ruff", "snipe", "swift",
    "tern", "wren",
];

fn bytes<const N: usize>() -> Result<[u8; N], TrackingError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|err| {
        TrackingError::Blob(BlobError::Storage {
            doing: "asking the system for a random number",
            err: err.to_string().into(),
        })
    })?;
    Ok(bytes)
}

/// 32 hex digits.
pub(super) fn id() -> Result<String, TrackingError> {
    use std::fmt::Write as _;
    let bytes: [u8; 16] = bytes()?;
    Ok(bytes.iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    }))
}

/// A name for a run that has none.
pub(super) fn name() -> Result<String, TrackingError> {
    let [a, b, c, d] = bytes()?;
    let number = u16::from_le_bytes([c, d]) % 1000;
    let (quality, bird) = (QUALITIES[usize::from(a) % 32], BIRDS[usize::from(b) % 32]);
    Ok(format!("{quality}-{bird}-{number}"))
}
