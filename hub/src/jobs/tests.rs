//! Jobs over a real database, without a machine that runs them.

use std::time::Duration;

use tern_compute::job::{AttemptKey, Ended, Phase};
use tern_protocol::{
    id::{ComputeName, JobId, WorkspaceId},
    rest::{
        ComputeKind, ComputeScaling, ComputeSettings, ComputeToken, JobAsked, JobProject,
        JobResources, JobState, JobVariable,
    },
    time::WallTime,
};

use super::*;
use crate::{
    access::{
        audit::Actor,
        principal::{Principal, Who},
        reach::Reach,
    },
    app::{self, App},
    garbage,
};

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn on() -> ComputeName {
    LOCAL.parse().expect("a name")
}

const fn first(job: JobId) -> AttemptKey {
    AttemptKey { job, number: 1 }
}

async fn stored(app: &App, asked: &JobAsked) -> JobId {
    let stored = submit(app, &workspace(), &By::hub(), asked, None).await;
    stored.expect("stored")
}

async fn shown(app: &App, id: JobId) -> tern_protocol::rest::JobView {
    one(app, &workspace(), id).await.expect("there").view
}

async fn give(app: &App, key: AttemptKey) -> bool {
    let given = rows::give(app.store.write(), key, &on(), &[0, 2], app.clock.now()).await;
    given.expect("written")
}

#[tokio::test]
async fn a_key_names_one_job_and_no_number_is_given_twice() {
    let (_dir, app) = app::fresh().await;
    let by = By::hub();
    let one = JobAsked::of(["true"]);
    let two = JobAsked::of(["false"]);
    let id = submit(&app, &workspace(), &by, &one, Some("round 1")).await;
    let again = submit(&app, &workspace(), &by, &two, Some("round 1")).await;
    assert_eq!((id.unwrap(), again.unwrap()), (JobId(1), JobId(1)));
    let found = by_key(&app, &workspace(), "round 1").await.unwrap();
    assert_eq!(found.expect("known").name, "true");
    let other: WorkspaceId = "other".parse().unwrap();
    assert!(by_key(&app, &other, "round 1").await.unwrap().is_none());
    // The machine has files of a job 41 that this database does not know.
    submit::above(app.store.write(), JobId(41)).await.unwrap();
    submit::above(app.store.write(), JobId(7)).await.unwrap();
    assert_eq!(stored(&app, &one).await, JobId(42));
    let nobody_elses = super::one(&app, &other, JobId(42)).await;
    assert!(matches!(nobody_elses, Err(JobsError::NoJob(_))));
}

#[tokio::test]
async fn an_attempt_has_one_row_and_one_end() {
    let (_dir, app) = app::fresh().await;
    let mut asked = JobAsked::of(["train"]);
    asked.retries.most = 1;
    asked.retries.wait = 60;
    let secret = JobVariable::Secret {
        secret: "planted-key".into(),
    };
    asked.variables.insert("KEY".into(), secret);
    let id = stored(&app, &asked).await;
    let key = first(id);
    assert!(give(&app, key).await && !give(&app, key).await);
    let second = AttemptKey { number: 2, ..key };
    assert!(!give(&app, second).await, "one at a time");
    let (db, now) = (app.store.write(), app.clock.now());
    assert!(rows::reached(db, key, Phase::Running, now).await.unwrap());
    assert!(!rows::reached(db, key, Phase::Running, now).await.unwrap());
    assert_eq!(shown(&app, id).await.state, JobState::Running);
    let crash = rows::End::bare(Ended::Exited(3), now);
    assert!(rows::ended(db, key, &crash, now).await.unwrap());
    let success = rows::End::bare(Ended::Exited(0), now);
    assert!(!rows::ended(db, key, &success, now).await.unwrap());
    let view = shown(&app, id).await;
    assert_eq!(view.state, JobState::Queued, "it is tried again");
    assert_eq!(view.ended.expect("its last attempt did").code, Some(3));
    assert!(!give(&app, second).await, "not before its time");
    app.clock.advance(Duration::from_mins(2));
    assert!(give(&app, second).await);
    let documents = rows::documents(app.store.read(), id).await.unwrap();
    let documents = documents.expect("there");
    assert!(!documents.spec.contains("planted") && !documents.asked.contains("planted"));
    let opened = submit::opened(&app, id, documents.secrets).unwrap();
    assert_eq!(opened["KEY"], "planted-key");
    rows::ended(db, second, &success, app.clock.now())
        .await
        .unwrap();
    let view = shown(&app, id).await;
    assert_eq!((view.state, view.attempts), (JobState::Succeeded, 2));
    let documents = rows::documents(app.store.read(), id).await.unwrap();
    assert_eq!(documents.expect("there").secrets, None, "forgotten");
}

