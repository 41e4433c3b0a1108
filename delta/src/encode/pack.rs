//! Pieces into blocks, each packed the way that makes it smallest.
//!
//! Ways are tried with a fast level of zstd and the best is then packed with a slow one: what is left
//! of weights is nearly noise, for which levels differ little and ways differ much.

use std::{io, ops::Range};

use zstd::bulk::Compressor;

use super::plan::Piece;
use crate::{
    format::{BLOCK, CONTEXT, Cursors, Element, Method, OPS, Op, Order, Packing, put_varint},
    residual,
};

/// zstd's level for what is shipped.
const LEVEL: i32 = 19;

/// Its level for finding out which way is best.
const TRIAL: i32 = 1;

/// Room that one operation takes, at most: four numbers.
const OP_MAX: usize = 40;

/// Fewer literals than this are shipped as they are: a dictionary would not pay for its own mention.
const DICTIONARY_FROM: usize = 32;

/// Shorter runs of the base are left out of a dictionary in one of the trials: they are names and
/// shapes of tensors, which are many.
const RUN: usize = 64;

/// Appends the blocks that make `new` of these pieces. `skeleton`: the runs of the base that are no
/// tensor.
pub(super) fn pack(
    base: &[u8],
    new: &[u8],
    pieces: &[Piece],
    skeleton: &[Range<usize>],
    delta: &mut Vec<u8>,
) -> io::Result<()> {
    let mut packer = Packer {
        base,
        new,
        skeleton,
        fast: Compressor::new(TRIAL)?,
        slow: Compressor::new(LEVEL)?,
        cursors: Cursors::default(),
        block: Block::default(),
        delta,
    };
    for piece in pieces {
        packer.piece(piece)?;
    }
    packer.flush()
}

struct Packer<'a> {
    base: &'a [u8],
    new: &'a [u8],
    skeleton: &'a [Range<usize>],
    fast: Compressor<'static>,
    slow: Compressor<'static>,
    cursors: Cursors,
    block: Block,
    delta: &'a mut Vec<u8>,
}

/// A block that is being filled.
#[derive(Default)]
struct Block {
    ops: Vec<Op>,
    used: usize,
    literals: Vec<u8>,
    /// Where in the base something like the literals may stand.
    near: Option<Range<usize>>,
    pools: Vec<Pool>,
}

/// Elements that are packed together.
struct Pool {
    element: Element,
    based: bool,
    values: Vec<u8>,
    base: Vec<u8>,
}

