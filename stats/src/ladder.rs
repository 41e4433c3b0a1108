//! Two groups of devices side by side, where each device is itself: one is always worse than another, and no number
//! of windows of the same few devices says what a new version does to the rest of the fleet.
//!
//! What was drawn by lot is the device, so the device is the unit. It counts when it has closed one window, once more
//! when it has closed two, four, eight and so on, each time with the mean of all of them so far. Each of these
//! *rungs* is a comparison of independent devices that have looked equally long, whatever the windows of one device
//! have to do with each other. The evidence is an average over rungs, which is an e-process since each is one
//! (V. Vovk and R. Wang, "E-values: calibration, combination and applications", Annals of Statistics 49(3), 2021). The
//! first rung notices what breaks at once, the later ones what is small.
//!
//! On each rung there are three bets. One is on means ([`crate::compare`]). One is on *changes*: what a device does
//! less what it usually did, before anybody gave it anything. Devices differ for good, and by far more than a version
//! does to them; a change has lost that, so a tenth of the devices says as much (A. Deng, Y. Xu, R. Kohavi and
//! T. Walker, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment data", WSDM
//! 2013; theirs is a regression, ours the plain difference, which keeps values bounded). What comes to all devices at
//! once comes to both groups' changes. The third is on pairs, drawn before anything is known of them: how often the
//! treated one of two is the worse by more than the margin, in changes where both are known. If treated devices are no
//! worse at all that is at most every second time, pairs that do not differ being left out, which is the sign test
//! (J. Arbuthnott, 1710). It needs few devices where harm is small beside the range of values, and all of them are
//! harmed.

use crate::{
    betting::{self, above},
    compare,
    evidence::sum_of_exponentials,
    levels::{Levels, STEPS},
};

/// Rungs: 1, 2, 4 … 256 windows.
pub const RUNGS: usize = 9;

/// What is known of two groups, of a value of which more is worse.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    margin: f64,
    rungs: [Rung; RUNGS],
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Rung {
    treated: Levels,
    control: Levels,
    /// Changes of treated devices, from -1 to 1 as values from 0 to 1.
    treated_changes: Levels,
    /// As [`Self::treated_changes`], of the control.
    control_changes: Levels,
    /// 1 for a pair whose treated device is the worse, 0 if it is not, and a half if neither is.
    pairs: Levels,
    /// What [`Ladder::settle`] found; nothing since something was added.
    harm: Option<f64>,
    /// As [`Self::harm`], of evidence against harm.
    safe: Option<f64>,
}

impl Rung {
    fn harm(&self, margin: f64) -> f64 {
        self.harm.unwrap_or_else(|| {
            let means = compare::larger(&self.treated, &self.control, margin);
            let (treated, control) = (&self.treated_changes, &self.control_changes);
            let changes = compare::larger(treated, control, 0.5 * margin);
            let bets = [means, changes, above(&self.pairs, 0.5)];
            betting::mean_of_exponentials(bets.into_iter())
        })
    }

    fn safe(&self, margin: f64) -> f64 {
        self.safe.unwrap_or_else(|| {
            let means = compare::not_larger(&self.treated, &self.control, margin);
            let (treated, control) = (&self.treated_changes, &self.control_changes);
            let changes = compare::not_larger(treated, control, 0.5 * margin);
            betting::mean_of_exponentials([means, changes].into_iter())
        })
    }

    /// To be written to: what was found before holds no more.
    fn open(&mut self) -> &mut Self {
        (self.harm, self.safe) = (None, None);
        self
    }
}

/// The rung that a device reaches with this many windows, if it reaches one.
pub const fn rung(windows: u64) -> Option<usize> {
    let rung = windows.trailing_zeros() as usize;
    if windows.is_power_of_two() && rung < RUNGS {
        Some(rung)
    } else {
        None
    }
}

impl Ladder {
    /// Nothing is known yet. `margin`: by how much the treated mean may be larger without harm.
    pub fn new(margin: f64) -> Self {
        Self {
            margin,
            rungs: Default::default(),
        }
    }

    /// A treated device has closed this many windows, of which this is the mean. To be told of each number once;
    /// those that are no rung change nothing.
    pub fn treated(&mut self, windows: u64, mean: f64) {
        if let Some(rung) = rung(windows) {
            self.rungs[rung].open().treated.add(mean);
        }
    }

    /// As [`Self::treated`], of a device of the control.
    pub fn control(&mut self, windows: u64, mean: f64) {
        if let Some(rung) = rung(windows) {
            self.rungs[rung].open().control.add(mean);
        }
    }

    /// By how much a treated device's mean over this many windows is above what it usually had. Told beside
    /// [`Self::treated`], of devices of which that is known.
    pub fn treated_change(&mut self, windows: u64, change: f64) {
        if let Some(rung) = rung(windows) {
            let rung = self.rungs[rung].open();
            rung.treated_changes.add(0.5 + 0.5 * change);
        }
    }

    /// As [`Self::treated_change`], of a device of the control.
    pub fn control_change(&mut self, windows: u64, change: f64) {
        if let Some(rung) = rung(windows) {
            let rung = self.rungs[rung].open();
            rung.control_changes.add(0.5 + 0.5 * change);
        }
    }

