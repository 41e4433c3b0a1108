//! Python environments: made once, used by many, bounded. With a package that is made here, so that no network is needed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use tern_compute::job::{Ended, Environment, JobSpec, Variable};

use crate::bench::{Bench, key, wait_for};

/// A wheel by hand: a package is a zip file with three more files in it.
const WHEEL: &str = r#"
import sys, zipfile
meta = "greeter-1.0.dist-info/"
with zipfile.ZipFile(sys.argv[1] + "/greeter-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("greeter.py", "def greet(): print('hello from greeter')\n")
    wheel.writestr(meta + "METADATA", "Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n")
    wheel.writestr(meta + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(meta + "RECORD", "greeter.py,,\n" + meta + "METADATA,,\n" + meta + "WHEEL,,\n" + meta + "RECORD,,\n")
"#;

/// A package; none where there is no Python that makes environments, which in CI is a failure.
fn wheel(dir: &Path) -> Option<PathBuf> {
    let python = |args: &[&str]| {
        let ran = Command::new("python3").args(args).status();
        ran.is_ok_and(|status| status.success())
    };
    if !python(&["-c", "import venv, ensurepip"]) {
        assert!(
            std::env::var_os("CI").is_none(),
            "python3 with venv is missing"
        );
        eprintln!("skipped: there is no python3 with venv");
        return None;
    }
    assert!(python(&["-c", WHEEL, dir.to_str().unwrap()]));
    Some(dir.join("greeter-1.0-py3-none-any.whl"))
}

fn greeting(requirements: &str) -> JobSpec {
    let mut spec = JobSpec::of(["python", "-c", "import greeter; greeter.greet()"]);
    spec.environment = Environment::Requirements {
        text: requirements.to_owned(),
        python: None,
    };
    for name in ["PIP_NO_INDEX", "UV_NO_INDEX"] {
        let yes = Variable::Plain("1".into());
        spec.variables.insert(name.into(), yes);
    }
    spec
}

#[test]
fn an_environment_is_made_once_and_one_that_cannot_be_made_says_why() {
    let bench = Bench::with(|settings| settings.environments_kept = 1);
    let Some(wheel) = wheel(bench.dir.path()) else {
        return;
    };
    let spec = greeting(&format!("{}\n", wheel.display()));
    // Both at once: one makes it, the other waits for it.
    bench.start(key(1), &spec);
    bench.start(key(2), &spec);
    for job in [1, 2] {
        let exit = bench.end_of(key(job));
        let log = bench.log(key(job));
        assert_eq!(exit.ended, Ended::Exited(0), "{log}");
        assert!(log.ends_with("hello from greeter\n"), "{log}");
    }
    let making = |job| {
        bench
            .log(key(job))
            .matches("making the environment")
            .count()
    };
    assert_eq!(making(1) + making(2), 2, "two commands, by one of the two");

    let exit = bench.run(3, &greeting("there-is-no-such-package==1.0\n"));
    let Ended::Environment(why) = &exit.ended else {
        panic!("{exit:?}");
    };
    assert!(why.contains("install"), "{why}");
    assert!(bench.log(key(3)).contains("there-is-no-such-package"));
    let exit = bench.run(4, &spec);
    assert_eq!(
        (exit.ended, making(4)),
        (Ended::Exited(0), 0),
        "it is still there"
    );

    // A third that can be made takes the place of the first.
    let exit = bench.run(5, &greeting(&format!("# another\n{}\n", wheel.display())));
    assert_eq!(exit.ended, Ended::Exited(0));
    let environments = || {
        let entries = fs::read_dir(bench.dir.path().join("environments")).unwrap();
        entries
            .filter(|one| one.as_ref().unwrap().path().is_dir())
            .count()
    };
    assert_eq!(environments(), 1);
}

#[test]
fn an_environment_that_is_named_has_to_be_there() {
    let bench = Bench::new();
    let mut spec = JobSpec::of(["python", "-V"]);
    spec.environment = Environment::Venv("/there/is/none".into());
    let exit = bench.run(1, &spec);
    assert!(matches!(exit.ended, Ended::Environment(_)), "{exit:?}");
}

/// A job whose environment is never made: its installer hangs, the first one on the path. It says when it was reached.
fn never_made(bench: &Bench) -> JobSpec {
    let bin = bench.dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(
        bin.join("uv"),
        "#!/bin/sh\nmkdir -p ../reached; exec sleep 600\n",
    )
    .unwrap();
    let executable = Command::new("chmod").arg("+x").arg(bin.join("uv")).status();
    assert!(executable.unwrap().success());
    let mut spec = greeting("anything\n");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    spec.variables.insert("PATH".into(), Variable::Plain(path));
    spec
}

#[test]
fn a_cancel_ends_the_making_of_an_environment_and_a_stop_the_waiting_for_one() {
    let bench = Bench::new();
    let spec = never_made(&bench);
    bench.start(key(1), &spec);
    wait_for("the installer", || {
        bench.attempt(key(1)).join("reached").exists().then_some(())
    });
    bench.start(key(2), &spec);
    wait_for("the other to wait for it", || {
        let waits = bench.log(key(2)).contains("waiting for another job");
        waits.then_some(())
    });
    let supervisor = bench.supervisor(key(2));
    assert!(supervisor.signal(Signal::TERM).unwrap());
    assert_eq!(bench.end_of(key(2)).ended, Ended::Interrupted);
    bench.local.cancel(key(1)).unwrap();
    assert_eq!(bench.end_of(key(1)).ended, Ended::Cancelled);
}
