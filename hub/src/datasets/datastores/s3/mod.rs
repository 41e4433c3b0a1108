//! Files in a bucket of S3: Amazon's, or that of a service which speaks the same.
//!
//! Called by whoever fetches a file of a datastore. `object_store` knows how requests are signed, tried again, and gone on
//! with where an answer broke off; [`way`] is how they leave, and [`refused`] what comes back instead of a file.
//!
//! Must never break: the secret is in no error and no log line; requests go to the bucket's own address and nowhere else, by
//! the rules that hold for webhooks; of an answer that is no file nothing is told but its status and what S3's own word for
//! it means.

mod refused;
mod way;

use std::time::Duration;

use futures::StreamExt as _;
use object_store::{
    BackoffConfig, GetOptions, ObjectStore as _, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use self::way::Way;
use super::{super::DatasetError, check_path};
use crate::notify::{
    address::{Plain, Target},
    webhook::Take,
};

/// Longest name of a file in a bucket, in bytes: S3's own bound.
const KEY: usize = 1_024;

/// Longest region, in bytes: Amazon's have some fifteen.
const REGION: usize = 64;

/// Longest id of a key, in bytes: Amazon's own bound.
const KEY_ID: usize = 128;

/// Times that one file is asked for again: of a server that is too busy, or that broke off in the middle.
const RETRIES: usize = 5;

/// How long after the first request it is asked for again at most: as long as it may take in all.
const RETRYING: Duration = Duration::from_hours(1);

/// Where the name of the bucket stands in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// In the host, as Amazon wants it.
    Host,
    /// In the path, as services of one's own want it.
    Path,
}

/// A bucket whose files may be asked for, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    name: String,
    /// Without a `/` at its ends.
    prefix: String,
    region: String,
    target: Target,
    style: Style,
    key_id: Option<String>,
}

impl Bucket {
    /// Reads where one is; an error says what is wrong with it, for whoever wrote it.
    pub(super) fn new(
        name: &str,
        prefix: &str,
        region: &str,
        endpoint: Option<&str>,
        key_id: Option<&str>,
    ) -> Result<Self, String> {
        if !is_bucket(name) {
            return Err(
                "a bucket's name has 3 to 63 small letters, digits, dots and hyphens, and begins and ends with a \
                 letter or digit"
                    .into(),
            );
        }
        if !is_word(region, REGION, "-") {
            return Err(format!(
                "a region has 1 to {REGION} letters, digits and hyphens, as eu-central-1"
            ));
        }
        if key_id.is_some_and(|id| !is_word(id, KEY_ID, "-_.+@")) {
            return Err(format!(
                "a key id has 1 to {KEY_ID} letters, digits, and signs of `-_.+@`"
            ));
        }
        let (address, style) = match endpoint {
            Some(endpoint) => (endpoint.to_owned(), Style::Path),
            None => amazon(name, region),
        };
        let target = Target::parse(&address, Plain::Loopback)
            .map_err(|err| format!("the endpoint: {err}"))?;
        if address.contains('?') {
            return Err("an endpoint has no `?`: bucket and path are added to it".into());
        }
        let bucket = Self {
            name: name.into(),
            prefix: prefix.trim_matches('/').into(),
            region: region.into(),
            target,
            style,
            key_id: key_id.map(Into::into),
        };
        if !bucket.prefix.is_empty() {
            bucket.check_prefix()?;
        }
        // `object_store` takes for granted that what it makes of this is an address.
        let whole = format!("{}/{name}/", bucket.base());
        whole
            .parse::<hyper::Uri>()
            .map_err(|_| "the endpoint has signs that have no place in an address")?;
        Ok(bucket)
    }

