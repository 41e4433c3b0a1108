//! HTTP: routes and status codes.
//!
//! Called by `serve` for every connection. Must never break: bodies, connections and waits have
//! bounds; whatever is sent gets an answer or is cut off, and harms nobody else.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tern_protocol::{exposition, id::PredictionId, metric::METRICS};
use tokio::{net::TcpStream, sync::watch, time::timeout};

use super::{Shared, metrics, oip, recent::FeedbackError, status};
use crate::{capture::Wishes, telemetry::TellError};

/// One request's body: a batch of a few camera images as JSON.
pub const BODY_MAX: usize = 8 << 20;

/// A client that does not send its request, or its next one, within this time is cut off.
const HEADERS_WAIT: Duration = Duration::from_secs(30);

/// A client that does not send its body within this time is cut off.
const BODY_WAIT: Duration = Duration::from_secs(30);

/// Headers of one request, in bytes. hyper needs at least 8 KiB.
const HEADERS_MAX: usize = 16 << 10;

/// Asks for the input to be kept, with `yes`.
const CAPTURE_HEADER: &str = "tern-capture";

/// Says whose input it is.
const SUBJECT_HEADER: &str = "tern-subject";

type Answer = Response<Full<Bytes>>;

/// What goes wrong before a request reaches a model.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error("there is nothing here")]
    NotFound,
    #[error("there is no slot `{0}`")]
    NoSlot(String),
    #[error("the slot serves version {serving}, not {asked}")]
    NoVersion { serving: String, asked: String },
    #[error("the slot `{0}` has no model yet")]
    Empty(String),
    #[error("use {0} here")]
    Method(Method),
    #[error("a body may have {BODY_MAX} bytes")]
    TooLarge,
    #[error("the body did not come within {} s", BODY_WAIT.as_secs())]
    Slow,
    #[error("the body broke off")]
    Broken,
    #[error("{0}")]
    Header(String),
    #[error("not a feedback: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not an object of names and numbers: {0}")]
    Values(#[source] serde_json::Error),
    #[error("there is neither a truth nor a metric in it")]
    Nothing,
    #[error("{0} metrics; a bundle declares at most {METRICS}")]
    Many(usize),
    #[error(transparent)]
    Tell(#[from] TellError),
    #[error(transparent)]
    Infer(#[from] oip::InferError),
    #[error(transparent)]
    Feedback(#[from] FeedbackError),
    #[error("labels come faster than they can be stored; send it again")]
    Busy,
}

impl HttpError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound
            | Self::NoSlot(_)
            | Self::NoVersion { .. }
            | Self::Feedback(FeedbackError::Unknown(_)) => StatusCode::NOT_FOUND,
            Self::Feedback(_) | Self::Tell(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Empty(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken
            | Self::Header(_)
            | Self::Json(_)
            | Self::Values(_)
            | Self::Nothing
            | Self::Many(_) => StatusCode::BAD_REQUEST,
            Self::Infer(oip::InferError::Predict(super::predict::PredictError::Empty(_))) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Infer(err) if err.is_callers() => StatusCode::BAD_REQUEST,
            Self::Infer(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn connection(
    stream: TcpStream,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WAIT)
        .max_buf_size(HEADERS_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // The guard that `wait_for` gives must not live while the connection goes on.
    let stopped = async { stop.wait_for(|stop| *stop).await.map(drop) };
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopped => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(err) = ended {
        tracing::debug!("a connection ended: {err}");
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    match route(shared, request).await {
        Ok(answer) => answer,
        Err(err) => {
            let status = err.status();
            let text = crate::chain(&err);
            if status == StatusCode::INTERNAL_SERVER_ERROR {
                tracing::debug!("a request failed: {text}");
            }
            json(status, &Problem { error: &text })
        }
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
}

#[derive(Serialize)]
struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 0],
}

#[derive(Serialize)]
struct Live {
    live: bool,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    prediction: PredictionId,
    #[serde(default)]
    truth: Option<Truth>,
    /// Values of metrics that the bundle declares.
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
    /// Whose input it was: hashed here, and written nowhere.
    #[serde(default)]
    subject: Option<String>,
}

/// A class by name or index, or a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Truth {
    Name(String),
    Index(u64),
    Number(f64),
}

impl Truth {
    fn text(self) -> String {
        match self {
            Self::Name(name) => name,
            Self::Index(index) => index.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

async fn route(shared: &Shared, request: Request<Incoming>) -> Result<Answer, HttpError> {
    let path = request.uri().path().to_owned();
    let segments: Vec<_> = path.trim_matches('/').split('/').collect();
    match segments[..] {
        ["v2"] => {
            get(&request)?;
            let facts = ServerMetadata {
                name: "tern-agent",
                version: env!("CARGO_PKG_VERSION"),
                extensions: [],
            };
            Ok(json(StatusCode::OK, &facts))
        }
        ["v2", "health", "live"] => {
            get(&request)?;
            Ok(json(StatusCode::OK, &Live { live: true }))
        }
        ["v2", "health", "ready"] => {
            get(&request)?;
            let mut slots = shared.predictor.slots().iter();
            Ok(ready(slots.all(|slot| slot.serving().is_some())))
        }
        ["v2", "models", slot] => model(shared, request, slot, None, "").await,
        ["v2", "models", slot, "versions", version] => {
            model(shared, request, slot, Some(version), "").await
        }
        ["v2", "models", slot, what] => model(shared, request, slot, None, what).await,
        ["v2", "models", slot, "versions", version, what] => {
            model(shared, request, slot, Some(version), what).await
        }
        ["feedback"] => feedback(shared, request).await,
        ["status"] => {
            get(&request)?;
            Ok(json(StatusCode::OK, &status::status(shared)))
        }
        ["metrics"] => {
            get(&request)?;
            let text = metrics::metrics(shared).into_bytes();
            Ok(of_type(StatusCode::OK, text, exposition::CONTENT_TYPE))
        }
        _ => Err(HttpError::NotFound),
    }
}

async fn model(
    shared: &Shared,
    request: Request<Incoming>,
    name: &str,
    version: Option<&str>,
    what: &str,
) -> Result<Answer, HttpError> {
    let slot = shared.predictor.slots().get(name);
    let slot = slot.ok_or_else(|| HttpError::NoSlot(name.chars().take(80).collect()))?;
    let serving = slot.serving();
    if let (Some(asked), Some(loaded)) = (version, &serving) {
        let serving = loaded.kept.version.version.to_string();
        if serving != asked {
            let asked = asked.chars().take(20).collect();
            return Err(HttpError::NoVersion { serving, asked });
        }
    }
    match what {
        "" => {
            get(&request)?;
            let loaded = serving.ok_or_else(|| HttpError::Empty(name.into()))?;
            Ok(json(StatusCode::OK, &oip::metadata(slot, &loaded)))
        }
        "ready" => {
            get(&request)?;
            Ok(ready(serving.is_some()))
        }
        "metrics" => {
            drop(serving);
            let body = body(request).await?;
            let values: BTreeMap<String, f64> =
                serde_json::from_slice(&body).map_err(HttpError::Values)?;
            few(&values)?;
            // As with what is asked: what serves when the body is here.
            let loaded = slot
                .serving()
                .ok_or_else(|| HttpError::Empty(name.into()))?;
            shared.predictor.tell(&loaded, &values)?;
            Ok(bytes(StatusCode::ACCEPTED, b"{}".to_vec()))
        }
        "infer" => {
            // The model that serves when the body is here answers: a swap waits for no upload.
            drop(serving);
            let wishes = wishes(shared, &request)?;
            let body = body(request).await?;
            let response = oip::infer(&shared.predictor, slot, &body, wishes).await?;
            Ok(bytes(StatusCode::OK, response))
        }
        _ => Err(HttpError::NotFound),
    }
}

/// What the headers say about keeping the input.
fn wishes(shared: &Shared, request: &Request<Incoming>) -> Result<Wishes, HttpError> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .map(HeaderValue::to_str)
            .transpose()
    };
    let unreadable = |_| HttpError::Header("a header is text in ASCII".into());
    let capture = match header(CAPTURE_HEADER).map_err(unreadable)? {
        None => false,
        Some("yes") => true,
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            return Err(HttpError::Header(format!(
                "`{CAPTURE_HEADER}: {other}` is not known; it is `yes`, or left out"
            )));
        }
    };
    let subject = header(SUBJECT_HEADER).map_err(unreadable)?;
    Ok(Wishes {
        capture,
        subject: subject.map(|name| shared.predictor.captures().subject(name)),
    })
}

async fn feedback(shared: &Shared, request: Request<Incoming>) -> Result<Answer, HttpError> {
    let body = body(request).await?;
    let Feedback {
        prediction,
        truth,
        metrics,
        subject,
    } = serde_json::from_slice(&body)?;
    if truth.is_none() && metrics.is_empty() {
        return Err(HttpError::Nothing);
    }
    let predictor = &shared.predictor;
    let truth = match truth {
        Some(truth) => Some(predictor.truth(prediction, &truth.text(), subject.as_deref())?),
        None => None,
    };
    if !metrics.is_empty() {
        few(&metrics)?;
        predictor.tell(&*predictor.author(prediction)?, &metrics)?;
    }
    if truth.is_some_and(|truth| !predictor.send_truth(truth)) {
        return Err(HttpError::Busy);
    }
    Ok(bytes(StatusCode::ACCEPTED, b"{}".to_vec()))
}

/// No more values than a bundle may declare metrics.
fn few(values: &BTreeMap<String, f64>) -> Result<(), HttpError> {
    if values.is_empty() {
        Err(HttpError::Nothing)
    } else if values.len() > METRICS {
        Err(HttpError::Many(values.len()))
    } else {
        Ok(())
    }
}

fn get(request: &Request<Incoming>) -> Result<(), HttpError> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(HttpError::Method(Method::GET)),
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, HttpError> {
    if request.method() != Method::POST {
        return Err(HttpError::Method(Method::POST));
    }
    let body = Limited::new(request.into_body(), BODY_MAX).collect();
    match timeout(BODY_WAIT, body).await {
        Err(_) => Err(HttpError::Slow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(err)) if err.is::<LengthLimitError>() => Err(HttpError::TooLarge),
        Ok(Err(_)) => Err(HttpError::Broken),
    }
}

fn ready(ready: bool) -> Answer {
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, &Ready { ready })
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    bytes(
        status,
        serde_json::to_vec(value).expect("our own types are JSON"),
    )
}

fn bytes(status: StatusCode, body: Vec<u8>) -> Answer {
    of_type(status, body, "application/json")
}

fn of_type(status: StatusCode, body: Vec<u8>, kind: &'static str) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
