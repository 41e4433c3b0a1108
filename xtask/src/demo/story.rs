//! The story itself, act by act.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use tern_protocol::{
    reported::Deltas,
    rest::{
        AccuracyView, Chart, FindingPlace, FindingView, RolloutState, RolloutView, RoundOutcome,
        VersionView,
    },
    time::WallTime,
};
use xtask::{
    fleet::{
        cameras::Images,
        cast::{DATASET, FOG, MODEL, SITES, foggy},
        people::People,
        retraining::{self, FIRST, TEMPLATE},
        stage::Stage,
        trainer,
    },
    interrupt,
};

use super::{
    act::{Act, LOOK},
    figures::{Estimate, Figures, RoundFigures, SiteFigures},
    narrator::Narrator,
    round::{Approval, Retrained, retrain},
};

/// Reading clear images: twelve meters give some 400 labels.
const CLEAN: Duration = Duration::from_secs(30);

/// Fog comes up to its full strength in this many steps …
const FOG_STEPS: u32 = 5;

/// … one each of these.
const FOG_STEP: Duration = Duration::from_secs(3);

/// Longest wait for the hub to say that sites moved.
const FOUND: Duration = Duration::from_secs(40);

/// What makes weights of which nothing was learned.
const UNTRAINED: [&str; 4] = ["--epochs", "1", "--learning-rate", "1e-9"];

/// Longest wait for the rollout of them to be stopped.
const MISTAKE: Duration = Duration::from_mins(2);

/// Longest wait for what takes a moment: the delta of a small model, a way back.
pub(super) const SETTLED: Duration = Duration::from_secs(30);

/// How soon to look again at it.
pub(super) const SOON: Duration = Duration::from_millis(100);

/// Plays it to the end and gives its figures.
pub(super) fn play(
    stage: &mut Stage,
    say: &mut Narrator,
    folder: &Path,
    approval: Approval,
) -> Result<Figures> {
    stage.wait_for_agents()?;
    say.say(format!(
        "hub is up, {} meters are connected and serve nothing yet",
        stage.devices.len()
    ));

    let package = from_dataset(stage, say, folder)?;
    let first = publish(stage, say, &package, &["--dataset", DATASET])?;
    finished(&stage.tern.roll_out(&first)?, say)?;
    retraining::set_up(&stage.tern, &stage.programs, folder, &package)?;
    say.say(format!(
        "a policy says what happens if sites see something else than training did: a proposal, and after one agreement \
         a dataset, a job, a comparison and a rollout by the plan `{TEMPLATE}`"
    ));

    let truth = stage.start_cameras("cameras")?;
    stage.see(Images::Early, 0.0)?;
    let mut people = People::new(&truth, folder);
    say.say("cameras stream; people read a part of the images themselves and tell the hub");
    let mut act = Act::new(stage, &mut people, say);
    act.go_on(CLEAN)?;
    let before = act.stage.tern.accuracy(None)?;

    act.say.say(format!(
        "fog creeps over the lenses at {}",
        foggy().join(" and ")
    ));
    let fog_began = Instant::now();
    for step in 1..=FOG_STEPS {
        let fog = FOG * f64::from(step) / f64::from(FOG_STEPS);
        act.stage.see(Images::Early, fog)?;
        act.go_on(FOG_STEP)?;
    }
    act.say.say("the fog stays");
    act.people.mark(now()?);
    let drift = drift(&mut act, fog_began)?;
    let Retrained {
        lesson,
        version: second,
        delta,
        during,
        by_policy,
        words,
        core_seconds,
    } = retrain(&mut act, approval)?;
    let served_by_all = act.stage.tern.all_serve(&second)?;

    let saved = saved(act.stage)?;
    let harm = mistake(&mut act, folder, &second)?;

    let failed = stage.stop_cameras()?;
    say.say("cameras stop; the last windows are on their way");
    let counts = stage.settled_counts()?;
    people.label(&stage.tern)?;
    let after = stage.tern.accuracy(None)?;
    let totals = stage.tern.overview()?.totals;
    let (latency_p50_us, latency_p99_us) = latency(stage, say.elapsed_s())?;

    let (old, new) = (first.version, second.version);
    let sites = SITES.iter().map(|site| {
        let find = |rows: &[AccuracyView], version| {
            let mut rows = rows.iter().filter(|row| row.version == version);
            let row = rows.find(|row| row.site.as_ref().is_some_and(|s| s.as_str() == site.name));
            row.map(Estimate::from)
                .with_context(|| format!("no accuracy of {version} at {}", site.name))
        };
        Ok(SiteFigures {
            site: site.name,
            foggy: site.foggy,
            before: find(&before, old)?,
            during: find(&during, old)?,
            after: find(&after, new)?,
        })
    });
    let sites = sites.collect::<Result<Vec<_>>>()?;
    let mean = |pick: fn(&SiteFigures) -> Estimate| {
        Estimate::mean(sites.iter().filter(|site| site.foggy).map(pick))
    };
    Ok(Figures {
        devices: stage.devices.len() as u64,
        accuracy_v1_clean: mean(|site| site.before),
        accuracy_v1_fogged: mean(|site| site.during),
        accuracy_v2_fogged: mean(|site| site.after),
        inferences_made: counts.made,
        inferences_counted_by_hub: counts.counted,
        windows_sent: counts.sent,
        windows_stored: counts.stored,
        model_bytes: second.total_bytes,
        hub_egress_bytes: totals.egress_bytes,
        onnx_bytes: delta.full_bytes,
        delta_bytes: delta.bytes.unwrap_or(delta.full_bytes),
        deltas_applied: saved.applied,
        delta_bytes_saved: saved.bytes_saved,
        deltas_failed: saved.failed,
        requests_failed: failed,
        drift_placed: drift.placed,
        drift_seconds: drift.seconds,
        round: RoundFigures {
            proposed_by_policy: by_policy,
            approvals: words,
            challenger_won: served_by_all,
            comparison: lesson.comparison.into_iter().next().unwrap_or_default(),
            recovered: lesson.outcome == RoundOutcome::Recovered,
            training_core_seconds: core_seconds,
        },
        mistake_stopped: harm.stopped,
        mistake_touched: harm.touched,
        mistake_seconds: harm.seconds,
        captures: totals.captures,
        labels: totals.labels,
        latency_p50_us,
        latency_p99_us,
        seconds: say.elapsed_s(),
        sites,
    })
}

