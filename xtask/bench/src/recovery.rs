//! From the onset of drift to recovered accuracy: fog comes at once over the lenses of half of a fleet, and the hub's
//! own policy trains anew, with one word of a person who gives it as soon as it is asked for. And what it cost.
//!
//! Whether the fleet has recovered is not asked of the hub: it is what agents answered their cameras, against what was
//! to be seen.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tern_protocol::rest::{LessonView, RoundStage, RoundView};
use xtask::{
    fleet::{
        Programs,
        answers::Answers,
        cameras::Images,
        cast::{DATASET, FOG, foggy},
        people::People,
        retraining::{self, Follow, Stands},
        stage::Stage,
        trainer,
    },
    interrupt,
};

use crate::{
    Binaries,
    report::{Figure, Report},
};

/// Answers at foggy sites that an accuracy is of: nine in ten are known to 2 % then, and six meters give them within six
/// seconds.
const WINDOW: usize = 200;

/// The fleet has recovered when it is right as often as this share of what it was before the fog.
const BACK: f64 = 0.9;

/// Time without fog: what is right then is measured, and usual.
const CLEAR: Duration = Duration::from_secs(30);

/// How often everybody looks.
const LOOK: Duration = Duration::from_millis(500);

/// Measures a fleet with so many meters at each of its sites.
pub(crate) fn run(binaries: &Binaries, at_each: usize, report: &Report) -> Result<()> {
    // What runs is ended by its guards, which an interrupt would pass by.
    interrupt::watch()?;
    let folder = tempfile::Builder::new()
        .prefix("tern-bench-loop-")
        .tempdir()?;
    let measured = measure(binaries, folder.path(), at_each, report);
    if measured.is_err() && !interrupt::is_set() {
        // Somebody will want to read the logs.
        let kept = folder.keep();
        return measured.with_context(|| format!("logs and data are in {}", kept.display()));
    }
    measured
}

fn measure(binaries: &Binaries, folder: &Path, at_each: usize, report: &Report) -> Result<()> {
    // The hub's jobs start them from elsewhere.
    let here = |path: &Path| -> Result<PathBuf> {
        fs::canonicalize(path).with_context(|| path.display().to_string())
    };
    let programs = Programs {
        hub: here(&binaries.hub)?,
        agent: here(&binaries.agent)?,
        tern: here(&binaries.tern)?,
        models: here(&binaries.models)?,
    };
    report.progress("hub and agents start, and version 1 is trained and rolled out");
    let mut stage = Stage::set(folder, programs, at_each)?;
    stage.wait_for_agents()?;
    serve_first(&stage, folder)?;

    let truth = stage.start_cameras("cameras")?;
    stage.see(Images::Early, 0.0)?;
    let mut bench = Bench {
        people: People::new(&truth, folder),
        eyes: Eyes::of(&truth, &stage),
        stage,
        report,
    };
    report.progress("clear images");
    let clear = bench.clear()?;
    report.progress(&format!("{:.1} % are right; fog comes", clear * 100.0));
    let ran = bench.fog(clear)?;
    let failed = bench.stage.stop_cameras()?;
    ran.print(&bench, clear, failed)
}

/// Version 1 serves everywhere, and a policy says when it is trained anew.
fn serve_first(stage: &Stage, folder: &Path) -> Result<()> {
    let digits = trainer::dataset(&stage.tern, &stage.programs, folder)?;
    let package = folder.join("v1");
    trainer::train(&stage.programs, &package, |command| {
        command.arg("--dataset").arg(&digits);
    })?;
    let first = stage.tern.publish(&package, &["--dataset", DATASET])?;
    stage.tern.roll_out(&first)?;
    ensure!(
        stage.tern.all_serve(&first)?,
        "not every agent serves version 1"
    );
    retraining::set_up(&stage.tern, &stage.programs, folder, &package)
}

struct Bench<'a> {
    people: People,
    eyes: Eyes,
    stage: Stage,
    report: &'a Report,
}

