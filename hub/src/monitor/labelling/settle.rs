//! What follows from what people said about one capture. Pure.

use tern_protocol::rest::Standing;

/// What one person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The class; none of somebody who cannot say.
    pub(super) truth: Option<i64>,
    /// Whether it decides a disagreement.
    pub(super) decides: bool,
}

/// How a capture stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// Nobody has said anything.
    Open,
    /// It waits for a second person.
    Half,
    /// Two people said different things.
    Disagreed,
    /// This class is the truth.
    Truth(i64),
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

/// From verdicts in the order in which they came, one of each person: the last decision, else the first class that as
/// many people said as have to. Skips say nothing.
pub(super) fn settle(verdicts: &[Verdict], labellers: u8) -> Settled {
    let mut decided = verdicts.iter().rev().filter(|verdict| verdict.decides);
    if let Some(truth) = decided.find_map(|verdict| verdict.truth) {
        return Settled::Truth(truth);
    }
    let said = verdicts.iter().filter(|verdict| !verdict.decides);
    let said: Vec<i64> = said.filter_map(|verdict| verdict.truth).collect();
    let needed = usize::from(labellers.max(1));
    for (at, truth) in said.iter().enumerate() {
        let times = said[..=at].iter().filter(|other| *other == truth).count();
        if times >= needed {
            return Settled::Truth(*truth);
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

    fn said(truths: &[Option<i64>]) -> Vec<Verdict> {
        let verdict = |truth: &Option<i64>| Verdict {
            truth: *truth,
            decides: false,
        };
        truths.iter().map(verdict).collect()
    }

    #[test]
    fn one_or_two_people() {
        for (truths, one, two) in [
            (&[][..], Settled::Open, Settled::Open),
            (&[None], Settled::Open, Settled::Open),
            (&[Some(3)], Settled::Truth(3), Settled::Half),
            (&[Some(3), None], Settled::Truth(3), Settled::Half),
            (&[Some(3), Some(3)], Settled::Truth(3), Settled::Truth(3)),
            (&[Some(3), Some(4)], Settled::Truth(3), Settled::Disagreed),
            (
                &[Some(3), Some(4), Some(4)],
                Settled::Truth(3),
                Settled::Truth(4),
            ),
        ] {
            assert_eq!(settle(&said(truths), 1), one, "{truths:?}");
            assert_eq!(settle(&said(truths), 2), two, "{truths:?}");
        }
    }

    #[test]
    fn a_decision_is_the_last_word() {
        let mut verdicts = said(&[Some(3), Some(4)]);
        for truth in [Some(5), Some(6)] {
            verdicts.push(Verdict {
                truth,
                decides: true,
            });
        }
        assert_eq!(settle(&verdicts, 2), Settled::Truth(6));
        let mut skipped = verdicts.clone();
        skipped.push(Verdict {
            truth: None,
            decides: true,
        });
        assert_eq!(
            settle(&skipped, 2),
            Settled::Truth(6),
            "a skip says nothing"
        );
        verdicts.pop();
        assert_eq!(settle(&verdicts, 2), Settled::Truth(5));
        verdicts.pop();
        assert_eq!(settle(&verdicts, 2), Settled::Disagreed, "taken back");
    }

    proptest! {
        #[test]
        fn two_people_are_a_truth_only_if_both_say_so(truths in prop::collection::vec(prop::option::of(0i64..3), 0..6)) {
            let settled = settle(&said(&truths), 2);
            let times = |class| truths.iter().filter(|truth| **truth == Some(class)).count();
            match settled {
                Settled::Truth(class) => prop_assert!(times(class) >= 2),
                Settled::Disagreed => prop_assert!((0..3).all(|class| times(class) < 2)),
                Settled::Half => prop_assert_eq!((0..3).map(times).sum::<usize>(), 1),
                Settled::Open => prop_assert!(truths.iter().all(Option::is_none)),
            }
        }

        #[test]
        fn what_is_taken_back_leaves_what_was(truths in prop::collection::vec(prop::option::of(0i64..3), 0..6), more in prop::option::of(0i64..3), needed in 1u8..3) {
            let before = said(&truths);
            let mut after = before.clone();
            after.push(Verdict { truth: more, decides: false });
            after.pop();
            prop_assert_eq!(settle(&before, needed), settle(&after, needed));
            // A skip changes nothing.
            after.push(Verdict { truth: None, decides: false });
            prop_assert_eq!(settle(&before, needed), settle(&after, needed));
        }
    }
}
