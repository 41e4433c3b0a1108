//! `tern-job`: stays with one attempt of a job while hubs come and go. Started by the local compute, never by a person.

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use tern_compute::supervise;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    match args.as_slice() {
        [mode, dir] if mode == "supervise" => match supervise::run(Path::new(dir)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(err) => {
                eprintln!("{err}");
                ExitCode::from(2)
            }
        },
        [mode, rest @ ..] if mode == supervise::STEP => supervise::step(rest),
        _ => {
            eprintln!(
                "tern-job is started by Tern's local compute and keeps one attempt of a job; there is nothing in it for \
                 people"
            );
            ExitCode::from(2)
        }
    }
}
