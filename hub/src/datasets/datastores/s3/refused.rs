//! What comes back instead of a file, and what to do about it. Pure.

use std::{error::Error, io};

use hyper::StatusCode;
use object_store::path::Path;

use super::{Bucket, way::Trouble};
use crate::{datasets::DatasetError, notify::Failure};

/// What S3 said instead of giving a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("answered {status}")]
pub(super) struct Refused {
    status: StatusCode,
    why: Option<Why>,
}

/// What its own words mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// There is no such bucket.
    Bucket,
    /// There is no such file in it.
    Key,
    /// It is there, or is not; who asks may not know.
    Access,
    /// Nobody has that key id.
    KeyId,
    /// Somebody has it, with another secret.
    Secret,
    /// The bucket is elsewhere.
    Region,
    /// The signature is of another time.
    Clock,
    /// It is there, and nobody can read it now.
    Archived,
}

impl Refused {
    /// Reads an answer: its status, and the beginning of its body.
    pub(super) fn read(status: StatusCode, body: &str) -> Self {
        let word = body
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"))
            .map_or("", |(word, _)| word.trim());
        let why = match word {
            "NoSuchBucket" => Some(Why::Bucket),
            "NoSuchKey" => Some(Why::Key),
            "AccessDenied" | "AllAccessDisabled" => Some(Why::Access),
            "InvalidAccessKeyId" => Some(Why::KeyId),
            "SignatureDoesNotMatch" => Some(Why::Secret),
            "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" => {
                Some(Why::Region)
            }
            "RequestTimeTooSkewed" => Some(Why::Clock),
            "InvalidObjectState" => Some(Why::Archived),
            _ => match status {
                StatusCode::NOT_FOUND => Some(Why::Key),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Why::Access),
                _ if status.is_redirection() => Some(Why::Region),
                _ => None,
            },
        };
        Self { status, why }
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn may_pass(&self) -> bool {
        self.status.is_server_error()
            || matches!(
                self.status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            )
    }

    fn told(&self, bucket: &Bucket, key: &Path, what: &str) -> DatasetError {
        let Bucket { name, region, .. } = bucket;
        let place = bucket.target.shown();
        let id = bucket.key_id.as_deref();
        let again = "add the datastore again";
        let text = match (self.why, id) {
            (Some(Why::Bucket), _) => format!(
                "there is no bucket `{name}` at {place}; `tern datastore list` shows what was named"
            ),
            (Some(Why::Key), _) => format!("the bucket `{name}` has no `{key}`"),
            (Some(Why::Access | Why::KeyId | Why::Secret), None) => format!(
                "`{key}` of the bucket `{name}` is not public, or not there; {again} with `--key-id` and a secret"
            ),
            (Some(Why::Access), Some(id)) => format!(
                "`{key}` of the bucket `{name}` is not there, or key {id} may not read it; allow it `s3:GetObject`"
            ),
            (Some(Why::KeyId), Some(id)) => {
                format!("nobody at {place} has the key id {id}; {again} with one that is good")
            }
            (Some(Why::Secret), Some(id)) => format!(
                "its secret is not that of key {id}; {again} with the right one in TERN_DATASTORE_TOKEN"
            ),
            (Some(Why::Region), _) => format!(
                "the bucket `{name}` is not in the region {region} at {place}; {again} with its `--region`, or the \
                 `--endpoint` that has it"
            ),
            (Some(Why::Clock), _) => {
                "the clocks of this machine and of S3 differ by too much; set this one right".into()
            }
            (Some(Why::Archived), _) => {
                format!("`{key}` of the bucket `{name}` is in an archive; restore it there first")
            }
            (None, _) => format!("{place} {self}"),
        };
        let text = format!("{what}: {text}");
        if self.may_pass() || self.why == Some(Why::Clock) {
            DatasetError::Away(text)
        } else {
            DatasetError::Refused(text)
        }
    }
}

