//! What follows from what people said about one capture. Pure.

use tern_protocol::{
    rest::Standing,
    shadow::{TOLERANCE, agree},
};

/// What is true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Truth {
    /// This class.
    Class(i64),
    /// This number, of a model that answers numbers.
    Number(f64),
}

impl Truth {
    /// Whether two people who say so say the same: the same class, or numbers as near as those of two versions that agree.
    /// Nobody reads a gauge to the last digit.
    pub(super) fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Class(one), Self::Class(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => agree(one as f32, other as f32, TOLERANCE),
            (Self::Class(_), Self::Number(_)) | (Self::Number(_), Self::Class(_)) => false,
        }
    }

    /// What several who say the same say together: the class, or the middle of their numbers.
    fn together(all: &[Self]) -> Option<Self> {
        let numbers = all.iter().filter_map(|one| match one {
            Self::Number(number) => Some(*number),
            Self::Class(_) => None,
        });
        match all.first()? {
            Self::Class(class) => Some(Self::Class(*class)),
            Self::Number(_) => Some(Self::Number(numbers.sum::<f64>() / all.len() as f64)),
        }
    }
}

/// What one person said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Verdict {
    /// It; none of somebody who cannot say.
    pub(super) truth: Option<Truth>,
    /// Whether it decides a disagreement.
    pub(super) decides: bool,
}

/// How a capture stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Settled {
    /// Nobody has said anything.
    Open,
    /// It waits for a second person.
    Half,
    /// Two people said different things.
    Disagreed,
    /// This is the truth.
    Truth(Truth),
}

impl Settled {
    /// As it is told.
    pub(super) const fn standing(self) -> Standing {
        match self {
            Self::Open => Standing::Open,
            Self::Half => Standing::Half,
            Self::Disagreed => Standing::Disagreed,
            Self::Truth(_) => Standing::Truth,
        }
    }
}

/// From verdicts in the order in which they came, one of each person: the last decision, else the first class or number
/// that as many people said as have to. Skips say nothing.
pub(super) fn settle(verdicts: &[Verdict], labellers: u8) -> Settled {
    let mut decided = verdicts.iter().rev().filter(|verdict| verdict.decides);
    if let Some(truth) = decided.find_map(|verdict| verdict.truth) {
        return Settled::Truth(truth);
    }
    let said = verdicts.iter().filter(|verdict| !verdict.decides);
    let said: Vec<Truth> = said.filter_map(|verdict| verdict.truth).collect();
    let needed = usize::from(labellers.max(1));
    for (at, truth) in said.iter().enumerate() {
        let until = said[..=at].iter().copied();
        let same: Vec<Truth> = until.filter(|other| other.same(*truth)).collect();
        if same.len() >= needed
            && let Some(truth) = Truth::together(&same)
        {
            return Settled::Truth(truth);
        }
    }
    match said.len() {
        0 => Settled::Open,
        1 => Settled::Half,
        _ => Settled::Disagreed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn truth(class: i64) -> Settled {
        Settled::Truth(Truth::Class(class))
    }

    fn said(truths: &[Option<i64>]) -> Vec<Verdict> {
        let verdict = |truth: &Option<i64>| Verdict {
            truth: truth.map(Truth::Class),
            decides: false,
        };
        truths.iter().map(verdict).collect()
    }

    #[test]
    fn one_or_two_people() {
        for (truths, one, two) in [
            (&[][..], Settled::Open, Settled::Open),
            (&[None], Settled::Open, Settled::Open),
            (&[Some(3)], truth(3), Settled::Half),
            (&[Some(3), None], truth(3), Settled::Half),
            (&[Some(3), Some(3)], truth(3), truth(3)),
            (&[Some(3), Some(4)], truth(3), Settled::Disagreed),
            (&[Some(3), Some(4), Some(4)], truth(3), truth(4)),
        ] {
            assert_eq!(settle(&said(truths), 1), one, "{truths:?}");
            assert_eq!(settle(&said(truths), 2), two, "{truths:?}");
        }
    }

    #[test]
    fn numbers_are_the_same_if_they_are_near() {
        let settled = |numbers: &[f64], labellers| {
            let verdict = |number: &f64| Verdict {
                truth: Some(Truth::Number(*number)),
                decides: false,
            };
            let verdicts: Vec<Verdict> = numbers.iter().map(verdict).collect();
            settle(&verdicts, labellers)
        };
        let is = |number| Settled::Truth(Truth::Number(number));
        assert_eq!(settled(&[20.0], 1), is(20.0));
        assert_eq!(settled(&[20.0], 2), Settled::Half);
        assert_eq!(settled(&[20.0, 20.125], 2), is(20.0625), "in the middle");
        assert_eq!(settled(&[20.0, 21.0], 2), Settled::Disagreed);
        assert_eq!(settled(&[20.0, 21.0, 21.0], 2), is(21.0));
    }

    #[test]
    fn a_decision_is_the_last_word() {
        let mut verdicts = said(&[Some(3), Some(4)]);
        for truth in [Some(5), Some(6)] {
            verdicts.push(Verdict {
                truth: truth.map(Truth::Class),
                decides: true,
            });
        }
        assert_eq!(settle(&verdicts, 2), truth(6));
        let mut skipped = verdicts.clone();
        skipped.push(Verdict {
            truth: None,
            decides: true,
        });
        assert_eq!(settle(&skipped, 2), truth(6), "a skip says nothing");
        verdicts.pop();
        assert_eq!(settle(&verdicts, 2), truth(5));
        verdicts.pop();
        assert_eq!(settle(&verdicts, 2), Settled::Disagreed, "taken back");
    }

    proptest! {
        #[test]
        fn two_people_are_a_truth_only_if_both_say_so(truths in prop::collection::vec(prop::option::of(0i64..3), 0..6)) {
            let settled = settle(&said(&truths), 2);
            let times = |class| truths.iter().filter(|truth| **truth == Some(class)).count();
            match settled {
                Settled::Truth(Truth::Class(class)) => prop_assert!(times(class) >= 2),
                Settled::Truth(Truth::Number(_)) => prop_assert!(false, "nobody said a number"),
                Settled::Disagreed => prop_assert!((0..3).all(|class| times(class) < 2)),
                Settled::Half => prop_assert_eq!((0..3).map(times).sum::<usize>(), 1),
                Settled::Open => prop_assert!(truths.iter().all(Option::is_none)),
            }
        }

        #[test]
        fn what_is_taken_back_leaves_what_was(truths in prop::collection::vec(prop::option::of(0i64..3), 0..6), more in prop::option::of(0i64..3), needed in 1u8..3) {
            let before = said(&truths);
            let mut after = before.clone();
            after.push(Verdict { truth: more.map(Truth::Class), decides: false });
            after.pop();
            prop_assert_eq!(settle(&before, needed), settle(&after, needed));
            // A skip changes nothing.
            after.push(Verdict { truth: None, decides: false });
            prop_assert_eq!(settle(&before, needed), settle(&after, needed));
        }
    }
}
