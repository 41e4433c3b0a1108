//! Who vouches for a hub, before anything secret goes to it.
//!
//! Must never break: a hub that nobody vouches for hears no password, code or token; an authority that
//! was known at an earlier login is not given up because somebody says yes.

use std::{fs, path::PathBuf};

use tern_cli::client::{self, Client, ClientError, Connection, probe};
use tern_protocol::{digest::Digest, id::WorkspaceId};

use crate::{
    args::Global,
    ask,
    out::talk,
    store::{Store, Stored},
};

/// Who is said to vouch for the hub.
#[derive(Debug, clap::Args)]
pub(crate) struct TrustArgs {
    /// The hub's authority, as PEM
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    ca: Option<PathBuf>,
    /// SHA-256 of the hub's authority; on the hub's machine it is in hub.addresses.json
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<Digest>,
}

/// A hub that somebody vouches for, and how it is reached.
pub(crate) struct Trusted {
    pub(crate) client: Client,
    pub(crate) connection: Connection,
    /// What an earlier login left here.
    pub(crate) known: Option<Stored>,
}

/// Where the hub is and who vouches for it: what was given, then what is known, then who sits at the
/// terminal.
pub(crate) fn trusted(global: &Global, hub: &str, args: TrustArgs) -> anyhow::Result<Trusted> {
    let hub = if hub.contains("://") {
        client::address(hub)?
    } else {
        // Whoever logs in does so over TLS, on this machine too.
        client::address(&format!("https://{}", hub.trim()))?
    };
    let known = Store::read()?.meant(Some(&hub)).cloned();
    let workspace = global.workspace.clone();
    let workspace = workspace.or_else(|| known.as_ref().map(|known| known.workspace.clone()));
    let given = match (args.ca, args.fingerprint) {
        (Some(file), _) => Some(authority_of(&file)?),
        (None, Some(fingerprint)) => Some(pinned(&hub, fingerprint)?),
        (None, None) => super::set("TERN_CA")
            .map(|file| authority_of(&file.into()))
            .transpose()?,
    };
    let is_given = given.is_some();
    let mut connection = Connection {
        hub,
        workspace: match workspace {
            Some(workspace) => workspace,
            None => "default".parse::<WorkspaceId>()?,
        },
        token: None,
        ca: given.or_else(|| known.as_ref().and_then(|known| known.ca.clone())),
    };
    let client = Client::connect(&connection)?;
    match client.is_ready() {
        Ok(_) => {}
        Err(err @ ClientError::NotTrusted { .. }) if !is_given && connection.ca.is_some() => {
            // It has a certificate now that any program on this machine would take.
            let publicly = Connection {
                ca: None,
                ..connection.clone()
            };
            let client = Client::connect(&publicly)?;
            if client.is_ready().is_ok() {
                let hub = &publicly.hub;
                talk(format_args!(
                    "{hub} has another certificate than at the last login; this machine vouches for it"
                ));
                return Ok(Trusted {
                    client,
                    connection: publicly,
                    known,
                });
            }
            let text = format!(
                "this is not the hub that was logged in to before, or its authority is another one; \
                 if that is so, say which: tern login {} --fingerprint SHA256",
                connection.hub
            );
            return Err(anyhow::Error::new(err).context(text));
        }
        Err(err @ ClientError::NotTrusted { .. }) if !is_given && ask::somebody() => {
            connection.ca = Some(asked(&connection, err)?);
        }
        Err(err) => return Err(err.into()),
    }
    Ok(Trusted {
        client: Client::connect(&connection)?,
        connection,
        known,
    })
}

fn authority_of(file: &PathBuf) -> anyhow::Result<String> {
    fs::read_to_string(file)
        .map_err(|err| anyhow::anyhow!("the authority in {}: {err}", file.display()))
}

/// The certificate with this fingerprint, if the hub shows it.
fn pinned(hub: &str, fingerprint: Digest) -> anyhow::Result<String> {
    let mut chain = probe::chain(hub)?.into_iter();
    let found = chain.find(|shown| shown.fingerprint == fingerprint);
    let found = found.ok_or_else(|| {
        anyhow::anyhow!("the hub shows no certificate with this fingerprint; do not log in")
    })?;
    Ok(found.pem)
}

/// The hub's own authority, if the person at the terminal says that it is the right one.
fn asked(connection: &Connection, err: ClientError) -> anyhow::Result<String> {
    let hub = &connection.hub;
    let Some(shown) = own_authority(connection)? else {
        return Err(err.into());
    };
    talk(format_args!(
        "{hub} has an authority of its own. Its SHA-256 fingerprint is\n\n  {}\n\nOn the hub's \
         machine `tern-hub ca list --data DIR` shows its first 16 digits as the authority's id, and \
         hub.addresses.json in DIR all of it.",
        shown.fingerprint
    ));
    if !ask::yes("Is it the same?")? {
        anyhow::bail!("nothing was sent to {hub}: nobody vouches for it");
    }
    Ok(shown.pem)
}

/// The first certificate after the hub's own that vouches for it.
fn own_authority(connection: &Connection) -> anyhow::Result<Option<probe::Shown>> {
    for shown in probe::chain(&connection.hub)?.into_iter().skip(1) {
        let with = Connection {
            ca: Some(shown.pem.clone()),
            ..connection.clone()
        };
        if Client::connect(&with)?.is_ready().is_ok() {
            return Ok(Some(shown));
        }
    }
    Ok(None)
}