#[tokio::test]
async fn a_cancel_of_what_waits_is_its_end_and_of_what_runs_a_wish() {
    let (_dir, app) = app::fresh().await;
    let asked = JobAsked::of(["train"]);
    let (waits, runs) = (stored(&app, &asked).await, stored(&app, &asked).await);
    assert!(give(&app, first(runs)).await);
    for id in [waits, runs, runs] {
        cancel(&app, &workspace(), &By::hub(), id).await.unwrap();
    }
    assert_eq!(shown(&app, waits).await.state, JobState::Cancelled);
    assert!(!give(&app, first(waits)).await);
    let view = shown(&app, runs).await;
    assert!(view.cancelled && !view.state.is_over());
    // It was faster.
    let (db, now) = (app.store.write(), app.clock.now());
    let success = rows::End::bare(Ended::Exited(0), now);
    rows::ended(db, first(runs), &success, now).await.unwrap();
    assert_eq!(shown(&app, runs).await.state, JobState::Succeeded);
    let early = retry(
        &app,
        &workspace(),
        &By::hub(),
        JobId(99),
        &tern_protocol::rest::JobRetry::default(),
    )
    .await;
    assert!(matches!(early, Err(JobsError::NoJob(_))));
    let again = retry(
        &app,
        &workspace(),
        &By::hub(),
        waits,
        &tern_protocol::rest::JobRetry::default(),
    )
    .await;
    assert_eq!(shown(&app, again.unwrap()).await.again_of, Some(waits));
}

