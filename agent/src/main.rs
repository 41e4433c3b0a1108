//! `tern-agent run --config FILE`: puts the agent together; `tern-agent join`: lets it in. Exit
//! codes: 0 done, 1 refused, 2 error.

#[cfg(feature = "otlp")]
mod export;
mod lives;
mod ways;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tern_agent::{
    SPANS,
    capture::{Captures, policy::Policy},
    chance::Chance,
    clock::Clock,
    config::Config,
    identity::{self, standing::Standing},
    node::board::Board,
    serve::{self, Shared, predict::Predictor},
    slots::Slots,
    vetting,
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc, watch},
};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use self::{lives::Lives, ways::Ways};

const USAGE: &str = "\
usage: tern-agent run --config FILE
       tern-agent join [--config FILE] [--device NAME] TOKEN
       tern-agent --version | --help

`run` runs the agent of one device. RUST_LOG sets what is logged (default: info).
Exit codes: 0 stopped by SIGTERM or SIGINT, 2 error.

`join` lets this device in at the hub, with a token from `tern device invite`; `-` reads the token
from standard input. FILE is agent.toml if not given; it is written if it is not there and --device
is given. Exit codes: 0 joined (now or before), 1 refused, 2 error.
";

/// Captures and labels that wait for the node: a burst, at most 4 MiB.
const INPUTS: usize = 64;

/// Threads for what takes its time: a load and some hashing, or slow models.
const BLOCKING: usize = 4;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let config = match args[..] {
        ["run", "--config", file] => PathBuf::from(file),
        ["join", ref rest @ ..] => return join(rest),
        [vetting::COMMAND] => return vetting::child(),
        ["--version" | "-V"] => {
            println!("tern-agent {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        ["--help" | "-h" | "help"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tracing::error!("{err:#}");
            ExitCode::from(2)
        }
    }
}

/// What goes to a collector.
#[cfg(feature = "otlp")]
type Exported = Option<Arc<tern_otlp::Export>>;
#[cfg(not(feature = "otlp"))]
type Exported = ();

fn join(args: &[&str]) -> ExitCode {
    let (mut config, mut device) = ("agent.toml", None);
    let mut rest = args;
    let token = loop {
        match rest {
            ["--config", file, more @ ..] => (config, rest) = (file, more),
            ["--device", name, more @ ..] => match name.parse() {
                Ok(name) => (device, rest) = (Some(name), more),
                Err(err) => {
                    eprintln!("--device: {err}");
                    return ExitCode::from(2);
                }
            },
            [token] if *token == "-" || !token.starts_with('-') => break token,
            _ => {
                eprint!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    };
    lines().init();
    let joined = runtime()
        .map(|runtime| runtime.block_on(identity::join::join(Path::new(config), device, token)));
    match joined {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(err)) => {
            eprintln!("{}", tern_agent::chain(&err));
            ExitCode::from(if err.is_refusal() { 1 } else { 2 })
        }
        Err(err) => {
            eprintln!("{err}");
            ExitCode::from(2)
        }
    }
}

/// Lines on stderr. A span that is for a collector alone is in none of them.
fn lines() -> impl tracing::Subscriber + for<'span> LookupSpan<'span> {
    let filter = std::env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_filter(filter.with_target(SPANS, LevelFilter::OFF));
    tracing_subscriber::registry().with(lines)
}

/// Reads the configuration, and sets up the log, with what goes to a collector if one is set.
#[cfg(feature = "otlp")]
fn set_up(config: &Path) -> anyhow::Result<(Config, Exported)> {
    let both = Config::load(config)
        .map_err(anyhow::Error::from)
        .and_then(|config| Ok((export::start(&config)?, config)));
    let layer = both.as_ref().ok().and_then(|(export, _)| export.as_ref());
    lines().with(layer.map(|export| export.layer())).init();
    let (export, config) = both?;
    Ok((config, export))
}

/// Reads the configuration, and sets up the log.
#[cfg(not(feature = "otlp"))]
fn set_up(config: &Path) -> anyhow::Result<(Config, Exported)> {
    lines().init();
    let config = Config::load(config)?;
    anyhow::ensure!(
        config.otlp.is_none(),
        "`[otlp]` is set, and this agent was built without it"
    );
    Ok((config, ()))
}

fn run(config: &Path) -> anyhow::Result<()> {
    let (config, exported) = set_up(config)?;
    let ended = work(config, &exported);
    #[cfg(feature = "otlp")]
    if let Some(export) = exported {
        export.end();
    }
    ended
}

#[cfg_attr(not(feature = "otlp"), allow(unused_variables))]
fn work(config: Config, exported: &Exported) -> anyhow::Result<()> {
    // Created by the store otherwise, but the address comes first.
    let made = std::fs::create_dir_all(&config.state);
    made.with_context(|| format!("making {}", config.state.display()))?;
    let clock = Clock::not_counted();
    let mut chance = Chance::from_system().context("seeding")?;
    let slots = config.slots.iter().map(|slot| slot.name.clone());
    let slots = Arc::new(Slots::new(slots));
    let first = lives::first_store(&config, clock, &slots)?;
    let numbers = lives::numbers(clock)?;
    let listener = serve::bind(config.http.listen, &config.state.join("http.addr"))?;

    let (inputs_in, inputs) = mpsc::channel(INPUTS);
    let (stop_in, stop) = watch::channel(false);
    let (served_in, served) = watch::channel(false);
    let wake = Arc::new(Notify::new());
    let board = Arc::new(Board::new(&slots));

    let standing = config.joined.clone();
    let standing = standing.map(|joined| Standing::new(joined, clock));
    let standing = standing.transpose().context("the key of this device")?;

    let policy = Policy::new(config.captures.clone(), chance.split(), clock.uptime());
    let workspace = config.workspace.clone();
    let captures = Arc::new(Captures::new(policy, workspace, clock, inputs_in.clone()));
    let shared = Arc::new(Shared {
        device: config.device.clone(),
        predictor: Predictor::new(
            Arc::clone(&slots),
            clock,
            numbers,
            Arc::clone(&captures),
            inputs_in,
            Arc::clone(&wake),
        ),
        board: Arc::clone(&board),
        identity: standing.clone(),
    });
    let (inputs_of_slots, serve_stop) = (config.slots.clone(), stop.clone());
    #[cfg(feature = "otlp")]
    let telling = exported
        .clone()
        .map(|export| export::tell(export, Arc::clone(&shared), stop.clone()));
    let serving = thread::Builder::new().name("serve".into()).spawn(move || {
        let ended = runtime().and_then(|runtime| {
            #[cfg(feature = "otlp")]
            if let Some(telling) = telling {
                runtime.spawn(telling);
            }
            runtime.block_on(serve::run(listener, shared, inputs_of_slots, serve_stop))
        });
        served_in.send_replace(true);
        ended
    });
    let serving = serving.context("starting the thread that serves")?;

    runtime()?.block_on(async {
        tokio::spawn(stop_on_signal(stop_in)?);
        let ways = Ways::open(&config, standing, clock, chance.split())?;
        let lives = Lives {
            config,
            clock,
            chance,
            slots,
            board,
            captures,
            ways,
        };
        let ears = (inputs, wake, stop, served);
        Box::pin(lives.run(first, ears)).await
    })?;
    let served = serving.join();
    served
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        .context("serving")
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
}

/// Tells everyone to stop when the system asks for it.
fn stop_on_signal(stop: watch::Sender<bool>) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
    })
}
