//! Owners that are killed, supervisors that are killed, machines that were started again: nothing runs twice, and what
//! is not known is called lost.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;
use tern_compute::{
    job::{Ended, LostBecause, Phase},
    local::{
        Local, Observed, Started,
        process::{Process, boot_id},
    },
};

use crate::{
    bench::{Bench, gone, key, lives, settings, shell, wait_for},
    programs,
};

/// Adds a line to a file for each time it runs, and waits until somebody opens the gate.
const GATED: &str = "echo ran >> ../ran; mkfifo gate; echo $$ > pid; read word < gate; echo $word";

/// An owner in a process of its own, which is about to start job 1.
fn owner_about_to(bench: &Bench, script: &str) -> Child {
    let [program, args @ ..] = programs::words();
    Command::new(program)
        .args(args)
        .env(programs::WHICH, "owner")
        .env(programs::ROOT, bench.dir.path())
        .env(programs::SCRIPT, script)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// An owner in a process of its own, which has started job 1.
fn owner_of(bench: &Bench, script: &str) -> Child {
    let mut owner = owner_about_to(bench, script);
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let started = lines
        .map_while(Result::ok)
        .any(|line| line.contains("started"));
    assert!(started);
    owner
}

/// Ends a process at once, as a power cut would.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn times_run(bench: &Bench) -> usize {
    let ran = fs::read_to_string(bench.attempt(key(1)).join("ran"));
    ran.unwrap_or_default().lines().count()
}

/// A claim by somebody.
fn claim_by(bench: &Bench, process: Process, boot: &str) {
    fs::create_dir_all(bench.attempt(key(1))).unwrap();
    let claim = serde_json::json!({
        "supervisor": process, "boot": boot, "mark": "of-this-test", "at": 0,
    });
    fs::write(bench.attempt(key(1)).join("claim"), claim.to_string()).unwrap();
}

/// A process that has nothing to do with any job.
struct Bystander(Child);

fn bystander() -> (Bystander, Process) {
    let child = Command::new("sleep").arg("600").spawn().unwrap();
    let process = Process::now(i32::try_from(child.id()).unwrap()).unwrap();
    (Bystander(child), process)
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // One that a bug has ended needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_job_outlives_its_owner_and_is_found_again() {
    let bench = Bench::new();
    kill(owner_of(&bench, GATED));
    let process = bench.process_in(key(1), "pid");
    let after = Local::open(settings(bench.dir.path())).unwrap();
    let Observed::Running { phase, .. } = after.observe(key(1)).unwrap() else {
        panic!("{:?}", after.observe(key(1)));
    };
    assert_eq!(phase, Phase::Running);
    assert_eq!(
        after.start(key(1), &shell(GATED), &[]).unwrap(),
        Started::Before
    );
    assert_eq!(after.attempts().unwrap(), [key(1)]);
    after.settle(key(1)).unwrap();
    assert!(lives(process), "what runs is not settled");
    fs::write(bench.work(key(1)).join("gate"), "on\n").unwrap();
    assert_eq!(bench.end_of(key(1)).ended, Ended::Exited(0));
    assert_eq!((bench.log(key(1)).as_str(), times_run(&bench)), ("on\n", 1));
}

#[test]
fn a_job_that_was_found_again_can_be_cancelled() {
    let bench = Bench::new();
    kill(owner_of(&bench, GATED));
    let process = bench.process_in(key(1), "pid");
    bench.local.cancel(key(1)).unwrap();
    assert_eq!(bench.end_of(key(1)).ended, Ended::Cancelled);
    gone(process);
}

#[test]
fn a_job_that_ended_meanwhile_has_ended() {
    let bench = Bench::new();
    let owner = owner_of(&bench, GATED);
    let process = bench.process_in(key(1), "pid");
    kill(owner);
    fs::write(bench.work(key(1)).join("gate"), "on\n").unwrap();
    gone(process);
    assert_eq!(bench.end_of(key(1)).ended, Ended::Exited(0));
    let again = bench.local.start(key(1), &shell(GATED), &[]);
    assert_eq!((again.unwrap(), times_run(&bench)), (Started::Before, 1));
}

