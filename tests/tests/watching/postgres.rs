//! The hub on PostgreSQL: what it promises on a file in its directory holds there too, whatever dies.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tern_tests::{
    agent::SLOT,
    binaries,
    cli::tern_json,
    fleet::{Fleet, meter},
    hub::Hub,
    package,
    postgres::{self, Postgres},
    traffic::Traffic,
    wait,
};

/// A server with a database, and the file that tells a hub of it.
fn database() -> Option<(Postgres, tempfile::TempDir, PathBuf)> {
    let server = postgres::start()?;
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    let file = dir.path().join("database");
    fs::write(&file, server.database("fleet").expect("a database") + "\n")
        .expect("a file in the test's own");
    Some((server, dir, file))
}

fn text(path: &Path) -> &str {
    path.to_str()
        .expect("a temporary directory has a plain name")
}

/// What `tern-hub` does with these arguments, to its end.
fn hub(args: &[&str]) -> Output {
    let mut command = Command::new(binaries::path("tern-hub"));
    command.args(args).output().expect("tern-hub starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Rows of a query of ours, whichever database.
#[track_caller]
fn psql(server: &Postgres, database: &str, sql: &str) -> String {
    server.psql(database, sql).expect("good SQL")
}

/// What a page or a part of the API answers.
fn status(fleet: &Fleet, path: &str) -> Result<u16, String> {
    let answer = fleet.hub.http().get(&(fleet.hub.url() + path))?;
    Ok(answer.status)
}

#[test]
fn on_postgresql_counts_are_exact_through_kill_9_of_hub_and_database() {
    let Some((mut server, _dir, file)) = database() else {
        return;
    };
    let mut fleet = Fleet::with_hub(&["--database-file", text(&file)]);
    for number in 1..=2 {
        fleet.add(&meter(number));
    }
    let package = package::digits(0);
    fleet.serve(package);
    let load = Traffic::start(fleet.addresses(), &package.samples());
    let counting = |fleet: &Fleet| {
        let before = fleet.overview().totals.inferences;
        wait::until("telemetry to be stored", || {
            let counted = fleet.overview().totals.inferences;
            wait::that(counted > before, || format!("{counted} counted"))
        });
    };
    counting(&fleet);

    fleet.hub.kill_9();
    fleet.run_hub();
    counting(&fleet);

    server.kill_9().expect("it is killed");
    wait::until("the hub to say that its database is away", || {
        let answer = fleet
            .hub
            .http()
            .get(&(fleet.hub.url() + "/api/v1/w/default/devices"))?;
        let told = answer.status == 503 && answer.body.contains("try again in a moment");
        wait::that(told, || format!("{answer:?}"))
    });
    assert_eq!(status(&fleet, "/w/default"), Ok(503));
    server.run().expect("it starts again");
    wait::until("the hub to have its database again", || {
        let ready = status(&fleet, "/readyz")?;
        wait::that(ready == 200, || format!("/readyz {ready}"))
    });
    counting(&fleet);

    let answers = load.stop();
    assert_eq!(
        answers.failed,
        Vec::<String>::new(),
        "agents answer by themselves"
    );
    let counted = fleet.counts_exactly(0);
    assert!(counted > 0);
    let stored = psql(
        &server,
        "fleet",
        "SELECT SUM(inferences) FROM telemetry_window",
    );
    assert_eq!(
        stored,
        counted.to_string(),
        "what is shown is what is stored"
    );

    // Pages and parts of the API that ask a lot of SQL.
    for page in [
        String::new(),
        "/devices".into(),
        format!("/devices/{}", fleet.agents[0].device()),
        "/models".into(),
        format!("/models/{SLOT}"),
        format!("/models/{SLOT}/health"),
        format!("/models/{SLOT}/truth"),
        "/rollouts".into(),
        "/rollouts/1".into(),
        "/delivery".into(),
        "/alerts".into(),
        "/alerts/rules".into(),
    ] {
        assert_eq!(
            status(&fleet, &format!("/w/default{page}")),
            Ok(200),
            "{page}"
        );
    }
    assert_eq!(status(&fleet, "/metrics"), Ok(200));
    for args in [
        &["finding", "list"][..],
        &["alert", "list"],
        &["device", "list"],
        &["rollout", "list"],
    ] {
        tern_json(&fleet, args);
    }
    assert!(!fleet.hub.log().contains(server.password()));
}

#[test]
fn a_database_is_one_hubs_and_its_directory_knows_it() {
    let Some((server, dir, file)) = database() else {
        return;
    };
    let fleet = Fleet::with_hub(&["--database-file", text(&file)]);
    fleet.publish(package::digits(0));
    let data = fleet.hub.data();
    let data = text(&data);
    assert!(!fleet.hub.data().join("tern.sqlite").exists());

    // Another hub, with a directory of its own.
    let other = dir.path().join("other");
    let plain = [
        "--insecure-loopback",
        "--http",
        "127.0.0.1:0",
        "--mqtt",
        "127.0.0.1:0",
    ];
    let serve =
        |data: &str, more: &[&str]| hub(&[&["serve", "--data", data][..], &plain, more].concat());
    let second = serve(text(&other), &["--database-file", text(&file)]);
    assert_eq!(second.status.code(), Some(2), "{}", said(&second));
    let why = said(&second);
    assert!(
        why.contains("is used by another hub (tern-hub ") && why.contains("127.0.0.1"),
        "{why}"
    );
    assert!(!why.contains(server.password()), "{why}");

    // What runs beside the hub finds its database if it is told, and says so if not.
    let found = hub(&[
        "gc",
        "--dry-run",
        "--data",
        data,
        "--database-file",
        text(&file),
    ]);
    assert!(found.status.success(), "{}", said(&found));
    let users = hub(&[
        "user",
        "list",
        "--data",
        data,
        "--database",
        &server.url("fleet"),
    ]);
    assert!(users.status.success(), "{}", said(&users));
    let mut rotate = vec!["ca", "rotate", "--data", data];
    let lost = hub(&rotate);
    assert!(said(&lost).contains("--database-file"), "{}", said(&lost));
    rotate.extend(["--database-file", text(&file)]);
    let rotated = hub(&rotate);
    assert!(rotated.status.success(), "{}", said(&rotated));
    let noted = "SELECT COUNT(*) FROM audit WHERE action = 'authority.rotate'";
    assert_eq!(psql(&server, "fleet", noted), "1");
    let out = dir.path().join("backup.age");
    let passphrase = dir.path().join("passphrase");
    fs::write(&passphrase, "correct horse battery\n").expect("a file in the test's own");
    let backup = hub(&[
        "backup",
        "--data",
        data,
        "--out",
        text(&out),
        "--passphrase-file",
        text(&passphrase),
    ]);
    assert_eq!(backup.status.code(), Some(2));
    assert!(said(&backup).contains("pg_dump"), "{}", said(&backup));
    assert!(!out.exists());

    // Forgetting to say where the database is does not begin an empty one.
    let mut fleet = fleet;
    assert!(fleet.hub.terminate().success());
    let forgotten = serve(data, &[]);
    assert_eq!(forgotten.status.code(), Some(2));
    let why = said(&forgotten);
    assert!(
        why.contains("/fleet") && why.contains("--database-file"),
        "{why}"
    );
    assert!(!fleet.hub.data().join("tern.sqlite").exists());

    // A database that would order text otherwise than the hub does.
    psql(
        &server,
        "postgres",
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'",
    );
    let odd = serve(text(&other), &["--database", &server.url("latin")]);
    assert!(said(&odd).contains("LC_COLLATE 'C'"), "{}", said(&odd));
}

#[test]
fn a_hub_that_lost_its_database_to_another_ends() {
    let Some((server, _dir, file)) = database() else {
        return;
    };
    let mut fleet = Fleet::with_hub(&["--database-file", text(&file)]);
    let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = 'fleet' AND application_name LIKE 'tern-hub %'";
    let writes = |hub: &Hub| {
        let freeze = format!("{}/api/v1/w/default/freeze", hub.url());
        hub.http().post(&freeze, r#"{"reason": "a test"}"#)
    };
    assert_ne!(psql(&server, "fleet", cut), "0");
    // Connections are made anew, and with them the right to the database.
    wait::until("the hub to write again", || {
        let wrote = writes(&fleet.hub)?.status;
        let held = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
        let held = psql(&server, "fleet", held);
        wait::that(held == "1" && wrote < 300, || {
            format!("{held} locks, {wrote}")
        })
    });

    // Another hub has used it before this one came back.
    psql(
        &server,
        "fleet",
        &format!("UPDATE counter SET value = value + 1 WHERE name = 'hub.holder'; {cut}"),
    );
    let mut process = fleet.hub.take();
    wait::until("the hub to end", || {
        wait::that(process.has_ended(), || process.log())
    });
    let log = process.log();
    assert!(
        log.contains("the database belongs to another hub now"),
        "{log}"
    );
    assert_eq!(process.finish().code(), Some(2));
}
