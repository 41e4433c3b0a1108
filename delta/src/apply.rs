//! Applying a delta.
//!
//! Called by devices, and by [`crate::encode()`] to see that what it made is right. Must never break:
//! see the crate's header; the delta and the base may be anything.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use tern_protocol::{
    blob::BlobRef,
    digest::{Digest, Hasher},
};
use zstd::bulk::Decompressor;

use crate::{
    format::{
        BLOCK, CONTEXT, Cursors, Element, MAGIC, Method, OPS, Op, Order, POOLS, Packing,
        take_varint,
    },
    residual,
};

/// Bytes copied at once.
const COPY: usize = 64 * 1024;

/// Why there is no new file.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It does not begin like a delta of this format.
    #[error("this is no delta of a version that is known here")]
    NotADelta,
    /// It was made from another file.
    #[error("the delta is for a base of {wanted} bytes, this one has {found}")]
    WrongBase {
        /// The length of the base it was made from.
        wanted: u64,
        /// The length of the one at hand.
        found: u64,
    },
    /// It makes another file than the one that is wanted.
    #[error("the delta makes a file of {made} bytes, {wanted} are wanted")]
    WrongLength {
        /// What the delta says.
        made: u64,
        /// What is wanted.
        wanted: u64,
    },
    /// It ends in the middle.
    #[error("the delta ends early")]
    Truncated,
    /// It contradicts itself.
    #[error("the delta is corrupt: {0}")]
    Corrupt(&'static str),
    /// It asks for more memory than it may.
    #[error("the delta declares {found} bytes of {what}, the limit is {limit}")]
    Bound {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many may be.
        limit: usize,
    },
    /// It names bytes that the base does not have.
    #[error("the delta reads {len} bytes at {from} of a base of {base}")]
    OutsideBase {
        /// Where.
        from: u64,
        /// How many.
        len: u64,
        /// The length of the base.
        base: u64,
    },
    /// What came out is not what was wanted. It must not be used.
    #[error("the file that was made has the digest {found}, {wanted} is wanted")]
    Mismatch {
        /// What is wanted.
        wanted: Digest,
        /// What came out.
        found: Digest,
    },
    /// The delta could not be read.
    #[error("reading the delta")]
    ReadDelta(#[source] io::Error),
    /// The base could not be read.
    #[error("reading the base")]
    ReadBase(#[source] io::Error),
    /// The new file could not be written.
    #[error("writing the new file")]
    Write(#[source] io::Error),
    /// zstd did not start: no memory.
    #[error("preparing to unpack")]
    Unpacker(#[source] io::Error),
}

impl ApplyError {
    /// Whether the delta or the base is wrong, so that another try with the same would end the same.
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::ReadDelta(_) | Self::ReadBase(_) | Self::Write(_) | Self::Unpacker(_)
        )
    }
}

/// Writes the file `wanted` to `out`, from `base` as `delta` says. Only if this is `Ok` is what was
/// written that file; otherwise it is to be thrown away.
pub fn apply(
    base: impl Read + Seek,
    delta: impl Read,
    wanted: BlobRef,
    out: impl Write,
) -> Result<(), ApplyError> {
    let mut base = Base::new(base)?;
    let mut delta = Delta(BufReader::with_capacity(COPY, delta));
    if delta.array()? != MAGIC {
        return Err(ApplyError::NotADelta);
    }
    let base_len = delta.varint()?;
    if base_len != base.len {
        return Err(ApplyError::WrongBase {
            wanted: base_len,
            found: base.len,
        });
    }
    let made = delta.varint()?;
    if made != wanted.len {
        return Err(ApplyError::WrongLength {
            made,
            wanted: wanted.len,
        });
    }
    let mut out = Out {
        to: out,
        hasher: Hasher::new(),
        left: wanted.len,
        copy: vec![0; COPY],
    };
    let mut block = Block::default();
    let mut cursors = Cursors::default();
    while out.left > 0 {
        let before = cursors;
        block.read(&mut delta, &mut base, &mut cursors, out.left)?;
        block.write(before, &mut base, &mut out)?;
    }
    if !delta.at_end()? {
        return Err(ApplyError::Corrupt("bytes after its end"));
    }
    out.to.flush().map_err(ApplyError::Write)?;
    let found = out.hasher.finish();
    if found != wanted.digest {
        return Err(ApplyError::Mismatch {
            wanted: wanted.digest,
            found,
        });
    }
    Ok(())
}

/// The base, and where it is being read.
struct Base<B> {
    file: B,
    len: u64,
    at: u64,
}

impl<B: Read + Seek> Base<B> {
    fn new(mut file: B) -> Result<Self, ApplyError> {
        let len = file.seek(SeekFrom::End(0)).map_err(ApplyError::ReadBase)?;
        Ok(Self { file, len, at: len })
    }

    fn check(&self, from: u64, len: u64) -> Result<(), ApplyError> {
        if from.checked_add(len).is_some_and(|end| end <= self.len) {
            return Ok(());
        }
        Err(ApplyError::OutsideBase {
            from,
            len,
            base: self.len,
        })
    }

    fn read(&mut self, from: u64, into: &mut [u8]) -> Result<(), ApplyError> {
        self.check(from, into.len() as u64)?;
        if self.at != from {
            let sought = self.file.seek(SeekFrom::Start(from));
            sought.map_err(ApplyError::ReadBase)?;
        }
        self.file.read_exact(into).map_err(ApplyError::ReadBase)?;
        self.at = from + into.len() as u64;
        Ok(())
    }
}

/// The delta.
struct Delta<D>(BufReader<D>);

impl<D: Read> Delta<D> {
    fn fill(&mut self, into: &mut [u8]) -> Result<(), ApplyError> {
        self.0.read_exact(into).map_err(|err| match err.kind() {
            io::ErrorKind::UnexpectedEof => ApplyError::Truncated,
            _ => ApplyError::ReadDelta(err),
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ApplyError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, ApplyError> {
        Ok(self.array::<1>()?[0])
    }

    fn varint(&mut self) -> Result<u64, ApplyError> {
        let mut bytes = [0; 10];
        for len in 1..=bytes.len() {
            bytes[len - 1] = self.byte()?;
            if bytes[len - 1] & 0x80 == 0 {
                return take_varint(&mut &bytes[..len])
                    .ok_or(ApplyError::Corrupt("a number of more than 64 bits"));
            }
        }
        Err(ApplyError::Corrupt("a number of more than 64 bits"))
    }

    /// A length of something that is held in memory.
    fn bounded(&mut self, what: &'static str, limit: usize) -> Result<usize, ApplyError> {
        let found = self.varint()?;
        match usize::try_from(found) {
            Ok(len) if len <= limit => Ok(len),
            _ => Err(ApplyError::Bound { what, found, limit }),
        }
    }

    fn at_end(&mut self) -> Result<bool, ApplyError> {
        match self.fill(&mut [0]) {
            Ok(()) => Ok(false),
            Err(ApplyError::Truncated) => Ok(true),
            Err(err) => Err(err),
        }
    }

    /// Unpacks a stream into the whole of `into`. `packed` is room for the stream.
    fn unpack(
        &mut self,
        packed: &mut Vec<u8>,
        context: &[u8],
        into: &mut [u8],
    ) -> Result<(), ApplyError> {
        let packing = Packing::of(self.byte()?);
        let mut unpacker = match packing {
            None => return Err(ApplyError::Corrupt("an unknown packing")),
            Some(Packing::Raw) => return self.fill(into),
            Some(Packing::Run) => {
                into.fill(self.byte()?);
                return Ok(());
            }
            Some(Packing::Zstd) => Decompressor::new(),
            Some(Packing::Context) => Decompressor::with_dictionary(context),
        }
        .map_err(ApplyError::Unpacker)?;
        // What does not get smaller is not packed.
        let len = self.bounded("packed bytes", into.len())?;
        resize(packed, len);
        self.fill(packed)?;
        match unpacker.decompress_to_buffer(&packed[..], &mut into[..]) {
            Ok(found) if found == into.len() => Ok(()),
            Ok(_) => Err(ApplyError::Corrupt("a stream that unpacks to too little")),
            Err(_) => Err(ApplyError::Corrupt("a stream that does not unpack")),
        }
    }
}

/// The new file.
struct Out<W> {
    to: W,
    hasher: Hasher,
    left: u64,
    copy: Vec<u8>,
}

impl<W: Write> Out<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ApplyError> {
        // Checked when the block was read; here it is what keeps the promise.
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or(ApplyError::Corrupt("more bytes than the new file has"))?;
        self.hasher.update(bytes);
        self.to.write_all(bytes).map_err(ApplyError::Write)
    }

    fn copy<B: Read + Seek>(
        &mut self,
        base: &mut Base<B>,
        mut from: u64,
        len: u64,
    ) -> Result<(), ApplyError> {
        let mut copy = std::mem::take(&mut self.copy);
        let end = from + len;
        while from < end {
            let part = (end - from).min(COPY as u64) as usize;
            base.read(from, &mut copy[..part])?;
            self.write(&copy[..part])?;
            from += part as u64;
        }
        self.copy = copy;
        Ok(())
    }
}

/// A block, unpacked. Its room is used again for the next.
#[derive(Default)]
struct Block {
    ops: Vec<u8>,
    context: Vec<u8>,
    literals: Vec<u8>,
    /// The elements of all pools, one pool after the other.
    elements: Vec<u8>,
    /// Where each pool begins in them.
    pools: Vec<usize>,
    planes: Vec<u8>,
    base: Vec<u8>,
    packed: Vec<u8>,
}

/// What the operations of a block add up to.
#[derive(Default)]
struct Sums {
    out: u64,
    literals: u64,
    context: u64,
    pools: [u64; POOLS],
    based: [bool; POOLS],
    plain: [bool; POOLS],
}

impl Block {
    fn read<D: Read, B: Read + Seek>(
        &mut self,
        delta: &mut Delta<D>,
        base: &mut Base<B>,
        cursors: &mut Cursors,
        left: u64,
    ) -> Result<(), ApplyError> {
        let before = *cursors;
        let ops = delta.bounded("operations", OPS)?;
        resize(&mut self.ops, ops);
        delta.unpack(&mut self.packed, &[], &mut self.ops)?;
        let sums = self.sums(base, cursors)?;
        if sums.out == 0 || sums.out > left {
            return Err(ApplyError::Corrupt("a block of a wrong length"));
        }
        self.gather_context(before, base, sums.context)?;

        let literals = delta.bounded("literals", BLOCK)?;
        if literals as u64 != sums.literals {
            return Err(ApplyError::Corrupt("more or fewer literals than are used"));
        }
        resize(&mut self.literals, literals);
        if literals > 0 {
            delta.unpack(&mut self.packed, &self.context, &mut self.literals)?;
        }
        let mut room = BLOCK - literals;
        let pools = delta.bounded("pools", POOLS)?;
        self.elements.clear();
        self.pools.clear();
        for pool in 0..pools {
            room -= self.read_pool(delta, base, before, &sums, pool, room)?;
        }
        if sums.pools[pools..].iter().any(|used| *used > 0) {
            return Err(ApplyError::Corrupt("a pool that is not there"));
        }
        Ok(())
    }

    /// Reads a pool; its length.
    fn read_pool<D: Read, B: Read + Seek>(
        &mut self,
        delta: &mut Delta<D>,
        base: &mut Base<B>,
        before: Cursors,
        sums: &Sums,
        pool: usize,
        room: usize,
    ) -> Result<usize, ApplyError> {
        let [element, method, order] = delta.array()?;
        let (Some(element), Some(method), Some(order)) =
            (Element::of(element), Method::of(method), Order::of(order))
        else {
            return Err(ApplyError::Corrupt("an unknown kind of pool"));
        };
        let len = delta.bounded("elements", room)?;
        if len as u64 != sums.pools[pool] || !len.is_multiple_of(element.width()) {
            return Err(ApplyError::Corrupt("more or fewer elements than are used"));
        }
        let stands_alone = method == Method::Plain && order == Order::File;
        if sums.plain[pool] && (sums.based[pool] || !stands_alone) {
            return Err(ApplyError::Corrupt("a pool without its base"));
        }
        self.base.clear();
        if sums.based[pool] && !stands_alone {
            self.gather_base(before, base, pool as u64, len)?;
        }
        resize(&mut self.planes, len);
        if len > 0 {
            for plane in self.planes.chunks_exact_mut(len / element.width()) {
                delta.unpack(&mut self.packed, &[], plane)?;
            }
        }
        let at = self.elements.len();
        self.pools.push(at);
        if self.elements.capacity() < BLOCK {
            self.elements.reserve_exact(BLOCK - self.elements.len());
        }
        self.elements.resize(at + len, 0);
        let out = &mut self.elements[at..];
        residual::join(element, method, order, &self.planes, &self.base, out);
        Ok(len)
    }

    /// What the operations add up to, if each is one that may be.
    fn sums<B: Read + Seek>(
        &self,
        base: &Base<B>,
        cursors: &mut Cursors,
    ) -> Result<Sums, ApplyError> {
        let mut sums = Sums::default();
        let add = |sum: &mut u64, len: u64| {
            *sum = sum
                .checked_add(len)
                .ok_or(ApplyError::Corrupt("lengths that no file has"))?;
            Ok(())
        };
        let slot = |pool: u64| {
            let pool = usize::try_from(pool).ok().filter(|pool| *pool < POOLS);
            pool.ok_or(ApplyError::Corrupt("a pool that is not there"))
        };
        for op in Ops::new(&self.ops, cursors) {
            match op? {
                Op::Copy { from, len } => {
                    base.check(from, len)?;
                    add(&mut sums.out, len)?;
                }
                Op::Literal { len } => {
                    add(&mut sums.out, len)?;
                    add(&mut sums.literals, len)?;
                }
                Op::Context { from, len } => {
                    base.check(from, len)?;
                    add(&mut sums.context, len)?;
                }
                Op::Based { pool, from, len } => {
                    base.check(from, len)?;
                    add(&mut sums.out, len)?;
                    let pool = slot(pool)?;
                    add(&mut sums.pools[pool], len)?;
                    sums.based[pool] = true;
                }
                Op::Plain { pool, len } => {
                    add(&mut sums.out, len)?;
                    let pool = slot(pool)?;
                    add(&mut sums.pools[pool], len)?;
                    sums.plain[pool] = true;
                }
            }
        }
        Ok(sums)
    }

    fn gather_context<B: Read + Seek>(
        &mut self,
        mut before: Cursors,
        base: &mut Base<B>,
        found: u64,
    ) -> Result<(), ApplyError> {
        if found > CONTEXT as u64 {
            return Err(ApplyError::Bound {
                what: "dictionary",
                found,
                limit: CONTEXT,
            });
        }
        resize(&mut self.context, found as usize);
        let mut rest = &mut self.context[..];
        for op in Ops::new(&self.ops, &mut before) {
            if let Op::Context { from, len } = op? {
                let (part, after) = rest.split_at_mut(len as usize);
                base.read(from, part)?;
                rest = after;
            }
        }
        Ok(())
    }

    /// Reads the base of a pool, `found` bytes in all.
    fn gather_base<B: Read + Seek>(
        &mut self,
        mut before: Cursors,
        base: &mut Base<B>,
        wanted: u64,
        found: usize,
    ) -> Result<(), ApplyError> {
        resize(&mut self.base, found);
        let mut rest = &mut self.base[..];
        for op in Ops::new(&self.ops, &mut before) {
            if let Op::Based { pool, from, len } = op?
                && pool == wanted
            {
                let (part, after) = rest.split_at_mut(len as usize);
                base.read(from, part)?;
                rest = after;
            }
        }
        Ok(())
    }

    fn write<B: Read + Seek, W: Write>(
        &self,
        mut before: Cursors,
        base: &mut Base<B>,
        out: &mut Out<W>,
    ) -> Result<(), ApplyError> {
        let mut literals = &self.literals[..];
        let mut taken = [0; POOLS];
        for op in Ops::new(&self.ops, &mut before) {
            match op? {
                Op::Copy { from, len } => out.copy(base, from, len)?,
                Op::Literal { len } => {
                    let (part, after) = literals.split_at(len as usize);
                    out.write(part)?;
                    literals = after;
                }
                Op::Context { .. } => {}
                Op::Based { pool, len, .. } | Op::Plain { pool, len } => {
                    let (pool, len) = (pool as usize, len as usize);
                    let at = self.pools[pool] + taken[pool];
                    out.write(&self.elements[at..at + len])?;
                    taken[pool] += len;
                }
            }
        }
        Ok(())
    }
}

/// The operations of a block.
struct Ops<'a> {
    rest: &'a [u8],
    cursors: &'a mut Cursors,
}

impl<'a> Ops<'a> {
    fn new(rest: &'a [u8], cursors: &'a mut Cursors) -> Self {
        cursors.block();
        Self { rest, cursors }
    }
}

impl Iterator for Ops<'_> {
    type Item = Result<Op, ApplyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let op = Op::take(&mut self.rest, self.cursors);
        Some(op.map_err(|_| ApplyError::Corrupt("an operation that is none")))
    }
}

/// Makes room for exactly `len` bytes: no buffer is larger than what it may hold.
fn resize(buffer: &mut Vec<u8>, len: usize) {
    if buffer.capacity() < len {
        *buffer = Vec::new();
        buffer.reserve_exact(len);
    }
    buffer.resize(len, 0);
}
