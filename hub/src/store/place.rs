//! Where a hub's database is: in its data directory, or on a PostgreSQL server.
//!
//! Made of what the command line says; handed to whoever opens the store. Must never break: a password
//! is in no text that is made of this; a hub never begins with an empty database since somebody forgot
//! to say where the full one is.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::{StoreError, sqlite};

/// In the data directory of a hub whose database is elsewhere: where, without the password.
pub(crate) const ELSEWHERE: &str = "hub.database";

/// Longest text in it that is shown, in bytes.
const SHOWN: usize = 300;

/// What may stand in the address of a server after `?`. sqlx would only warn of others, with their
/// values.
const PARAMETERS: [&str; 12] = [
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-mode",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Where a hub's database is.
#[derive(Debug, Clone)]
pub struct Place {
    dir: PathBuf,
    server: Option<Server>,
}

impl Place {
    /// In this data directory.
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            server: None,
        }
    }

    /// On a server; the rest of what lasts is in this data directory.
    pub fn on(server: Server, dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            server: Some(server),
        }
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The server, if it is on one.
    pub const fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// Whether nothing at this place says that the database is at another one.
    pub fn check(&self) -> Result<(), StoreError> {
        let file = self.dir.join(sqlite::FILE);
        let there = file.is_file();
        match &self.server {
            Some(server) if there => Err(StoreError::Both {
                path: file,
                server: server.to_string(),
            }),
            None if !there => match elsewhere(&self.dir) {
                Some(server) => Err(StoreError::Elsewhere {
                    dir: self.dir.clone(),
                    server,
                }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Remembers in the data directory where the database is.
    pub(super) fn remember(&self) -> Result<(), StoreError> {
        let Some(server) = &self.server else {
            return Ok(());
        };
        let path = self.dir.join(ELSEWHERE);
        let written = write(&path, &format!("{server}\n"));
        written.map_err(|source| StoreError::Remember { path, source })
    }
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let staged = path.with_extension("database.new");
    fs::write(&staged, text)?;
    fs::File::open(&staged)?.sync_all()?;
    fs::rename(&staged, path)
}

/// Where the database of the hub of `dir` is, if it is on a server.
fn elsewhere(dir: &Path) -> Option<String> {
    let text = fs::read_to_string(dir.join(ELSEWHERE)).ok()?;
    Some(text.trim().chars().take(SHOWN).collect())
}

/// Whether a hub has used this data directory.
pub(crate) fn is_used(dir: &Path) -> bool {
    dir.join(sqlite::FILE).is_file() || dir.join(ELSEWHERE).is_file()
}

/// A PostgreSQL server, a database on it, and how to be let in.
#[derive(Clone)]
pub struct Server {
    pub(super) options: PgConnectOptions,
    /// What tests have instead of a database each.
    #[cfg(test)]
    pub(super) schema: Option<String>,
}

/// An address of a server that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// It is none.
    #[error("a database is as `postgres://USER:PASSWORD@HOST:PORT/NAME`")]
    Form,
    /// It says something that the hub does not know.
    #[error("the address of a database has no `{0}`; it has {known}", known = PARAMETERS.join(", "))]
    Parameter(String),
    /// A value in it is wrong.
    #[error("the address of the database: {0}")]
    Value(String),
}

impl Server {
    /// Of its address. Unless it says otherwise, a server on another machine has to prove who it is.
    pub fn parse(address: &str) -> Result<Self, ServerError> {
        let url = Url::parse(address).map_err(|_| ServerError::Form)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(ServerError::Form);
        }
        let known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| !known(name)) {
            return Err(ServerError::Parameter(name.into_owned()));
        }
        let mut options: PgConnectOptions = url.as_str().parse().map_err(|err| match err {
            // Its text says which value, and no other.
            sqlx::Error::Configuration(err) => ServerError::Value(err.to_string()),
            _ => ServerError::Form,
        })?;
        let is_said = url
            .query_pairs()
            .any(|(name, _)| matches!(&*name, "sslmode" | "ssl-mode"));
        if !is_said && !is_here(&options) {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        Ok(Self {
            options,
            #[cfg(test)]
            schema: None,
        })
    }
}

/// Whether a server is on this machine.
fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, port) = (self.options.get_username(), self.options.get_port());
        let host = match self.options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => self.options.get_host().to_owned(),
        };
        let name = self.options.get_database().unwrap_or(user);
        write!(f, "postgres://{user}@{host}:{port}/{name}")
    }
}

