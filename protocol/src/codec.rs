//! CBOR in and out (RFC 8949), by minicbor.
//!
//! Every message is one CBOR item and fills its payload exactly: trailing bytes are an error, so
//! that two messages glued together by a faulty writer are noticed.

use alloc::vec::Vec;

use crate::limits;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than any message may have.
    #[error("{len} bytes is over the limit of {limit} for one message")]
    TooLong {
        /// Length of the input in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not the CBOR we expect at this place.
    #[error("at byte {position}: {reason}")]
    Malformed {
        /// Offset in the input where decoding stopped, in bytes.
        position: usize,
        /// What was wrong there.
        reason: alloc::string::String,
    },
    /// A whole message, and then something else.
    #[error("{extra} bytes follow the message")]
    Trailing {
        /// How many bytes follow.
        extra: usize,
    },
}

/// The message as CBOR bytes.
pub fn encode<T: minicbor::Encode<()>>(message: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    minicbor::encode(message, &mut bytes).expect("writing to a Vec cannot fail");
    bytes
}

/// Reads one message of at most [`limits::PAYLOAD`] bytes that fills `bytes` exactly.
pub fn decode<'b, T: minicbor::Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    decode_within(bytes, limits::PAYLOAD)
}

/// Reads one item of at most `limit` bytes that fills `bytes` exactly; for blobs such as a
/// reference profile, which travel in chunks and may be larger than one payload.
pub fn decode_within<'b, T: minicbor::Decode<'b, ()>>(
    bytes: &'b [u8],
    limit: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong {
            len: bytes.len(),
            limit,
        });
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder.decode().map_err(|err| DecodeError::Malformed {
        position: err.position().unwrap_or_else(|| decoder.position()),
        reason: alloc::format!("{err}"),
    })?;
    match bytes.len() - decoder.position() {
        0 => Ok(message),
        extra => Err(DecodeError::Trailing { extra }),
    }
}
