//! Thins out changes for one listener: the first of a burst goes at once, the rest of it as one when
//! its time has come. Pure.

use std::{collections::BTreeMap, time::Duration};

use tern_protocol::rest::Change;
use tokio::time::Instant;

/// Between two changes of one subject to one listener: at most 4 a second, faster than an eye
/// follows and slow enough for a page to ask the API in between.
const PAUSE: Duration = Duration::from_millis(250);

/// Subjects that are kept apart. When more change within one pause, the rest of them is told as one
/// change of the telemetry, which every page listens to.
const SUBJECTS: usize = 1024;

/// What a change is about.
type Subject = (u8, String);

fn subject(change: &Change) -> Subject {
    match change {
        Change::Device { device } => (0, device.to_string()),
        Change::Rollout { id } => (1, id.to_string()),
        Change::Model { model } => (2, model.to_string()),
        Change::Telemetry { .. } => (3, String::new()),
        Change::Trust => (4, String::new()),
        Change::Delivery => (5, String::new()),
        Change::Notifications => (6, String::new()),
        Change::Alerts => (7, String::new()),
        Change::Experiments => (8, String::new()),
        Change::Runs { experiment } => (9, experiment.to_string()),
        Change::Run { run } => (10, run.clone()),
        Change::Retraining { model } => (20, model.to_string()),
        Change::Job { id } => (11, id.to_string()),
        Change::Computes => (12, String::new()),
        Change::Datasets => (13, String::new()),
    }
}

/// Changes on their way to one listener.
#[derive(Debug, Default)]
pub(super) struct Coalesce {
    /// When each subject may be told of again, and the change that waits for that.
    subjects: BTreeMap<Subject, (Instant, Option<Change>)>,
}

impl Coalesce {
    /// A change happened; gives it back if it may be told at once.
    pub(super) fn offer(&mut self, change: Change, now: Instant) -> Option<Change> {
        let subject = subject(&change);
        if let Some((_, waiting)) = self.subjects.get_mut(&subject) {
            *waiting = Some(change);
            return None;
        }
        if self.subjects.len() >= SUBJECTS && !matches!(change, Change::Telemetry { .. }) {
            return None;
        }
        self.subjects.insert(subject, (now + PAUSE, None));
        Some(change)
    }

    /// The next change whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<Change> {
        // Subjects that were quiet for a pause are forgotten, so the next change of them goes at once.
        self.subjects
            .retain(|_, (until, waiting)| *until > now || waiting.is_some());
        let due = self.subjects.values_mut().find(|(until, _)| *until <= now);
        let (until, waiting) = due?;
        *until = now + PAUSE;
        waiting.take()
    }

    /// When to ask [`Self::due`] again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self
            .subjects
            .values()
            .filter(|(_, waiting)| waiting.is_some());
        waiting.map(|(until, _)| *until).min()
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::{id::RolloutId, time::WallTime};

    use super::*;

    fn rollout(id: u32) -> Change {
        Change::Rollout { id: RolloutId(id) }
    }

    #[test]
    fn a_burst_is_told_at_its_start_and_once_later() {
        let mut coalesce = Coalesce::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let telemetry = |ms| Change::Telemetry { at: WallTime(ms) };
        assert_eq!(coalesce.offer(telemetry(0), at(0)), Some(telemetry(0)));
        for ms in 1..200 {
            assert_eq!(coalesce.offer(telemetry(ms), at(ms as u64)), None);
        }
        assert_eq!(
            coalesce.offer(rollout(1), at(200)),
            Some(rollout(1)),
            "subjects are apart"
        );
        assert_eq!(coalesce.deadline(), Some(at(250)));
        assert_eq!(coalesce.due(at(249)), None);
        assert_eq!(
            coalesce.due(at(250)),
            Some(telemetry(199)),
            "the newest is told"
        );
        assert_eq!(coalesce.due(at(250)), None);
        assert_eq!(
            coalesce.offer(telemetry(300), at(300)),
            None,
            "and the pause begins again"
        );
        assert_eq!(coalesce.due(at(500)), Some(telemetry(300)));
        assert_eq!(coalesce.due(at(1000)), None);
        assert_eq!(coalesce.deadline(), None);
        assert_eq!(
            coalesce.offer(telemetry(1001), at(1001)),
            Some(telemetry(1001))
        );
    }

    #[test]
    fn a_second_never_brings_more_than_four_of_one_subject() {
        let mut coalesce = Coalesce::default();
        let start = Instant::now();
        let told = (0..10_000u64).filter(|ms| {
            let now = start + Duration::from_millis(*ms);
            let offered = coalesce.offer(rollout(7), now).is_some();
            coalesce.due(now).is_some() || offered
        });
        let told: Vec<u64> = told.collect();
        assert!(
            told.windows(5).all(|five| five[4] - five[0] >= 1000),
            "{told:?}"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut coalesce = Coalesce::default();
        let now = Instant::now();
        for id in 0..10_000 {
            coalesce.offer(rollout(id), now);
        }
        assert_eq!(coalesce.subjects.len(), SUBJECTS);
    }
}
