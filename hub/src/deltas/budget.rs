//! Which deltas make room for others. Pure.

/// A delta that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept<K> {
    /// Which.
    pub(super) key: K,
    /// Its length in bytes.
    pub(super) len: u64,
}

/// Which of these have to go so that the others take no more than `budget` bytes. They are given in
/// the order in which they are wanted least: the fewest devices still have the oldest base.
pub(super) fn evicted<K: Copy>(kept: &[Kept<K>], budget: u64) -> Vec<K> {
    let mut held: u64 = kept.iter().map(|kept| kept.len).sum();
    let mut gone = Vec::new();
    for kept in kept {
        if held <= budget {
            break;
        }
        held -= kept.len;
        gone.push(kept.key);
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(lengths: &[u64], budget: u64) -> Vec<u64> {
        let kept: Vec<_> = lengths
            .iter()
            .map(|len| Kept {
                key: *len,
                len: *len,
            })
            .collect();
        evicted(&kept, budget)
    }

    #[test]
    fn the_first_go_until_the_rest_fits() {
        assert!(gone(&[30, 10, 20], 60).is_empty());
        assert_eq!(gone(&[30, 10, 20], 59), [30]);
        assert_eq!(gone(&[30, 10, 20], 29), [30, 10]);
        assert_eq!(gone(&[30, 10, 20], 0), [30, 10, 20]);
        assert!(gone(&[], 0).is_empty());
    }
}
