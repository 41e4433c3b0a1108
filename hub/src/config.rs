//! What a person may set, from the command line and the environment.
//!
//! Read once by `main.rs`; each part is handed its own piece.

mod backup;
mod broker;
mod certificate;
mod database;
mod drift;
mod jobs;
mod oidc;
mod otlp;
mod retention;
mod smtp;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use tern_protocol::id::{UserName, WorkspaceId};

pub use self::backup::{BackupArgs, RestoreArgs};
pub use self::broker::{BrokerArgs, BrokerSettingsError};
pub use self::certificate::CertificateArgs;
pub use self::database::{DatabaseArgs, DatabaseSettingsError, DatabaseUrl};
pub use self::jobs::{JobsArgs, Switch};
pub use self::oidc::OidcArgs;
pub use self::otlp::{OtlpArgs, OtlpError};
pub use self::smtp::{SmtpArgs, SmtpSettingsError};
pub use self::{
    drift::Drift,
    retention::{KeepCaptures, Retention},
};
use crate::access::{identity::Lives, reach};

/// Tern's cloud side: registry, broker, rollouts, monitoring, dashboard.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "tern-hub", version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the hub can be asked to do.
#[derive(Debug, Clone, clap::Subcommand)]
#[allow(clippy::large_enum_variant)] // made once, at start
pub enum Command {
    /// Run until SIGTERM or Ctrl-C.
    Serve(Config),
    /// The certificate authorities that vouch for the hub and for its devices; the hub may run.
    Ca(CaArgs),
    /// Accounts, for whoever is locked out; the hub may run.
    User(UserArgs),
    /// Put everything that lasts into one encrypted file; the hub may run.
    Backup(BackupArgs),
    /// Make a data directory of a backup.
    Restore(RestoreArgs),
    /// Remove blobs that nothing refers to; the hub may run, and does it by itself now and then.
    Gc(GcArgs),
    /// Vet the model on standard input: what the hub runs for each that is published.
    #[command(hide = true)]
    Vet,
}

/// Settings of `tern-hub gc`.
#[derive(Debug, Clone, clap::Args)]
pub struct GcArgs {
    /// Directory of the hub, as `tern-hub serve` has it.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub data: PathBuf,
    /// Keep what was uploaded or asked for within this time, at least 10m: it may be about to be
    /// published.
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = grace)]
    pub grace: Duration,
    /// Only say what would go.
    #[arg(long)]
    pub dry_run: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// Where its database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// Settings of `tern-hub ca`.
#[derive(Debug, Clone, clap::Args)]
pub struct CaArgs {
    /// Directory of the hub, as `tern-hub serve` has it.
    #[arg(long, value_name = "DIR", global = true, default_value = ".")]
    pub data: PathBuf,
    /// Where its database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What to do.
    #[command(subcommand)]
    pub action: CaAction,
}

/// What can be done with authorities.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum CaAction {
    /// Print the certificates that vouch for the hub, the newest first; no keys.
    Export {
        /// Those of a workspace instead.
        #[arg(long)]
        workspace: Option<WorkspaceId>,
    },
    /// Show the authorities, and how many identities hang on each.
    List {
        /// Only those of a workspace.
        #[arg(long)]
        workspace: Option<WorkspaceId>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a new authority that issues from now on; those before it stay trusted.
    Rotate {
        /// One that vouches only for devices of this workspace.
        #[arg(long)]
        workspace: Option<WorkspaceId>,
    },
    /// Take an authority from outside, as an intermediate of your own; it issues from now on.
    Import {
        /// Its certificate in PEM, followed by those between it and its root.
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// Its key: PKCS #8 in PEM, unencrypted.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// It vouches only for devices of this workspace.
        #[arg(long)]
        workspace: Option<WorkspaceId>,
    },
    /// Write what an MQTT broker of your own needs into a directory: its certificate and key, the
    /// authorities of its clients, and the certificates that are good no more.
    Broker {
        /// The directory; made if missing.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// A name under which hub and devices reach the broker. Repeatable.
        #[arg(long = "name", value_name = "NAME", required = true, value_parser = reach::name)]
        names: Vec<String>,
        /// Let in the devices of this workspace, which has authorities of its own, and no others.
        #[arg(long)]
        workspace: Option<WorkspaceId>,
    },
    /// Print the certificates that are good no more before their end, as lists (CRL) in PEM, one for each
    /// authority.
    Crl,
    /// Trust an authority no more, and remove its key.
    Retire {
        /// Its id, as `tern-hub ca list` shows it.
        id: String,
        /// Even if devices are shut out by it.
        #[arg(long)]
        force: bool,
    },
}

