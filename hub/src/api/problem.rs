//! Errors as `application/problem+json` (RFC 9457). Every answer over 399 of the API is made here.

use std::{error::Error, io};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tern_protocol::rest::{Finding, Problem, RuleProblem};

use tern_trust::author::OfferError;

use crate::{
    access::identity::{DecideError, InviteError, JoinError},
    access::people::PeopleError,
    alerts::AlertError,
    blobs::BlobError,
    captures::CaptureError,
    datasets::DatasetError,
    jobs::JobsError,
    monitor::{
        AcceptError, ChartError, DistancesError, TruthError, labelling::LabellingError,
        labels::ImportError,
    },
    notify::NotifyError,
    registry::{ProfileError, PublishError},
    retrain::RetrainError,
    rollout::RolloutError,
    store::{StoreError, chain},
    tracking::TrackingError,
    trust::{RevokeError, TrustError},
};

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    findings: Vec<Finding>,
    /// When to try again, in seconds.
    again_in_s: Option<u64>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:ident $kind:literal $title:literal;)+) => {
        impl ApiError {$(
            $(#[$doc])*
            pub(super) fn $name(detail: impl Into<String>) -> Self {
                Self {
                    status: StatusCode::$status,
                    kind: concat!("urn:tern:problem:", $kind),
                    title: $title,
                    detail: detail.into(),
                    findings: Vec::new(),
                    again_in_s: None,
                }
            }
        )+}
    };
}

kinds! {
    /// A path, query or body that cannot be read.
    bad_request = BAD_REQUEST "bad-request" "The request cannot be read";
    /// Nobody that is known, or the proof is wrong.
    unauthorized = UNAUTHORIZED "unauthorized" "Not let in";
    /// The password is right, and a code of the second factor is missing.
    second_factor = UNAUTHORIZED "second-factor" "A second factor is needed";
    /// Known, and not allowed.
    forbidden = FORBIDDEN "forbidden" "This is not permitted";
    /// Too many attempts.
    too_many = TOO_MANY_REQUESTS "too-many-requests" "Too many attempts";
    /// Nothing there.
    not_found = NOT_FOUND "not-found" "There is no such thing";
    /// The path is there, not with this method.
    method = METHOD_NOT_ALLOWED "method-not-allowed" "The path has no such method";
    /// Bytes that are not there.
    range = RANGE_NOT_SATISFIABLE "range" "There are no such bytes";
    /// The thing is in a state that does not allow this.
    conflict = CONFLICT "conflict" "This cannot be done now";
    /// More bytes or items than allowed.
    too_large = PAYLOAD_TOO_LARGE "too-large" "The request is too large";
    /// A body that is not JSON.
    media_type = UNSUPPORTED_MEDIA_TYPE "media-type" "The body is not JSON";
    /// Well-formed, and wrong.
    unprocessable = UNPROCESSABLE_ENTITY "unprocessable" "The request says something impossible";
    /// A model that did not pass vetting.
    not_vetted = UNPROCESSABLE_ENTITY "not-vetted" "The model was refused";
    /// The hub is not able to do this now.
    unavailable = SERVICE_UNAVAILABLE "unavailable" "The hub cannot do this now";
    /// No space left.
    disk_full = INSUFFICIENT_STORAGE "disk-full" "The hub's disk is full";
    /// A fault of the hub.
    internal = INTERNAL_SERVER_ERROR "internal" "The hub failed";
}

impl ApiError {
    /// A workspace that does not exist, or that whoever asks is no member of: both read the same, so
    /// that names of workspaces are not to be found out.
    pub(super) fn no_workspace(text: &str) -> Self {
        Self::not_found(format!(
            "there is no workspace `{text}`, or you are not a member of it"
        ))
    }

