//! Pages about what models are trained on and how: datasets, experiments, jobs, retraining.

use super::*;

/// Pages of datasets, each version in another state.
fn kept(frame: Frame) -> Vec<Drawn> {
    let versions: Vec<_> = (0..4).map(fixtures::datasets::version).collect();
    let rows = [fixtures::datasets::row()];
    let mut pages = vec![
        ("datasets", datasets::list::page(frame, &[], &[])),
        (
            "datasets",
            datasets::list::page(frame, &versions, &fixtures::datasets::datastores()),
        ),
    ];
    for number in 0..4 {
        let detail = fixtures::datasets::detail(number);
        let shown = datasets::one::Shown {
            detail: &detail,
            versions: &versions,
            base: versions.first(),
            rows: &rows,
        };
        pages.push(("datasets/one", datasets::one::page(frame, &shown)));
    }
    pages
}

/// Pages of experiments with so many runs.
pub(super) fn tried(frame: Frame, runs: u64) -> Vec<Drawn> {
    let asked = tracking::experiment::Asked {
        filter: Some(format!("metrics.accuracy > 0.5 {HOSTILE}")),
        order: Some("metrics.`accuracy` DESC".into()),
        metric: Some("accuracy".into()),
        constraints: Some("size < 200 kB".into()),
        ..Default::default()
    };
    let list = page_of(
        (0..runs).map(fixtures::tracking::run).collect(),
        (runs > 99).then_some("next"),
    );
    let (found, none) = (Ok(list), Err(format!("Invalid filter {HOSTILE}")));
    let best = (runs > 0).then(|| Ok(fixtures::tracking::best()));
    let shown = |runs| tracking::experiment::Shown {
        id: 1,
        name: HOSTILE,
        runs,
        best: &best,
    };
    let (one, curves) = (fixtures::tracking::run(runs), fixtures::tracking::curves());
    let files =
        [("model", None), ("notes.txt", Some(12))].map(|(name, bytes)| tracking::run::File {
            name: name.into(),
            bytes,
        });
    let run = tracking::run::Shown {
        run: &one,
        experiment: HOSTILE,
        curves: &curves[..curves.len().min(runs as usize)],
        files: &files,
    };
    vec![
        (
            "experiments",
            tracking::experiments::page(frame, &fixtures::tracking::experiments(runs as i64 + 1)),
        ),
        (
            "experiments/1",
            tracking::experiment::page(frame, &asked, &shown(&found)),
        ),
        (
            "experiments/2",
            tracking::experiment::page(
                frame,
                &tracking::experiment::Asked::default(),
                &shown(&none),
            ),
        ),
        ("runs/1", tracking::run::page(frame, &run)),
    ]
}

/// Pages of retraining with so many of each thing.
fn retrained(frame: Frame, many: u64) -> Vec<Drawn> {
    use fixtures::retrain as of;
    let proposals: Vec<_> = (0..many).map(of::proposal).collect();
    let rounds: Vec<_> = (0..many).map(of::retraining).collect();
    let lessons: Vec<_> = (0..many).map(of::lesson).collect();
    let policies: Vec<_> = (0..many.min(3))
        .map(|n| of::policy(&format!("model-{n}")))
        .collect();
    let trainings: Vec<_> = (0..many.min(3))
        .map(|n| of::training(&format!("training-{n}")))
        .collect();
    vec![
        (
            "proposals",
            retrain::proposals::page(frame, &proposals, many > 3),
        ),
        (
            "proposals/1",
            retrain::proposal::page(frame, &of::proposal(many), many > 0),
        ),
        ("retraining", retrain::rounds::page(frame, &rounds)),
        (
            "retraining/digits",
            retrain::model::page(frame, &of::retraining(many), &lessons),
        ),
        (
            "retraining/lessons",
            retrain::lessons::page(frame, &lessons),
        ),
        (
            "retraining/policies",
            retrain::written::page(frame, &policies, &trainings),
        ),
    ]
}

#[test]
fn pages_of_retraining_stand_with_and_without_rounds() {
    let scope = Scope::unprefixed();
    for many in [0, 1, 5, 12, 60] {
        let frame = Frame {
            scope: &scope,
            now: NOW,
            asker: &LOOPBACK,
        };
        for (path, page) in retrained(frame, many) {
            check(path, &page);
            assert!(
                !page.0.contains(HOSTILE),
                "{path} of {many} has markup of somebody else's"
            );
        }
    }
}

#[test]
fn jobs_and_computes_stand_with_few_and_many() {
    for scope in [
        Scope::unprefixed(),
        Scope::prefixed("plant-2".parse().unwrap()),
    ] {
        for number in [0, 1, 7, 100] {
            let frame = Frame {
                scope: &scope,
                now: NOW,
                asker: &LOOPBACK,
            };
            let all: Vec<_> = (0..number).map(fixtures::jobs::job).collect();
            let open: Vec<_> = all
                .iter()
                .filter(|one| !one.state.is_over())
                .cloned()
                .collect();
            let page = page_of(all, (number > 99).then_some("1"));
            let asked = jobs::list::Asked {
                state: (number == 7).then_some(tern_protocol::rest::JobState::Failed),
                after: None,
            };
            let (job, log) = (
                fixtures::jobs::detail(number, number.min(5)),
                fixtures::jobs::log(number),
            );
            let computes = fixtures::jobs::computes(number.min(7));
            for (path, page) in [
                ("jobs", jobs::list::page(frame, &asked, &open, &page)),
                ("jobs/1", jobs::detail::page(frame, &job, &log)),
                ("computes", jobs::computes::page(frame, &computes)),
            ] {
                check(path, &page);
                assert!(!page.0.contains(HOSTILE), "{path} with {number}");
                assert!(page.0.len() < 300_000, "{path}: {} bytes", page.0.len());
            }
        }
    }
}

#[test]
fn experiments_and_runs_stand_with_and_without_values() {
    for scope in [
        Scope::unprefixed(),
        Scope::prefixed("plant-2".parse().unwrap()),
    ] {
        for runs in [0, 1, 12, 100] {
            let frame = Frame {
                scope: &scope,
                now: NOW,
                asker: &LOOPBACK,
            };
            for (path, page) in tried(frame, runs).into_iter().chain(kept(frame)) {
                check(path, &page);
                assert!(
                    !page.0.contains(HOSTILE),
                    "{path} with {runs} runs has markup of somebody else's"
                );
                assert!(
                    page.0.len() < 300_000,
                    "{path} with {runs} runs has {} bytes",
                    page.0.len()
                );
            }
        }
    }
}
