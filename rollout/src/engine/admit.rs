//! Whose turn it is, as pace, calendar and budgets allow.

use super::{Engine, Phase, member::Place};

impl Engine {
    /// It is a device's turn: it is admitted as soon as pace, calendar and budget allow.
    pub(super) fn ask_in(&mut self, index: u32) {
        let stage = self.stage as u8;
        let first = self.members[index as usize].place == Place::Outside;
        if first {
            let facts = &mut self.stages[usize::from(stage)];
            facts.added += 1;
            self.members[index as usize].stage = stage;
        }
        self.move_to(index, Place::Pending);
        self.enqueue(index);
    }

    /// Puts a device whose turn it is at the end of the line.
    pub(super) fn enqueue(&mut self, index: u32) {
        let has_calendar = self.setup.plan.calendar.is_some();
        // Without a calendar all stand in one line.
        let zone = if has_calendar {
            self.members[index as usize].zone
        } else {
            0
        };
        self.pending_seq += 1;
        let line = self.pending.entry(zone).or_default();
        line.push_back((self.pending_seq, index));
    }

    /// Admits whom it may. Whether anybody was.
    pub(super) fn admit(&mut self) -> bool {
        let may = matches!(
            self.phase,
            Phase::Moving | Phase::Releasing | Phase::Complete
        );
        if !may || self.paused || self.waiting == 0 {
            return false;
        }
        let (pace, bytes) = (&self.setup.plan.pace, self.setup.bytes);
        let confirmed = self.counts.confirmed;
        let allowed = self.meter.allowance(pace, bytes, confirmed, self.now);
        let mut admitted = 0;
        while admitted < allowed {
            let Some(index) = self.next_in_line() else {
                break;
            };
            self.move_to(index, Place::Admitted);
            admitted += 1;
        }
        if admitted > 0 {
            let pace = &self.setup.plan.pace;
            self.meter.moved(pace, confirmed, self.now, admitted);
        }
        admitted > 0
    }

    /// Who has waited longest of those whose zone is open.
    fn next_in_line(&mut self) -> Option<u32> {
        loop {
            let calendar = self.setup.plan.calendar.as_ref();
            let open = |zone: u16| {
                calendar.is_none_or(|calendar| self.zones.is_open(zone, calendar, self.now))
            };
            let fronts = self.pending.iter();
            let fronts = fronts.filter_map(|(zone, line)| line.front().map(|one| (one.0, *zone)));
            let (_, zone) = fronts.filter(|(_, zone)| open(*zone)).min()?;
            let (_, index) = self.pending.get_mut(&zone)?.pop_front()?;
            let member = &self.members[index as usize];
            // One that left, or stands in line twice, is passed over.
            if member.place == Place::Pending && member.away.is_none() {
                return Some(index);
            }
        }
    }
}
