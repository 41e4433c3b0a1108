//! One column of one site, or of the whole fleet, over time.

use minicbor::{Decode, Encode};

use crate::{
    evidence::{Evidence, News, Strongest},
    hour::Hour,
    pool::Pool,
    season::Season,
};

/// Sizes of change that are bet on, in standard deviations of innovations: a slow drift, a change, a break.
const SHIFTS: [f64; 3] = [0.7, 2.0, 6.0];

/// Hours of a day after which it is looked at, and after which a day counts at all.
const QUARTER: u8 = 6;

/// Evidence above which nothing is learned from a stream: what is not usual must not become it.
const DOUBT: f64 = 3.0;

/// Days after which what is doubted and was no finding is taken for usual: it is certain by then, and too small to
/// matter. Else it would never again be learned what is usual.
pub(crate) const DOUBT_DAYS: u8 = 28;

/// The least standard deviation of innovations, as a share of what matters: where nothing ever happened, such as no
/// value was ever missing, nobody knows how large something may be that means nothing.
pub(crate) const FLOOR: f64 = 1.0 / 6.0;

/// How many innovations the pool's stands for in a site's own.
pub(crate) const PRIOR: f64 = 5.0;

/// A stream with what is usual for it, and evidence that it is not as usual.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(crate) struct Stream {
    #[n(0)]
    pub(crate) season: Season,
    #[n(1)]
    day: u32,
    #[n(2)]
    sum: f32,
    #[n(3)]
    hours: u8,
    /// The deviation of the day before; not a number if there was none.
    #[n(4)]
    last: f32,
    /// Mean squared innovation, capped at nine times what it was: one strange day must not widen it for long.
    #[n(5)]
    square: f32,
    #[n(6)]
    pub(crate) days: u16,
    #[n(7)]
    evidence: Evidence<3>,
    /// Sum and number of daily deviations since each direction's evidence began.
    #[n(8)]
    up: (f32, u16),
    #[n(9)]
    down: (f32, u16),
    /// Deviations of late, each day counting half of the next.
    #[n(10)]
    level: f32,
    /// Days in a row on which it was as usual.
    #[n(11)]
    pub(crate) calm: u8,
    /// Whether a finding stands on it.
    #[n(12)]
    pub(crate) open: bool,
    /// Inferences of today.
    #[n(13)]
    inferences: f32,
    /// Days in a row on which nothing was learned although no finding stands on it.
    #[n(14)]
    doubt: u8,
}

/// What a look at a stream shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    pub(crate) strongest: Strongest,
    pub(crate) effect: Deviation,
}

/// By how much a stream is above what is usual, with the half width of a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Deviation {
    pub(crate) value: f64,
    pub(crate) half: f64,
}

/// How a stream is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    /// Days to learn before anything is said.
    pub(crate) learn_days: u16,
    /// The least effect that matters.
    pub(crate) matters: f64,
    /// How many innovations the pool's stands for; less where the stream is not one of those the pool was learned from.
    pub(crate) prior: f64,
    /// Whether what comes is not to be learned from.
    pub(crate) frozen: bool,
    /// The variance of one inference, for what sampling alone makes of this hour's.
    pub(crate) sampling: f64,
    /// Inferences of this hour; infinite where sampling does not matter.
    pub(crate) inferences: f32,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            season: Season::default(),
            day: 0,
            sum: 0.0,
            hours: 0,
            last: f32::NAN,
            square: 0.0,
            days: 0,
            evidence: Evidence::default(),
            up: (0.0, 0),
            down: (0.0, 0),
            level: 0.0,
            calm: 0,
            open: false,
            inferences: 0.0,
            doubt: 0,
        }
    }
}

impl Stream {
    /// Whether anything is learned from it.
    pub(crate) fn learns(&self) -> bool {
        !self.open && self.evidence.strongest().ln <= DOUBT
    }

    /// One more hour's deviation, of hours that only rise. Says what is to be seen if it is time for a look.
    pub(crate) fn add(
        &mut self,
        hour: Hour,
        deviation: f32,
        pool: &mut Pool,
        judged: Judged,
    ) -> Option<Shown> {
        if !deviation.is_finite() {
            return None;
        }
        if hour.day() != self.day {
            self.close(hour.day(), pool, judged);
        }
        self.sum += deviation;
        self.hours += 1;
        self.inferences += judged.inferences;
        let whole = self.hours.is_multiple_of(QUARTER) && self.hours > 0;
        if !whole {
            return None;
        }
        let quarter = usize::from(self.hours / QUARTER - 1);
        let news = self.news(pool, judged, quarter)?;
        if self.days < judged.learn_days {
            return None;
        }
        let evidence = self.evidence.after(self.day, &news, SHIFTS);
        let strongest = evidence.strongest();
        let effect = self.effect(&strongest, pool, judged, quarter);
        Some(Shown { strongest, effect })
    }

    fn today(&self) -> f32 {
        self.sum / f32::from(self.hours.max(1))
    }

    /// The deviation of today if a quarter of it is over, else of late.
    pub(crate) fn now(&self) -> f32 {
        if self.hours >= QUARTER {
            self.today()
        } else {
            self.level
        }
    }

    /// Deviations of late.
    pub(crate) fn level(&self) -> f32 {
        self.level
    }

    fn before(&self) -> Option<f32> {
        Some(self.last).filter(|last| last.is_finite())
    }

    /// Mean squared innovation: the stream's own, with the pool's as a prior.
    fn innovation(&self, pool: &Pool, judged: Judged) -> Option<f64> {
        let own = f64::from(self.days.saturating_sub(2));
        let prior = pool.innovation()? * judged.prior;
        let learned = (prior + own * f64::from(self.square)) / (judged.prior + own);
        // A median is steadier against faults than a mean, and less so against chance. One inference more or less is
        // chance, however rare it is.
        let n = f64::from(self.inferences.max(1.0));
        let sampling = std::f64::consts::FRAC_PI_2 * judged.sampling / n + (n * n).recip();
        Some(learned.max((judged.matters * FLOOR).powi(2)).max(sampling))
    }

