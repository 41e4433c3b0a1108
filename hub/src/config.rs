//! What a person may set, from the command line and the environment.
//!
//! Read once by `main.rs`; each part is handed its own piece.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

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
pub enum Command {
    /// Run until SIGTERM or Ctrl-C.
    Serve(Config),
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
    #[arg(long, value_name = "ADDR")]
    pub mqtt: Option<SocketAddr>,
    /// Speak plain HTTP and plain MQTT, without any login: whoever is on this machine may do all.
    /// Refused unless both addresses are on loopback. For trying out and for tests.
    #[arg(long)]
    pub insecure_loopback: bool,
    /// Certificate for HTTPS that browsers trust, as PEM with its chain; read again when it changes.
    /// Devices get one of the hub's own authority all the same. By default everybody does.
    #[arg(
        long,
        value_name = "FILE",
        requires = "https_key",
        conflicts_with = "insecure_loopback"
    )]
    pub https_certificate: Option<PathBuf>,
    /// Key of that certificate, as PEM.
    #[arg(long, value_name = "FILE", requires = "https_certificate")]
    pub https_key: Option<PathBuf>,
    /// Most bytes of model chunks to publish a second, over all models; no limit by default.
    #[arg(long, value_name = "BYTES_PER_S", value_parser = clap::value_parser!(u64).range(1..))]
    pub egress_limit: Option<u64>,
    /// How log lines look, on stderr. What is logged is set by `RUST_LOG`, by default `info`.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
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
        let Command::Serve(config) = args.command;
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
    fn plain_listeners_stay_on_this_machine() {
        let serve = |more: &[&str]| {
            let line = ["tern-hub", "serve", "--data", "d"];
            let args = Args::try_parse_from(line.iter().chain(more)).expect("parses");
            let Command::Serve(config) = args.command;
            config
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