    /// Hands on a file, piece by piece, if it has at most `most` bytes. `what` is how errors call it. Whoever asks says how
    /// long that may take.
    pub(super) async fn get(
        &self,
        secret: Option<&str>,
        path: &str,
        what: &str,
        most: u64,
        take: Take<'_>,
    ) -> Result<(), DatasetError> {
        let key = self.key(path)?;
        let failed = |err: object_store::Error| refused::told(&err, self, &key, what);
        let too_long = || DatasetError::Refused(format!("{what} has more than {most} bytes"));
        let store = self.store(secret).map_err(failed)?;
        let got = store.get_opts(&key, GetOptions::default()).await;
        let got = got.map_err(failed)?;
        if got.meta.size > most {
            return Err(too_long());
        }
        let mut pieces = got.into_stream();
        // Counted as well: where a file is gone on with, more may come than was left of it.
        let mut taken = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(failed)?;
            taken += piece.len() as u64;
            if taken > most {
                return Err(too_long());
            }
            take(&piece).map_err(DatasetError::io("keeping a file of a datastore"))?;
        }
        Ok(())
    }

    fn store(&self, secret: Option<&str>) -> Result<AmazonS3, object_store::Error> {
        let builder = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_region(&self.region)
            .with_endpoint(self.base())
            .with_virtual_hosted_style_request(self.style == Style::Host)
            .with_http_connector(Way::to(self.target.clone()))
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: RETRIES,
                retry_timeout: RETRYING,
            });
        let builder = match (&self.key_id, secret) {
            (Some(key_id), Some(secret)) => builder
                .with_access_key_id(key_id)
                .with_secret_access_key(secret),
            // Or it would ask the machine's cloud for a key.
            _ => builder.with_skip_signature(true),
        };
        builder.build()
    }

    /// What is before the path of a request, without a `/` at its end.
    fn base(&self) -> &str {
        // What follows the host is a part of the address, and no secret as for webhooks.
        self.target.secret().trim_end_matches('/')
    }

    /// The name of a file in the bucket.
    fn key(&self, path: &str) -> Result<Path, DatasetError> {
        let name = if self.prefix.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.prefix)
        };
        if name.len() > KEY {
            return Err(DatasetError::Refused(format!(
                "a file in a bucket has a name of at most {KEY} bytes, with what names begin with"
            )));
        }
        Path::parse(&name).map_err(|_| {
            DatasetError::Refused(format!(
                "`{}` names no file in a bucket",
                path.chars().take(80).collect::<String>().escape_debug()
            ))
        })
    }

    fn check_prefix(&self) -> Result<(), String> {
        let is_path = check_path(&self.prefix).is_ok() && Path::parse(&self.prefix).is_ok();
        if is_path && self.prefix.len() < KEY {
            return Ok(());
        }
        Err(format!(
            "what names of files begin with is a path without `.` and `..`, of less than {KEY} bytes"
        ))
    }
}

/// Where Amazon has a bucket.
fn amazon(name: &str, region: &str) -> (String, Style) {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    // Amazon's certificates are for one label before `s3`.
    if name.contains('.') {
        (format!("https://s3.{region}.{domain}"), Style::Path)
    } else {
        (format!("https://{name}.s3.{region}.{domain}"), Style::Host)
    }
}

fn is_bucket(name: &str) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| is_plain(byte) || matches!(byte, b'.' | b'-'))
        && [bytes.first(), bytes.last()]
            .into_iter()
            .all(|end| end.is_some_and(is_plain))
        && !name.contains("..")
}

