//! Whether two people who label the same things say the same.
//!
//! Source: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20(1),
//! 1960; its deviation by J. L. Fleiss, J. Cohen and B. S. Everitt, "Large sample standard errors of kappa and weighted
//! kappa", Psychological Bulletin 72(5), 1969.

use std::collections::BTreeMap;

use crate::interval::Estimate;

/// What two people said about the same things.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agreement {
    /// Things by what the first and the second said.
    cells: BTreeMap<(u64, u64), u64>,
}

impl Agreement {
    /// Adds a thing about which one said `first` and another `second`.
    pub fn add(&mut self, first: u64, second: u64) {
        *self.cells.entry((first, second)).or_default() += 1;
    }

    /// Things that both said something about.
    pub fn both(&self) -> u64 {
        self.cells.values().sum()
    }

    /// Those about which they said the same.
    pub fn same(&self) -> u64 {
        let same = self
            .cells
            .iter()
            .filter(|((first, second), _)| first == second);
        same.map(|(_, n)| *n).sum()
    }

    /// Cohen's kappa with the interval of `z` standard normal deviations: 1 where they always agree, 0 where they agree as
    /// often as chance would have it. `None` with fewer than two things, and where both always said one and the same
    /// class, since chance alone would agree then.
    pub fn kappa(&self, z: f64) -> Option<Estimate> {
        let n = self.both();
        if n < 2 {
            return None;
        }
        let whole = n as f64;
        let (mut of_first, mut of_second) = (BTreeMap::new(), BTreeMap::new());
        for ((first, second), count) in &self.cells {
            *of_first.entry(*first).or_insert(0.0) += *count as f64 / whole;
            *of_second.entry(*second).or_insert(0.0) += *count as f64 / whole;
        }
        let share = |of: &BTreeMap<u64, f64>, class: u64| of.get(&class).copied().unwrap_or(0.0);
        let observed = self.same() as f64 / whole;
        let chance: f64 = of_first
            .iter()
            .map(|(class, first)| first * share(&of_second, *class))
            .sum();
        let room = 1.0 - chance;
        if room <= f64::EPSILON {
            return None;
        }
        let kappa = (observed - chance) / room;
        let (mut same, mut other) = (0.0, 0.0);
        for ((first, second), count) in &self.cells {
            let part = *count as f64 / whole;
            // What the other one's total of this class is, of both classes of the cell.
            let sum = share(&of_second, *first) + share(&of_first, *second);
            if first == second {
                same += part * (1.0 - sum * (1.0 - kappa)).powi(2);
            } else {
                other += part * sum * sum;
            }
        }
        let known = (kappa - chance * (1.0 - kappa)).powi(2);
        let variance = (same + (1.0 - kappa).powi(2) * other - known) / (room * room * whole);
        let half = z * variance.max(0.0).sqrt();
        Some(Estimate {
            mean: kappa,
            low: (kappa - half).max(-1.0),
            high: (kappa + half).min(1.0),
            n,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Chance, interval::Z_95};

    #[test]
    fn the_usual_example() {
        // Two readers of fifty applications: both yes 20, both no 15, only the first yes 5, only the second yes 10.
        let mut all = Agreement::default();
        for (first, second, n) in [(1, 1, 20), (1, 0, 5), (0, 1, 10), (0, 0, 15)] {
            (0..n).for_each(|_| all.add(first, second));
        }
        let kappa = all.kappa(Z_95).unwrap();
        assert!((kappa.mean - 0.4).abs() < 1e-12, "{kappa:?}");
        assert!(
            kappa.low > 0.1 && kappa.low < 0.2 && kappa.high > 0.6 && kappa.high < 0.7,
            "{kappa:?}"
        );
        assert_eq!((all.both(), all.same()), (50, 35));
    }

    #[test]
    fn nothing_to_compare() {
        let mut all = Agreement::default();
        assert_eq!(all.kappa(Z_95), None);
        (0..9).for_each(|_| all.add(3, 3));
        assert_eq!(all.kappa(Z_95), None, "one class alone");
        all.add(4, 4);
        let kappa = all.kappa(Z_95).unwrap();
        assert!((kappa.mean - 1.0).abs() < 1e-12 && kappa.high <= 1.0);
    }

    /// Two people who are each right four times in five about three classes: the interval holds what kappa is.
    #[test]
    fn its_interval_holds() {
        let (mut chance, mut held, rounds) = (Chance::new(3), 0, 500);
        let said = |chance: &mut Chance, truth: u64| {
            if chance.uniform() < 0.8 {
                truth
            } else {
                (truth + 1 + chance.below(2) as u64) % 3
            }
        };
        // Both right 0.64, both the same wrong class 2 · 0.1²; of chance one in three.
        let expected = (0.66 - 1.0 / 3.0) / (1.0 - 1.0 / 3.0);
        for _ in 0..rounds {
            let mut all = Agreement::default();
            for _ in 0..150 {
                let truth = chance.below(3) as u64;
                let first = said(&mut chance, truth);
                let second = said(&mut chance, truth);
                all.add(first, second);
            }
            let kappa = all.kappa(Z_95).unwrap();
            held += i32::from((kappa.low..=kappa.high).contains(&expected));
        }
        let share = f64::from(held) / f64::from(rounds);
        assert!((0.92..0.98).contains(&share), "{share}");
    }
}