impl Bench<'_> {
    /// Everybody looks once: people label, and what was answered is held against what was to be seen.
    fn look(&mut self) -> Result<()> {
        interrupt::pause(LOOK)?;
        self.stage.check()?;
        self.people.label(&self.stage.tern)?;
        self.eyes.look()
    }

    /// How often what was answered at the sites where fog will come is right without it.
    fn clear(&mut self) -> Result<f64> {
        let end = Instant::now() + CLEAR;
        while Instant::now() < end {
            self.look()?;
        }
        ensure!(
            self.eyes.answers >= WINDOW as u64,
            "{} images were answered at foggy sites, too few to measure",
            self.eyes.answers
        );
        Ok(self.eyes.right as f64 / self.eyes.answers as f64)
    }

    /// The fog, until the round that it calls for is over.
    fn fog(&mut self, clear: f64) -> Result<Ran> {
        let egress = self.stage.tern.overview()?.totals.egress_bytes;
        let labels = self.people.labels;
        let onset = Instant::now();
        self.stage.see(Images::Early, FOG)?;
        self.eyes.watch(clear * BACK);
        let mut ran = Ran {
            onset,
            labelled: 0,
            egress: 0,
            stages: Map::new(),
            lesson: None,
        };
        let mut follow = Follow::default();
        let mut agreed = false;
        let mut late = false;
        while ran.lesson.is_none() {
            match follow.look(&self.stage.tern)? {
                Stands::NotYet => {}
                Stands::Open {
                    round,
                    entered,
                    waits,
                } => {
                    if entered {
                        self.entered(&round, &waits, &mut ran);
                    }
                    if !agreed
                        && round.stage == RoundStage::Proposed
                        && let Some(id) = round.asks
                    {
                        self.stage.tern.agree(id, "at once")?;
                        agreed = true;
                        ran.labelled = self.people.labels - labels;
                    }
                    let early = [RoundStage::Labels, RoundStage::Proposed];
                    if !late && !early.contains(&round.stage) {
                        // What a challenger learned from is not what it is measured on.
                        self.stage.see(Images::Late, FOG)?;
                        late = true;
                    }
                }
                Stands::Over(lesson) => ran.lesson = Some(*lesson),
            }
            self.look()?;
        }
        ran.egress = self.stage.tern.overview()?.totals.egress_bytes - egress;
        Ok(ran)
    }

    fn entered(&self, round: &RoundView, waits: &str, ran: &mut Ran) {
        let seconds = ran.onset.elapsed().as_secs_f64();
        let stage = round.stage.words();
        self.report
            .progress(&format!("after {seconds:.0} s: {stage}: {waits}"));
        let seconds = (seconds * 10.0).round() / 10.0;
        ran.stages.insert(stage.to_owned(), json!(seconds));
    }
}

/// What happened.
struct Ran {
    onset: Instant,
    /// Labels that people gave from the onset to the dataset.
    labelled: u64,
    /// Bytes that the hub sent to devices since.
    egress: u64,
    /// Seconds from the onset to each stage of the round.
    stages: Map<String, Value>,
    lesson: Option<LessonView>,
}

impl Ran {
    /// The figures, if the fleet recovered.
    fn print(&self, bench: &Bench<'_>, clear: f64, failed: u64) -> Result<()> {
        let lesson = self.lesson.as_ref().context("the round is not over")?;
        let said = || {
            format!(
                "round {} ended: {}: {} {}",
                lesson.round,
                lesson.outcome.word(),
                lesson.text,
                lesson.comparison.join(" ")
            )
        };
        ensure!(lesson.version.is_some(), "{}", said());
        let eyes = &bench.eyes;
        let back = eyes.back.with_context(|| {
            format!(
                "{:.1} % of the answers are right, not {:.1} % again; {}",
                eyes.share() * 100.0,
                eyes.bound * 100.0,
                said()
            )
        })?;
        let asked = bench.stage.tern.proposals()?;
        let words: usize = asked.iter().map(|one| one.words.len()).sum();
        let jobs = bench.stage.tern.jobs()?;
        let core_millis: u64 = jobs.iter().map(|job| job.core_millis).sum();
        let figure = |figure, value: f64, unit, detail| {
            let goal = "";
            Figure {
                bench: "loop",
                figure,
                value,
                unit,
                goal,
                detail,
            }
            .print();
        };
        let recovered = back.duration_since(self.onset).as_secs_f64();
        let round = |value: f64| (value * 1e4).round() / 1e4;
        figure(
            "recovery_s",
            (recovered * 10.0).round() / 10.0,
            "s",
            json!({
                "devices": bench.stage.devices.len(),
                "sites_in_fog": foggy(),
                "fog": FOG,
                "recovered": format!("{WINDOW} answers in a row at these sites are right as often as {BACK} of before"),
                "right_before": round(clear),
                "right_at_worst": round(eyes.worst),
                "right_at_the_end": round(eyes.share()),
                "stages_began_s": self.stages,
                "outcome": lesson.outcome.word(),
                "comparison": lesson.comparison.first(),
                "requests_failed": failed,
            }),
        );
        figure(
            "captures_labelled",
            self.labelled as f64,
            "captures",
            json!({"from": "the onset", "to": "the dataset", "in_all": bench.people.labels}),
        );
        figure(
            "training_core_s",
            core_millis as f64 / 1000.0,
            "core-s",
            json!({"jobs": jobs.len()}),
        );
        figure(
            "sent_bytes",
            self.egress as f64,
            "bytes",
            json!({"what": "by the hub to devices, to deliver the new version"}),
        );
        figure("approvals", words as f64, "words", json!({}));
        Ok(())
    }
}