/// As it is shown: passwords are in no log.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

/// What tests say for a directory: there, or on the server that [`testing::SWITCH`] names.
#[cfg(test)]
impl From<&Path> for Place {
    fn from(dir: &Path) -> Self {
        testing::place(dir)
    }
}

#[cfg(test)]
impl From<&Place> for Place {
    fn from(place: &Place) -> Self {
        place.clone()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Unit tests on a server: each directory is a schema of its own.

    use std::path::Path;

    use tern_protocol::digest::Digest;

    use super::{Place, Server};

    /// Names the database on which tests run, if not each in its directory.
    const SWITCH: &str = "TERN_TEST_DATABASE";

    /// Whether tests run on a server. Tests of what only SQLite has are done then.
    pub(crate) fn on_server() -> bool {
        std::env::var_os(SWITCH).is_some()
    }

    pub(super) fn place(dir: &Path) -> Place {
        let Ok(address) = std::env::var(SWITCH) else {
            return Place::in_dir(dir);
        };
        let mut server = Server::parse(&address).expect("an address of a server");
        let digest = Digest::of(dir.to_string_lossy().as_bytes()).to_string();
        let schema = format!("t_{}", &digest[..24]);
        server.options = server.options.options([("search_path", schema.as_str())]);
        server.schema = Some(schema);
        Place::on(server, dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_text() {
        for address in [
            "postgres://tern:planted@db.example:5433/fleet?sslmode=require",
            "postgresql://tern@db.example:5433/fleet?password=planted",
        ] {
            let server = Server::parse(address).expect("fine");
            let place = Place::on(server.clone(), Path::new("d"));
            let said = format!("{server} {server:?} {place:?}");
            assert!(!said.contains("planted"), "{said}");
            assert!(said.contains("postgres://tern@db.example:5433/fleet"));
        }
        for wrong in [
            "planted",
            "mysql://u:planted@h/d",
            "postgres://u:planted@h:port/d",
            "postgres://u:planted@h/d?sslmode=planned",
            "postgres://u@h/d?passwd=planted",
        ] {
            let said = Server::parse(wrong).expect_err(wrong).to_string();
            assert!(!said.contains("planted"), "{said}");
        }
    }

    #[test]
    fn a_server_elsewhere_proves_who_it_is() {
        let mode = |address: &str| {
            let server = Server::parse(address).expect("fine");
            format!("{:?}", server.options.get_ssl_mode())
        };
        assert_eq!(mode("postgres://u@db.example/d"), "VerifyFull");
        assert_eq!(mode("postgres://u@10.0.0.5/d"), "VerifyFull");
        assert_eq!(mode("postgres://u@db.example/d?sslmode=disable"), "Disable");
        for here in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(mode(&format!("postgres://u@{here}/d")), "Prefer", "{here}");
        }
        assert_eq!(mode("postgres:///d?host=/run/postgresql"), "Prefer");
    }

    #[test]
    fn a_directory_knows_where_its_database_is() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let here = Place::in_dir(dir.path());
        let server = Server::parse("postgres://tern:planted@localhost/fleet").expect("fine");
        let there = Place::on(server, dir.path());
        assert!(here.check().is_ok() && there.check().is_ok());
        assert!(!is_used(dir.path()));
        there.remember().expect("written");
        there.remember().expect("again");
        assert!(is_used(dir.path()) && there.check().is_ok());
        let said = here.check().expect_err("it is elsewhere").to_string();
        assert!(
            said.contains("postgres://tern@localhost:5432/fleet") && said.contains("--database")
        );
        assert!(!said.contains("planted"), "{said}");
        fs::write(dir.path().join(sqlite::FILE), "").expect("written");
        let said = there.check().expect_err("two databases").to_string();
        assert!(said.contains(sqlite::FILE), "{said}");
        assert!(here.check().is_ok());
    }
}
