//! `tern datastore`: where files to import are.

use clap::Subcommand;
use tern_protocol::{
    id::DatastoreName,
    rest::{DatastorePlace, NewDatastore},
};

use super::{Answer, AskError, Context};
use crate::{clock, out::talk, show::dataset as show};

#[derive(Debug, Subcommand)]
pub(crate) enum DatastoreCommand {
    /// Add one, or change the one of this name
    #[command(
        after_help = "A token is read from the environment, since a command line is seen by others.\nExamples:\n  \
        tern datastore add plant --directory /srv/plant\n  \
        TERN_DATASTORE_TOKEN=… tern datastore add lake --url https://lake.example/digits"
    )]
    Add {
        /// Its name
        name: DatastoreName,
        /// A directory of the hub's machine, below one that its operator allows
        #[arg(long, value_name = "DIR", required_unless_present = "url")]
        directory: Option<String>,
        /// An address; paths are added to it
        #[arg(long, value_name = "URL", conflicts_with = "directory")]
        url: Option<String>,
    },
    /// All of them
    List,
    /// Remove one; what was imported from it stays
    Remove {
        /// Its name
        name: DatastoreName,
    },
}

/// The variable that a token is read from.
const TOKEN: &str = "TERN_DATASTORE_TOKEN";

pub(crate) fn run(context: &Context, command: DatastoreCommand) -> Result<Answer, AskError> {
    match command {
        DatastoreCommand::Add {
            name,
            directory,
            url,
        } => {
            let place = match (directory, url) {
                (Some(path), _) => DatastorePlace::Directory { path },
                (None, url) => DatastorePlace::Http {
                    url: url.unwrap_or_default(),
                },
            };
            let token = match &place {
                DatastorePlace::Http { .. } => super::set(TOKEN),
                DatastorePlace::Directory { .. } => None,
            };
            let new = NewDatastore { name, place, token };
            let added = context.client.add_datastore(&new)?;
            let all = std::slice::from_ref(&added);
            let text = |look| show::datastores(all, clock::now(), look);
            context.out.answer(&added, text)?;
        }
        DatastoreCommand::List => {
            let all = context.client.datastores()?;
            let text = |look| show::datastores(&all, clock::now(), look);
            context.out.list(&all, "no datastores", text)?;
        }
        DatastoreCommand::Remove { name } => {
            context.client.remove_datastore(&name)?;
            talk(format_args!("datastore {name} is removed"));
        }
    }
    Ok(Answer::Yes)
}
