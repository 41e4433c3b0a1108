//! Elements as differences to other elements, and back.
//!
//! Called by both ends. Must never break: for every element, method and order, what one end splits
//! the other joins again, bit for bit, whatever the bits mean (NaN among them).

use crate::format::{Element, Method, Order};

/// Exponents that an element can have, at most.
const EXPONENTS: usize = 1 << 11;

/// Joins planes into the elements that they stand for. `base` is as long as `out`, or empty if the
/// method and the order need none; both are whole elements, as are the planes.
pub(crate) fn join(
    element: Element,
    method: Method,
    order: Order,
    planes: &[u8],
    base: &[u8],
    out: &mut [u8],
) {
    match element.width() {
        1 => joined::<1>(element, method, order, planes, base, out),
        2 => joined::<2>(element, method, order, planes, base, out),
        4 => joined::<4>(element, method, order, planes, base, out),
        _ => joined::<8>(element, method, order, planes, base, out),
    }
}

fn joined<const W: usize>(
    element: Element,
    method: Method,
    order: Order,
    planes: &[u8],
    base: &[u8],
    out: &mut [u8],
) {
    let count = out.len() / W;
    let planes: [&[u8]; W] = std::array::from_fn(|plane| &planes[plane * count..][..count]);
    let mut places = Places::new(element, order, base);
    let mut bases = base.chunks_exact(W);
    for (index, out) in out.chunks_exact_mut(W).enumerate() {
        let base = bases.next().map_or(0, load::<W>);
        let place = places.next(index, base);
        let residual = planes
            .iter()
            .rev()
            .fold(0, |value, plane| value << 8 | u64::from(plane[place]));
        let value = match method {
            Method::Plain => residual,
            Method::Xor => residual ^ base,
            Method::Difference => {
                let base = rank::<W>(element, base);
                unrank::<W>(element, base.wrapping_add(unfolded::<W>(residual)))
            }
        };
        out.copy_from_slice(&value.to_le_bytes()[..W]);
    }
}

/// Splits elements into planes: the reverse of [`join`].
#[cfg(feature = "encode")]
pub(crate) fn split(
    element: Element,
    method: Method,
    order: Order,
    values: &[u8],
    base: &[u8],
) -> Vec<u8> {
    match element.width() {
        1 => splitted::<1>(element, method, order, values, base),
        2 => splitted::<2>(element, method, order, values, base),
        4 => splitted::<4>(element, method, order, values, base),
        _ => splitted::<8>(element, method, order, values, base),
    }
}

#[cfg(feature = "encode")]
fn splitted<const W: usize>(
    element: Element,
    method: Method,
    order: Order,
    values: &[u8],
    base: &[u8],
) -> Vec<u8> {
    let count = values.len() / W;
    let mut planes = vec![0; values.len()];
    let mut places = Places::new(element, order, base);
    let mut bases = base.chunks_exact(W);
    for (index, value) in values.chunks_exact(W).enumerate() {
        let base = bases.next().map_or(0, load::<W>);
        let value = load::<W>(value);
        let place = places.next(index, base);
        let residual = match method {
            Method::Plain => value,
            Method::Xor => value ^ base,
            Method::Difference => {
                let step = rank::<W>(element, value).wrapping_sub(rank::<W>(element, base));
                folded::<W>(step)
            }
        };
        for (plane, byte) in residual.to_le_bytes()[..W].iter().enumerate() {
            planes[plane * count + place] = *byte;
        }
    }
    planes
}

/// Where each element stands in its planes.
enum Places {
    File,
    /// The next free place of each exponent.
    Exponent {
        next: Box<[u32; EXPONENTS]>,
        shift: u32,
        mask: u64,
    },
}