#[tokio::test]
async fn a_token_is_good_while_its_attempt_runs() {
    let (_dir, app) = app::fresh().await;
    let id = stored(&app, &JobAsked::of(["train"])).await;
    assert!(give(&app, first(id)).await);
    let old = token::make(&app, first(id)).await.unwrap();
    let token = token::make(&app, first(id)).await.unwrap();
    assert_eq!(who_has_token(&app, &old).await.unwrap(), None);
    let who = who_has_token(&app, &token).await.unwrap();
    let workspace = workspace();
    assert_eq!(who, Some(Who::Job { id, workspace }));
    let now = app.clock.now();
    let end = rows::End::bare(Ended::TimeLimit, now);
    rows::ended(app.store.write(), first(id), &end, now)
        .await
        .unwrap();
    assert_eq!(who_has_token(&app, &token).await.unwrap(), None);
    assert_eq!(who_has_token(&app, "tern_job_x").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_over_for_long_goes_and_its_archive_stays_as_long() {
    let (_dir, mut app) = app::fresh().await;
    let mut settings = app.jobs.settings().clone();
    settings.keep = Duration::from_secs(100);
    app.jobs = Desk::new(settings);
    let archive = archive::tests::packed(&[("a.py", tar::EntryType::Regular, "print()")]);
    let blob = app.blobs.put_bytes(archive.into()).await.unwrap();
    let mut asked = JobAsked::of(["python", "a.py"]);
    asked.project = Some(JobProject::Archive {
        archive: blob.digest,
    });
    let id = stored(&app, &asked).await;
    let named = async |app: &App| {
        let all = garbage::references(app.store.read()).await.unwrap();
        all.contains(&blob.digest)
    };
    assert!(named(&app).await);
    cancel(&app, &workspace(), &By::hub(), id).await.unwrap();
    let over = app.clock.now().0;
    retention::remove_old(&app, WallTime(over + 99_000))
        .await
        .unwrap();
    assert_eq!(shown(&app, id).await.state, JobState::Cancelled);
    retention::remove_old(&app, WallTime(over + 101_000))
        .await
        .unwrap();
    assert!(one(&app, &workspace(), id).await.is_err());
    assert!(!named(&app).await);
    // Its number is not given again.
    assert_eq!(stored(&app, &JobAsked::of(["true"])).await, JobId(2));
}

#[tokio::test]
async fn a_token_of_a_cluster_stays_with_its_address_and_is_never_shown() {
    let (_dir, app) = app::fresh().await;
    let by = Actor::hub();
    let name: ComputeName = "lab".parse().unwrap();
    let ray = |url: &str, token: Option<&str>| ComputeSettings {
        kind: ComputeKind::Ray,
        url: Some(url.into()),
        token: token.map(|token| ComputeToken::Token(token.into())),
        ca: None,
        unit: Some(JobResources {
            cpu_millis: 4000,
            memory: 1 << 33,
            gpus: 1,
        }),
        scaling: Some(ComputeScaling {
            min: 0,
            max: 3,
            up_after: 10,
            idle_after: 60,
        }),
        kubernetes: None,
        tracking: false,
        paused: false,
    };
    let set = async |settings| set_compute(&app, &by, &name, settings).await;
    let view = set(ray("https://ray", Some("planted"))).await.unwrap();
    assert!(view.token && !serde_json::to_string(&view).unwrap().contains("planted"));
    let kept = set(ray("https://ray", None)).await.unwrap();
    assert!(kept.token);
    let moved = set(ray("https://elsewhere", None)).await.unwrap();
    assert!(!moved.token, "it was for another address");
    for wrong in [
        ray("ftp://ray", None),
        ray("https://ray?x", None),
        ray("https://ray", Some("a b")),
        ComputeSettings {
            unit: None,
            ..ray("https://ray", None)
        },
        ComputeSettings {
            ca: Some("no PEM".into()),
            ..ray("https://ray", None)
        },
        ComputeSettings {
            kind: ComputeKind::Local,
            ..ray("https://ray", None)
        },
    ] {
        let refused = set(wrong.clone()).await;
        assert!(
            matches!(refused, Err(JobsError::Impossible(_))),
            "{wrong:?}: {refused:?}"
        );
    }
    let other_kind = ComputeSettings {
        kind: ComputeKind::Kubernetes,
        kubernetes: Some(tern_protocol::rest::KubernetesSettings {
            namespace: "training".into(),
            image: "python".into(),
            service_account: None,
            gpu: None,
        }),
        ..ray("https://ray", None)
    };
    assert!(matches!(set(other_kind).await, Err(JobsError::State(_))));
    // A job that it runs keeps it there.
    let mut asked = JobAsked::of(["true"]);
    asked.compute = Some(name.clone());
    let id = stored(&app, &asked).await;
    let (db, now) = (app.store.write(), app.clock.now());
    rows::give(db, first(id), &name, &[], now).await.unwrap();
    let busy = remove_compute(&app, &by, &name).await;
    assert!(matches!(busy, Err(JobsError::State(_))));
    // Moved, it would be looked for where it is not, and be lost.
    let moved = set(ray("https://ray", None)).await;
    assert!(matches!(moved, Err(JobsError::State(_))), "{moved:?}");
    let paused = ComputeSettings {
        paused: true,
        ..ray("https://elsewhere", None)
    };
    assert!(set(paused).await.unwrap().paused);
    let end = rows::End::bare(Ended::Exited(0), now);
    rows::ended(db, first(id), &end, now).await.unwrap();
    remove_compute(&app, &by, &name).await.unwrap();
    let listed = computes(&app).await.unwrap();
    let names: Vec<&str> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, [LOCAL]);
}

/// A Ray cluster, as far as settings are looked at.
fn cluster() -> ComputeSettings {
    ComputeSettings {
        kind: ComputeKind::Ray,
        url: Some("https://ray".into()),
        token: None,
        ca: None,
        unit: Some(JobResources {
            cpu_millis: 4000,
            memory: 1 << 33,
            gpus: 0,
        }),
        scaling: None,
        kubernetes: None,
        tracking: false,
        paused: false,
    }
}

#[tokio::test]
async fn artifacts_come_from_an_attempt_elsewhere_as_long_as_it_runs() {
    let (_dir, mut app) = app::fresh().await;
    let mut settings = app.jobs.settings().clone();
    settings.quota = 10;
    app.jobs = Desk::new(settings);
    let lab: ComputeName = "lab".parse().unwrap();
    let set = set_compute(&app, &Actor::hub(), &lab, cluster()).await;
    set.unwrap();
    let mut asked = JobAsked::of(["train"]);
    asked.artifacts = vec!["out/*.bin".into()];
    let here = first(stored(&app, &asked).await);
    asked.compute = Some(lab.clone());
    let key = first(stored(&app, &asked).await);
    let hand = async |key: AttemptKey, path: &str, bytes: &'static [u8]| {
        let pieces = [Ok::<_, std::io::Error>(bytes::Bytes::from_static(bytes))];
        let pieces = futures::stream::iter(pieces);
        hand_over(&app, &workspace(), key, path, pieces).await
    };
    let early = hand(key, "out/a.bin", b"1234").await;
    assert!(matches!(early, Err(JobsError::NotFound(_))), "{early:?}");
    let (db, now) = (app.store.write(), app.clock.now());
    assert!(rows::give(db, key, &lab, &[], now).await.unwrap());
    assert!(give(&app, here).await);
    let kept_here = hand(here, "out/a.bin", b"1234").await;
    assert!(
        matches!(kept_here, Err(JobsError::NotFound(_))),
        "{kept_here:?}"
    );
    rows::missing(db, key, true).await.unwrap();
    for wrong in [
        "notes",
        "out/x/a.bin",
        "/out/a.bin",
        "out/../out/a.bin",
        "out/",
    ] {
        let refused = hand(key, wrong, b"1").await;
        assert!(matches!(refused, Err(JobsError::Impossible(_))), "{wrong}");
    }
    hand(key, "out/a.bin", b"1234").await.unwrap();
    // Sent again, since nobody knew whether it arrived.
    let again = hand(key, "out/a.bin", b"12345").await.unwrap();
    for too_much in [&b"123456"[..], b"123456789012"] {
        let full = hand(key, "out/b.bin", too_much).await;
        assert!(matches!(full, Err(JobsError::State(_))), "{full:?}");
    }
    hand(key, "out/b.bin", b"12345").await.unwrap();
    let found = artifact(&app, &workspace(), key.job, None, "out/a.bin").await;
    assert_eq!(found.unwrap().blob, again);
    let left_out = async || {
        let detail = one(&app, &workspace(), key.job).await.unwrap();
        detail.all_attempts[0].artifacts_left_out
    };
    assert!(!left_out().await, "nothing is missing of what runs");
    let end = rows::End::bare(Ended::Exited(0), now);
    rows::ended(db, key, &end, now).await.unwrap();
    assert!(left_out().await, "it never said that these are all");
    let late = hand(key, "out/c.bin", b"").await;
    assert!(matches!(late, Err(JobsError::NotFound(_))), "{late:?}");

    let complete = first(stored(&app, &asked).await);
    assert!(rows::give(db, complete, &lab, &[], now).await.unwrap());
    rows::missing(db, complete, true).await.unwrap();
    let in_other = all_there(&app, &"other".parse().unwrap(), complete, false).await;
    assert!(matches!(in_other, Err(JobsError::NoJob(_))));
    all_there(&app, &workspace(), complete, false)
        .await
        .unwrap();
    rows::ended(db, complete, &end, now).await.unwrap();
    let detail = one(&app, &workspace(), complete.job).await.unwrap();
    assert!(!detail.all_attempts[0].artifacts_left_out);
}

