//! The bytes of a delta.
//!
//! ```text
//! delta   = MAGIC, varint length of the base, varint length of the new file, block*
//! block   = varint length of ops, packed ops,
//!           varint length of literals, packed literals if there are any,
//!           varint number of pools, pool*
//! pool    = element, method, order (a byte each), varint length, a packed plane a byte of the element
//! packed  = 0, the bytes | 1, varint length, a zstd frame | 2, the byte that all are
//!         | 3, varint length, a zstd frame with the block's context as dictionary
//! op      = varint (length << 3 | tag), then by tag
//!           copy, context: where in the base
//!           literal: –
//!           based: pool, where in the base
//!           plain: pool
//! where   = zigzag varint: from the end of the last such range; a context's count from zero in each
//!           block
//! ```
//!
//! Blocks follow each other until the new file has its length. An operation makes the next bytes of
//! it, but for `context`, which adds to the dictionary of its block's literals.

/// The first bytes of a delta. The last is the version of the format.
pub const MAGIC: [u8; 8] = *b"TERNDLT\x01";

/// Literals and pools of one block, in bytes unpacked. A plane of four-byte elements is then one
/// block of zstd (128 KiB), which has its own table of symbols.
pub const BLOCK: usize = 512 * 1024;

/// Operations of one block, in bytes.
pub const OPS: usize = 64 * 1024;

/// The dictionary of one block, in bytes.
pub const CONTEXT: usize = 512 * 1024;

/// Pools of one block: eight elements, once with a base and once without.
pub const POOLS: usize = 16;

/// What applying a delta holds at most, in bytes, whatever is in it: operations, results of pools,
/// their planes, their bases and a packed stream; the dictionary twice, since zstd copies it; buffers
/// and the state of zstd.
pub const MEMORY: usize = 2 * OPS + 4 * BLOCK + 2 * CONTEXT + 512 * 1024;

/// What the bytes of a tensor are, all little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// Bytes, of integers or of anything.
    I8 = 0,
    /// Integers of two bytes.
    I16 = 1,
    /// Integers of four bytes.
    I32 = 2,
    /// Integers of eight bytes.
    I64 = 3,
    /// Half precision.
    F16 = 4,
    /// The upper half of single precision.
    Bf16 = 5,
    /// Single precision.
    F32 = 6,
    /// Double precision.
    F64 = 7,
}

impl Element {
    const ALL: [Self; 8] = [
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::F16,
        Self::Bf16,
        Self::F32,
        Self::F64,
    ];

    /// Bytes of one.
    pub const fn width(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// Where its exponent lies: lowest bit and number of bits; `None` for integers.
    pub const fn exponent(self) -> Option<(u32, u32)> {
        match self {
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => None,
            Self::F16 => Some((10, 5)),
            Self::Bf16 => Some((7, 8)),
            Self::F32 => Some((23, 8)),
            Self::F64 => Some((52, 11)),
        }
    }

    pub(crate) fn of(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// What stands for an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Itself.
    Plain = 0,
    /// Its bits against those of the base.
    Xor = 1,
    /// How many representable numbers it is above the base, the sign in the lowest bit.
    Difference = 2,
}

impl Method {
    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::Plain, Self::Xor, Self::Difference]
            .get(usize::from(byte))
            .copied()
    }
}

/// In which order elements stand in planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As in the file.
    File = 0,
    /// Those whose base has the smallest exponent first, then as in the file.
    Exponent = 1,
}

impl Order {
    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::File, Self::Exponent].get(usize::from(byte)).copied()
    }
}

/// How a stream of bytes is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Raw = 0,
    Zstd = 1,
    Run = 2,
    Context = 3,
}

impl Packing {
    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::Raw, Self::Zstd, Self::Run, Self::Context]
            .get(usize::from(byte))
            .copied()
    }
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// The next bytes are those of the base.
    Copy { from: u64, len: u64 },
    /// They are the next literals.
    Literal { len: u64 },
    /// Bytes of the base join the dictionary.
    Context { from: u64, len: u64 },
    /// They are the next of a pool, whose elements are told from these of the base.
    Based { pool: u64, from: u64, len: u64 },
    /// They are the next of a pool that stands for itself.
    Plain { pool: u64, len: u64 },
}

