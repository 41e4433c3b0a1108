//! How attempts end.

use std::{
    fs,
    io::Read as _,
    path::Path,
    time::{Duration, Instant},
};

use tern_compute::{
    job::{Ended, Evidence, JobSpec, Secret, Variable},
    local::{MemoryKeeper, Observed, StartError, Started},
};

use crate::{
    bench::{Bench, gone, key, lives, shell, wait_for},
    programs,
};

#[test]
fn a_success_has_its_artifacts_its_log_and_its_cost() {
    let bench = Bench::new();
    let mut spec =
        shell("mkdir out && echo weights > out/model.onnx && echo job $TERN_JOB of $OWNER");
    spec.artifacts = vec!["out/*.onnx".into()];
    let plain = Variable::Plain("ada".into());
    spec.variables.insert("OWNER".into(), plain);
    let exit = bench.run(7, &spec);
    assert_eq!(exit.ended, Ended::Exited(0));
    assert_eq!(bench.log(key(7)), "job 7 of ada\n");
    assert_eq!(exit.log_bytes, 13);
    let [artifact] = exit.artifacts.files.as_slice() else {
        panic!("{exit:?}");
    };
    assert_eq!(
        (artifact.path.as_path(), artifact.bytes),
        (Path::new("out/model.onnx"), 8)
    );
    let mut text = String::new();
    let mut file = bench.local.artifact(key(7), &exit, &artifact.path).unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "weights\n");
    for outside in ["out/../../claim", "/etc/passwd", "out"] {
        let opened = bench.local.artifact(key(7), &exit, Path::new(outside));
        assert!(opened.is_err(), "{outside}");
    }
    // What is forgotten is gone, and is not run again for that.
    assert!(bench.local.forget(key(7)).unwrap());
    assert!(!bench.work(key(7)).exists());
    assert_eq!(
        bench.local.start(key(7), &spec, &[]).unwrap(),
        Started::Before
    );
}

#[test]
fn processor_time_is_counted() {
    let bench = Bench::new();
    let exit = bench.run(1, &programs::job("burns"));
    assert_eq!(exit.ended, Ended::Exited(0), "{}", bench.log(key(1)));
    assert!(exit.core_millis > 10, "{exit:?}");
    assert!(exit.peak_memory > 100_000, "{exit:?}");
}

#[test]
fn a_crash_says_how() {
    let bench = Bench::new();
    let ended = |job, script| bench.run(job, &shell(script)).ended;
    assert_eq!(ended(1, "echo no >&2; exit 3"), Ended::Exited(3));
    assert_eq!(bench.log(key(1)), "no\n");
    assert_eq!(ended(2, "kill -SEGV $$"), Ended::Signalled(11));
    assert_eq!(ended(3, "exit 127"), Ended::Exited(127));
    let missing = bench
        .run(4, &JobSpec::of(["there-is-no-such-program"]))
        .ended;
    let Ended::NotStarted(why) = missing else {
        panic!("{missing:?}");
    };
    assert!(why.contains("there-is-no-such-program"), "{why}");
    let mut spec = shell("true");
    spec.dataset = Some("/there/is/no/such/data".into());
    assert!(matches!(bench.run(5, &spec).ended, Ended::NotStarted(_)));
    spec.command.clear();
    let wrong = bench.local.start(key(6), &spec, &[]);
    assert!(matches!(wrong, Err(StartError::Wrong(_))));
    assert_eq!(bench.local.observe(key(6)).unwrap(), Observed::Unclaimed);
}

#[test]
fn what_hangs_and_will_not_end_is_ended() {
    let bench = Bench::new();
    let mut spec = shell("trap '' TERM; echo $$ > pid; while :; do sleep 1; done");
    spec.time_limit = 1;
    let exit = bench.run(1, &spec);
    assert_eq!(exit.ended, Ended::TimeLimit);
    assert_eq!(exit.survivors, 0);
    assert!(bench.log(key(1)).contains("time limit"));
}

