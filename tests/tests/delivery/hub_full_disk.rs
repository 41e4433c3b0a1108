//! The hub's disk is full: for uploads, while it publishes, starts a rollout, delivers and counts. Who asks is
//! told (507), devices serve on, nothing that was acknowledged is lost, and when there is room again all goes on
//! without a restart.

use std::{ffi::OsString, fs, os::unix::fs::symlink};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tern_cli::client::ClientError;
use tern_protocol::{
    digest::Digest,
    rest::{NewRollout, RolloutState, Selector},
};
use tern_tests::{
    fleet::{Fleet, MODEL, meter},
    package::{self, Package},
    process::Under,
    programs,
    traffic::Traffic,
    wait,
};

/// Calls that need room.
const CALLS: &str = "write,pwrite64,writev,ftruncate,fallocate";

/// A device that serves version 1 of a hub whose disk can be full.
///
/// The hub is traced from its start on, and files below `DIR/full` have no room. Its data are in `DIR/hub`
/// until they change places with a link there: then what the hub holds open is below `DIR/full`, by the name
/// that the system has for it.
struct Served {
    fleet: Fleet,
    packages: [Package; 2],
}

#[track_caller]
fn served(files: impl Fn(&[Package; 2]) -> Vec<String>) -> Option<Served> {
    let strace = programs::find("strace")?;
    // Version 2 takes two seconds.
    let slow = ["--egress-limit", "300000"];
    let args = [&["--delta-budget", "0", "--scrub", "off"][..], &slow].concat();
    let mut fleet = Fleet::with_hub(&args);
    fleet.add(&meter(1).activation("trial = \"1s\""));
    let packages = [300, 2000].map(|hidden| package::random(fleet.dir(), 1, hidden));
    fleet.serve(&packages[0]);
    fleet.hub.terminate();
    let full = fleet.dir().join("full");
    symlink("full", &full).expect("a link in the test's own directory");
    let mut line: Vec<OsString> = vec![strace.into()];
    line.extend(["-D", "-I1", "-f", "-q", "-o"].map(Into::into));
    line.push(fleet.dir().join("calls").into());
    for file in files(&packages) {
        line.extend(["-P".into(), full.join(file).into()]);
    }
    for what in [
        format!("trace={CALLS}"),
        format!("inject={CALLS}:error=ENOSPC"),
    ] {
        line.extend(["-e".into(), what.into()]);
    }
    fleet.hub.set_under(Some(Under(line)));
    fleet.run_hub();
    fleet.hub.set_under(None);
    fleet.online("meter-01");
    fleet.agents[0].infer(&packages[0].samples()[0]);
    fleet.counts_exactly(0);
    Some(Served { fleet, packages })
}

fn database(_: &[Package; 2]) -> Vec<String> {
    ["", "-wal"].map(|end| format!("tern.sqlite{end}")).into()
}

/// The staged files of uploads, as the object store names them.
fn staged(packages: &[Package; 2]) -> Vec<String> {
    let staged = packages[1].blobs().map(|blob| {
        let hex = Digest::of(blob).to_string();
        format!("blobs/sha256/{}/{hex}#1", &hex[..2])
    });
    staged.collect()
}

impl Served {
    /// From now on there is no room; or there is again.
    #[track_caller]
    fn turn(&self) {
        let [data, full] = ["hub", "full"].map(|name| self.fleet.dir().join(name));
        let flags = RenameFlags::RENAME_EXCHANGE;
        renameat2(AT_FDCWD, &data, AT_FDCWD, &full, flags).expect("both are there");
    }

