//! `tern-agent join`: reads the command line and the configuration, and says what came of it.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use tern_agent::{
    config::Config,
    identity::{file::IdentityFiles, join},
};
use tern_protocol::join::{JoinToken, TOKEN_MAX};

/// Joined.
const YES: u8 = 0;
/// The hub said no.
const NO: u8 = 1;
/// Something is wrong here, or the hub was not reached.
const ERROR: u8 = 2;

/// Whether a device that has joined joins again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// It stays who it is.
    No,
    /// With a new key; the hub takes it for another claim to the same name, which somebody accepts.
    Replace,
}

/// Runs the command.
pub(crate) fn command(args: &[&str], usage: &str) -> ExitCode {
    let (mut config, mut again, mut token) = (PathBuf::from("agent.toml"), Again::No, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "--replace" => again = Again::Replace,
            "--config" => match args.next() {
                Some(file) => config = file.into(),
                None => token = None,
            },
            arg if token.is_none() && (arg == "-" || !arg.starts_with('-')) => token = Some(arg),
            _ => {
                eprint!("{usage}");
                return ExitCode::from(ERROR);
            }
        }
    }
    let Some(token) = token else {
        eprint!("{usage}");
        return ExitCode::from(ERROR);
    };
    match run(&config, again, token) {
        Ok(code) => ExitCode::from(code),
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::from(ERROR)
        }
    }
}

fn run(path: &Path, again: Again, token: &str) -> anyhow::Result<u8> {
    let token: JoinToken = match token {
        "-" => {
            let mut text = String::new();
            let mut input = std::io::stdin().take(2 * TOKEN_MAX as u64);
            input
                .read_to_string(&mut text)
                .context("reading the token")?;
            text.parse()?
        }
        text => text.parse()?,
    };
    let config = Config::load(path).with_context(|| {
        format!(
            "{} says who this device is; write it first, as docs/devices.md shows",
            path.display()
        )
    })?;
    let files = IdentityFiles::at(config.identity.clone());
    if let Some(joined) = files.read()?
        && again == Again::No
    {
        let credentials = &joined.credentials;
        println!(
            "this device has joined already, as {} of workspace {}; `--replace` joins again with a \
             new key",
            credentials.device, credentials.workspace
        );
        return Ok(YES);
    }
    let device = config
        .device
        .clone()
        .with_context(|| format!("{}: set `device`, the name to join under", path.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let waits = |reason: &str| {
        println!(
            "asked to join as {device}; somebody has to accept it: {reason}\n\
             waiting; it may be stopped, and goes on with the same key when it is started again"
        );
    };
    let joining = join::join(&files, &token, &device, config.hardware_id.clone(), waits);
    match runtime.block_on(joining) {
        Ok(credentials) => {
            println!(
                "joined as {} of workspace {}; the identity is in {}\n\
                 next: tern-agent run --config {}",
                credentials.device,
                credentials.workspace,
                files.path().display(),
                path.display()
            );
            Ok(YES)
        }
        Err(err) if err.is_refusal() => {
            eprintln!("{}", tern_agent::chain(&err));
            Ok(NO)
        }
        Err(err) => Err(err.into()),
    }
}
