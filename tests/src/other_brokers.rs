//! Brokers that are not Mosquitto, as small as they can be started: on loopback, without a login.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{ports, process::Process, programs};

/// Longest that an Erlang node may take to start beside a whole test suite.
const ERLANG: Duration = Duration::from_mins(4);

/// Attempts to get ports that nobody else takes in between.
const ATTEMPTS: usize = 5;

/// A running broker.
pub struct OtherBroker {
    /// Where it listens for MQTT.
    pub address: SocketAddr,
    process: Process,
    /// The daemon by which Erlang's nodes find each other; the broker's own.
    _beside: Option<Process>,
    // Last, so that the processes have ended before their files are removed.
    _dir: tempfile::TempDir,
}

impl OtherBroker {
    /// What it said so far.
    pub fn log(&self) -> String {
        self.process.log() + &self.process.output()
    }

    /// NATS with `JetStream` and its MQTT listener, or says that there is none here.
    #[track_caller]
    pub fn nats() -> Option<Self> {
        let program = programs::find("nats-server")?;
        let dir = tempfile::tempdir().expect("the system has room for temporary files");
        for _ in 0..ATTEMPTS {
            let (address, own) = (ports::free(), ports::free());
            let store = dir.path().join("jetstream");
            let config = format!(
                "server_name: tern\nlisten: \"{own}\"\nmax_payload: 256KB\n\
                 jetstream {{ store_dir: \"{}\" }}\n\
                 mqtt {{ listen: \"{address}\", max_ack_pending: 1024 }}\n",
                store.display()
            );
            let file = dir.path().join("nats.conf");
            fs::write(&file, config).expect("a file of the test's own");
            let args = ["-c".as_ref(), file.as_os_str()];
            let process = Process::start(dir.path(), "nats", &program, args);
            if let Some(process) = ports::listens(process, address) {
                return Some(Self {
                    address,
                    process,
                    _beside: None,
                    _dir: dir,
                });
            }
        }
        panic!("nats-server does not start: {}", log_of(dir.path(), "nats"));
    }

    /// `RabbitMQ` with its MQTT plugin, or says that there is none here. Node, data, ports and the
    /// daemon of its nodes are its own, so others on this machine are not touched.
    #[track_caller]
    pub fn rabbitmq() -> Option<Self> {
        // Debian's script beside it changes to the user `rabbitmq` and to /var/lib.
        let program = PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server");
        programs::find("rabbitmq-server")?;
        let epmd = programs::find("epmd")?;
        assert!(program.is_file(), "{} is Debian's", program.display());
        let dir = tempfile::tempdir().expect("the system has room for temporary files");
        for _ in 0..ATTEMPTS {
            let (address, nodes, amqp, own) =
                (ports::free(), ports::free(), ports::free(), ports::free());
            let home = dir.path();
            let config = format!(
                "listeners.tcp.1 = {amqp}\nmqtt.listeners.tcp.1 = {address}\n\
                 mqtt.allow_anonymous = true\nmqtt.default_user = guest\nmqtt.default_pass = guest\n\
                 mqtt.exchange = amq.topic\nmqtt.prefetch = 256\nlog.console = true\n\
                 log.file = false\n"
            );
            write(home, "rabbitmq.conf", &config);
            write(home, "enabled_plugins", "[rabbitmq_mqtt].\n");
            let beside = {
                let mut command = Command::new(&epmd);
                command.args(["-port", &nodes.port().to_string(), "-address", "127.0.0.1"]);
                Process::spawn(home, "epmd", command)
            };
            let mut command = Command::new(&program);
            command
                .env("HOME", home)
                // Then the shell's process becomes the broker's, and ends with its owner.
                .env("RUNNING_UNDER_SYSTEMD", "1")
                .env(
                    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                    "-kernel inet_dist_use_interface {127,0,0,1}",
                )
                .env("ERL_EPMD_PORT", nodes.port().to_string())
                .env("ERL_EPMD_ADDRESS", "127.0.0.1")
                .env(
                    "RABBITMQ_NODENAME",
                    format!("tern-{}@localhost", own.port()),
                )
                .env("RABBITMQ_DIST_PORT", own.port().to_string())
                .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq"))
                .env("RABBITMQ_CONF_ENV_FILE", home.join("none.conf"))
                .env("RABBITMQ_ADVANCED_CONFIG_FILE", home.join("none.config"))
                .env(
                    "RABBITMQ_ENABLED_PLUGINS_FILE",
                    home.join("enabled_plugins"),
                )
                .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
                .env("RABBITMQ_LOG_BASE", home.join("log"))
                .env("RABBITMQ_GENERATED_CONFIG_DIR", home.join("generated"))
                .env("RABBITMQ_PID_FILE", home.join("pid"));
            let process = Process::spawn(home, "rabbitmq", command);
            if let Some(process) = ports::listens_within(ERLANG, process, address) {
                return Some(Self {
                    address,
                    process,
                    _beside: Some(beside),
                    _dir: dir,
                });
            }
        }
        panic!(
            "rabbitmq-server does not start: {}",
            log_of(dir.path(), "rabbitmq")
        );
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("a file of the test's own");
}

fn log_of(dir: &Path, name: &str) -> String {
    let read = |end: &str| fs::read_to_string(dir.join(format!("{name}.{end}")));
    read("log").unwrap_or_default() + &read("out").unwrap_or_default()
}
