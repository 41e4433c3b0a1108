//! Starts the process that vets, hands it the model, and waits for it no longer than it may take.

use std::{
    ffi::OsString,
    io::{self, Read, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
};

use nix::sys::signal::Signal;
use tern_protocol::{limits, rest::Finding};

use super::{Limits, Order, Verdict, VettingError, too_large};
use crate::registry::facts::finding;

/// Longest verdict, in bytes: the operators of a model and a few numbers.
const VERDICT: u64 = 1024 * 1024;

/// Longest verdict of a comparison, in bytes: golden samples in base64, and a few numbers.
const COMPARED: u64 = VERDICT + 2 * limits::PROFILE as u64;

/// What is kept of what the child says on standard error, in bytes.
const SAID: u64 = 16 * 1024;

/// What is run to vet a model.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(&'static str, &'static str)>,
}

impl Program {
    /// This program itself, also after its file was replaced by a newer one.
    pub fn this() -> Self {
        let running = Path::new("/proc/self/exe");
        let path = if running.exists() {
            running.to_owned()
        } else {
            std::env::current_exe().unwrap_or_else(|_| "tern-hub".into())
        };
        #[cfg(not(test))]
        let (args, environment) = (vec!["vet".into()], Vec::new());
        // The program of a test is the tests themselves; one of them is what is run.
        #[cfg(test)]
        let (args, environment) = (
            super::tests::CHILD.map(OsString::from).into(),
            vec![(super::tests::ASKED, "1")],
        );
        Self {
            path,
            args,
            environment,
        }
    }

    /// Another one.
    #[cfg(test)]
    pub(super) fn other(path: &str, args: &[&str]) -> Self {
        Self {
            path: path.into(),
            args: args.iter().map(OsString::from).collect(),
            environment: Vec::new(),
        }
    }
}

/// Asks for a verdict on two files.
pub(super) fn ask(
    program: &Program,
    order: &Order,
    files: &[&[u8]],
) -> Result<Verdict, VettingError> {
    let mut child = Command::new(&program.path)
        .args(&program.args)
        // Nothing of the hub's surroundings is the model's business.
        .env_clear()
        .envs(program.environment.iter().copied())
        // Its memory is bounded by address space, of which the allocator would hold a gigabyte in advance.
        .env("MIMALLOC_ARENA_RESERVE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(VettingError::Start)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let order_line = serde_json::to_vec(order).expect("an order is JSON");
    let most = match &order.compare {
        None => VERDICT,
        Some(_) => COMPARED,
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            let Some(mut stdin) = stdin else { return };
            // A child that ends early says why by itself.
            let _ = stdin.write_all(&order_line).and_then(|()| {
                stdin.write_all(b"\n")?;
                files.iter().try_for_each(|file| stdin.write_all(file))
            });
        });
        let said = scope.spawn(move || stderr.map(|pipe| bounded(pipe, SAID)).unwrap_or_default());
        let (done, ended) = channel();
        scope.spawn(move || {
            // Nobody hears it if it comes too late.
            let _ = done.send(stdout.map(|pipe| bounded(pipe, most)).unwrap_or_default());
        });
        let output = ended.recv_timeout(order.limits.time);
        if let Err(RecvTimeoutError::Timeout) = output
            && let Err(err) = child.kill()
        {
            tracing::warn!(%err, "a process that vets too long could not be ended");
        }
        let status = child.wait().map_err(VettingError::Start)?;
        let said = said.join().unwrap_or_default();
        let verdict = match output {
            Ok(output) => verdict(&output),
            Err(_) => return Err(refused(too_long(order.limits))),
        };
        verdict.ok_or_else(|| refused(ended_badly(status, &said, order.limits)))
    })
}

/// Reads to the end, and keeps so much.
fn bounded(mut pipe: impl Read, most: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    // A pipe that breaks has ended.
    let _ = pipe.by_ref().take(most).read_to_end(&mut kept);
    let _ = io::copy(&mut pipe, &mut io::sink());
    kept
}

/// The last line that is a verdict.
fn verdict(output: &[u8]) -> Option<Verdict> {
    let lines = output.split(|byte| *byte == b'\n').rev();
    lines
        .filter(|line| line.first() == Some(&b'{'))
        .find_map(|line| serde_json::from_slice(line).ok())
}

fn refused(finding: Finding) -> VettingError {
    VettingError::Refused(vec![finding])
}

fn too_long(limits: Limits) -> Finding {
    finding(
        "time",
        "model",
        format!("vetting did not end within {} s", limits.time.as_secs_f64()),
        "publish a smaller model; what takes so long here never answers on a device",
    )
}

fn ended_badly(status: ExitStatus, said: &[u8], limits: Limits) -> Finding {
    let signal = status
        .signal()
        .and_then(|number| Signal::try_from(number).ok());
    let said = String::from_utf8_lossy(said);
    match signal {
        Some(Signal::SIGXCPU) => too_long(limits),
        // The allocator's last words, or the system's when the whole machine runs out.
        Some(Signal::SIGABRT) if said.contains("memory allocation of") => too_large(limits),
        Some(Signal::SIGKILL) => too_large(limits),
        _ => {
            let how = signal.map_or_else(|| status.to_string(), |signal| signal.to_string());
            let words: String = said.trim().chars().take(500).collect();
            let words = if words.is_empty() {
                String::new()
            } else {
                format!(": {words}")
            };
            finding(
                "crash",
                "model",
                format!("the engine crashed while it loaded or ran the model ({how}){words}"),
                "simplify the graph (for example with onnxsim) or export it with another opset, \
                 then publish again",
            )
        }
    }
}