    /// From a rejection of axum: its status decides the kind, its text is the detail.
    pub(super) fn rejected(status: StatusCode, text: String) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(text),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(text),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::media_type(text),
            StatusCode::UNPROCESSABLE_ENTITY => Self::unprocessable(text),
            status if status.is_server_error() => Self::internal("the hub's log says why"),
            _ => Self::bad_request(text),
        }
    }

    /// The same, to be tried again after so many seconds.
    pub(super) const fn again_in(mut self, seconds: u64) -> Self {
        self.again_in_s = Some(seconds);
        self
    }

    /// What a person wrote is wrong, place by place.
    fn document(check: &str, problems: &[RuleProblem]) -> Self {
        let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let finding = |problem: &RuleProblem| Finding {
            check: check.into(),
            subject: match problem.line {
                Some(line) => format!("line {line}"),
                None => problem.at.clone(),
            },
            message: problem.text.clone(),
            remedy: String::new(),
        };
        Self::unprocessable(format!("nothing was changed: {}", listed.join("; ")))
            .with(problems.iter().map(finding).collect())
    }

    fn with(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

    /// A fault of the hub: its causes go into the log, not to the client.
    fn fault(err: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = chain(err), "a request failed");
        if is_full(err) {
            return Self::disk_full(
                "nothing was changed; free space on the hub's disk and send this again",
            );
        }
        Self::internal(format!("{err}; the hub's log says why"))
    }
}

/// When to come again while the database does not answer, in seconds.
const DATABASE_AGAIN_S: u64 = 5;