    fn news(&self, pool: &Pool, judged: Judged, quarter: usize) -> Option<News> {
        let (stays, whole) = (pool.stays(), self.innovation(pool, judged)?);
        let square = whole * pool.early(quarter);
        let today = f64::from(self.today());
        let (innovation, fresh, square) = match self.before() {
            Some(last) => (today - stays * f64::from(last), 1.0 - stays, square),
            None => (today, 1.0, square / (1.0 - stays * stays)),
        };
        Some(News {
            innovation,
            fresh,
            scale: square.sqrt(),
            known: judged.prior + f64::from(self.days),
            // What is usual was learned too: it may be off by as much.
            borne: 0.5 * judged.matters
                + (whole / f64::from(self.days.max(1))).sqrt() / (1.0 - stays),
        })
    }

    /// By how much it is off: the mean since the evidence began, today included, or today alone, whichever is certain
    /// to be off by more. The mean is steadier; but of a drift it is what was, not what is.
    fn effect(
        &self,
        strongest: &Strongest,
        pool: &Pool,
        judged: Judged,
        quarter: usize,
    ) -> Deviation {
        let (sum, n) = if strongest.up { self.up } else { self.down };
        // Evidence that begins today has no days before.
        let (sum, n) = if strongest.since == self.day {
            (0.0, 0)
        } else {
            (sum, n)
        };
        let today = self.today();
        let (stays, days) = (pool.stays(), f64::from(self.days.max(1)));
        let square = self.innovation(pool, judged).unwrap_or(1.0);
        let alone = square / (1.0 - stays * stays);
        let long = square / (1.0 - stays).powi(2);
        // What is usual was learned too.
        let usual = alone.min(long / days);
        let n = f64::from(n) + 1.0;
        let of = |value: f32, variance: f64| Deviation {
            value: f64::from(value),
            half: 1.96 * (variance + usual).sqrt(),
        };
        let mean = of((sum + today) / n as f32, alone.min(long / n));
        let now = of(today, alone * pool.early(quarter));
        if now.value.abs() - now.half > mean.value.abs() - mean.half {
            now
        } else {
            mean
        }
    }

    fn close(&mut self, next: u32, pool: &mut Pool, judged: Judged) {
        let (day, today) = (self.day, self.today());
        let counts = self.hours >= QUARTER;
        if counts {
            if let (true, Some(news)) = (self.days >= judged.learn_days, self.news(pool, judged, 3))
            {
                self.evidence = self.evidence.after(day, &news, SHIFTS);
                for (up, sums) in [(true, &mut self.up), (false, &mut self.down)] {
                    let since = self.evidence.since(up);
                    *sums = if since == day {
                        (today, 1)
                    } else {
                        (sums.0 + today, sums.1.saturating_add(1))
                    };
                }
            }
            if self.learns() && !judged.frozen {
                self.learn(pool, today);
            }
            self.doubt = if self.open || self.learns() {
                0
            } else {
                self.doubt + 1
            };
            if self.doubt >= DOUBT_DAYS {
                self.reset(false);
            }
            self.level = 0.5 * (self.level + today);
            let usual = f64::from(today.abs()) < judged.matters
                && f64::from(self.level.abs()) < judged.matters;
            self.calm = if usual {
                self.calm.saturating_add(1)
            } else {
                0
            };
        }
        let follows = counts && next == day + 1;
        self.last = if follows { today } else { f32::NAN };
        (self.day, self.sum, self.hours, self.inferences) = (next, 0.0, 0, 0.0);
    }

    fn learn(&mut self, pool: &mut Pool, today: f32) {
        let stays = pool.stays() as f32;
        let innovation = match self.before() {
            Some(last) => today - stays * last,
            None => today * (1.0 - stays * stays).sqrt(),
        };
        // The first two days have nothing to be compared with.
        if self.days >= 2 {
            let known = f32::from(self.days - 1).min(90.0);
            let square = innovation * innovation;
            let cap = if self.days > 7 {
                9.0 * self.square
            } else {
                f32::INFINITY
            };
            self.square += (square.min(cap.max(1e-9)) - self.square) / known;
            pool.learn(today, self.before(), innovation);
        }
        self.season.learn_day(self.day, today);
        self.days = self.days.saturating_add(1);
    }

    /// Learns how much a part of a day deviates; called with the same hours as [`Self::add`], after it.
    pub(crate) fn learn_early(&self, pool: &mut Pool) {
        if self.days < 3 || !self.hours.is_multiple_of(QUARTER) || self.hours == 0 || !self.learns()
        {
            return;
        }
        let stays = pool.stays() as f32;
        if let Some(last) = self.before() {
            pool.learn_early(
                usize::from(self.hours / QUARTER - 1),
                self.today() - stays * last,
            );
        }
    }

    /// Forgets all evidence; with `accepted`, what it deviated by of late is usual from now on.
    pub(crate) fn reset(&mut self, accepted: bool) {
        if accepted {
            self.season.lift(self.now());
            (self.level, self.last, self.sum, self.hours) = (0.0, f32::NAN, 0.0, 0);
        }
        self.evidence = Evidence::default();
        (self.up, self.down, self.calm, self.open) = ((0.0, 0), (0.0, 0), 0, false);
        self.doubt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Stream;

    /// What a site takes in memory, by column; a feature has three.
    #[test]
    fn a_stream_is_small() {
        assert!(size_of::<Stream>() <= 264, "{}", size_of::<Stream>());
    }
}
