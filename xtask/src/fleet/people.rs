//! The people who read some meters themselves, days later in life, seconds later here: they look
//! at images that were captured and say what the digit is.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tern_protocol::time::WallTime;

use super::tern::Tern;

/// What people know and have said.
pub struct People {
    truth: PathBuf,
    read: u64,
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
            truth: truth.to_path_buf(),
            read: 0,
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

    /// Reads what the cameras have written since the last time, whole lines only.
    fn learn(&mut self) -> Result<()> {
        let mut file = match File::open(&self.truth) {
            Ok(file) => file,
            // No image was taken yet.
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(()),
            Err(err) => return Err(err).context("the cameras' truth"),
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        for line in text[..whole].lines() {
            if let Some((key, truth)) = line.rsplit_once(',') {
                self.known.insert(key.into(), truth.into());
            }
        }
        Ok(())
    }
}
