//! Vetting in a child process of the same program: a model that crashes, hangs or eats memory hurts the
//! child and nobody else.
//!
//! The parent ([`vet`]) says on the child's standard input what to vet; the child ([`child`]) bounds
//! itself, loads the bundle, reproduces its golden samples, measures, and says on its standard output
//! what came of it. Whatever else ends it is the model's fault.
//!
//! Must never break: nothing that the child does or is done to changes anything but what this returns.

use std::{
    io::{Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use minicbor::{Decode, Encode};
use nix::sys::{
    resource::{Resource, setrlimit},
    signal::Signal,
};
use tern_protocol::{codec, digest::Digest, id::SlotName, reported::RejectReason};

use crate::{
    clock::Clock,
    engine::measure,
    fetch::files::Files,
    report,
    slots::{
        Trial,
        bundle::{self, Refusal},
    },
    state::slot::Kept,
};

/// How the child is told what it is.
pub const COMMAND: &str = "vet";

/// Between two looks at the child.
const LOOK: Duration = Duration::from_millis(5);

/// Largest message either way.
const MESSAGE: u64 = 64 << 10;

/// What vetting one bundle may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of memory.
    pub memory: u64,
    /// Time of processors, and as much again on the wall.
    pub time: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Measured {
    /// Mean time of one golden sample, in microseconds.
    #[n(0)]
    pub latency_us: f64,
    /// Time to load and optimise, in milliseconds.
    #[n(1)]
    pub load_ms: f64,
    /// Most memory that the child had, in bytes; 0 where the system does not say.
    #[n(2)]
    pub peak_rss: u64,
}

/// What the engine says when it gets no memory for a tensor.
const NO_MEMORY: &str = "failed to allocate";

/// How much memory vetting may take, and why not more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    /// Bytes.
    limit: u64,
    /// It is what the device has left now, less than what was set.
    is_scarce: bool,
}

impl Memory {
    /// The least of what may be taken and what there is.
    fn of(budget: u64, available: Option<u64>) -> Self {
        let available = available.unwrap_or(u64::MAX);
        Self {
            limit: budget.min(available),
            is_scarce: available < budget,
        }
    }

    /// A model took more.
    fn refusal(self) -> Refusal {
        let mib = self.limit >> 20;
        let text = if self.is_scarce {
            format!(
                "vetting it took more than the {mib} MiB of memory that are free on this device now"
            )
        } else {
            format!(
                "vetting it took more than the {mib} MiB of memory that it may (`[vetting] memory`), or it \
                 gave up"
            )
        };
        Refusal {
            passing: self.is_scarce,
            ..Refusal::new(RejectReason::Exhausting, text)
        }
    }

    /// Refuses what took more in the child than there would be left for it here.
    fn admit(measured: Measured, available: Option<u64>) -> Result<Measured, Refusal> {
        match available {
            Some(available) if measured.peak_rss > available => {
                let (needs, has) = (measured.peak_rss >> 20, available >> 20);
                let text = format!(
                    "it takes {needs} MiB of memory, {has} MiB are free on this device now"
                );
                Err(Refusal {
                    passing: true,
                    ..Refusal::new(RejectReason::Exhausting, text)
                })
            }
            _ => Ok(measured),
        }
    }
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Task {
    #[n(0)]
    blobs: String,
    #[n(1)]
    slot: SlotName,
    #[n(2)]
    kept: Kept,
    #[n(3)]
    memory: u64,
    #[n(4)]
    seconds: u64,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Outcome {
    #[n(0)]
    measured: Option<Measured>,
    #[n(1)]
    refused: Option<Refused>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Refused {
    #[n(0)]
    reason: RejectReason,
    #[n(1)]
    text: String,
    #[n(2)]
    rotten: Option<Digest>,
}

/// Vets a bundle whose blobs are all here. Blocks until the child has ended.
pub fn vet(
    files: &Files,
    slot: &SlotName,
    kept: &Kept,
    budget: Budget,
) -> Result<Measured, Refusal> {
    let memory = Memory::of(budget.memory, report::memory_available());
    let task = codec::encode(&Task {
        blobs: files.dir().to_string_lossy().into_owned(),
        slot: slot.clone(),
        kept: kept.clone(),
        memory: memory.limit,
        seconds: budget.time.as_secs().max(1),
    });
    let mut child = match start() {
        Ok(child) => child,
        Err(err) => {
            // A system without room for a process has none for a model either.
            let text = format!("vetting cannot be started: {err}");
            return Err(Refusal::new(RejectReason::NoSpace, text));
        }
    };
    let said = converse(&mut child, &task, budget.time, memory);
    // Also when it has ended: what is not waited for stays as a zombie.
    let _ = child.kill();
    let _ = child.wait();
    // It is loaded by the process that serves next.
    said.and_then(|measured| Memory::admit(measured, report::memory_available()))
}

/// The program itself, also after its file was replaced.
fn start() -> std::io::Result<Child> {
    Command::new("/proc/self/exe")
        .arg(COMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

fn converse(
    child: &mut Child,
    task: &[u8],
    time: Duration,
    memory: Memory,
) -> Result<Measured, Refusal> {
    let mut stdin = child.stdin.take();
    let mut stdout = child.stdout.take();
    let exhausting = |text: String| Refusal::new(RejectReason::Exhausting, text);
    // A child that is gone already says why by how it ended.
    let told = stdin.as_mut().map(|stdin| stdin.write_all(task));
    drop((stdin, told));
    let wall = time * 2;
    let status = ended(child, wall).ok_or_else(|| {
        exhausting(format!(
            "vetting it did not end within {} s",
            wall.as_secs()
        ))
    })?;
    let mut said = Vec::new();
    if let Some(stdout) = &mut stdout {
        // What is cut off cannot be read, and is told as such below.
        let _ = stdout.take(MESSAGE).read_to_end(&mut said);
    }
    let outcome = codec::decode_within::<Outcome>(&said, MESSAGE as usize).ok();
    match outcome {
        Some(Outcome {
            measured: Some(measured),
            refused: None,
        }) if status.success() => Ok(measured),
        // The engine survives it when there is no memory for a tensor, and calls that a model that
        // cannot be loaded.
        Some(Outcome {
            refused: Some(refused),
            ..
        }) if refused.text.contains(NO_MEMORY) => Err(memory.refusal()),
        Some(Outcome {
            refused: Some(refused),
            ..
        }) => Err(Refusal {
            reason: refused.reason,
            text: refused.text,
            rotten: refused.rotten,
            passing: false,
        }),
        // What gets no memory aborts.
        _ if status.signal() == Some(Signal::SIGABRT as i32) => Err(memory.refusal()),
        _ => Err(exhausting(how_it_ended(status))),
    }
}

fn ended(child: &mut Child, wall: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + wall;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => thread::sleep(LOOK),
            Ok(None) | Err(_) => return None,
        }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    let signal = status
        .signal()
        .and_then(|number| Signal::try_from(number).ok());
    match signal {
        Some(Signal::SIGXCPU | Signal::SIGKILL) => {
            "vetting it took more time of the processor than it may (`[vetting] time`), or the \
             system ended it for want of memory"
                .into()
        }
        Some(signal) => format!("vetting it crashed: {signal}"),
        None => format!("vetting it ended with {status} and said nothing"),
    }
}

/// The child's part: reads what to do from standard input, does it, says what came of it.
pub fn child() -> ExitCode {
    let mut said = Vec::new();
    let read = std::io::stdin().take(MESSAGE).read_to_end(&mut said);
    let task = read
        .ok()
        .and_then(|_| codec::decode_within(&said, MESSAGE as usize).ok());
    let Some(task) = task else {
        eprintln!("`{COMMAND}` is what the agent calls itself with to vet a model");
        return ExitCode::from(2);
    };
    let outcome = match bounded(&task).and_then(|()| measured(&task)) {
        Ok(measured) => Outcome {
            measured: Some(measured),
            refused: None,
        },
        Err(refusal) => Outcome {
            measured: None,
            refused: Some(Refused {
                reason: refusal.reason,
                text: refusal.text.chars().take(4_000).collect(),
                rotten: refusal.rotten,
            }),
        },
    };
    let written = std::io::stdout().write_all(&codec::encode(&outcome));
    ExitCode::from(if written.is_ok() { 0 } else { 2 })
}

/// Gives this process no more than the task allows.
fn bounded(task: &Task) -> Result<(), Refusal> {
    measure::go_first();
    let limits = [
        // Private memory, mapped or not: the system counts no more than that against a process.
        (Resource::RLIMIT_DATA, task.memory),
        (Resource::RLIMIT_CPU, task.seconds),
        (Resource::RLIMIT_CORE, 0),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, limit, limit).map_err(|err| {
            let text = format!("vetting cannot be bounded: {err}");
            Refusal::new(RejectReason::Exhausting, text)
        })?;
    }
    Ok(())
}

fn measured(task: &Task) -> Result<Measured, Refusal> {
    let files = Files::at(PathBuf::from(&task.blobs));
    let clock = Clock::start(tern_protocol::id::BootId::default());
    let watch = clock.stopwatch();
    let loaded = bundle::load(&files, &task.slot, &task.kept, &clock, Trial::None)?;
    let load_ms = watch.micros() / 1e3;
    Ok(Measured {
        latency_us: loaded.micros(),
        load_ms,
        peak_rss: measure::peak_rss().unwrap_or(0),
    })
}

/// For logs and events.
impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0} µs a sample, loaded in {:.0} ms, {} MiB at most",
            self.latency_us,
            self.load_ms,
            self.peak_rss >> 20
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_the_device_has_left_bounds_vetting_and_is_no_fault_of_the_model() {
        let set = Memory::of(512 * MIB, Some(600 * MIB)).refusal();
        assert!(set.text.contains("512 MiB") && set.text.contains("[vetting] memory"));
        assert!(!set.passing);
        let scarce = Memory::of(512 * MIB, Some(60 * MIB)).refusal();
        assert!(
            scarce.text.contains("60 MiB") && scarce.passing,
            "{scarce:?}"
        );
        assert_eq!(
            Memory::of(7, None),
            Memory {
                limit: 7,
                is_scarce: false
            }
        );
    }

    #[test]
    fn what_would_not_fit_beside_what_serves_is_not_loaded() {
        let measured = Measured {
            latency_us: 1.0,
            load_ms: 1.0,
            peak_rss: 50 * MIB,
        };
        assert!(Memory::admit(measured, None).is_ok());
        assert!(Memory::admit(measured, Some(50 * MIB)).is_ok());
        let refusal = Memory::admit(measured, Some(49 * MIB)).expect_err("it does not fit");
        assert!(
            refusal.passing && refusal.text.contains("50 MiB"),
            "{refusal:?}"
        );
    }
}