/// What went wrong with a file, in words for whoever asked for it.
pub(super) fn told(
    err: &object_store::Error,
    bucket: &Bucket,
    key: &Path,
    what: &str,
) -> DatasetError {
    let mut next: Option<&(dyn Error + 'static)> = Some(err);
    while let Some(cause) = next {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return refused.told(bucket, key, what);
        }
        if cause.is::<Failure>()
            || cause.is::<Trouble>()
            || cause.is::<hyper::Error>()
            || cause.is::<io::Error>()
        {
            return DatasetError::Away(format!("{what}: {cause}"));
        }
        next = cause.source();
    }
    // Nothing of ours is in it, so it may have something of the answer.
    DatasetError::Away(format!(
        "{what}: {} did not answer as S3 does",
        bucket.target.shown()
    ))
}

#[cfg(test)]
mod tests {
    use object_store::client::{HttpError, HttpErrorKind};

    use super::*;

    fn bucket(key_id: Option<&str>) -> Bucket {
        let endpoint = Some("https://minio.example");
        Bucket::new("lake", "", "eu-central-1", endpoint, key_id).expect("a bucket")
    }

    /// As `object_store` hands it on.
    fn told_of(
        kind: HttpErrorKind,
        cause: impl Error + Send + Sync + 'static,
        id: Option<&str>,
    ) -> DatasetError {
        let err = object_store::Error::Generic {
            store: "S3",
            source: Box::new(HttpError::new(kind, cause)),
        };
        let key = Path::parse("2026/a.csv").expect("a path");
        told(&err, &bucket(id), &key, "lake:2026/a.csv")
    }

    #[track_caller]
    fn says(status: u16, code: &str, id: Option<&str>, expected: &str, again: bool) {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>planted</Message></Error>"
        );
        let status = StatusCode::from_u16(status).expect("a status");
        let refused = Refused::read(status, &body);
        let err = told_of(HttpErrorKind::Unknown, refused, id);
        let text = err.to_string();
        assert!(text.contains(expected), "{status} {code}: {text}");
        assert!(!text.contains("planted"), "{text}");
        assert!(text.starts_with("lake:2026/a.csv: "), "{text}");
        assert_eq!(err.may_help_again(), again, "{text}");
    }

    #[test]
    fn what_s3_says_is_told_with_what_to_do() {
        let id = Some("AKIA1");
        says(
            404,
            "NoSuchBucket",
            id,
            "no bucket `lake` at https://minio.example",
            false,
        );
        says(404, "NoSuchKey", id, "has no `2026/a.csv`", false);
        says(404, "", None, "has no `2026/a.csv`", false);
        says(403, "AccessDenied", id, "key AKIA1 may not read it", false);
        says(403, "AccessDenied", None, "`--key-id`", false);
        says(
            403,
            "InvalidAccessKeyId",
            id,
            "nobody at https://minio.example",
            false,
        );
        says(
            403,
            "SignatureDoesNotMatch",
            id,
            "TERN_DATASTORE_TOKEN",
            false,
        );
        says(301, "PermanentRedirect", id, "`--region`", false);
        says(307, "", id, "`--region`", false);
        says(
            400,
            "AuthorizationHeaderMalformed",
            id,
            "eu-central-1",
            false,
        );
        says(403, "RequestTimeTooSkewed", id, "clocks", true);
        says(403, "InvalidObjectState", id, "archive", false);
        says(400, "planted", id, "answered 400", false);
        says(503, "SlowDown", id, "answered 503", true);
        says(429, "", id, "answered 429", true);
    }

    #[test]
    fn what_is_not_known_to_be_ours_is_not_shown() {
        let silent = told_of(HttpErrorKind::Timeout, Trouble::Silent, None);
        assert!(silent.to_string().contains("no answer within"), "{silent}");
        let other = told_of(
            HttpErrorKind::Decode,
            "planted".parse::<u32>().expect_err("a word"),
            None,
        );
        assert!(
            other.to_string().ends_with("did not answer as S3 does"),
            "{other}"
        );
        assert!(silent.may_help_again() && other.may_help_again());
    }
}
