//! The file of credentials: which hubs we are logged in to.
//!
//! Must never break: the file is its owner's alone (0600 in a 0700 directory) and is whole at any
//! moment; a token goes only to the hub that it is for.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use tern_cli::client;
use tern_protocol::{id::WorkspaceId, time::WallTime};

/// Why credentials could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("there is no place for credentials; set TERN_CONFIG_DIR or HOME")]
    Nowhere,
    #[error("credentials in {0}")]
    File(PathBuf, #[source] io::Error),
    #[error("{0} is damaged; remove it and log in again: tern login URL")]
    Damaged(PathBuf),
}

/// What we know of a hub. No `Debug`: it holds a token.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
    pub(crate) workspace: WorkspaceId,
    pub(crate) token: String,
    pub(crate) user: String,
    pub(crate) expires_at: WallTime,
}

/// All hubs; the first is the current one.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Store {
    pub(crate) hubs: Vec<Stored>,
}

fn dir() -> Result<PathBuf, StoreError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let own = set("TERN_CONFIG_DIR").map(PathBuf::from);
    let xdg = || set("XDG_CONFIG_HOME").map(|dir| PathBuf::from(dir).join("tern"));
    let home = || set("HOME").map(|dir| PathBuf::from(dir).join(".config/tern"));
    own.or_else(xdg).or_else(home).ok_or(StoreError::Nowhere)
}

impl Store {
    /// What is kept; nothing, if there is no file.
    pub(crate) fn read() -> Result<Self, StoreError> {
        let Ok(dir) = dir() else {
            return Ok(Self::default());
        };
        let path = dir.join("credentials.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| StoreError::Damaged(path)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(err) => Err(StoreError::File(path, err)),
        }
    }

    /// Keeps all of it, or leaves the file as it was.
    pub(crate) fn write(&self) -> Result<(), StoreError> {
        let dir = dir()?;
        let path = dir.join("credentials.json");
        let failed = |err| StoreError::File(path.clone(), err);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(failed)?;
        let fresh = dir.join(format!("credentials.{}.tmp", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(&serde_json::to_vec_pretty(self).map_err(io::Error::other)?)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        written.map_err(failed)
    }

    /// The hub that a person means; the current one, if they name none.
    pub(crate) fn meant(&self, hub: Option<&str>) -> Option<&Stored> {
        let Some(hub) = hub else {
            return self.hubs.first();
        };
        let bare = hub.trim().trim_end_matches('/');
        let read = client::address(hub).ok();
        let is = |url: &str| url == bare || Some(url) == read.as_deref();
        // `localhost:8443` is read as plain HTTP where nobody logged in over TLS.
        let secured = (!bare.contains("://")).then(|| format!("https://{bare}"));
        let hubs = self.hubs.iter();
        hubs.clone()
            .find(|stored| Some(&stored.url) == secured.as_ref())
            .or_else(|| hubs.clone().find(|stored| is(&stored.url)))
    }

    /// Makes this hub the current one.
    pub(crate) fn put(&mut self, stored: Stored) {
        self.hubs.retain(|hub| hub.url != stored.url);
        self.hubs.insert(0, stored);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_found_as_people_write_it() {
        let stored = |url: &str| Stored {
            url: url.into(),
            ca: None,
            workspace: "default".parse().expect("a name"),
            token: "planted".into(),
            user: "ada".into(),
            expires_at: WallTime(1),
        };
        let mut store = Store::default();
        store.put(stored("https://hub.example:8443"));
        store.put(stored("https://localhost:8443"));
        let found = |hub| store.meant(hub).map(|stored| stored.url.as_str());
        assert_eq!(found(None), Some("https://localhost:8443"));
        for written in ["localhost:8443", "https://localhost:8443/"] {
            assert_eq!(found(Some(written)), Some("https://localhost:8443"));
        }
        let written = Some("hub.example:8443");
        assert_eq!(found(written), Some("https://hub.example:8443"));
        // Nothing that was meant for TLS goes out in the clear.
        assert_eq!(found(Some("http://localhost:8443")), None);
    }
}