/// What the hub found by itself.
struct Drift {
    placed: bool,
    seconds: f64,
}

/// Waits until the hub says which sites see something that training did not know.
fn drift(act: &mut Act<'_>, began: Instant) -> Result<Drift> {
    let end = Instant::now() + FOUND;
    loop {
        act.go_on(LOOK)?;
        let found = act.stage.tern.findings()?;
        let seconds = began.elapsed().as_secs_f64();
        let named = |one: &FindingView| {
            let mut names: Vec<String> = Vec::new();
            for place in &one.places {
                if let FindingPlace::Site(site) = place {
                    names.push(site.to_string());
                }
            }
            names.sort();
            names
        };
        let mut fogged: Vec<String> = foggy().iter().map(ToString::to_string).collect();
        fogged.sort();
        let right = |one: &&FindingView| named(one) == fogged;
        let told = found.iter().find(right).or(found.first());
        let placed = told.is_some_and(|one| right(&one)) && found.len() == 1;
        if placed || Instant::now() >= end {
            match told {
                Some(one) => act
                    .say
                    .say(format!("after {seconds:.0} s the hub says: {}", one.text)),
                None => act.say.say("the hub found nothing"),
            }
            return Ok(Drift { placed, seconds });
        }
    }
}

/// What became of a version that should never have been published.
struct Harm {
    stopped: bool,
    touched: u64,
    seconds: f64,
}

