//! Making a delta. Called by the hub.
//!
//! `layout` finds the tensors of both files, `pair` says which belongs to which, `plan` what comes from
//! where, `pack` tries how it gets smallest and writes it. What was made is applied before it is given
//! away: a delta that would not lead to the new file is an error here and never reaches a device.

mod layout;
mod pack;
mod pair;
mod plan;

use std::io::{self, Cursor};

use tern_protocol::blob::BlobRef;

use crate::{ApplyError, apply, format::MAGIC, format::put_varint};

/// Why there is no delta.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// zstd failed: no memory.
    #[error("packing the delta")]
    Pack(#[source] io::Error),
    /// The delta does not lead to the new file: a mistake in this crate.
    #[error("the delta that was made is wrong")]
    Wrong(#[source] ApplyError),
}

/// The bytes that make `new` from `base`. Holds about as much again as both of them.
pub fn encode(base: &[u8], new: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut delta = MAGIC.to_vec();
    put_varint(&mut delta, base.len() as u64);
    put_varint(&mut delta, new.len() as u64);
    let (pieces, skeleton) = plan::pieces(base, new);
    pack::pack(base, new, &pieces, &skeleton, &mut delta).map_err(EncodeError::Pack)?;
    apply(Cursor::new(base), &delta[..], BlobRef::of(new), io::sink())
        .map_err(EncodeError::Wrong)?;
    Ok(delta)
}