/// Whether a text has 1 to `most` letters, digits and signs of these.
fn is_word(text: &str, most: usize, signs: &str) -> bool {
    (1..=most).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &str, endpoint: Option<&str>) -> Result<Bucket, String> {
        Bucket::new(name, "", "eu-central-1", endpoint, None)
    }

    #[test]
    fn a_bucket_has_an_address_with_its_name_in_the_host_or_in_the_path() {
        for (name, region, endpoint, base, style) in [
            (
                "lake",
                "eu-central-1",
                None,
                "https://lake.s3.eu-central-1.amazonaws.com",
                Style::Host,
            ),
            (
                "lake.example",
                "eu-central-1",
                None,
                "https://s3.eu-central-1.amazonaws.com",
                Style::Path,
            ),
            (
                "lake",
                "cn-north-1",
                None,
                "https://lake.s3.cn-north-1.amazonaws.com.cn",
                Style::Host,
            ),
            (
                "lake",
                "us-east-1",
                Some("https://minio.example:9000/"),
                "https://minio.example:9000",
                Style::Path,
            ),
            (
                "lake",
                "us-east-1",
                Some("http://127.0.0.1:9000/s3/"),
                "http://127.0.0.1:9000/s3",
                Style::Path,
            ),
        ] {
            let made = Bucket::new(name, "", region, endpoint, None).expect(base);
            assert_eq!((made.base(), made.style), (base, style));
            made.store(None)
                .expect("a store of what was found to be good");
        }
    }

    #[test]
    fn names_that_have_no_place_in_a_request_are_refused() {
        for good in ["lake", "a-b.c-1", "123", &"x".repeat(63)] {
            assert!(bucket(good, None).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Lake",
            "-lake",
            "lake.",
            "a..b",
            "a/b",
            "a b",
            "lake\n",
            &"x".repeat(64),
        ] {
            assert!(bucket(bad, None).is_err(), "{bad:?}");
        }
        let of = |region: &str, key_id: Option<&str>| Bucket::new("lake", "", region, None, key_id);
        assert!(of("us-east-1", Some("AKIA-1_2.3+4@5")).is_ok());
        for region in ["", "eu central", "evil.example/", &"x".repeat(65)] {
            assert!(of(region, None).is_err(), "{region:?}");
        }
        for key_id in ["", "a/b", "a,b", "a=b", "a\nb", "é", &"x".repeat(129)] {
            assert!(of("us-east-1", Some(key_id)).is_err(), "{key_id:?}");
        }
    }

    #[test]
    fn endpoints_go_where_webhooks_may_go() {
        for good in [
            "https://minio.example",
            "https://10.0.0.7:9000/",
            "http://localhost:9000",
            "https://minio.example/a|b",
        ] {
            assert!(bucket("lake", Some(good)).is_ok(), "{good}");
        }
        for bad in [
            "",
            "minio.example",
            "http://minio.example",
            "https://169.254.169.254",
            "https://ada:pw@minio.example",
            "https://minio.example/?list",
            "https://minio.example/#a",
        ] {
            let err = bucket("lake", Some(bad)).expect_err(bad);
            assert!(err.contains("endpoint"), "{bad}: {err}");
        }
    }

    #[test]
    fn files_lie_below_the_prefix_and_nowhere_else() {
        let below = |prefix: &str| Bucket::new("lake", prefix, "us-east-1", None, None);
        let key = |prefix: &str, path: &str| {
            let key = below(prefix).expect(prefix).key(path);
            key.map(|key| key.to_string())
        };
        for (prefix, path, expected) in [
            ("", "a.csv", "a.csv"),
            ("2026", "a.csv", "2026/a.csv"),
            ("/2026/05/", "x/a b+c%20.csv", "2026/05/x/a b+c%20.csv"),
        ] {
            assert_eq!(key(prefix, path).expect(path), expected);
        }
        for path in ["a//b", "a/./b", "..", "../a", &"x".repeat(KEY)] {
            assert!(key("2026", path).is_err(), "{path:?}");
        }
        for prefix in ["..", "a/../b", "a//b", "a?b", "a\nb", &"x".repeat(KEY)] {
            assert!(below(prefix).is_err(), "{prefix:?}");
        }
    }

    #[test]
    fn a_store_shows_its_secret_to_nobody_who_looks_at_the_bucket() {
        let made = Bucket::new("lake", "", "us-east-1", None, Some("AKIAPLANTED"));
        let made = made.expect("a bucket");
        let store = made.store(Some("planted-secret")).expect("a store");
        assert!(!format!("{made:?} {store}").contains("planted-secret"));
    }
}