#[tokio::test]
async fn artifacts_of_a_cluster_that_could_not_hand_them_over_are_refused() {
    let (_dir, mut app) = app::fresh().await;
    let lab: ComputeName = "lab".parse().unwrap();
    let set = async |app: &App, tracking| {
        let settings = ComputeSettings {
            tracking,
            ..cluster()
        };
        let set = set_compute(app, &Actor::hub(), &lab, settings).await;
        set.unwrap();
    };
    set(&app, false).await;
    let mut asked = JobAsked::of(["train"]);
    asked.compute = Some(lab.clone());
    asked.artifacts = vec!["*".into()];
    let checked = async |app: &App| match check(app, &workspace(), &asked).await {
        Ok(()) => String::new(),
        Err(JobsError::Wrong(problems)) => listed(&problems),
        Err(err) => panic!("{err}"),
    };
    // Whoever asks is let in: there is no token to be shown.
    assert_eq!(checked(&app).await, "");
    let mut settings = app.jobs.settings().clone();
    settings.open = false;
    app.jobs = Desk::new(settings);
    let shown = checked(&app).await;
    assert!(shown.contains("`--tracking`"), "{shown}");
    set(&app, true).await;
    assert_eq!(checked(&app).await, "");
    app.reach = Reach::new(Vec::new());
    let nowhere = checked(&app).await;
    assert!(nowhere.contains("`--jobs-url"), "{nowhere}");
}

#[test]
fn somebody_without_a_login_has_a_turn_too() {
    let by = By::from(&Principal {
        who: Who::Loopback,
        from: None,
    });
    assert_eq!(by.person.as_str(), "machine");
}
