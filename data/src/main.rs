//! `tern-data`: prepares a dataset. Exit codes: 0 done, 1 what was declared cannot be done, 2 error.

use std::{ffi::OsString, fs, io, path::PathBuf, process::ExitCode};

use tern_data::PrepareError;
use tern_protocol::rest::{PREPARATION_STEPS, Preparation};

const USAGE: &str = "usage: tern-data prepare --from DIR --steps FILE --to DIR [--attended]

DIR holds dataset.json and its Parquet files, as `tern dataset get` writes them.
FILE declares the steps, YAML or JSON. The other directory is made.
With --attended it ends when standard input does: with whoever started it.";

/// Longest declaration, in bytes.
const STEPS: u64 = 1024 * 1024;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(order) = Order::parse(&args) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if order.attended {
        end_with_input();
    }
    match order.carry_out() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            let mut text = err.to_string();
            let mut cause = std::error::Error::source(&err);
            while let Some(err) = cause {
                text.push_str(": ");
                text.push_str(&err.to_string());
                cause = err.source();
            }
            eprintln!("{text}");
            ExitCode::from(if err.is_refusal() { 1 } else { 2 })
        }
    }
}

/// Whoever started this may be killed, and then nobody waits for what comes of it.
fn end_with_input() {
    std::thread::spawn(|| {
        // An input that cannot be read is nobody either.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(2);
    });
}

struct Order {
    from: PathBuf,
    steps: PathBuf,
    to: PathBuf,
    attended: bool,
}

impl Order {
    fn parse(args: &[OsString]) -> Option<Self> {
        let (command, options) = args.split_first()?;
        let (attended, options) = match options.split_last() {
            Some((last, rest)) if last == "--attended" => (true, rest),
            _ => (false, options),
        };
        if command != "prepare" || options.len() != 6 {
            return None;
        }
        let of = |name: &str| {
            let mut pairs = options.chunks_exact(2);
            pairs.find_map(|pair| (pair[0] == name).then(|| PathBuf::from(&pair[1])))
        };
        Some(Self {
            from: of("--from")?,
            steps: of("--steps")?,
            to: of("--to")?,
            attended,
        })
    }

    fn carry_out(&self) -> Result<(), PrepareError> {
        let steps = self.steps.display();
        let wrong = |source: io::Error| PrepareError::Io {
            doing: format!("reading {steps}"),
            source,
        };
        if fs::metadata(&self.steps).map_err(wrong)?.len() > STEPS {
            return Err(PrepareError::Refused(format!(
                "{steps} has more than {STEPS} bytes, which are no steps"
            )));
        }
        let text = fs::read_to_string(&self.steps).map_err(wrong)?;
        let preparation: Preparation = serde_saphyr::from_str(&text)
            .map_err(|err| PrepareError::Refused(format!("{steps}: {err}")))?;
        if !(1..=PREPARATION_STEPS).contains(&preparation.steps.len()) {
            return Err(PrepareError::Refused(format!(
                "a preparation has 1 to {PREPARATION_STEPS} steps"
            )));
        }
        tern_data::prepare(&self.from, &preparation, &self.to)
    }
}