/// Settings of `tern-hub user`.
#[derive(Debug, Clone, clap::Args)]
pub struct UserArgs {
    /// Directory of the hub, as `tern-hub serve` has it.
    #[arg(long, value_name = "DIR", global = true, default_value = ".")]
    pub data: PathBuf,
    /// Where its database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What to do.
    #[command(subcommand)]
    pub action: UserAction,
}

/// What can be done with accounts on the hub's machine.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum UserAction {
    /// Show the accounts, and which of them run the hub.
    List,
    /// Print a link with which an account sets a new password, within three days; its old password, second
    /// factor and sessions end now.
    Link {
        /// The account.
        user: UserName,
        /// The name under which whoever uses the link reaches the hub.
        #[arg(long, default_value = "localhost", value_parser = reach::name)]
        name: String,
    },
}

/// Settings of `tern-hub serve`.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Directory for everything that lasts: database, blobs, addresses; made if missing.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Address for HTTPS: API, dashboard, health. Port 0 takes a free one. By default
    /// 127.0.0.1:8443, or 127.0.0.1:8080 for plain HTTP.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Address for MQTT over mutual TLS: devices. Port 0 takes a free one. By default
    /// 127.0.0.1:8883, or 127.0.0.1:1883 for plain MQTT.
    #[arg(long, value_name = "ADDR", conflicts_with = "broker")]
    pub mqtt: Option<SocketAddr>,
    /// Speak plain HTTP and plain MQTT, without any login: whoever is on this machine may do all.
    /// Refused unless both addresses are on loopback. For trying out and for tests.
    #[arg(long)]
    pub insecure_loopback: bool,
    /// A name under which devices and people reach the hub, best first: in tokens, certificates and
    /// links. Repeatable.
    #[arg(long = "name", value_name = "NAME", default_value = "localhost", value_parser = reach::name)]
    pub names: Vec<String>,
    /// The certificate for browsers.
    #[command(flatten)]
    pub certificate: CertificateArgs,
    /// Life of a device's certificate, as `30d`, `12h`, `90s`; devices renew at half of it.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration)]
    pub certificate_life: Duration,
    /// How long after its expiry a certificate may still be renewed with its key.
    #[arg(long, value_name = "TIME", default_value = "180d", value_parser = duration)]
    pub expired_grace: Duration,
    /// Most bytes of models to send a second, over all models, by MQTT and HTTPS; no limit by default.
    #[arg(long, value_name = "BYTES_PER_S", value_parser = clap::value_parser!(u64).range(1..))]
    pub egress_limit: Option<u64>,
    /// Most bytes of chunks to publish a second for the devices of one site, each chunk counted once
    /// however many of them listen; no limit by default.
    #[arg(long, value_name = "BYTES_PER_S", value_parser = clap::value_parser!(u64).range(1..))]
    pub site_egress_limit: Option<u64>,
    /// Most bytes of chunks to publish a second of one blob, as a model's weights; no limit by default.
    #[arg(long, value_name = "BYTES_PER_S", value_parser = clap::value_parser!(u64).range(1..))]
    pub blob_egress_limit: Option<u64>,
    /// Most downloads of devices by HTTPS at a time; more are told to come again. 0: none.
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = downloads)]
    pub downloads: usize,
    /// Room for deltas between versions, in bytes: those from the oldest versions go first. 0: none are
    /// made, and devices fetch whole files.
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024 * 1024)]
    pub delta_budget: u64,
    /// Room for artifacts of runs, in bytes, for each workspace: what does not fit is refused.
    #[arg(long, value_name = "BYTES", default_value_t = crate::tracking::QUOTA)]
    pub artifact_quota: u64,
    /// Datastores of the kind `directory` may be in this directory or below it. Repeatable; none may be without.
    #[arg(long = "datastore-root", value_name = "DIR")]
    pub datastore_roots: Vec<PathBuf>,
    /// Keep blobs that nothing refers to for this time after they were uploaded or asked for, at least
    /// 10m; then they go.
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = grace)]
    pub blob_grace: Duration,
    /// Read all blobs that something refers to, and the database, once in this time, slowly, and look
    /// whether they are sound; `off`: only when they are needed.
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = scrub)]
    pub scrub: Scrub,
    /// Look at the rules of alerts this often.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    pub alert_every: Duration,
    /// Look this often at models that have a policy of retraining.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub retrain_every: Duration,
    /// How log lines look, on stderr. What is logged is set by `RUST_LOG`, by default `info`.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Where its database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// A broker of the operator's own.
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// Encrypt captured inputs in the database with the key in this file: 32 bytes, or 64 hex digits. Repeatable: the
    /// first encrypts, all decrypt.
    #[arg(long = "capture-key", value_name = "FILE")]
    pub capture_keys: Vec<PathBuf>,
    /// How long telemetry is kept.
    #[command(flatten)]
    pub retention: Retention,
    /// How models are watched.
    #[command(flatten)]
    pub drift: Drift,
    /// Jobs.
    #[command(flatten)]
    pub jobs: JobsArgs,
    /// Where mail is handed in.
    #[command(flatten)]
    pub smtp: SmtpArgs,
    /// Numbers and spans for others.
    #[command(flatten)]
    pub otlp: OtlpArgs,
    /// Login by an OpenID provider. Last: its heading stands over all that follows.
    #[command(flatten)]
    pub oidc: OidcArgs,
}

