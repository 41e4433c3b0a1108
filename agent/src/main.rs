//! `tern-agent run --config FILE`: puts the agent together; `tern-agent join`: lets it in. Exit
//! codes: 0 done, 1 refused, 2 error.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tern_agent::{
    capture::Policy,
    chance::Chance,
    clock::Clock,
    config::Config,
    fetch::{
        Blobs,
        download::{Downloads, Route},
        files::Files,
    },
    identity::{self, renew::Renewer, standing::Standing},
    link::{Identity, Link, Settings, Way},
    node::{Ears, Node, Parts, board::Board},
    outbox::Outbox,
    serve::{self, Shared, predict::Predictor},
    slots::Slots,
    state::{Opening, Store},
    trust::{self, Trust},
    vetting,
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc, watch},
};
use tracing_subscriber::{
    filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

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

/// Messages from the link that wait for the node: a megabyte of chunks.
const HEARD: usize = 16;

/// Captures and labels that wait for the node: a burst, at most 4 MiB.
const INPUTS: usize = 64;

/// The store may take this much on disk besides the outbox before it is rewritten at start.
const STORE_SPARE: u64 = 32 << 20;

/// Threads for what takes its time: a load and some hashing, or slow models.
const BLOCKING: usize = 4;

/// When the store fails, requests are still answered for so long before the agent ends, to be
/// started again: what broke may be gone then.
const LAST_STAND: Duration = Duration::from_mins(1);

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
    log();
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tracing::error!("{err:#}");
            ExitCode::from(2)
        }
    }
}

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
    log();
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

/// How the broker is reached as this identity.
fn way(config: &Config, joined: Option<&identity::file::Identity>) -> Result<Way, String> {
    let tls = joined.map(|joined| joined.tls(identity::floor(Some(joined.credentials.not_before))));
    Ok(Way {
        brokers: config.brokers(joined),
        tls: tls.transpose()?,
    })
}

/// How the hub is reached by HTTPS as this identity.
fn route(config: &Config, joined: Option<&identity::file::Identity>, way: &Way) -> Route {
    Route {
        bases: config.hubs(joined),
        tls: way.tls.clone(),
    }
}

/// Starts what renews the identity and tells the link and the downloads.
fn renew(
    config: &Config,
    standing: Standing,
    clock: Clock,
    chance: Chance,
    doubt: Arc<Notify>,
    (ways, routes): (watch::Sender<Way>, watch::Sender<Route>),
) {
    let mut newest = standing.newest();
    let renewer = Renewer {
        path: config.identity.clone(),
        clock,
        chance,
        doubt,
        standing,
    };
    tokio::spawn(renewer.run());
    let config = config.clone();
    tokio::spawn(async move {
        while newest.changed().await.is_ok() {
            let joined = newest.borrow_and_update().clone();
            match way(&config, Some(&joined)) {
                Ok(way) => {
                    routes.send_replace(route(&config, Some(&joined), &way));
                    ways.send_replace(way);
                }
                Err(err) => tracing::warn!("the renewed certificate cannot be used: {err}"),
            }
        }
    });
}

fn log() {
    let filter = std::env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
}

fn run(config: &Path) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let limit = config.outbox.limit.0;
    let (store, opening) = Store::open(&config.state, 2 * limit + STORE_SPARE)?;
    if let Opening::Fresh { aside, reason } = opening {
        tracing::error!(aside = %aside.display(), "the store was damaged, a fresh one is used: {reason}");
    }
    let clock = Clock::start(store.next_boot()?);
    let mut chance = Chance::from_system().context("seeding")?;
    let blobs = Blobs::open(Files::open(config.state.join("blobs"))?, chance.split())?;
    let blobs = blobs.by(config.fetching(), chance.split());
    let pinned = config
        .joined
        .as_ref()
        .and_then(|joined| joined.credentials.root.clone());
    let trust = Trust::open(
        trust::directory(&config.state),
        pinned.map(String::into_bytes),
        store.clone(),
    )?;
    let outbox = Outbox::open(store.clone(), limit, chance.split())?;
    let slots = Arc::new(Slots::new(
        config.slots.iter().map(|slot| slot.name.clone()),
    ));
    let listener = serve::bind(config.http.listen, config.state.join("http.addr"))?;

    let (heard_in, heard) = mpsc::channel(HEARD);
    let (inputs_in, inputs) = mpsc::channel(INPUTS);
    let (stop_in, stop) = watch::channel(false);
    let (served_in, served) = watch::channel(false);
    let wake = Arc::new(Notify::new());
    let board = Arc::new(Board::new(&slots));

    let standing = config.joined.clone();
    let standing = standing.map(|joined| Standing::new(joined, clock));
    let standing = standing.transpose().context("the key of this device")?;

    let policy = Policy::new(config.captures.clone(), chance.split());
    let shared = Arc::new(Shared {
        device: config.device.clone(),
        predictor: Predictor::new(
            Arc::clone(&slots),
            clock,
            policy,
            inputs_in,
            Arc::clone(&wake),
        ),
        board: Arc::clone(&board),
        identity: standing.clone(),
    });
    let (inputs_of_slots, serve_stop) = (config.slots.clone(), stop.clone());
    let serving = thread::Builder::new().name("serve".into()).spawn(move || {
        let ended = runtime().and_then(|runtime| {
            runtime.block_on(serve::run(listener, shared, inputs_of_slots, serve_stop))
        });
        served_in.send_replace(true);
        ended
    });
    let serving = serving.context("starting the thread that serves")?;

    let node = runtime()?.block_on(async {
        let identity = Identity {
            workspace: config.workspace.clone(),
            device: config.device.clone(),
            boot: clock.boot(),
        };
        let first = way(&config, config.joined.as_ref()).map_err(anyhow::Error::msg)?;
        let first_route = route(&config, config.joined.as_ref(), &first);
        let (routes, route) = watch::channel(first_route);
        let (ways, way) = watch::channel(first);
        let doubt = Arc::new(Notify::new());
        let settings = Settings {
            way,
            keep_alive: config.mqtt.keep_alive.0,
            doubt: Arc::clone(&doubt),
        };
        if let Some(standing) = standing {
            let newer = (ways, routes);
            renew(&config, standing, clock, chance.split(), doubt, newer);
        }
        let downloads = Downloads::new(config.workspace.clone(), route, heard_in.clone());
        let link = Link::start(identity, settings, heard_in, chance.split());
        tokio::spawn(stop_on_signal(stop_in)?);
        let parts = Parts {
            config,
            clock,
            store,
            blobs,
            trust,
            downloads,
            outbox,
            slots,
            link,
            board,
        };
        let ears = Ears {
            heard,
            inputs,
            wake,
            stop: stop.clone(),
            served,
        };
        let ended = Node::run(parts, ears).await;
        if let Err(err) = &ended {
            tracing::error!(
                "{}; requests are answered for {} s more",
                tern_agent::chain(err),
                LAST_STAND.as_secs()
            );
            let mut stop = stop.clone();
            let stopped = stop.wait_for(|stop| *stop);
            // Whichever comes first, the agent ends.
            let _ = tokio::time::timeout(LAST_STAND, stopped).await;
        }
        ended.context("the agent cannot keep its state")
    });
    if node.is_ok() {
        let served = serving.join();
        served
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            .context("serving")?;
    }
    node
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