/// Somebody publishes weights that were never trained. They load, they reproduce their golden samples, and they are
/// wrong nine times in ten. A rollout that decides by evidence takes them back.
fn mistake(act: &mut Act<'_>, folder: &Path, good: &VersionView) -> Result<Harm> {
    act.say
        .say("somebody publishes the wrong file: weights that were never trained");
    let package = train(act.stage, act.say, folder, "v3", |command| {
        command.args(UNTRAINED);
    })?;
    let bad = publish(act.stage, act.say, &package, &[])?;
    let rollout = act.stage.tern.roll_out_by(&bad, TEMPLATE)?;
    let start = Instant::now();
    act.say.say(format!(
        "rollout {} moves {FIRST} meters, whose readings must not be wrong in more than 15 %; v{} is in 5 %",
        rollout.id, good.version
    ));
    let end = start + MISTAKE;
    let view = loop {
        act.go_on(LOOK)?;
        let view = act.stage.tern.rollout(rollout.id)?;
        if view.state.is_over() || Instant::now() >= end {
            break view;
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    act.say.say(format!(
        "after {seconds:.0} s it is {:?}: {}",
        view.state, view.reason
    ));
    let stopped = view.state == RolloutState::Stopped;
    let evidence = view.evidence.as_ref();
    let touched = evidence.map_or(0, |evidence| evidence.devices.admitted);
    let back = Instant::now() + SETTLED;
    while stopped && !act.stage.tern.all_serve(good)? {
        ensure!(
            Instant::now() < back,
            "not every meter is back on v{}",
            good.version
        );
        interrupt::pause(SOON)?;
    }
    if stopped {
        act.say
            .say(format!("all meters serve v{} again", good.version));
    }
    Ok(Harm {
        stopped,
        touched,
        seconds,
    })
}

/// The digits become a dataset at the hub, and the first version learns from that.
fn from_dataset(stage: &Stage, say: &Narrator, folder: &Path) -> Result<PathBuf> {
    let digits = trainer::dataset(&stage.tern, &stage.programs, folder)?;
    say.say(format!(
        "the hub has the scanned digits as dataset {DATASET}@1"
    ));
    train(stage, say, folder, "v1", |command| {
        command.arg("--dataset").arg(&digits);
    })
}

fn train(
    stage: &Stage,
    say: &Narrator,
    folder: &Path,
    name: &str,
    more: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let out = folder.join(name);
    say.say(format!("training {name} …"));
    let start = Instant::now();
    trainer::train(&stage.programs, &out, more)?;
    say.say(format!(
        "{name} is trained ({:.0} s)",
        start.elapsed().as_secs_f64()
    ));
    Ok(out)
}

fn publish(stage: &Stage, say: &Narrator, package: &Path, more: &[&str]) -> Result<VersionView> {
    let version = stage.tern.publish(package, more)?;
    published(say, &version);
    Ok(version)
}

/// Says what became a version.
pub(super) fn published(say: &Narrator, version: &VersionView) {
    let accuracy = version.validation_accuracy.unwrap_or(f64::NAN) * 100.0;
    let (size, samples) = (version.total_bytes, version.vetting.golden_samples);
    say.say(format!(
        "{MODEL} v{} is published: {size} bytes, {accuracy:.1} % right on validation data, \
         {samples} golden samples reproduced",
        version.version
    ));
}

/// What came of deltas on all meters, as they report it.
fn saved(stage: &Stage) -> Result<Deltas> {
    let mut sum = Deltas::default();
    for device in stage.tern.devices()? {
        let deltas = device.deltas.unwrap_or_default();
        sum.applied += deltas.applied;
        sum.bytes_saved += deltas.bytes_saved;
        sum.failed += deltas.failed;
    }
    Ok(sum)
}

fn finished(rollout: &RolloutView, say: &Narrator) -> Result<()> {
    let counts = &rollout.counts;
    ensure!(
        counts.serving == counts.targeted && counts.targeted > 0,
        "rollout {}: {} of {} serve, {} refused: {}",
        rollout.id,
        counts.serving,
        counts.targeted,
        counts.failed,
        rollout.reason
    );
    say.say(format!(
        "v{} serves on {} of {} meters, proven by the digest of its weights",
        rollout.version, counts.serving, counts.selected
    ));
    Ok(())
}

/// Median and 99th percentile of all inferences of the story, in microseconds.
fn latency(stage: &Stage, elapsed_s: f64) -> Result<(f64, f64)> {
    let to = now()?.0;
    let span = (elapsed_s * 1000.0) as i64 + 1000;
    let chart: Chart = stage.web.get(&format!(
        "{}/api/v1/w/default/charts/latency?model={MODEL}&from={}&to={to}&step_ms={span}",
        stage.hub(),
        to - span
    ))?;
    let quantile = |name: &str| {
        let series = chart.series.iter().find(|series| series.name == name);
        let mut points = series.into_iter().flat_map(|series| &series.points);
        let most = points.by_ref().max_by_key(|point| point.n);
        most.and_then(|point| point.value)
            .with_context(|| format!("no {name} in the latency chart"))
    };
    Ok((quantile("p50")?, quantile("p99")?))
}

fn now() -> Result<WallTime> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("a clock before 1970")?;
    Ok(WallTime(i64::try_from(since.as_millis())?))
}
