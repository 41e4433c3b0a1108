//! `tern-hub`: reads the command line, sets up the log, runs the hub.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Parser as _;
use nix::sys::stat::{Mode, umask};
use tern_hub::{
    config::{Args, Command, LogFormat},
    registry::vetting,
};
use tern_otlp::Export;
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// What is logged if `RUST_LOG` does not say otherwise: the hub's own words, and of the libraries
/// only what a person must look at. The broker reports every client that leaves as information.
const LOG: &str = "info,rmqtt=error,rmqtt_net=error,rmqtt_retainer=error,rumqttc=warn,sqlx=warn,\
                   sea_orm_migration=warn,tract_core=warn,tract_onnx=warn";

/// The command line or the surroundings are wrong; a hub that was asked to stop ends with 0.
const ERROR: u8 = 2;

fn main() -> ExitCode {
    // What the hub writes is for its owner alone: models, captures, seeds of second factors.
    umask(Mode::from_bits_truncate(0o077));
    let done = match Args::parse().command {
        Command::Serve(config) => run(config),
        Command::Ca(args) => printed(tern_hub::access::authority::command::run(args)),
        Command::User(args) => printed(tern_hub::access::people::command::run(args)),
        Command::Backup(args) => printed(tern_hub::backup::make(args)),
        Command::Restore(args) => printed(tern_hub::backup::restore(args)),
        Command::Gc(args) => printed(tern_hub::garbage::command(args)),
        // No log: its parent reads what it says.
        Command::Vet => vetting::child::run().inspect_err(|err| eprintln!("{err:#}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tracing::error!("{err:#}");
            ExitCode::from(ERROR)
        }
    }
}

fn run(config: tern_hub::config::Config) -> anyhow::Result<()> {
    let export = config.otlp.export();
    let spans = export.as_ref().ok().and_then(Option::as_ref);
    set_up_log(config.log_format, spans)?;
    let export = export.context("tern-hub")?.map(Arc::new);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting threads")?;
    let ended = runtime
        .block_on(tern_hub::serve(config, export.clone()))
        .context("tern-hub");
    if let Some(export) = export {
        export.end();
    }
    ended
}

/// Does it and prints what it says.
fn printed<E>(done: impl Future<Output = Result<String, E>>) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    set_up_log(LogFormat::Text, None)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a thread")?;
    let text = runtime.block_on(done)?;
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("printing"),
    }
}

/// Lines on stderr, and spans for a collector if there is one: a span that is for that alone is in no line.
fn set_up_log(format: LogFormat, export: Option<&Export>) -> anyhow::Result<()> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(text) => EnvFilter::try_new(text).context("RUST_LOG")?,
        Err(_) => EnvFilter::new(LOG),
    };
    let off = format!("{}=off", tern_otlp::SPANS)
        .parse()
        .expect("a directive of ours");
    let filter = filter.add_directive(off);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(export.map(Export::layer))
        .init();
    Ok(())
}
