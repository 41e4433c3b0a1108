//! Which tensor of the base a tensor of the new file is told from.

use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher as _},
};

use super::layout::Payload;

/// For each of the new tensors the one of the base, if there is any: by name and shape; then, names
/// having changed, by the same bytes; then by shape, in the order of the files; and last by name and
/// all dimensions but the first, which is what grows when a class is added.
pub(super) fn partners(
    (base_file, base): (&[u8], &[Payload]),
    (new_file, new): (&[u8], &[Payload]),
) -> Vec<Option<usize>> {
    let mut pairs = Pairs {
        free: vec![true; base.len()],
        partner: vec![None; new.len()],
    };
    let hash = |file: &[u8], payload: &Payload| {
        let mut hasher = DefaultHasher::new();
        file[payload.range.clone()].hash(&mut hasher);
        hasher.finish()
    };
    let kind = |payload: &Payload| (payload.element, payload.dims.clone(), payload.range.len());
    pairs.pass(base, new, |p| (kind(p), p.name.clone()));
    pairs.pass_by(
        base,
        new,
        |p| (kind(p), hash(base_file, p)),
        |p| (kind(p), hash(new_file, p)),
    );
    pairs.pass(base, new, kind);
    pairs.pass(base, new, |p| {
        let rows = p.dims.iter().skip(1).copied().collect::<Vec<_>>();
        (p.element, p.name.clone(), p.dims.len(), rows)
    });
    pairs.partner
}

struct Pairs {
    free: Vec<bool>,
    partner: Vec<Option<usize>>,
}

impl Pairs {
    fn pass<K: Hash + Eq>(
        &mut self,
        base: &[Payload],
        new: &[Payload],
        key: impl Fn(&Payload) -> K,
    ) {
        self.pass_by(base, new, &key, &key);
    }

    /// Gives each tensor without a partner the first one that is free and has the same key.
    fn pass_by<K: Hash + Eq>(
        &mut self,
        base: &[Payload],
        new: &[Payload],
        base_key: impl Fn(&Payload) -> K,
        new_key: impl Fn(&Payload) -> K,
    ) {
        if self.partner.iter().all(Option::is_some) {
            return;
        }
        let mut free: HashMap<K, VecDeque<usize>> = HashMap::new();
        for (index, payload) in base.iter().enumerate() {
            if self.free[index] {
                free.entry(base_key(payload)).or_default().push_back(index);
            }
        }
        for (index, payload) in new.iter().enumerate() {
            if self.partner[index].is_none()
                && let Some(found) = free
                    .get_mut(&new_key(payload))
                    .and_then(VecDeque::pop_front)
            {
                self.partner[index] = Some(found);
                self.free[found] = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Element;

    fn payload(name: &str, dims: &[u64], start: usize, len: usize) -> Payload {
        Payload {
            range: start..start + len,
            element: Element::F32,
            name: name.into(),
            dims: dims.into(),
        }
    }

    #[test]
    fn names_come_first_then_bytes_then_shapes() {
        let base_file = [[1; 16], [2; 16], [3; 16], [4; 16]].concat();
        let new_file = [[3; 16], [2; 16], [9; 16], [8; 16]].concat();
        let base = [
            payload("a", &[4], 0, 16),
            payload("b", &[4], 16, 16),
            payload("c", &[4], 32, 16),
            payload("d", &[2, 2], 48, 16),
        ];
        let new = [
            payload("x", &[4], 0, 16),
            payload("a", &[4], 16, 16),
            payload("y", &[4], 32, 16),
            payload("d", &[1, 4], 48, 16),
        ];
        let found = partners((&base_file, &base), (&new_file, &new));
        // `a` keeps its name whatever it holds; `x` has the bytes of `c`; `y` takes what is left.
        assert_eq!(found, [Some(2), Some(0), Some(1), None]);
    }

    #[test]
    fn a_class_more_finds_the_classes_before() {
        let file = [0; 64];
        let base = [payload("out", &[2, 4], 0, 32)];
        let new = [payload("out", &[3, 4], 0, 48)];
        assert_eq!(partners((&file, &base), (&file, &new)), [Some(0)]);
    }
}