    /// Both devices of a pair have closed this many windows; both values are means, or both are changes. A pair is two devices that were drawn together, one into
    /// each group, before either had closed a window.
    pub fn pair(&mut self, windows: u64, treated: f64, control: f64) {
        let Some(rung) = rung(windows) else {
            return;
        };
        let worse = treated - control;
        // What differs by less than a value is rounded to is the same.
        let same = 0.5 / f64::from(STEPS);
        let value =
            if (worse - self.margin).abs() < same || worse.abs() < same && self.margin >= 0.0 {
                0.5
            } else if worse > self.margin {
                1.0
            } else {
                0.0
            };
        self.rungs[rung].open().pairs.add(value);
    }

    /// Adds what another one of the same margin knows of other devices.
    pub fn merge(&mut self, other: &Self) {
        for (rung, other) in self.rungs.iter_mut().zip(&other.rungs) {
            let rung = rung.open();
            rung.treated.merge(&other.treated);
            rung.control.merge(&other.control);
            rung.treated_changes.merge(&other.treated_changes);
            rung.control_changes.merge(&other.control_changes);
            rung.pairs.merge(&other.pairs);
        }
    }

    /// Natural logarithm of the evidence for harm: an e-process for "what a treated device does is no worse than what
    /// one of the control does", in distribution. The bets on means hold also for whoever is worse by the margin at
    /// most; those on pairs do not: a version that makes most devices worse by more than the margin may be stopped
    /// though the means differ by less.
    pub fn harm(&self) -> f64 {
        let margin = self.margin;
        over_rungs(self.rungs.iter().map(|rung| rung.harm(margin)))
    }

    /// Natural logarithm of the evidence against harm: an e-process for "the treated mean is larger than the control's
    /// by the margin or more". By means alone: that most devices are well says nothing of the few that are not.
    pub fn safe(&self) -> f64 {
        let margin = self.margin;
        over_rungs(self.rungs.iter().map(|rung| rung.safe(margin)))
    }

    /// Finds the evidence for harm, and that against it if it is wanted, of the rungs to which something was added,
    /// and remembers it: to look again costs only what has changed.
    pub fn settle(&mut self, safe: bool) {
        for rung in &mut self.rungs {
            rung.harm = Some(rung.harm(self.margin));
            if safe {
                rung.safe = Some(rung.safe(self.margin));
            }
        }
    }

    /// Natural logarithm of the evidence that the treated mean is larger than `limit`, whatever the control does: an
    /// e-process for "it is not".
    pub fn over(&self, limit: f64) -> f64 {
        let rungs = self.rungs.iter();
        over_rungs(rungs.map(|rung| above(&rung.treated, limit)))
    }

    /// Natural logarithm of the evidence that the treated mean is smaller than `limit`: an e-process for "it is not".
    pub fn under(&self, limit: f64) -> f64 {
        let rungs = self.rungs.iter();
        over_rungs(rungs.map(|rung| betting::below(&rung.treated, limit)))
    }

    /// The two groups as they are to be shown to people: on the highest rung that half of those reached which are on
    /// the first, so that the means stand on as many windows as they can without standing on a few devices.
    pub fn shown(&self) -> (&Levels, &Levels) {
        let rung = self.shown_rung();
        (&rung.treated, &rung.control)
    }

    /// As [`Self::shown`], of changes, if they are known of half of the devices in both: from -1 to 1 as values from
    /// 0 to 1, so that differences of them count twice.
    pub fn shown_changes(&self) -> Option<(&Levels, &Levels)> {
        let rung = self.shown_rung();
        let known = |changes: &Levels, all: &Levels| changes.n() > 0 && 2 * changes.n() >= all.n();
        let both = known(&rung.treated_changes, &rung.treated)
            && known(&rung.control_changes, &rung.control);
        both.then_some((&rung.treated_changes, &rung.control_changes))
    }

    fn shown_rung(&self) -> &Rung {
        let enough =
            |rung: &&Rung, of: fn(&Rung) -> &Levels| 2 * of(rung).n() >= of(&self.rungs[0]).n();
        let both =
            |rung: &&Rung| enough(rung, |rung| &rung.treated) && enough(rung, |rung| &rung.control);
        self.rungs.iter().rev().find(both).unwrap_or(&self.rungs[0])
    }

    /// Devices of both groups that have closed a window.
    pub fn devices(&self) -> (u64, u64) {
        (self.rungs[0].treated.n(), self.rungs[0].control.n())
    }
}

/// The average over rungs, the first with the weight 1, the second with a half, the third with a third and so on: what
/// is broken shows on the first, to few devices; what is small needs many anyway, to whom a factor of ten is little.
/// The weights are fixed before anything is known, so the average is an e-process.
fn over_rungs(logs: impl Iterator<Item = f64>) -> f64 {
    let whole: f64 = (1..=RUNGS).map(|turn| 1.0 / turn as f64).sum();
    let parts = logs
        .enumerate()
        .map(|(rung, ln)| ln - ((rung + 1) as f64 * whole).ln());
    parts.reduce(sum_of_exponentials).unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
