//! What a person may set, from the command line and the environment.
//!
//! Read once by `main.rs`; each part is handed its own piece.

use std::{net::SocketAddr, path::PathBuf};

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
    /// Address for HTTP: API, dashboard, health. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Address for MQTT: devices. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1883")]
    pub mqtt: SocketAddr,
    /// Most bytes of model chunks to publish a second, over all models; no limit by default.
    #[arg(long, value_name = "BYTES_PER_S", value_parser = clap::value_parser!(u64).range(1..))]
    pub egress_limit: Option<u64>,
    /// How log lines look, on stderr. What is logged is set by `RUST_LOG`, by default `info`.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
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
        assert_eq!(config.http.to_string(), "127.0.0.1:8080");
        assert_eq!(config.mqtt.to_string(), "127.0.0.1:1883");
        assert_eq!(config.egress_limit, None);
        assert!(Args::try_parse_from(["tern-hub", "serve"]).is_err());
        let zero = ["tern-hub", "serve", "--data", "d", "--egress-limit", "0"];
        assert!(
            Args::try_parse_from(zero).is_err(),
            "a hub that may not send cannot deliver"
        );
    }
}