/// Whoever holds answers at foggy sites against what was to be seen there.
struct Eyes {
    from: Answers,
    devices: BTreeSet<String>,
    /// All answers, and those that were right.
    answers: u64,
    right: u64,
    /// The last ones.
    window: VecDeque<bool>,
    bound: f64,
    /// Whether it was ever below the bound, and since when it is back.
    fell: bool,
    back: Option<Instant>,
    worst: f64,
}

impl Eyes {
    fn of(truth: &Path, stage: &Stage) -> Self {
        let foggy = foggy();
        let there = stage
            .devices
            .iter()
            .filter(|device| foggy.contains(&device.site));
        Self {
            from: Answers::of(truth),
            devices: there.map(|device| device.name.clone()).collect(),
            answers: 0,
            right: 0,
            window: VecDeque::with_capacity(WINDOW),
            bound: 0.0,
            fell: false,
            back: None,
            worst: 1.0,
        }
    }

    /// From now on it is noted when accuracy falls below a bound, and when it is back.
    fn watch(&mut self, bound: f64) {
        self.bound = bound;
        self.window.clear();
    }

    fn look(&mut self) -> Result<()> {
        for one in self.from.fresh()? {
            if self.devices.contains(&one.device) {
                self.take(one.said == one.truth);
            }
        }
        Ok(())
    }

    fn take(&mut self, right: bool) {
        self.answers += 1;
        self.right += u64::from(right);
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(right);
        if self.bound <= 0.0 || self.window.len() < WINDOW {
            return;
        }
        let share = self.share();
        self.worst = self.worst.min(share);
        if share < self.bound {
            self.fell = true;
            self.back = None;
        } else if self.fell && self.back.is_none() {
            self.back = Some(Instant::now());
        }
    }

    /// Of the last answers those that were right.
    fn share(&self) -> f64 {
        let right = self.window.iter().filter(|right| **right).count();
        right as f64 / self.window.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eyes() -> Eyes {
        Eyes {
            from: Answers::of(Path::new("none")),
            devices: BTreeSet::new(),
            answers: 0,
            right: 0,
            window: VecDeque::new(),
            bound: 0.0,
            fell: false,
            back: None,
            worst: 1.0,
        }
    }

    #[test]
    fn accuracy_is_back_only_after_it_fell_and_as_long_as_it_stays() {
        let mut eyes = eyes();
        let take = |eyes: &mut Eyes, right: bool| (0..WINDOW).for_each(|_| eyes.take(right));
        take(&mut eyes, true);
        eyes.watch(0.9);
        take(&mut eyes, true);
        assert!(eyes.back.is_none(), "it never fell");
        take(&mut eyes, false);
        assert!(eyes.back.is_none() && eyes.worst == 0.0);
        take(&mut eyes, true);
        assert!(eyes.back.is_some());
        take(&mut eyes, false);
        assert!(eyes.back.is_none(), "it fell again");
    }
}