#[test]
fn a_supervisor_that_is_killed_takes_its_job_along_and_it_is_lost() {
    let bench = Bench::new();
    let script = format!("(setsid sh -c 'echo $$ > deep; exec sleep 600' &) ; {GATED}");
    bench.start(key(1), &shell(&script));
    let (main, deep) = (
        bench.process_in(key(1), "pid"),
        bench.process_in(key(1), "deep"),
    );
    assert!(bench.supervisor(key(1)).signal(Signal::KILL).unwrap());
    gone(main);
    let lost = Observed::Lost(LostBecause::SupervisorGone);
    wait_for("the loss", || {
        (bench.local.observe(key(1)).unwrap() == lost).then_some(())
    });
    let again = bench.local.start(key(1), &shell(&script), &[]);
    assert_eq!(again.unwrap(), Started::Before);
    assert!(
        lives(deep),
        "it has left its parents, so nobody has ended it yet"
    );
    bench.local.settle(key(1)).unwrap();
    gone(deep);
    let exit = bench.end_of(key(1));
    assert_eq!(exit.ended, Ended::Lost(LostBecause::SupervisorGone));
    assert_eq!((exit.survivors, times_run(&bench)), (0, 1));
}

#[test]
fn a_supervisor_that_is_told_to_stop_says_so() {
    let bench = Bench::new();
    bench.start(key(1), &shell(GATED));
    let process = bench.process_in(key(1), "pid");
    assert!(bench.supervisor(key(1)).signal(Signal::TERM).unwrap());
    assert_eq!(bench.end_of(key(1)).ended, Ended::Interrupted);
    gone(process);
}

#[test]
fn what_was_claimed_and_never_started_is_not_started_again() {
    let bench = Bench::new();
    // A process that has been and is no more.
    let (child, process) = bystander();
    drop(child);
    claim_by(&bench, process, &boot_id().unwrap());
    let lost = Observed::Lost(LostBecause::SupervisorGone);
    assert_eq!(bench.local.observe(key(1)).unwrap(), lost);
    let again = bench.local.start(key(1), &shell(GATED), &[]);
    assert_eq!((again.unwrap(), times_run(&bench)), (Started::Before, 0));
}

#[test]
fn what_was_prepared_and_not_claimed_is_started() {
    let bench = Bench::new();
    fs::create_dir_all(bench.attempt(key(1))).unwrap();
    fs::write(
        bench.attempt(key(1)).join("claim.9-ThreadId(1).tmp"),
        "half",
    )
    .unwrap();
    assert_eq!(bench.local.observe(key(1)).unwrap(), Observed::Unclaimed);
    assert_eq!(bench.run(1, &shell("true")).ended, Ended::Exited(0));
}