#[test]
fn what_takes_too_much_memory_is_ended_and_told_as_that() {
    let bench = Bench::new();
    let with_limit = |which| {
        let mut spec = programs::job(which);
        spec.resources.memory = 64 << 20;
        spec
    };
    let exit = bench.run(1, &with_limit("holds too much"));
    let Ended::OutOfMemory(Evidence::Held(bytes)) = exit.ended else {
        panic!("{exit:?} {}", bench.log(key(1)));
    };
    assert!(bytes > 64 << 20);
    assert_eq!(exit.peak_memory, bytes);
    assert_eq!(exit.memory_kept_by, MemoryKeeper::Supervisor);
    let exit = bench.run(2, &with_limit("asks for too much"));
    assert_eq!(exit.ended, Ended::OutOfMemory(Evidence::LastWords));
    let exit = bench.run(3, &with_limit("holds little"));
    assert_eq!(exit.ended, Ended::Exited(0), "{}", bench.log(key(3)));
    // A control group that is none is no reason not to run: memory is watched then.
    let elsewhere = Bench::with(|settings| settings.cgroup = Some("/no/such/group".into()));
    let exit = elsewhere.run(1, &with_limit("holds little"));
    assert_eq!(exit.memory_kept_by, MemoryKeeper::Supervisor);
}

#[test]
fn a_cancel_ends_all_that_came_of_it() {
    let bench = Bench::new();
    // One child as usual; one that left its session and lost its parent, as a server does.
    let script = "sleep 600 & echo $! > child
        (setsid sh -c 'echo $$ > deep; exec sleep 600' &)
        echo $$ > main; wait";
    bench.start(key(1), &shell(script));
    let all = ["main", "child", "deep"].map(|file| bench.process_in(key(1), file));
    assert!(all.iter().all(|one| lives(*one)));
    bench.local.cancel(key(1)).unwrap();
    let exit = bench.end_of(key(1));
    assert_eq!((exit.ended, exit.survivors), (Ended::Cancelled, 0));
    all.into_iter().for_each(gone);
    bench.local.cancel(key(1)).unwrap();
    assert_eq!(bench.end_of(key(1)).ended, Ended::Cancelled, "again");
}

#[test]
fn what_a_command_leaves_running_ends_with_it() {
    let bench = Bench::new();
    let begun = Instant::now();
    let exit = bench.run(
        1,
        &shell("sleep 600 & (setsid sleep 600 &) ; echo $! > left"),
    );
    assert_eq!((exit.ended, exit.survivors), (Ended::Exited(0), 0));
    assert!(
        begun.elapsed() < Duration::from_mins(5),
        "it waited for them"
    );
    let left = fs::read_to_string(bench.work(key(1)).join("left")).unwrap();
    wait_for("the end of what was left", || {
        let pid = left.trim().parse().unwrap();
        tern_compute::local::process::Process::now(pid)
            .is_none()
            .then_some(())
    });
}

#[test]
fn what_is_cancelled_before_it_starts_never_does() {
    let bench = Bench::new();
    bench.local.cancel(key(1)).unwrap();
    assert_eq!(bench.end_of(key(1)).ended, Ended::Cancelled);
    let again = bench.local.start(key(1), &shell("echo ran > ran"), &[]);
    assert_eq!(again.unwrap(), Started::Before);
    assert!(!bench.work(key(1)).exists());
}

#[test]
fn a_secret_reaches_the_command_and_nothing_else() {
    let bench = Bench::new();
    let mut spec = shell("echo key=$KEY; [ \"$KEY\" = swordfish ] && echo right; printf %s $KEY");
    let secret = Secret::new("swordfish");
    spec.variables
        .insert("KEY".into(), Variable::Secret { secret });
    let exit = bench.run(1, &spec);
    assert_eq!(exit.ended, Ended::Exited(0));
    assert_eq!(bench.log(key(1)), "key=***\nright\n***");
    let mut open = vec![bench.dir.path().to_owned()];
    let mut files = 0;
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                let there = bytes.windows(9).any(|window| window == b"swordfish");
                assert!(!there, "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files >= 4, "claim, exit, phase and log at least");
}

#[test]
fn a_job_gets_its_project_and_does_not_change_it() {
    let bench = Bench::new();
    let project = tempfile::tempdir().unwrap();
    fs::write(
        project.path().join("train.sh"),
        "echo trained > model; cat seed",
    )
    .unwrap();
    fs::write(project.path().join("seed"), "42\n").unwrap();
    let mut spec = JobSpec::of(["sh", "train.sh"]);
    spec.project = Some(project.path().to_str().unwrap().into());
    spec.artifacts = vec!["model".into()];
    let exit = bench.run(1, &spec);
    assert_eq!(exit.ended, Ended::Exited(0));
    assert_eq!(exit.artifacts.files.len(), 1);
    assert!(bench.log(key(1)).ends_with("42\n"));
    assert!(!project.path().join("model").exists());
}