/// Whether an error was caused by a full disk. What stands between may have turned the system's error into
/// a text.
fn is_full(err: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(err);
    while let Some(err) = cause {
        let full = if let Some(err) = err.downcast_ref::<io::Error>() {
            matches!(
                err.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        } else {
            let text = err.to_string();
            // The second is SQLite's (SQLITE_FULL).
            text.contains("No space left on device") || text.contains("database or disk is full")
        };
        if full {
            return true;
        }
        cause = err.source();
    }
    false
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: self.kind.into(),
            title: self.title.into(),
            status: self.status.as_u16(),
            detail: self.detail,
            findings: self.findings,
        };
        let body = serde_json::to_vec(&problem).expect("texts and numbers are always JSON");
        let kind = HeaderValue::from_static("application/problem+json");
        let mut answer = (self.status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if let Some(seconds) = self.again_in_s {
            answer
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        answer
    }
}

impl From<StoreError> for ApiError {
    fn from(err: StoreError) -> Self {
        if let StoreError::Away { doing, .. } = err {
            tracing::warn!(error = chain(&err), "a request failed");
            let text = format!("{doing}: the database does not answer; try again in a moment");
            return Self::unavailable(text).again_in(DATABASE_AGAIN_S);
        }
        if let StoreError::Nul { .. } = err {
            return Self::unprocessable(err.to_string());
        }
        Self::fault(&err)
    }
}

impl From<BlobError> for ApiError {
    fn from(err: BlobError) -> Self {
        match &err {
            BlobError::TooLarge { .. } => Self::too_large(err.to_string()),
            BlobError::DigestMismatch { .. } => Self::unprocessable(err.to_string()),
            BlobError::BrokenOff { .. } | BlobError::Range { .. } => {
                Self::bad_request(err.to_string())
            }
            BlobError::Missing(_) => Self::not_found(err.to_string()),
            BlobError::Storage { .. } => Self::fault(&err),
        }
    }
}

impl From<PublishError> for ApiError {
    fn from(err: PublishError) -> Self {
        match err {
            PublishError::Refused(findings) => {
                let first = findings.first();
                let detail = first.map(|f| format!("{}; {}", f.message, f.remedy));
                Self::not_vetted(detail.unwrap_or_default()).with(findings)
            }
            PublishError::Busy => Self::unavailable(err.to_string()),
            PublishError::Start(_) => Self::fault(&err),
            PublishError::Blob(err) => err.into(),
            PublishError::Store(err) => err.into(),
        }
    }
}

impl From<ChartError> for ApiError {
    fn from(err: ChartError) -> Self {
        match err {
            ChartError::Store(err) => err.into(),
            err => Self::unprocessable(err.to_string()),
        }
    }
}

impl From<DistancesError> for ApiError {
    fn from(err: DistancesError) -> Self {
        match err {
            DistancesError::Store(err) => err.into(),
            DistancesError::Profile(err) => err.into(),
            err @ DistancesError::NotFound { .. } => Self::not_found(err.to_string()),
            err => Self::unprocessable(err.to_string()),
        }
    }
}

impl From<AcceptError> for ApiError {
    fn from(err: AcceptError) -> Self {
        match err {
            AcceptError::Store(err) => err.into(),
            AcceptError::NotFound(_) => Self::not_found(err.to_string()),
            AcceptError::Over(_) => Self::conflict(err.to_string()),
        }
    }
}

impl From<ProfileError> for ApiError {
    fn from(err: ProfileError) -> Self {
        match err {
            ProfileError::Store(err) => err.into(),
            ProfileError::Blob(err) => err.into(),
        }
    }
}

impl From<TruthError> for ApiError {
    fn from(err: TruthError) -> Self {
        match err {
            TruthError::Store(err) => err.into(),
            TruthError::Profile(err) => err.into(),
            err @ TruthError::NotFound { .. } => Self::not_found(err.to_string()),
            err @ TruthError::Time => Self::unprocessable(err.to_string()),
        }
    }
}

impl From<LabellingError> for ApiError {
    fn from(err: LabellingError) -> Self {
        let text = err.to_string();
        match err {
            LabellingError::Store(err) => err.into(),
            LabellingError::Profile(err) => err.into(),
            LabellingError::NoModel(_) | LabellingError::NoCapture { .. } => Self::not_found(text),
            LabellingError::Labellers
            | LabellingError::NotAClass { .. }
            | LabellingError::NotANumber { .. } => Self::unprocessable(text),
            LabellingError::Known
            | LabellingError::Lent
            | LabellingError::Full
            | LabellingError::NotDisagreed
            | LabellingError::NothingToUndo(_) => Self::conflict(text),
        }
    }
}

impl From<PeopleError> for ApiError {
    fn from(err: PeopleError) -> Self {
        let text = err.to_string();
        match err {
            PeopleError::Wrong | PeopleError::Link => Self::unauthorized(text),
            PeopleError::SecondFactorNeeded => Self::second_factor(text),
            PeopleError::Throttled { again_in_s } => Self {
                again_in_s: Some(again_in_s),
                ..Self::too_many(text)
            },
            PeopleError::NotFound { .. } => Self::not_found(text),
            PeopleError::Exists { .. } | PeopleError::LastHubAdmin(_) | PeopleError::State(_) => {
                Self::conflict(text)
            }
            PeopleError::MoreThanOwn { .. } => Self::forbidden(text),
            PeopleError::Password | PeopleError::Bounds(_) => Self::unprocessable(text),
            PeopleError::Random => Self::unavailable(text),
            PeopleError::Store(err) => err.into(),
        }
    }
}

impl From<ImportError> for ApiError {
    fn from(err: ImportError) -> Self {
        match err {
            ImportError::TooMany(_) => Self::too_large(err.to_string()),
            ImportError::Store(err) => err.into(),
        }
    }
}

impl From<JoinError> for ApiError {
    fn from(err: JoinError) -> Self {
        match err {
            JoinError::Unknown
            | JoinError::Revoked
            | JoinError::Expired
            | JoinError::UsedUp
            | JoinError::NotThisDevice
            | JoinError::NotThisHardware
            | JoinError::UnknownKey
            | JoinError::TooLate => Self::unauthorized(err.to_string()),
            JoinError::OtherDevice
            | JoinError::Rejected
            | JoinError::KeyRevoked
            | JoinError::Superseded => Self::forbidden(err.to_string()),
            JoinError::Name | JoinError::Hardware | JoinError::Request(_) => {
                Self::unprocessable(err.to_string())
            }
            JoinError::Authority(err) => Self::fault(&err),
            JoinError::Trust(err) => err.into(),
            JoinError::Broker(err) => Self::fault(&err),
            JoinError::Store(err) => err.into(),
        }
    }
}

impl From<InviteError> for ApiError {
    fn from(err: InviteError) -> Self {
        match err {
            InviteError::Impossible(_) => Self::unprocessable(err.to_string()),
            InviteError::NotFound(_) => Self::not_found(err.to_string()),
            InviteError::NotListening => Self::conflict(err.to_string()),
            InviteError::Store(err) => err.into(),
        }
    }
}

impl From<CaptureError> for ApiError {
    fn from(err: CaptureError) -> Self {
        match err {
            CaptureError::Impossible(_) => Self::unprocessable(err.to_string()),
            CaptureError::NotFound(_) => Self::not_found(err.to_string()),
            CaptureError::TooMany(_) => Self::conflict(err.to_string()),
            CaptureError::Store(err) => err.into(),
        }
    }
}

impl From<DatasetError> for ApiError {
    fn from(err: DatasetError) -> Self {
        let text = err.causes();
        match err {
            DatasetError::NoDataset(_) | DatasetError::NotFound(_) => Self::not_found(text),
            DatasetError::Refused(_) => Self::unprocessable(text),
            DatasetError::Conflict(_) | DatasetError::Stopped => Self::conflict(text),
            DatasetError::Away(_) => Self::unavailable(text),
            DatasetError::Blob(err) => err.into(),
            DatasetError::Store(err) => err.into(),
            DatasetError::Io { .. } | DatasetError::Table(_) | DatasetError::Program { .. } => {
                tracing::error!(error = text, "a dataset cannot be read");
                Self::internal("a dataset could not be read or written; the hub's log says why")
            }
        }
    }
}

impl From<NotifyError> for ApiError {
    fn from(err: NotifyError) -> Self {
        match err {
            NotifyError::Impossible(_) | NotifyError::Address(_) => {
                Self::unprocessable(err.to_string())
            }
            NotifyError::NoMail | NotifyError::TooMany => Self::conflict(err.to_string()),
            NotifyError::NotFound(_) => Self::not_found(err.to_string()),
            NotifyError::Busy | NotifyError::Random => Self::unavailable(err.to_string()),
            NotifyError::Store(err) => err.into(),
        }
    }
}

impl From<AlertError> for ApiError {
    fn from(err: AlertError) -> Self {
        match err {
            AlertError::Impossible(_) => Self::unprocessable(err.to_string()),
            AlertError::NotFound(text) => Self::not_found(text),
            AlertError::Over(text) | AlertError::TooMany(text) => Self::conflict(text),
            AlertError::Rules(problems) => Self::document("rule", &problems),
            AlertError::Store(err) => err.into(),
        }
    }
}

impl From<RetrainError> for ApiError {
    fn from(err: RetrainError) -> Self {
        match err {
            RetrainError::NotFound(text) => Self::not_found(text),
            RetrainError::Impossible(text) => Self::unprocessable(text),
            RetrainError::Conflict(text) => Self::conflict(text),
            RetrainError::Forbidden(text) => Self::forbidden(text),
            RetrainError::Document(problems) => Self::document("retraining", &problems),
            err @ RetrainError::Restore(_) => Self::fault(&err),
            RetrainError::Store(err) => err.into(),
        }
    }
}

impl From<TrackingError> for ApiError {
    fn from(err: TrackingError) -> Self {
        match err {
            TrackingError::NotFound(text) => Self::not_found(text),
            TrackingError::Exists(text) => Self::conflict(text),
            TrackingError::Invalid(text) => Self::unprocessable(text),
            TrackingError::Blob(err) => err.into(),
            TrackingError::Publish(err) => err.into(),
            TrackingError::Store(err) => err.into(),
        }
    }
}

impl From<JobsError> for ApiError {
    fn from(err: JobsError) -> Self {
        let text = err.to_string();
        match err {
            JobsError::Wrong(problems) => {
                let finding = |problem: tern_compute::job::Problem| Finding {
                    check: "job".into(),
                    subject: problem.at,
                    message: problem.text,
                    remedy: String::new(),
                };
                Self::unprocessable(text).with(problems.into_iter().map(finding).collect())
            }
            JobsError::NoJob(_) | JobsError::NoCompute(_) | JobsError::NotFound(_) => {
                Self::not_found(text)
            }
            JobsError::State(_) => Self::conflict(text),
            JobsError::Impossible(_) => Self::unprocessable(text),
            JobsError::Random => Self::unavailable(text),
            JobsError::Blob(err) => err.into(),
            JobsError::Tracking(err) => err.into(),
            JobsError::Store(err) => err.into(),
        }
    }
}

impl From<DecideError> for ApiError {
    fn from(err: DecideError) -> Self {
        match err {
            DecideError::NotFound(_) => Self::not_found(err.to_string()),
            DecideError::State { .. } => Self::conflict(err.to_string()),
            DecideError::Store(err) => err.into(),
        }
    }
}

impl From<TrustError> for ApiError {
    fn from(err: TrustError) -> Self {
        match err {
            TrustError::Offer(OfferError::Pending | OfferError::Version { .. })
            | TrustError::NoDraft => Self::conflict(err.to_string()),
            TrustError::Offer(_)
            | TrustError::Document(_)
            | TrustError::Key(_)
            | TrustError::Threshold
            | TrustError::EmptyPlan => Self::unprocessable(err.to_string()),
            TrustError::Blob(err) => err.into(),
            TrustError::Store(err) => err.into(),
        }
    }
}

impl From<RevokeError> for ApiError {
    fn from(err: RevokeError) -> Self {
        match err {
            RevokeError::NoVersion(..) => Self::not_found(err.to_string()),
            RevokeError::Reason | RevokeError::Replacement(..) => {
                Self::unprocessable(err.to_string())
            }
            RevokeError::Trust(err) => err.into(),
        }
    }
}

impl From<RolloutError> for ApiError {
    fn from(err: RolloutError) -> Self {
        match err {
            RolloutError::Store(err) => err.into(),
            RolloutError::NotFound { .. } => Self::not_found(err.to_string()),
            RolloutError::Plan { problems } => {
                let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let mut problem = Self::unprocessable(format!(
                    "the plan cannot be carried out: {}",
                    listed.join("; ")
                ));
                let finding = |problem: &tern_protocol::rest::PlanProblem| Finding {
                    check: "plan".into(),
                    subject: problem.at.clone(),
                    message: problem.text.clone(),
                    remedy: String::new(),
                };
                problem.findings = problems.iter().map(finding).collect();
                problem
            }
            RolloutError::NoVersion { .. }
            | RolloutError::Template { .. }
            | RolloutError::Percent { .. } => Self::unprocessable(err.to_string()),
            RolloutError::Narrower { .. }
            | RolloutError::State { .. }
            | RolloutError::TooMany
            | RolloutError::Unsigned { .. }
            | RolloutError::Revoked { .. }
            | RolloutError::Harm { .. }
            | RolloutError::TooManySlots => Self::conflict(err.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("writing")]
    struct Outer(#[source] Box<dyn Error>);

    #[test]
    fn a_full_disk_is_told_to_whoever_asked() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let told: [Box<dyn Error>; 3] = [
            full.into(),
            "error returned from database: (code: 13) database or disk is full".into(),
            "Unable to copy data to file: No space left on device (os error 28)".into(),
        ];
        for err in told {
            let err = ApiError::fault(&Outer(err));
            assert_eq!(err.status, StatusCode::INSUFFICIENT_STORAGE, "{err:?}");
        }
        let err = ApiError::fault(&Outer("broken".into()));
        assert_eq!(err.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
