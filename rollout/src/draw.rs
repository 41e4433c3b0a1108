//! Lots: who is control, who comes when, and who is compared with whom. By a stable hash of rollout and device, so
//! that nobody chooses, and spread evenly over strata, so that every site and platform is in each stage.

use std::collections::{BTreeMap, VecDeque};

use tern_protocol::id::{DeviceId, RolloutId};

/// Devices of the control that are compared with one that has the version, at most: a fifth one would make the
/// comparison a fiftieth sharper.
const CONTROLS_MAX: usize = 4;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lot {
    /// When a device comes.
    Turn,
    /// Whether it is control.
    Control,
}

/// A number that depends on the rollout, the device and what is drawn only, evenly spread: FNV-1a, then the finaliser
/// of `SplitMix64`, since FNV alone hardly mixes its last bytes into the high bits.
pub(crate) fn hash(rollout: RolloutId, device: &DeviceId, lot: Lot) -> u64 {
    let salt = match lot {
        Lot::Turn => 0x74_u8,
        Lot::Control => 0x63,
    };
    let bytes = rollout.0.to_le_bytes().into_iter().chain([salt]);
    let bytes = bytes.chain(device.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// A hash as a place between 0 and 1.
pub(crate) fn fraction(hash: u64) -> f64 {
    // 53 bits, as many as a double holds.
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// One who takes part in a draw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entrant {
    /// Who.
    pub(crate) index: u32,
    /// Its stratum.
    pub(crate) stratum: u32,
    /// Its hash for this lot.
    pub(crate) hash: u64,
}

/// All in an order in which the first so many hold about the same share of every stratum: within a stratum by hash,
/// and the strata dealt into one another.
pub(crate) fn spread(mut entrants: Vec<Entrant>) -> Vec<u32> {
    entrants.sort_unstable_by_key(|one| (one.stratum, one.hash, one.index));
    let mut sizes: BTreeMap<u32, u32> = BTreeMap::new();
    for one in &entrants {
        *sizes.entry(one.stratum).or_default() += 1;
    }
    let mut next: BTreeMap<u32, u32> = BTreeMap::new();
    let mut placed: Vec<(f64, u64, u32)> = Vec::with_capacity(entrants.len());
    for one in &entrants {
        let place = next.entry(one.stratum).or_default();
        let at = (f64::from(*place) + 0.5) / f64::from(sizes[&one.stratum]);
        *place += 1;
        placed.push((at, one.hash, one.index));
    }
    placed.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    placed.into_iter().map(|(_, _, index)| index).collect()
}

/// Who of the control is compared with whom: pairs of control and treated, both given in the order of their lots with
/// their strata. Each of the control is compared with one: first one a treated device in its own stratum, then what is
/// left over wherever it is, then more of the same stratum.
pub(crate) fn deal(treated: &[(u32, u32)], control: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut left: BTreeMap<u32, VecDeque<u32>> = BTreeMap::new();
    for (index, stratum) in control {
        left.entry(*stratum).or_default().push_back(*index);
    }
    let mut pairs = Vec::new();
    let mut alone = VecDeque::new();
    for (index, stratum) in treated {
        match left.get_mut(stratum).and_then(VecDeque::pop_front) {
            Some(control) => pairs.push((control, *index)),
            None => alone.push_back(*index),
        }
    }
    let mut unused: Vec<(u32, u32)> = Vec::new();
    for (index, stratum) in control {
        // What is left of a stratum is the end of its line, so looking at the front tells.
        let Some(line) = left.get_mut(stratum) else {
            continue;
        };
        if line.front() != Some(index) {
            continue;
        }
        line.pop_front();
        match alone.pop_front() {
            Some(treated) => pairs.push((*index, treated)),
            None => unused.push((*index, *stratum)),
        }
    }
    let mut by_stratum: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (index, stratum) in treated {
        by_stratum.entry(*stratum).or_default().push(*index);
    }
    let mut turns: BTreeMap<u32, usize> = BTreeMap::new();
    for (control, stratum) in unused {
        let Some(treated) = by_stratum.get(&stratum) else {
            continue;
        };
        let turn = turns.entry(stratum).or_default();
        if *turn < treated.len() * (CONTROLS_MAX - 1) {
            pairs.push((control, treated[*turn % treated.len()]));
            *turn += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrants(strata: &[u32]) -> Vec<Entrant> {
        let entrant = |(index, stratum): (usize, &u32)| Entrant {
            index: index as u32,
            stratum: *stratum,
            hash: hash(
                RolloutId(3),
                &format!("d{index}").parse().expect("an id"),
                Lot::Turn,
            ),
        };
        strata.iter().enumerate().map(entrant).collect()
    }

    #[test]
    fn every_beginning_of_the_order_holds_its_share_of_every_stratum() {
        let strata: Vec<u32> = (0..1_000).map(|i| u32::from(i % 10 >= 7)).collect();
        let order = spread(entrants(&strata));
        for first in [10, 50, 100, 333, 1_000] {
            let rare = order[..first].iter().filter(|i| strata[**i as usize] == 1);
            let expected = first as f64 * 0.3;
            assert!((rare.count() as f64 - expected).abs() <= 1.0, "{first}");
        }
        let mut again = entrants(&strata);
        again.reverse();
        assert_eq!(order, spread(again), "the order of asking never matters");
    }

    #[test]
    fn each_of_the_control_is_compared_with_one_of_its_stratum_if_there_is_one() {
        let treated = [(0, 0), (1, 0), (2, 1)];
        let control = [(10, 0), (11, 0), (12, 0), (13, 2)];
        assert_eq!(deal(&treated, &control), [(10, 0), (11, 1), (12, 2)]);
        assert_eq!(
            deal(&treated[..1], &control[..3]),
            [(10, 0), (11, 0), (12, 0)]
        );
        let many: Vec<(u32, u32)> = (20..40).map(|index| (index, 1)).collect();
        assert_eq!(deal(&[(2, 1)], &many).len(), CONTROLS_MAX);
    }
}
