//! What of the new file comes from where, before anything is packed.

use std::ops::Range;

use super::{layout::Payload, pair};
use crate::format::Element;

/// A run of the new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// It stands in the base at `from`.
    Same { new: Range<usize>, from: usize },
    /// It is no tensor. `near`: where in the base something like it may stand.
    Other { new: Range<usize>, near: usize },
    /// Elements of a tensor, whole ones. `from`: where those of its partner begin.
    Elements {
        new: Range<usize>,
        element: Element,
        from: Option<usize>,
    },
}

/// Bytes of a tensor that are looked at together: if all are the same, they are copied. A multiple of
/// every element's width.
const GRANULE: usize = 4096;

/// A run of other bytes that is the same in the base is told as such from this length on.
const RUN: usize = 8;

/// The pieces of `new_file`, in its order, without a gap; and the runs of the base that are no tensor.
pub(super) fn pieces(base_file: &[u8], new_file: &[u8]) -> (Vec<Piece>, Vec<Range<usize>>) {
    let base = super::layout::payloads(base_file);
    let new = super::layout::payloads(new_file);
    let partners = pair::partners((base_file, &base), (new_file, &new));
    let mut plan = Plan {
        base: base_file,
        new: new_file,
        pieces: Vec::new(),
        at: 0,
        near: 0,
    };
    for (payload, partner) in new.iter().zip(partners) {
        let partner = partner.map(|index| &base[index]);
        plan.other(payload.range.start, partner.map(|p| p.range.start));
        plan.tensor(payload, partner.map(|p| p.range.clone()));
    }
    plan.other(new_file.len(), Some(base_file.len()));
    (plan.pieces, between(&base, base_file.len()))
}

/// What lies between the tensors of a file.
fn between(payloads: &[Payload], len: usize) -> Vec<Range<usize>> {
    let starts = payloads.iter().map(|p| p.range.start).chain([len]);
    let ends = [0].into_iter().chain(payloads.iter().map(|p| p.range.end));
    let gaps = ends.zip(starts).map(|(end, start)| end..start);
    gaps.filter(|gap| !gap.is_empty()).collect()
}

struct Plan<'a> {
    base: &'a [u8],
    new: &'a [u8],
    pieces: Vec<Piece>,
    /// Up to where the new file is planned.
    at: usize,
    /// What follows in the base on what was used last.
    near: usize,
}

impl Plan<'_> {
    /// Plans up to `end`, which no tensor reaches into. `before`: where in the base the thing ends
    /// that stands before the partner of what comes next.
    fn other(&mut self, end: usize, before: Option<usize>) {
        let run = &self.new[self.at..end];
        let after = &self.base[self.near..];
        let head = equal(run.iter().zip(after));
        let head = if head < RUN && head < run.len() {
            0
        } else {
            head
        };
        let rest = &run[head..];
        let before = before.unwrap_or(0);
        let tail = equal(rest.iter().rev().zip(self.base[..before].iter().rev()));
        let tail = if tail < RUN { 0 } else { tail };
        let (head, tail) = (self.at + head, end - tail);
        self.same(head, self.near);
        if self.at < tail {
            let new = self.at..tail;
            let near = self.near;
            self.pieces.push(Piece::Other { new, near });
            self.near = (near + tail - self.at).min(self.base.len());
            self.at = tail;
        }
        self.same(end, before - (end - tail));
    }

    /// Plans a tensor.
    fn tensor(&mut self, payload: &Payload, partner: Option<Range<usize>>) {
        let element = payload.element;
        let width = element.width();
        let end = payload.range.end;
        if let Some(partner) = partner {
            let shared = payload.range.len().min(partner.len()) / width * width;
            let shared_end = payload.range.start + shared;
            let mut from = partner.start;
            while self.at < shared_end {
                let to = (self.at + GRANULE).min(shared_end);
                let len = to - self.at;
                if self.new[self.at..to] == self.base[from..from + len] {
                    self.same(to, from);
                } else {
                    self.elements(to, element, Some(from));
                }
                from += len;
            }
            self.near = partner.end;
        }
        self.elements(end, element, None);
    }

    fn same(&mut self, to: usize, from: usize) {
        if self.at == to {
            return;
        }
        let len = to - self.at;
        self.near = from + len;
        match self.pieces.last_mut() {
            Some(Piece::Same { new, from: first }) if *first + new.len() == from => new.end = to,
            _ => self.pieces.push(Piece::Same {
                new: self.at..to,
                from,
            }),
        }
        self.at = to;
    }

    fn elements(&mut self, to: usize, element: Element, from: Option<usize>) {
        if self.at == to {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Elements {
                new,
                element: same,
                from: Some(first),
            }) if *same == element && from == Some(*first + new.len()) => new.end = to,
            _ => self.pieces.push(Piece::Elements {
                new: self.at..to,
                element,
                from,
            }),
        }
        self.at = to;
    }
}

/// How many pairs are equal before the first that is not.
fn equal<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    pairs.take_while(|(one, other)| one == other).count()
}