impl Packer<'_> {
    fn piece(&mut self, piece: &Piece) -> io::Result<()> {
        match piece {
            Piece::Same { new, from } => {
                self.room(1)?;
                self.block.ops.push(Op::Copy {
                    from: *from as u64,
                    len: new.len() as u64,
                });
            }
            Piece::Other { new, near } => {
                let mut at = new.start;
                while at < new.end {
                    let len = self.room(1)?.min(new.end - at);
                    self.literal(at..at + len, near + at - new.start);
                    at += len;
                }
            }
            Piece::Elements { new, element, from } => {
                let width = element.width();
                let mut at = new.start;
                while at < new.end {
                    let len = self.room(width)?.min(new.end - at) / width * width;
                    // What is left of a tensor whose partner ended in the middle of an element.
                    let (element, len) = match len {
                        0 => (Element::I8, new.end - at),
                        len => (*element, len),
                    };
                    let from = from.map(|from| from + at - new.start);
                    self.elements(at..at + len, element, from)?;
                    at += len;
                }
            }
        }
        Ok(())
    }

    /// Room in the block for so many bytes at least, beginning another one if need be.
    fn room(&mut self, least: usize) -> io::Result<usize> {
        let full = BLOCK - self.block.used < least;
        // Half of the operations are kept free for those that describe the dictionary.
        if full || (self.block.ops.len() + 1) * OP_MAX > OPS / 2 {
            self.flush()?;
        }
        Ok(BLOCK - self.block.used)
    }

    fn literal(&mut self, new: Range<usize>, near: usize) {
        self.block.ops.push(Op::Literal {
            len: new.len() as u64,
        });
        self.block.used += new.len();
        self.block
            .literals
            .extend_from_slice(&self.new[new.clone()]);
        let near = near..(near + new.len()).min(self.base.len());
        self.block.near = Some(match self.block.near.take() {
            Some(known) => known.start.min(near.start)..known.end.max(near.end),
            None => near,
        });
    }

    fn elements(
        &mut self,
        new: Range<usize>,
        element: Element,
        from: Option<usize>,
    ) -> io::Result<()> {
        let values = &self.new[new.clone()];
        let len = values.len() as u64;
        let base = from.map(|from| &self.base[from..from + values.len()]);
        let base = match base {
            Some(base) if self.base_helps(element, values, base)? => Some(base),
            _ => None,
        };
        let based = base.is_some();
        let pools = &mut self.block.pools;
        let known = pools
            .iter()
            .position(|pool| pool.element == element && pool.based == based);
        let index = known.unwrap_or_else(|| {
            pools.push(Pool {
                element,
                based,
                values: Vec::new(),
                base: Vec::new(),
            });
            pools.len() - 1
        });
        pools[index].values.extend_from_slice(values);
        pools[index].base.extend_from_slice(base.unwrap_or(&[]));
        let pool = index as u64;
        self.block.ops.push(match from {
            Some(from) if based => Op::Based {
                pool,
                from: from as u64,
                len,
            },
            _ => Op::Plain { pool, len },
        });
        self.block.used += values.len();
        Ok(())
    }

    /// Whether elements get smaller as differences.
    fn base_helps(&mut self, element: Element, values: &[u8], base: &[u8]) -> io::Result<bool> {
        let based = self.trial(element, Method::Difference, Order::File, values, base)?;
        let plain = self.trial(element, Method::Plain, Order::File, values, &[])?;
        Ok(based < plain)
    }

    /// About how many bytes elements take this way.
    fn trial(
        &mut self,
        element: Element,
        method: Method,
        order: Order,
        values: &[u8],
        base: &[u8],
    ) -> io::Result<usize> {
        let planes = residual::split(element, method, order, values, base);
        let mut bytes = 0;
        for plane in planes.chunks(planes.len() / element.width()) {
            bytes += self.fast.compress(plane)?.len().min(plane.len());
        }
        Ok(bytes)
    }

    /// Writes the block, if there is anything in it.
    fn flush(&mut self) -> io::Result<()> {
        let block = std::mem::take(&mut self.block);
        if block.ops.is_empty() {
            return Ok(());
        }
        let before = self.cursors;
        let mut best: Option<(Vec<u8>, Cursors)> = None;
        for context in self.contexts(&block) {
            let mut cursors = before;
            let head = self.head(&block, &context, &mut cursors)?;
            if best
                .as_ref()
                .is_none_or(|(best, _)| head.len() < best.len())
            {
                best = Some((head, cursors));
            }
        }
        let (head, cursors) = best.expect("no context is tried, too");
        self.cursors = cursors;
        self.delta.extend_from_slice(&head);
        put_varint(self.delta, block.pools.len() as u64);
        for pool in &block.pools {
            self.pool(pool)?;
        }
        Ok(())
    }

    /// Dictionaries that are worth a try: ranges of the base. The first is none.
    fn contexts(&self, block: &Block) -> Vec<Vec<Range<usize>>> {
        let Some(near) = &block.near else {
            return vec![Vec::new()];
        };
        if block.literals.len() < DICTIONARY_FROM {
            return vec![Vec::new()];
        }
        // Places as if there were no tensors between them.
        let before = |place: usize| -> usize {
            let parts = self.skeleton.iter();
            parts
                .map(|run| run.end.min(place).saturating_sub(run.start))
                .sum()
        };
        let (start, end) = (before(near.start), before(near.end));
        let around = CONTEXT.saturating_sub(end - start) / 2;
        let window = start.saturating_sub(around)..end + around;
        let mut ranges = Vec::new();
        let (mut at, mut left) = (0, CONTEXT);
        for run in self.skeleton {
            let from = window.start.saturating_sub(at).min(run.len());
            let to = window.end.saturating_sub(at).min(run.len());
            at += run.len();
            let taken = (run.start + from)..(run.start + to.min(from + left));
            left -= taken.len();
            if !taken.is_empty() {
                ranges.push(taken);
            }
        }
        // Each takes an operation.
        ranges.truncate(OPS / 2 / OP_MAX);
        let long = ranges.iter().filter(|range| range.len() >= RUN).cloned();
        vec![Vec::new(), long.collect(), ranges]
    }

    /// The operations and literals of a block.
    fn head(
        &mut self,
        block: &Block,
        context: &[Range<usize>],
        cursors: &mut Cursors,
    ) -> io::Result<Vec<u8>> {
        cursors.block();
        let mut ops = Vec::new();
        let mut dictionary = Vec::new();
        for range in context {
            let op = Op::Context {
                from: range.start as u64,
                len: range.len() as u64,
            };
            op.put(&mut ops, cursors);
            dictionary.extend_from_slice(&self.base[range.clone()]);
        }
        for op in &block.ops {
            op.put(&mut ops, cursors);
        }
        let mut head = Vec::new();
        put_varint(&mut head, ops.len() as u64);
        self.stream(&ops, &mut head)?;
        put_varint(&mut head, block.literals.len() as u64);
        if dictionary.is_empty() {
            if !block.literals.is_empty() {
                self.stream(&block.literals, &mut head)?;
            }
            return Ok(head);
        }
        let packed = Compressor::with_dictionary(LEVEL, &dictionary)?.compress(&block.literals)?;
        if packed.len() < block.literals.len() {
            put(&mut head, Packing::Context, &packed);
        } else {
            self.stream(&block.literals, &mut head)?;
        }
        Ok(head)
    }

    fn pool(&mut self, pool: &Pool) -> io::Result<()> {
        let Pool {
            element,
            values,
            base,
            ..
        } = pool;
        let mut ways = Vec::new();
        if pool.based {
            for method in [Method::Difference, Method::Xor] {
                ways.push((*element, method, Order::File));
                if element.exponent().is_some() {
                    ways.push((*element, method, Order::Exponent));
                }
            }
        } else {
            ways.push((*element, Method::Plain, Order::File));
            // Whole elements that repeat are found only side by side.
            if *element != Element::I8 {
                ways.push((Element::I8, Method::Plain, Order::File));
            }
        }
        let mut best = (usize::MAX, ways[0]);
        for way in ways {
            let (element, method, order) = way;
            let bytes = self.trial(element, method, order, values, base)?;
            if bytes < best.0 {
                best = (bytes, way);
            }
        }
        let (element, method, order) = best.1;
        self.delta
            .extend([element as u8, method as u8, order as u8]);
        put_varint(self.delta, values.len() as u64);
        let planes = residual::split(element, method, order, values, base);
        for plane in planes.chunks(values.len() / element.width()) {
            let mut packed = Vec::new();
            self.stream(plane, &mut packed)?;
            self.delta.append(&mut packed);
        }
        Ok(())
    }

    /// A stream in whatever packing is smallest.
    fn stream(&mut self, bytes: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
        if let Some(first) = bytes.first()
            && bytes.iter().all(|byte| byte == first)
        {
            to.extend([Packing::Run as u8, *first]);
            return Ok(());
        }
        let packed = self.slow.compress(bytes)?;
        if packed.len() + 2 < bytes.len() {
            put(to, Packing::Zstd, &packed);
        } else {
            to.push(Packing::Raw as u8);
            to.extend_from_slice(bytes);
        }
        Ok(())
    }
}

fn put(to: &mut Vec<u8>, packing: Packing, packed: &[u8]) {
    to.push(packing as u8);
    put_varint(to, packed.len() as u64);
    to.extend_from_slice(packed);
}