/// The plain listeners would be reachable from other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "`--insecure-loopback` lets anybody in without a login, so it works on loopback only, and {0} is \
     not; leave it out, or choose an address such as 127.0.0.1:{port}", port = .0.port()
)]
pub struct NotLoopback(pub SocketAddr);

impl Config {
    /// Address for HTTP or HTTPS.
    pub fn http(&self) -> SocketAddr {
        let port = if self.insecure_loopback { 8080 } else { 8443 };
        self.http.unwrap_or((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Address for MQTT, plain or over TLS.
    pub fn mqtt(&self) -> SocketAddr {
        let port = if self.insecure_loopback { 1883 } else { 8883 };
        self.mqtt.unwrap_or((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Whether what is insecure stays on this machine.
    pub fn check(&self) -> Result<(), NotLoopback> {
        let open = [self.http(), self.mqtt()]
            .into_iter()
            .find(|address| !address.ip().is_loopback());
        match open {
            Some(address) if self.insecure_loopback => Err(NotLoopback(address)),
            _ => Ok(()),
        }
    }

    /// Names that the hub's certificate holds for: those given, and the addresses that it binds if
    /// they are of one machine.
    pub fn certified_names(&self) -> Vec<String> {
        let bound = [self.http().ip(), self.mqtt().ip()].into_iter();
        let bound = bound.filter(|ip| !ip.is_unspecified());
        let mut names = self.names.clone();
        names.extend(bound.map(|ip| ip.to_string()));
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// Settings of the life of identities.
    pub const fn lives(&self) -> Lives {
        Lives {
            certificate: self.certificate_life,
            expired_grace: self.expired_grace,
        }
    }
}

/// Downloads at a time: each is a connection and half a megabyte.
fn downloads(text: &str) -> Result<usize, String> {
    const MOST: usize = 10_000;
    let count = text.parse().ok().filter(|count| *count <= MOST);
    count.ok_or_else(|| format!("a whole number up to {MOST}"))
}

/// `90s`, `5m`, `12h`, `30d`; at least a second, at most a hundred years.
fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST_S: u64 = 100 * 366 * 86_400;
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: Option<u64> = digits.parse().ok();
    let unit = match &text[digits.len()..] {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = number.zip(unit);
    let seconds = seconds.and_then(|(number, unit)| number.checked_mul(unit));
    match seconds {
        Some(seconds @ 1..=LONGEST_S) => Ok(Duration::from_secs(seconds)),
        _ => Err("a time is as `90s`, `5m`, `12h` or `30d`".into()),
    }
}

/// As [`duration`], and longer than publishing takes.
fn grace(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_mins(10);
    let grace = duration(text)?;
    if grace < SHORTEST {
        return Err("at least 10m: a model that is being vetted must not lose its files".into());
    }
    Ok(grace)
}

/// How often everything is read to look whether it is sound; none: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrub(pub Option<Duration>);

/// As [`duration`], or `off`.
fn scrub(text: &str) -> Result<Scrub, String> {
    match text {
        "off" | "0" => Ok(Scrub(None)),
        text => duration(text)
            .map(|every| Scrub(Some(every)))
            .map_err(|err| format!("{err}, or `off`")),
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_data_directory_is_all_it_needs() {
        let args = Args::try_parse_from(["tern-hub", "serve", "--data", "d"]).expect("parses");
        let Command::Serve(config) = args.command else {
            panic!("not serve");
        };
        assert_eq!(config.http().to_string(), "127.0.0.1:8443");
        assert_eq!(config.mqtt().to_string(), "127.0.0.1:8883");
        assert_eq!(config.egress_limit, None);
        assert!(Args::try_parse_from(["tern-hub", "serve"]).is_err());
        let zero = ["tern-hub", "serve", "--data", "d", "--egress-limit", "0"];
        assert!(
            Args::try_parse_from(zero).is_err(),
            "a hub that may not send cannot deliver"
        );
    }

    #[test]
    fn scrubs_can_be_rare_or_off() {
        let scrub = |text| {
            let line = ["tern-hub", "serve", "--data", "d", "--scrub", text];
            match Args::try_parse_from(line).map(|args| args.command) {
                Ok(Command::Serve(config)) => Ok(config.scrub.0),
                _ => Err(()),
            }
        };
        assert_eq!(scrub("7d"), Ok(Some(Duration::from_hours(7 * 24))));
        assert_eq!(scrub("off"), Ok(None));
        assert_eq!(scrub("0"), Ok(None));
        assert_eq!(scrub("never"), Err(()));
    }

    #[test]
    fn a_plain_hub_shows_no_certificate() {
        let serve = |more: &[&str]| {
            let line = ["tern-hub", "serve", "--data", "d"];
            Args::try_parse_from(line.iter().chain(more)).is_ok()
        };
        let files = ["--https-certificate", "c", "--https-key", "k"];
        let acme = ["--acme-domain", "hub.example"];
        for certificate in [&files[..], &acme] {
            assert!(serve(certificate));
            assert!(!serve(&[certificate, &["--insecure-loopback"]].concat()));
        }
        assert!(!serve(&[&files[..], &acme].concat()), "one or the other");
        assert!(!serve(&files[..2]), "a certificate without its key");
        assert!(!serve(&files[2..]), "a key without its certificate");
    }

    #[test]
    fn plain_listeners_stay_on_this_machine() {
        let serve = |more: &[&str]| {
            let line = ["tern-hub", "serve", "--data", "d"];
            let args = Args::try_parse_from(line.iter().chain(more)).expect("parses");
            match args.command {
                Command::Serve(config) => config,
                _ => panic!("not serve"),
            }
        };
        let plain = serve(&["--insecure-loopback"]);
        assert_eq!(plain.http().to_string(), "127.0.0.1:8080");
        assert_eq!(plain.mqtt().to_string(), "127.0.0.1:1883");
        assert_eq!(plain.check(), Ok(()));
        for option in ["--http", "--mqtt"] {
            let open = serve(&["--insecure-loopback", option, "0.0.0.0:9000"]);
            let refused = open.check().expect_err("it is open");
            assert!(refused.to_string().contains("127.0.0.1:9000"), "{refused}");
            assert_eq!(serve(&[option, "0.0.0.0:9000"]).check(), Ok(()));
            let six = serve(&["--insecure-loopback", option, "[::1]:9000"]);
            assert_eq!(six.check(), Ok(()));
        }
    }
}
