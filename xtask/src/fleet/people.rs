//! The people who read some meters themselves, days later in life, seconds later here: they look
//! at images that were captured and say what the digit is.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use tern_protocol::time::WallTime;

use super::{answers::Answers, tern::Tern};

/// What people know and have said.
pub struct People {
    seen: Answers,
    /// The right digit by `device,prediction`.
    known: HashMap<String, String>,
    file: PathBuf,
    /// Labels given, in all.
    pub labels: u64,
    since: WallTime,
    fresh: BTreeMap<String, u64>,
}

impl People {
    /// They look where the cameras write the truth.
    pub fn new(truth: &Path, folder: &Path) -> Self {
        Self {
            seen: Answers::of(truth),
            known: HashMap::new(),
            file: folder.join("labels.csv"),
            labels: 0,
            since: WallTime(i64::MIN),
            fresh: BTreeMap::new(),
        }
    }

    /// From now on [`Self::fresh`] counts labels of images taken after this moment, of those that were drawn by lot: only
    /// these are in accuracies.
    pub fn mark(&mut self, now: WallTime) {
        self.since = now;
        self.fresh.clear();
    }

    /// Labels since the mark, at the site that has fewest of these.
    pub fn fresh(&self, sites: &[&str]) -> u64 {
        let counts = sites
            .iter()
            .map(|site| self.fresh.get(*site).copied().unwrap_or(0));
        counts.min().unwrap_or(0)
    }

    /// Labels every capture that has none and whose truth is known.
    pub fn label(&mut self, tern: &Tern) -> Result<()> {
        self.learn()?;
        let mut csv = String::from("device,prediction,truth\n");
        let mut count = 0;
        let mut sites: Vec<String> = Vec::new();
        for capture in tern.unlabelled()? {
            let key = format!("{},{}", capture.device, capture.prediction);
            if let Some(truth) = self.known.get(&key) {
                writeln!(csv, "{key},{truth}")?;
                count += 1;
                if capture.at >= self.since && capture.probability > 0.0 {
                    sites.push(capture.site.to_string());
                }
            }
        }
        if count == 0 {
            return Ok(());
        }
        fs::write(&self.file, csv)?;
        tern.import_labels(&self.file)?;
        self.labels += count;
        for site in sites {
            *self.fresh.entry(site).or_default() += 1;
        }
        Ok(())
    }

    /// Learns what was to be seen since the last time.
    fn learn(&mut self) -> Result<()> {
        for one in self.seen.fresh()? {
            let key = format!("{},{}", one.device, one.prediction);
            self.known.insert(key, one.truth);
        }
        Ok(())
    }
}
