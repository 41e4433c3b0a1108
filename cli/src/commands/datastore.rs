//! `tern datastore`: where files to import are.

use clap::{Args, Subcommand};
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
        after_help = "A token, or the secret of a key, is read from the environment, since a command line is seen by others.\n\
        Examples:\n  \
        tern datastore add plant --directory /srv/plant\n  \
        TERN_DATASTORE_TOKEN=… tern datastore add lake --url https://lake.example/digits\n  \
        TERN_DATASTORE_TOKEN=… tern datastore add bucket --s3 s3://plant-data/digits --region eu-central-1 --key-id AKIA…\n  \
        TERN_DATASTORE_TOKEN=… tern datastore add minio --s3 s3://digits --endpoint https://minio.example --key-id tern"
    )]
    Add {
        /// Its name
        name: DatastoreName,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// All of them
    List,
    /// Remove one; what was imported from it stays
    Remove {
        /// Its name
        name: DatastoreName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// A directory of the hub's machine, below one that its operator allows
    #[arg(long, value_name = "DIR", required_unless_present_any = ["url", "s3"])]
    directory: Option<String>,
    /// An address; paths are added to it
    #[arg(long, value_name = "URL", conflicts_with = "directory")]
    url: Option<String>,
    /// A bucket of S3, and what the names of its files begin with
    #[arg(long, value_name = "s3://BUCKET/PREFIX", value_parser = bucket, conflicts_with_all = ["directory", "url"])]
    s3: Option<Bucket>,
    /// Where an S3 service of your own answers; Amazon's address if unset
    #[arg(long, value_name = "URL", requires = "s3")]
    endpoint: Option<String>,
    /// The bucket's region
    #[arg(
        long,
        value_name = "REGION",
        requires = "s3",
        default_value = "us-east-1"
    )]
    region: String,
    /// The id of the key that signs requests; they are not signed if unset
    #[arg(long, value_name = "ID", requires = "s3")]
    key_id: Option<String>,
}

/// `s3://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bucket {
    name: String,
    prefix: String,
}

fn bucket(text: &str) -> Result<Bucket, String> {
    let named = text.strip_prefix("s3://").unwrap_or_default();
    let (name, prefix) = named.split_once('/').unwrap_or((named, ""));
    if name.is_empty() {
        return Err("write s3://BUCKET or s3://BUCKET/PREFIX".into());
    }
    Ok(Bucket {
        name: name.into(),
        prefix: prefix.trim_end_matches('/').into(),
    })
}

impl PlaceArgs {
    fn meant(self) -> DatastorePlace {
        match (self.directory, self.url, self.s3) {
            (Some(path), ..) => DatastorePlace::Directory { path },
            (None, _, Some(Bucket { name, prefix })) => DatastorePlace::S3 {
                bucket: name,
                prefix,
                region: self.region,
                endpoint: self.endpoint,
                key_id: self.key_id,
            },
            (None, url, None) => DatastorePlace::Http {
                url: url.unwrap_or_default(),
            },
        }
    }
}

/// The variable that a token or the secret of a key is read from.
const TOKEN: &str = "TERN_DATASTORE_TOKEN";

pub(crate) fn run(context: &Context, command: DatastoreCommand) -> Result<Answer, AskError> {
    match command {
        DatastoreCommand::Add { name, place } => {
            let place = place.meant();
            let token = match &place {
                DatastorePlace::Http { .. } | DatastorePlace::S3 { .. } => super::set(TOKEN),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_written_with_what_names_begin_with() {
        for (text, name, prefix) in [
            ("s3://lake", "lake", ""),
            ("s3://lake/", "lake", ""),
            ("s3://lake/2026/digits/", "lake", "2026/digits"),
        ] {
            let expected = Bucket {
                name: name.into(),
                prefix: prefix.into(),
            };
            assert_eq!(bucket(text), Ok(expected), "{text}");
        }
        for text in ["", "lake", "s3://", "s3:///digits", "https://lake.example"] {
            assert!(bucket(text).is_err(), "{text}");
        }
    }
}
