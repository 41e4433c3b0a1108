//! Programs that tests run: this very program, told by a variable which of them it is.

use std::{env, path::Path};

use tern_compute::{
    job::{JobSpec, Variable},
    local::Local,
};

use crate::bench::{key, settings, shell};

pub const WHICH: &str = "WHICH_PROGRAM";
pub const ROOT: &str = "ROOT_OF_COMPUTE";
pub const SCRIPT: &str = "SCRIPT_OF_JOB";

/// The words by which this program becomes one of those below.
pub fn words() -> [String; 4] {
    let this = env::current_exe().unwrap();
    let this = this.to_str().unwrap();
    [this, "--exact", "programs::program", "--nocapture"].map(str::to_owned)
}

/// A job that is one of them.
pub fn job(which: &str) -> JobSpec {
    let mut spec = JobSpec::of(words());
    let which = Variable::Plain(which.to_owned());
    spec.variables.insert(WHICH.to_owned(), which);
    spec
}

/// What other tests run; by itself it does nothing.
#[test]
fn program() {
    match env::var(WHICH).as_deref() {
        Err(env::VarError::NotPresent) => {}
        // More than its job's limit of 64 MiB, less than twice as much.
        Ok("holds too much") => {
            let held = vec![1_u8; 96 << 20];
            loop {
                std::thread::park();
                assert_eq!(held[held.len() / 2], 1);
            }
        }
        Ok("asks for too much") => {
            let held = vec![1_u8; 1 << 30];
            panic!("it got {} bytes", held.len());
        }
        Ok("holds little") => {
            let held = vec![1_u8; 8 << 20];
            assert_eq!(held[held.len() / 2], 1);
        }
        Ok("burns") => {
            let mut sum = 0_u64;
            for number in 0..400_000_000_u64 {
                sum = std::hint::black_box(sum ^ number);
            }
            assert_eq!(sum & 1, 0);
        }
        Ok("owner") => {
            let root = env::var(ROOT).unwrap();
            let local = Local::open(settings(Path::new(&root))).unwrap();
            let script = env::var(SCRIPT).unwrap();
            local.start(key(1), &shell(&script), &[]).unwrap();
            println!("started");
            loop {
                std::thread::park();
            }
        }
        other => panic!("no program: {other:?}"),
    }
}