/// Where the next `where` counts from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursors {
    base: u64,
    context: u64,
}

impl Cursors {
    /// A block begins.
    pub(crate) fn block(&mut self) {
        self.context = 0;
    }
}

/// Why no operation could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadOp;

impl Op {
    /// Takes the first operation off `bytes`.
    pub(crate) fn take(bytes: &mut &[u8], cursors: &mut Cursors) -> Result<Self, BadOp> {
        let head = take_varint(bytes).ok_or(BadOp)?;
        let len = head >> 3;
        if len == 0 {
            return Err(BadOp);
        }
        match head & 7 {
            0 => {
                let from = take_place(bytes, &mut cursors.base, len)?;
                Ok(Self::Copy { from, len })
            }
            1 => Ok(Self::Literal { len }),
            2 => {
                let from = take_place(bytes, &mut cursors.context, len)?;
                Ok(Self::Context { from, len })
            }
            3 => {
                let pool = take_varint(bytes).ok_or(BadOp)?;
                let from = take_place(bytes, &mut cursors.base, len)?;
                Ok(Self::Based { pool, from, len })
            }
            4 => {
                let pool = take_varint(bytes).ok_or(BadOp)?;
                Ok(Self::Plain { pool, len })
            }
            _ => Err(BadOp),
        }
    }

    /// Appends the operation to `bytes`.
    #[cfg(feature = "encode")]
    pub(crate) fn put(self, bytes: &mut Vec<u8>, cursors: &mut Cursors) {
        let (tag, len) = match self {
            Self::Copy { len, .. } => (0, len),
            Self::Literal { len } => (1, len),
            Self::Context { len, .. } => (2, len),
            Self::Based { len, .. } => (3, len),
            Self::Plain { len, .. } => (4, len),
        };
        put_varint(bytes, len << 3 | tag);
        if let Self::Based { pool, .. } | Self::Plain { pool, .. } = self {
            put_varint(bytes, pool);
        }
        let (from, cursor) = match self {
            Self::Copy { from, .. } | Self::Based { from, .. } => (from, &mut cursors.base),
            Self::Context { from, .. } => (from, &mut cursors.context),
            Self::Literal { .. } | Self::Plain { .. } => return,
        };
        let step = from.wrapping_sub(*cursor) as i64;
        put_varint(bytes, ((step << 1) ^ (step >> 63)) as u64);
        *cursor = from + len;
    }
}

/// Where a range of `len` bytes begins. Whether it lies in the base is not known here.
fn take_place(bytes: &mut &[u8], cursor: &mut u64, len: u64) -> Result<u64, BadOp> {
    let step = take_varint(bytes).ok_or(BadOp)?;
    let step = (step >> 1) as i64 ^ -((step & 1) as i64);
    let from = cursor.checked_add_signed(step).ok_or(BadOp)?;
    *cursor = from.checked_add(len).ok_or(BadOp)?;
    Ok(from)
}

/// Takes a number off `bytes`: seven bits a byte, the lowest first, all but the last byte marked.
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        let low = u64::from(first & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && low > 1 {
            return None;
        }
        value |= low << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(feature = "encode")]
pub(crate) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, u64::MAX / 2, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(take_varint(&mut &bytes[..]), Some(value));
            assert_eq!(take_varint(&mut &bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(take_varint(&mut &[0xff; 10][..]), None, "more than 64 bits");
        assert_eq!(take_varint(&mut &[0x80; 11][..]), None);
    }

    #[test]
    fn operations_come_back() {
        let ops = [
            Op::Context { from: 70, len: 9 },
            Op::Copy {
                from: 5,
                len: 1 << 40,
            },
            Op::Literal { len: 3 },
            Op::Based {
                pool: 2,
                from: 0,
                len: 8,
            },
            Op::Context { from: 7, len: 1 },
            Op::Plain { pool: 1, len: 4 },
        ];
        let mut bytes = Vec::new();
        let mut cursors = Cursors::default();
        for op in ops {
            op.put(&mut bytes, &mut cursors);
        }
        let (mut rest, mut cursors) = (&bytes[..], Cursors::default());
        for op in ops {
            assert_eq!(Op::take(&mut rest, &mut cursors), Ok(op));
        }
        assert!(rest.is_empty());
    }
}