#[test]
fn many_owners_at_once_start_it_once() {
    let bench = Bench::new();
    let spec = shell(GATED);
    let started: Vec<Started> = std::thread::scope(|scope| {
        let each = || scope.spawn(|| bench.local.start(key(1), &spec, &[]).unwrap());
        let all: Vec<_> = (0..8).map(|_| each()).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(
        started.iter().filter(|one| **one == Started::Now).count(),
        1
    );
    bench.process_in(key(1), "pid");
    fs::write(bench.work(key(1)).join("gate"), "on\n").unwrap();
    assert_eq!(bench.end_of(key(1)).ended, Ended::Exited(0));
    assert_eq!(times_run(&bench), 1);
}

#[test]
fn a_number_that_was_given_again_is_not_the_supervisor() {
    let bench = Bench::new();
    let (_child, process) = bystander();
    let earlier = Process {
        start: process.start - 1,
        ..process
    };
    claim_by(&bench, earlier, &boot_id().unwrap());
    let lost = Observed::Lost(LostBecause::SupervisorGone);
    assert_eq!(bench.local.observe(key(1)).unwrap(), lost);
    bench.local.cancel(key(1)).unwrap();
    bench.local.settle(key(1)).unwrap();
    assert!(lives(process), "it is somebody else's");
}

#[test]
fn after_another_start_of_the_machine_it_is_lost_and_nobody_is_ended_for_it() {
    let bench = Bench::new();
    let (_child, process) = bystander();
    claim_by(&bench, process, "another-boot");
    let lost = Observed::Lost(LostBecause::OtherBoot);
    assert_eq!(bench.local.observe(key(1)).unwrap(), lost);
    bench.local.cancel(key(1)).unwrap();
    bench.local.settle(key(1)).unwrap();
    assert_eq!(
        bench.end_of(key(1)).ended,
        Ended::Lost(LostBecause::OtherBoot)
    );
    assert!(lives(process));
}

#[test]
fn damaged_files_are_a_loss_and_no_second_run() {
    let bench = Bench::new();
    fs::create_dir_all(bench.attempt(key(1))).unwrap();
    fs::write(bench.attempt(key(1)).join("claim"), "{").unwrap();
    let lost = Observed::Lost(LostBecause::FilesGone);
    assert_eq!(bench.local.observe(key(1)).unwrap(), lost);
    assert_eq!(
        bench.local.start(key(1), &shell(GATED), &[]).unwrap(),
        Started::Before
    );
    bench.local.settle(key(1)).unwrap();
    assert_eq!(
        bench.end_of(key(1)).ended,
        Ended::Lost(LostBecause::FilesGone)
    );
}

/// Supervisors of job 1 that there are now, claimed or not.
fn supervisors(bench: &Bench) -> Vec<Process> {
    let command = format!("supervise\0{}\0", bench.attempt(key(1)).display());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|pid: &i32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).ends_with(&command)
        })
        .filter_map(Process::now)
        .collect()
}

/// At each step of a start somebody is killed, and somebody else comes and does what owners do.
#[test]
fn whoever_is_killed_whenever_it_runs_once_at_most() {
    const SCRIPT: &str = "echo ran >> ../ran";
    let steps = [
        "",
        "supervisor",
        "lock",
        "claim",
        "log",
        "phase",
        "work",
        "ran",
        "exit",
    ];
    let (mut ran, mut lost) = (0, 0);
    for (step, kill_supervisor) in steps.iter().flat_map(|step| [(step, false), (step, true)]) {
        let bench = Bench::new();
        let owner = owner_about_to(&bench, SCRIPT);
        wait_for("a step of the start", || {
            bench.attempt(key(1)).join(step).exists().then_some(())
        });
        kill(owner);
        if kill_supervisor {
            for one in supervisors(&bench) {
                one.signal(Signal::KILL).unwrap();
            }
        }
        let exit = wait_for("the end", || match bench.local.observe(key(1)).unwrap() {
            Observed::Ended(exit) => Some(exit),
            Observed::Running { .. } => None,
            Observed::Lost(_) => {
                bench.local.settle(key(1)).unwrap();
                None
            }
            Observed::Unclaimed => {
                bench.local.start(key(1), &shell(SCRIPT), &[]).unwrap();
                None
            }
        });
        let times = times_run(&bench);
        match exit.ended {
            Ended::Exited(0) => {
                assert_eq!(times, 1, "at {step:?}");
                ran += 1;
            }
            Ended::Lost(LostBecause::SupervisorGone) if kill_supervisor => {
                assert!(times <= 1, "at {step:?}");
                lost += 1;
            }
            other => panic!("at {step:?}: {other:?}"),
        }
    }
    assert_eq!(ran + lost, 2 * steps.len());
    assert!(
        ran >= steps.len(),
        "an owner alone that is killed loses nothing"
    );
}
