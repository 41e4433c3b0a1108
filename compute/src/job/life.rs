//! The life of a job: attempts, what it is in one word, and what is to be done next. Pure.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use tern_protocol::{id::JobId, time::WallTime};

use super::{Ended, Retries};

/// One attempt of one job. It names what is done about it wherever it is done, so that doing it twice is doing it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The job.
    pub job: JobId,
    /// 1, 2, 3 …
    pub number: u32,
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.job, self.number)
    }
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Given to a compute, which has not said anything yet.
    Given,
    /// Its environment is being made.
    Preparing,
    /// The command runs.
    Running,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 1, 2, 3 …
    pub number: u32,
    /// When it was given to a compute.
    pub given: WallTime,
    /// How far it is, or was when it ended.
    pub phase: Phase,
    /// How and when it ended.
    pub ended: Option<(Ended, WallTime)>,
    /// Processor time that it took, in thousandths of a core-second.
    pub core_millis: u64,
}

/// A job, as far as what follows depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What to do when an attempt ends badly.
    pub retries: Retries,
    /// Its attempts, the first one first.
    pub attempts: Vec<Attempt>,
    /// Whether a person wants it to end.
    pub cancelled: bool,
}

/// What a job is in one word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its turn, or for its next attempt.
    Queued,
    /// Its environment is being made.
    Preparing,
    /// It runs.
    Running,
    /// It did what it should.
    Succeeded,
    /// It will not.
    Failed(Ended),
    /// Somebody wanted it to end.
    Cancelled,
}

/// What is to be done about a job. Asked again and again; what was done already is asked for again and does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is the schedule's to say when this attempt starts.
    Schedule {
        /// The attempt.
        attempt: u32,
    },
    /// Nothing before that time.
    Wait {
        /// Until when.
        until: WallTime,
    },
    /// This attempt runs: look how it is.
    Observe {
        /// The attempt.
        attempt: u32,
    },
    /// This attempt runs and should not.
    Cancel {
        /// The attempt.
        attempt: u32,
    },
    /// Nothing ever.
    Nothing,
}

impl Job {
    /// A job that has just come.
    pub fn new(retries: Retries) -> Self {
        Self {
            retries,
            attempts: Vec::new(),
            cancelled: false,
        }
    }

    /// What it is in one word.
    pub fn state(&self) -> JobState {
        let Some(last) = self.attempts.last() else {
            return if self.cancelled {
                JobState::Cancelled
            } else {
                JobState::Queued
            };
        };
        match (&last.ended, last.phase) {
            (None, Phase::Given | Phase::Preparing) => JobState::Preparing,
            (None, Phase::Running) => JobState::Running,
            // It did so before anybody's wish arrived.
            (Some((ended, _)), _) if ended.is_success() => JobState::Succeeded,
            (Some((Ended::Cancelled, _)), _) => JobState::Cancelled,
            (Some(_), _) if self.cancelled => JobState::Cancelled,
            (Some((ended, _)), _) if self.goes_on_after(ended) => JobState::Queued,
            (Some((ended, _)), _) => JobState::Failed(ended.clone()),
        }
    }

    /// What is to be done about it.
    pub fn next(&self, now: WallTime) -> Next {
        let Some(last) = self.attempts.last() else {
            return if self.cancelled {
                Next::Nothing
            } else {
                Next::Schedule { attempt: 1 }
            };
        };
        let attempt = last.number;
        match &last.ended {
            None if self.cancelled => Next::Cancel { attempt },
            None => Next::Observe { attempt },
            Some((ended, at)) if !self.cancelled && self.goes_on_after(ended) => {
                let until = later(*at, self.retries.wait_after(self.made()));
                if now < until {
                    Next::Wait { until }
                } else {
                    Next::Schedule {
                        attempt: attempt.saturating_add(1),
                    }
                }
            }
            Some(_) => Next::Nothing,
        }
    }

    /// The schedule gave an attempt to a compute. Nothing happens unless it is the one that was to come, so that what
    /// is told twice is no second attempt.
    pub fn given(&mut self, attempt: u32, now: WallTime) {
        if self.next(now) == (Next::Schedule { attempt }) {
            self.attempts.push(Attempt {
                number: attempt,
                given: now,
                phase: Phase::Given,
                ended: None,
                core_millis: 0,
            });
        }
    }

    /// An attempt is so far. One that has ended stays so.
    pub fn reached(&mut self, attempt: u32, phase: Phase) {
        if let Some(one) = self.open(attempt) {
            one.phase = phase;
        }
    }

    /// An attempt ended. Only the first word about it counts.
    pub fn ended(&mut self, attempt: u32, ended: Ended, at: WallTime, core_millis: u64) {
        if let Some(one) = self.open(attempt) {
            one.ended = Some((ended, at));
            one.core_millis = core_millis;
        }
    }

    /// What all attempts took, in thousandths of a core-second.
    pub fn core_millis(&self) -> u64 {
        let each = self.attempts.iter().map(|one| one.core_millis);
        each.fold(0, u64::saturating_add)
    }