impl Places {
    fn new(element: Element, order: Order, base: &[u8]) -> Self {
        let (Order::Exponent, Some((shift, bits))) = (order, element.exponent()) else {
            return Self::File;
        };
        let mask = (1 << bits) - 1;
        let mut next = Box::new([0_u32; EXPONENTS]);
        for base in base.chunks_exact(element.width()) {
            let mut bytes = [0; 8];
            bytes[..base.len()].copy_from_slice(base);
            next[(u64::from_le_bytes(bytes) >> shift & mask) as usize] += 1;
        }
        let mut sum = 0;
        for next in next.iter_mut() {
            sum += std::mem::replace(next, sum);
        }
        Self::Exponent { next, shift, mask }
    }

    fn next(&mut self, index: usize, base: u64) -> usize {
        match self {
            Self::File => index,
            Self::Exponent { next, shift, mask } => {
                let next = &mut next[(base >> *shift & *mask) as usize];
                *next += 1;
                *next as usize - 1
            }
        }
    }
}

fn load<const W: usize>(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[..W].copy_from_slice(bytes);
    u64::from_le_bytes(whole)
}

const fn sign<const W: usize>() -> u64 {
    1 << (8 * W - 1)
}

const fn mask<const W: usize>() -> u64 {
    u64::MAX >> (64 - 8 * W)
}

/// The number of an element among all of its kind, from the smallest to the largest.
fn rank<const W: usize>(element: Element, bits: u64) -> u64 {
    if element.exponent().is_none() {
        bits
    } else if bits & sign::<W>() == 0 {
        bits | sign::<W>()
    } else {
        !bits & mask::<W>()
    }
}

fn unrank<const W: usize>(element: Element, rank: u64) -> u64 {
    let rank = rank & mask::<W>();
    if element.exponent().is_none() {
        rank
    } else if rank & sign::<W>() == 0 {
        !rank & mask::<W>()
    } else {
        rank ^ sign::<W>()
    }
}

/// A step with its sign in the lowest bit, so that small ones have many zeros on top.
#[cfg(feature = "encode")]
fn folded<const W: usize>(step: u64) -> u64 {
    let negative = step & sign::<W>() != 0;
    (step << 1 ^ if negative { u64::MAX } else { 0 }) & mask::<W>()
}

fn unfolded<const W: usize>(folded: u64) -> u64 {
    (folded >> 1) ^ if folded & 1 == 0 { 0 } else { mask::<W>() }
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ELEMENTS: [Element; 8] = [
        Element::I8,
        Element::I16,
        Element::I32,
        Element::I64,
        Element::F16,
        Element::Bf16,
        Element::F32,
        Element::F64,
    ];

    proptest! {
        #[test]
        fn what_is_split_is_joined(
            pairs in proptest::collection::vec(any::<(u64, u64)>(), 0..50),
            near in any::<bool>(),
        ) {
            let base: Vec<u8> = pairs.iter().flat_map(|p| p.0.to_le_bytes()).collect();
            let value = |p: &(u64, u64)| if near { p.0.wrapping_add(p.1 % 9) } else { p.1 };
            let values: Vec<u8> = pairs.iter().flat_map(|p| value(p).to_le_bytes()).collect();
            for element in ELEMENTS {
                for method in [Method::Plain, Method::Xor, Method::Difference] {
                    for order in [Order::File, Order::Exponent] {
                        let planes = split(element, method, order, &values, &base);
                        let mut out = vec![0; values.len()];
                        join(element, method, order, &planes, &base, &mut out);
                        prop_assert_eq!(&out, &values, "{:?} {:?} {:?}", element, method, order);
                    }
                }
            }
        }
    }

    #[test]
    fn neighbours_differ_by_one() {
        let floats = [
            -1.0_f32,
            f32::from_bits((-1.0_f32).to_bits() - 1),
            -0.0,
            0.0,
        ];
        let next = |value: f32| rank::<4>(Element::F32, value.to_bits().into());
        assert_eq!(next(floats[1]) - next(floats[0]), 1, "towards zero is up");
        assert_eq!(next(floats[3]) - next(floats[2]), 1);
        assert_eq!(folded::<4>(1), 2);
        assert_eq!(folded::<4>(mask::<4>()), 1, "minus one");
    }
}
