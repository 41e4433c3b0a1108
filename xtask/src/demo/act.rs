//! Time that goes by on the stage: cameras stream, people label, and now and then somebody says how it goes.

use std::time::{Duration, Instant};

use anyhow::Result;
use xtask::{
    fleet::{people::People, stage::Stage},
    interrupt,
};

use super::narrator::Narrator;

/// How often people look for images to label.
pub(super) const LOOK: Duration = Duration::from_millis(2500);

/// How often a long act says how it goes.
const TELL: Duration = Duration::from_secs(8);

/// A stage with everybody on it.
pub(super) struct Act<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) people: &'a mut People,
    pub(super) say: &'a Narrator,
    told: Instant,
}

impl<'a> Act<'a> {
    pub(super) fn new(stage: &'a mut Stage, people: &'a mut People, say: &'a Narrator) -> Self {
        Self {
            stage,
            people,
            say,
            told: Instant::now(),
        }
    }

    /// Lets time go by.
    pub(super) fn go_on(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            interrupt::pause(left.min(LOOK))?;
            self.stage.check()?;
            self.people.label(&self.stage.tern)?;
            if self.told.elapsed() >= TELL {
                self.told = Instant::now();
                self.tell()?;
            }
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }

    /// How it goes: the hub's own overview.
    fn tell(&self) -> Result<()> {
        let overview = self.stage.tern.overview()?;
        let sites: Vec<String> = overview
            .sites
            .iter()
            .map(|site| match site.accuracy {
                Some(accuracy) => format!("{} {:.0} %", site.site, accuracy * 100.0),
                None => format!("{} –", site.site),
            })
            .collect();
        let (read, labels) = (overview.totals.inferences, self.people.labels);
        self.say.say(format!(
            "  {read} images read, {labels} labelled; right: {}",
            sites.join(", ")
        ));
        Ok(())
    }
}