    /// Waits until something found no room.
    #[track_caller]
    fn met(&self) {
        let log = self.fleet.dir().join("calls");
        wait::until("the disk to have been full", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            wait::that(text.contains("(INJECTED)"), || text)
        });
    }

    /// Nothing but the version that is there is known, devices serve, and once there is room all is done by
    /// doing it again.
    #[track_caller]
    fn room_again(&mut self) {
        self.met();
        let input = &self.packages[0].samples()[0];
        let load = Traffic::start(
            [self.fleet.agents[0].address()],
            std::slice::from_ref(input),
        );
        let answered = self.fleet.agents[0].status().inferences;
        wait::until("answers while the disk is full", || {
            let status = self.fleet.agents[0].status();
            wait::that(status.inferences >= answered + 100, || {
                format!("{status:?}")
            })
        });
        assert_eq!(load.stop().failed, Vec::<String>::new());
        self.turn();
        self.fleet.online("meter-01");
        let version = self.fleet.publish(&self.packages[1]);
        assert_eq!(version.version.get(), 2, "what failed left no version");
        let rollouts = self.fleet.client().rollouts().all().expect("it lists them");
        let begun = rollouts
            .iter()
            .find(|rollout| rollout.version == version.version);
        let id = match begun {
            Some(rollout) => rollout.id,
            None => self.fleet.roll_out(version.version).id,
        };
        self.fleet.agents[0].serves(2);
        self.fleet.rollout_until(id, "to be proven", |view| {
            view.state == RolloutState::Complete
        });
        let input = &self.packages[1].samples()[0];
        let answer = self.fleet.agents[0].infer(input);
        package::assert_same(&answer, &self.packages[1].bare(), input);
        self.fleet.counts_exactly(0);
        // What it acknowledged is there after a kill, too.
        self.fleet.hub.kill_9();
        self.fleet.run_hub();
        self.fleet.online("meter-01");
        self.fleet.counts_exactly(0);
    }
}

/// The request was answered with the problem of a full disk.
#[track_caller]
fn assert_full<T: std::fmt::Debug>(answer: Result<T, ClientError>) {
    let err = answer.expect_err("the disk is full");
    let problem = err.problem().unwrap_or_else(|| panic!("{err:?}"));
    assert_eq!(problem.status, 507, "{problem:?}");
    assert_eq!(problem.kind, "urn:tern:problem:disk-full");
}

#[track_caller]
fn upload(served: &Served) -> Result<(), ClientError> {
    let client = served.fleet.client();
    for blob in served.packages[1].blobs() {
        let digest = Digest::of(blob);
        client.put_blob(&digest, blob.len() as u64, &mut &*blob, &mut |_| {})?;
    }
    Ok(())
}

#[test]
fn the_disk_is_full_for_uploads() {
    let Some(mut served) = served(staged) else {
        return;
    };
    served.turn();
    assert_full(upload(&served));
    served.room_again();
}

#[test]
fn the_disk_is_full_when_a_version_is_published() {
    let Some(mut served) = served(database) else {
        return;
    };
    upload(&served).expect("there is room");
    served.turn();
    let model = MODEL.parse().expect("a name");
    let new = served.packages[1].new_version();
    assert_full(served.fleet.client().publish(&model, &new));
    served.room_again();
}

#[test]
fn the_disk_is_full_when_a_rollout_is_started() {
    let Some(mut served) = served(database) else {
        return;
    };
    let version = served.fleet.publish(&served.packages[1]);
    served.turn();
    let rollout = NewRollout {
        slot: MODEL.parse().expect("a name"),
        model: MODEL.parse().expect("a name"),
        version: version.version,
        selector: Selector::default(),
        percent: 100,
    };
    assert_full(served.fleet.client().start_rollout(&rollout));
    served.room_again();
}

#[test]
fn the_disk_is_full_while_a_version_is_delivered() {
    let Some(served) = served(database) else {
        return;
    };
    let version = served.fleet.publish(&served.packages[1]);
    served.fleet.roll_out(version.version);
    wait::until("the delivery to have begun", || {
        let status = served.fleet.agents[0].status();
        let begun = status
            .slot()
            .progress
            .as_ref()
            .is_some_and(|it| it.bytes > 0);
        wait::that(begun, || format!("{status:?}"))
    });
    served.turn();
    // What is delivered needs no room at the hub.
    served.fleet.agents[0].serves(2);
    served.met();
    served.turn();
    wait::until("the hub to have the proof", || {
        let device = served.fleet.try_device("meter-01")?;
        let serving = device.slots.first().and_then(|slot| slot.serving.clone());
        let proven = serving.is_some_and(|it| it.version == version.version);
        wait::that(proven, || format!("{device:?}"))
    });
}

#[test]
fn the_disk_is_full_while_a_hub_counts() {
    let Some(mut served) = served(database) else {
        return;
    };
    let acked = wait::until("all windows to be acknowledged", || {
        let status = served.fleet.agents[0].status();
        let all = status.windows_made == status.windows_acked;
        wait::that(all, || format!("{status:?}"))?;
        Ok(status.windows_acked)
    });
    served.turn();
    let input = served.packages[0].samples()[0].clone();
    served.fleet.agents[0].infer(&input);
    served.met();
    let status = served.fleet.agents[0].status();
    assert_eq!(
        status.windows_acked, acked,
        "nothing is acknowledged that is not stored"
    );
    served.room_again();
}