    fn open(&mut self, attempt: u32) -> Option<&mut Attempt> {
        let last = self.attempts.last_mut();
        last.filter(|one| one.number == attempt && one.ended.is_none())
    }

    fn goes_on_after(&self, ended: &Ended) -> bool {
        ended.may_go_better() && self.made() <= self.retries.most
    }

    fn made(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX)
    }
}

fn later(at: WallTime, wait: Duration) -> WallTime {
    let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    WallTime(at.0.saturating_add(wait))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::{Evidence, LostBecause};

    fn at(seconds: i64) -> WallTime {
        WallTime(seconds * 1000)
    }

    #[test]
    fn a_crash_is_tried_again_after_a_wait_and_then_no_more() {
        let mut job = Job::new(Retries { most: 1, wait: 10 });
        assert_eq!(job.next(at(0)), Next::Schedule { attempt: 1 });
        job.given(1, at(0));
        job.given(1, at(0));
        job.reached(1, Phase::Running);
        assert_eq!((job.attempts.len(), job.state()), (1, JobState::Running));
        job.ended(1, Ended::Exited(3), at(5), 700);
        job.ended(1, Ended::Exited(0), at(6), 9);
        assert_eq!(job.state(), JobState::Queued);
        assert_eq!(job.next(at(6)), Next::Wait { until: at(15) });
        job.given(2, at(6));
        assert_eq!(job.attempts.len(), 1, "too early");
        job.given(2, at(15));
        job.ended(2, Ended::Exited(3), at(20), 300);
        assert_eq!(job.state(), JobState::Failed(Ended::Exited(3)));
        assert_eq!(job.next(at(9999)), Next::Nothing);
        assert_eq!(job.core_millis(), 1000);
    }

    #[test]
    fn what_would_end_the_same_is_not_tried_again() {
        for ended in [
            Ended::OutOfMemory(Evidence::Kernel),
            Ended::TimeLimit,
            Ended::Cancelled,
            Ended::Exited(0),
        ] {
            let mut job = Job::new(Retries { most: 5, wait: 0 });
            job.given(1, at(0));
            job.ended(1, ended.clone(), at(1), 0);
            assert_eq!(job.next(at(99)), Next::Nothing, "{ended}");
        }
    }

    #[test]
    fn without_retries_what_is_lost_is_not_run_again() {
        let mut job = Job::new(Retries::default());
        job.given(1, at(0));
        job.ended(1, Ended::Lost(LostBecause::OtherBoot), at(1), 0);
        assert_eq!(job.next(at(99)), Next::Nothing);
        assert!(matches!(job.state(), JobState::Failed(Ended::Lost(_))));
    }

    #[test]
    fn a_success_that_was_faster_than_the_wish_to_end_it_is_one() {
        let mut job = Job::new(Retries::default());
        job.given(1, at(0));
        job.cancelled = true;
        assert_eq!(job.next(at(0)), Next::Cancel { attempt: 1 });
        job.ended(1, Ended::Exited(0), at(1), 0);
        assert_eq!(
            (job.state(), job.next(at(2))),
            (JobState::Succeeded, Next::Nothing)
        );
    }

    #[derive(Debug, Clone)]
    enum Told {
        Given(u32),
        Ended(u32, Ended),
        Cancel,
    }

    fn told() -> impl Strategy<Value = Told> {
        let ended = prop_oneof![
            (0..3).prop_map(Ended::Exited),
            Just(Ended::TimeLimit),
            Just(Ended::Lost(LostBecause::SupervisorGone)),
        ];
        prop_oneof![
            4 => (1_u32..6).prop_map(Told::Given),
            4 => (1_u32..6, ended).prop_map(|(attempt, ended)| Told::Ended(attempt, ended)),
            1 => Just(Told::Cancel),
        ]
    }

    proptest! {
        /// Whatever is told in whatever order, repeated as one likes: numbers rise by one, one attempt at a time, no
        /// more than were asked for, and what is over stays over.
        #[test]
        fn nothing_told_makes_a_second_life(most in 0_u32..4, all in prop::collection::vec(told(), 0..60)) {
            let mut job = Job::new(Retries { most, wait: 1 });
            let mut over = None;
            for (second, one) in (0_i64..).zip(all) {
                match one {
                    Told::Given(attempt) => job.given(attempt, at(second * 5000)),
                    Told::Ended(attempt, ended) => job.ended(attempt, ended, at(second * 5000), 1),
                    Told::Cancel => job.cancelled = true,
                }
                prop_assert!(job.attempts.len() <= most as usize + 1);
                for (index, attempt) in job.attempts.iter().enumerate() {
                    prop_assert_eq!(attempt.number as usize, index + 1);
                    prop_assert!(attempt.ended.is_some() || index + 1 == job.attempts.len());
                }
                if let Some(attempts) = over {
                    prop_assert_eq!(job.attempts.len(), attempts);
                }
                if job.next(at(i64::MAX / 2000)) == Next::Nothing {
                    over = Some(job.attempts.len());
                }
            }
        }
    }
}
