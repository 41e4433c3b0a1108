//! Where the hub's database is.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::store::{Place, Server, ServerError};

/// The database: SQLite in the data directory, unless one of these is given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// A PostgreSQL database instead of the one in the data directory:
    /// `postgres://USER:PASSWORD@HOST:PORT/NAME`. Other users of this machine see what stands on a command
    /// line; not so the file of `--database-file`.
    #[arg(
        long,
        value_name = "URL",
        env = "TERN_HUB_DATABASE",
        hide_env_values = true,
        global = true
    )]
    pub database: Option<DatabaseUrl>,
    /// File with that address, password and all, in its only line. Read once, at the start.
    #[arg(
        long,
        value_name = "FILE",
        env = "TERN_HUB_DATABASE_FILE",
        global = true
    )]
    pub database_file: Option<PathBuf>,
}

/// An address with a password in it. Read later, since the command line's errors show what was wrong.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// Without what is secret.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// The settings of the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseSettingsError {
    /// Not an address of a database.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Both are given.
    #[error("`--database` and `--database-file` are both given; one of them is enough")]
    Twice,
    /// A file.
    #[error("reading {} for the database", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl DatabaseArgs {
    /// Where the database of the hub of this data directory is.
    pub fn place(&self, data: &Path) -> Result<Place, DatabaseSettingsError> {
        let text = match (&self.database, &self.database_file) {
            (None, None) => return Ok(Place::in_dir(data)),
            (Some(_), Some(_)) => return Err(DatabaseSettingsError::Twice),
            (Some(DatabaseUrl(text)), None) => text.clone(),
            (None, Some(path)) => {
                let read = std::fs::read_to_string(path);
                read.map_err(|source| DatabaseSettingsError::File {
                    path: path.clone(),
                    source,
                })?
            }
        };
        Ok(Place::on(Server::parse(text.trim())?, data))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::config::{Args, Command};

    fn place(words: &[&str]) -> Result<Option<String>, String> {
        let line = ["tern-hub", "serve", "--data", "d"];
        let args = Args::try_parse_from(line.iter().chain(words));
        let Command::Serve(config) = args.map_err(|err| err.to_string())?.command else {
            panic!("not serve");
        };
        assert!(!format!("{config:?}").contains("planted"));
        let place = config.database.place(&config.data);
        let place = place.map_err(|err| err.to_string())?;
        Ok(place.server().map(ToString::to_string))
    }

    #[test]
    fn a_database_is_named_once_and_its_password_is_shown_nowhere() {
        assert_eq!(place(&[]), Ok(None));
        let url = "postgres://tern:planted@localhost/fleet";
        let shown = "postgres://tern@localhost:5432/fleet".to_owned();
        assert_eq!(place(&["--database", url]), Ok(Some(shown.clone())));
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("database");
        let path = file.to_string_lossy().into_owned();
        let by_file = ["--database-file", &path];
        assert!(place(&by_file).expect_err("no file").contains("reading"));
        std::fs::write(&file, format!("{url}\n")).expect("written");
        assert_eq!(place(&by_file), Ok(Some(shown)));
        let twice = [&["--database", url][..], &by_file].concat();
        assert!(place(&twice).expect_err("twice").contains("one of them"));
        for wrong in ["mysql://tern:planted@localhost/fleet", "planted"] {
            let said = place(&["--database", wrong]).expect_err(wrong);
            assert!(said.contains("postgres://USER") && !said.contains("planted"));
        }
    }

    #[test]
    fn commands_beside_the_hub_take_it_too() {
        let url = "postgres://tern@localhost/fleet";
        for words in [
            &["user", "list", "--database", url][..],
            &["user", "--database", url, "list"],
            &["ca", "list", "--database", url],
            &["gc", "--database", url],
        ] {
            let args = Args::try_parse_from(std::iter::once(&"tern-hub").chain(words));
            let database = match args.expect("parses").command {
                Command::User(args) => args.database,
                Command::Ca(args) => args.database,
                Command::Gc(args) => args.database,
                _ => panic!("another command"),
            };
            assert!(database.database.is_some(), "{words:?}");
        }
    }
}
