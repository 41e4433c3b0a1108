//! What is usual at this hour of the day, and on this day of the week.
//!
//! The hour is learned first, since a day has one of each; weekdays are believed once each was there three times, and
//! by and by. Until then what they do is part of what is taken for chance, which makes everything more careful.

use minicbor::{Decode, Encode};

/// Days of which the mean of an hour is taken, at least by weight: older ones fade. Sixty, so that the seasons of a
/// year are followed and a drift of weeks is not.
const HOURS_LAST: f32 = 60.0;

/// Weeks of which the mean of a weekday is taken.
const WEEKS_LAST: f32 = 12.0;

/// Weeks after which a weekday is believed.
const WEEKS_FIRST: u8 = 3;

/// A daily and a weekly pattern.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(crate) struct Season {
    #[n(0)]
    hours: [f32; 24],
    #[n(1)]
    seen: [u8; 24],
    #[n(2)]
    weekdays: [f32; 7],
    #[n(3)]
    weeks: [u8; 7],
}

impl Default for Season {
    fn default() -> Self {
        Self {
            hours: [0.0; 24],
            seen: [0; 24],
            weekdays: [0.0; 7],
            weeks: [0; 7],
        }
    }
}

impl Season {
    /// What is usual at an hour of a day; `None` before anything was seen.
    pub(crate) fn usual(&self, hour: usize, day: u32) -> Option<f32> {
        let mean = self.mean()?;
        // An hour that was seen on few days is taken to be more like the others.
        let known = f32::from(self.seen[hour]);
        let hourly = known / (known + 1.0) * (self.hours[hour] - mean);
        Some(mean + hourly + self.weekday(day))
    }

    fn weekday(&self, day: u32) -> f32 {
        let at = (day % 7) as usize;
        let weeks = self.weeks[at];
        if weeks < WEEKS_FIRST {
            return 0.0;
        }
        let known = f32::from(weeks);
        known / (known + 2.0) * self.weekdays[at]
    }

    /// The mean over hours that were seen.
    pub(crate) fn mean(&self) -> Option<f32> {
        let (mut sum, mut n) = (0.0, 0.0);
        for (value, _) in self
            .hours
            .iter()
            .zip(&self.seen)
            .filter(|(_, seen)| **seen > 0)
        {
            sum += value;
            n += 1.0;
        }
        (n > 0.0).then(|| sum / n)
    }

    /// Learns the value of an hour.
    pub(crate) fn learn(&mut self, hour: usize, day: u32, value: f32) {
        let value = value - self.weekday(day);
        let seen = f32::from(self.seen[hour]);
        self.hours[hour] += (value - self.hours[hour]) / (seen + 1.0).min(HOURS_LAST);
        self.seen[hour] = self.seen[hour].saturating_add(1);
    }

    /// Learns by how much a whole day was above what is usual without its weekday.
    pub(crate) fn learn_day(&mut self, day: u32, residual: f32) {
        let at = (day % 7) as usize;
        let above = residual + self.weekday(day);
        let weeks = f32::from(self.weeks[at]);
        self.weekdays[at] += (above - self.weekdays[at]) / (weeks + 1.0).min(WEEKS_LAST);
        self.weeks[at] = self.weeks[at].saturating_add(1);
    }

    /// Takes another level for usual, with the same pattern.
    pub(crate) fn lift(&mut self, by: f32) {
        for (value, _) in self
            .hours
            .iter_mut()
            .zip(&self.seen)
            .filter(|(_, seen)| **seen > 0)
        {
            *value += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_learned_first_and_weekdays_after_three_weeks() {
        let mut season = Season::default();
        assert_eq!(season.usual(3, 0), None);
        for day in 0..35_u32 {
            let sunday = if day % 7 == 6 { 0.2 } else { 0.0 };
            let mut above = 0.0;
            for hour in 0..24 {
                let value = 0.5 + 0.01 * hour as f32 + sunday;
                above += season.usual(hour, day).map_or(0.0, |usual| value - usual) / 24.0;
                season.learn(hour, day, value);
            }
            season.learn_day(day, above);
        }
        let noon = season.usual(12, 35).unwrap();
        let (night, sunday) = (season.usual(0, 35).unwrap(), season.usual(12, 41).unwrap());
        assert!((noon - night - 0.12).abs() < 0.01, "{noon} {night}");
        assert!((0.1..0.22).contains(&(sunday - noon)), "{sunday} {noon}");
        season.lift(0.1);
        assert!((season.usual(12, 35).unwrap() - noon - 0.1).abs() < 1e-5);
    }
}
