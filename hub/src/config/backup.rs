//! What `tern-hub backup` and `tern-hub restore` are told.

use std::path::PathBuf;

use age::x25519;

/// Settings of `tern-hub backup`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "A backup holds the keys of the authorities, so there is none that anybody \
    can read. It is an age file of a tar archive: `age` and `tar` open it as well.\n\
    Example: tern-hub backup --data /var/lib/tern --recipient age1… --out tern-2026-11-24.age"
)]
pub struct BackupArgs {
    /// Directory of the hub, as `tern-hub serve` has it; the hub may run.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub data: PathBuf,
    /// Where the backup goes; must not be there yet. `-` is stdout.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Who can read it: a public key, as `age-keygen` prints it. Repeatable.
    #[arg(
        long = "recipient",
        value_name = "AGE",
        required_unless_present = "passphrase_file",
        conflicts_with = "passphrase_file"
    )]
    pub recipients: Vec<x25519::Recipient>,
    /// A passphrase opens it: this file has it in its only line, at least 12 characters.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Print what was made as JSON; on stderr if the backup goes to stdout.
    #[arg(long)]
    pub json: bool,
}

/// Settings of `tern-hub restore`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "What changed after the backup is not in it: revoke again what was revoked \
    since. Devices and people stay who they are.\n\
    Example: tern-hub restore tern-2026-11-24.age --key-file key.txt --data /var/lib/tern"
)]
pub struct RestoreArgs {
    /// The backup; `-` is stdin.
    pub backup: PathBuf,
    /// Directory that is made; must not be there, or be empty.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Secret key of somebody who can read it, as `age-keygen` writes it.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "passphrase_file",
        conflicts_with = "passphrase_file"
    )]
    pub key_file: Option<PathBuf>,
    /// The passphrase opens it: this file has it in its only line.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Print what was restored as JSON.
    #[arg(long)]
    pub json: bool,
}
