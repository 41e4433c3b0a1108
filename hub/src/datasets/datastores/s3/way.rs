//! How requests to a bucket leave: by the hub's own connections instead of a client that `object_store` would bring.
//!
//! Must never break: only the address that was looked at is connected to, redirects are not followed, and nothing waits
//! longer than [`HEAD`] for an answer or [`STALL`] for more of it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use hyper::{
    Uri,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1,
    header::{HOST, HeaderValue, USER_AGENT},
    http::uri::Authority,
};
use hyper_util::rt::TokioIo;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpResponseBody, HttpService,
    },
};
use tokio::time::{Instant, Sleep};
use tokio_util::task::AbortOnDropHandle;

use super::refused::Refused;
use crate::notify::{address::Target, webhook::Webhooks};

/// Longest from the name to an answer's head. S3 answers in tens of milliseconds; disks that have to wake up take seconds.
const HEAD: Duration = Duration::from_secs(30);

/// Longest without a byte of a file that is on its way.
const STALL: Duration = Duration::from_mins(1);

/// Bytes that are read ahead at most, an answer's head among them.
const AHEAD: usize = 128 * 1024;

/// Header fields of an answer at most: whoever stored a file may have given it some.
const FIELDS: usize = 128;

/// Bytes that are read of an answer that is no file: S3 says what is wrong at their beginning.
const WHY: usize = 4 * 1024;

/// Why nothing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// No answer.
    #[error("no answer within {} s", HEAD.as_secs())]
    Silent,
    /// It stopped in the middle.
    #[error("nothing more came for {} s", STALL.as_secs())]
    Stalled,
    /// Somebody else was to be asked.
    #[error("a request to another address than the bucket's was not sent")]
    Astray,
}

/// Takes requests to one target.
#[derive(Debug, Clone)]
pub(super) struct Way {
    target: Target,
    /// They have the machine's authorities, read once.
    webhooks: Arc<Webhooks>,
}

impl Way {
    /// The way to this one.
    pub(super) fn to(target: Target) -> Self {
        Self {
            target,
            webhooks: Arc::default(),
        }
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut head, body) = request.into_parts();
        let asked = head.uri.authority().map(Authority::as_str);
        if asked != Some(self.target.authority().as_str()) {
            return Err(HttpError::new(HttpErrorKind::Unknown, Trouble::Astray));
        }
        let path = head.uri.path_and_query().cloned();
        head.uri = path.map_or_else(Uri::default, Uri::from);
        let host = HeaderValue::from_str(&self.target.authority());
        head.headers.insert(
            HOST,
            host.map_err(|err| HttpError::new(HttpErrorKind::Unknown, err))?,
        );
        let agent = concat!("tern-hub/", env!("CARGO_PKG_VERSION"));
        head.headers
            .insert(USER_AGENT, HeaderValue::from_static(agent));

        let line = self.webhooks.connect(&self.target).await;
        let line = line.map_err(|failure| HttpError::new(HttpErrorKind::Connect, failure))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(AHEAD)
            .max_headers(FIELDS)
            .handshake(TokioIo::new(line))
            .await
            .map_err(broke)?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // What ends it is told by the answer.
            let _ = connection.await;
        }));
        let request = HttpRequest::from_parts(head, body);
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(broke)?
            .into_parts();
        if head.status.is_success() {
            let body = Coming {
                body,
                stalled: Box::pin(tokio::time::sleep(STALL)),
                _connection: connection,
            };
            return Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)));
        }
        // Not as an answer, which `object_store` would put into its errors as text: what S3 says there may be more than
        // anybody is to see, and of what it means nothing would be left but that text.
        let refused = Refused::read(head.status, &beginning(body).await);
        let kind = if refused.may_pass() {
            HttpErrorKind::Interrupted
        } else {
            HttpErrorKind::Unknown
        };
        Err(HttpError::new(kind, refused))
    }
}

#[async_trait]
impl HttpService for Way {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match tokio::time::timeout(HEAD, self.ask(request)).await {
            Ok(answered) => answered,
            Err(_) => Err(HttpError::new(HttpErrorKind::Timeout, Trouble::Silent)),
        }
    }
}

impl HttpConnector for Way {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

fn broke(err: hyper::Error) -> HttpError {
    let kind = if err.is_parse() {
        HttpErrorKind::Decode
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, err)
}

/// The first bytes of an answer, as text; as many as came if it breaks off.
async fn beginning(mut body: Incoming) -> String {
    let mut first = Vec::new();
    while first.len() < WHY
        && let Some(Ok(frame)) = body.frame().await
    {
        first.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    first.truncate(WHY);
    String::from_utf8_lossy(&first).into_owned()
}

/// A file that is on its way, for as long as some of it comes now and then. Dropped, its connection ends.
struct Coming {
    body: Incoming,
    stalled: Pin<Box<Sleep>>,
    _connection: AbortOnDropHandle<()>,
}

impl Body for Coming {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.stalled.as_mut().reset(Instant::now() + STALL);
            return Poll::Ready(frame.map(|frame| frame.map_err(broke)));
        }
        let stalled = self.stalled.as_mut().poll(cx);
        stalled.map(|()| {
            Some(Err(HttpError::new(
                HttpErrorKind::Timeout,
                Trouble::Stalled,
            )))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Read as _, Write as _},
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    use super::super::Bucket;
    use crate::datasets::DatasetError;

    /// Answers one connection after the other with these, and ends it; the heads of what it was asked.
    fn answering(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = thread::spawn(move || {
            let answer = |text: &&str| {
                let (mut stream, _) = listener.accept().expect("somebody asks");
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).expect("a request");
                    head.push(byte[0]);
                }
                stream.write_all(text.as_bytes()).expect("it is heard");
                String::from_utf8_lossy(&head).to_lowercase()
            };
            answers.iter().map(answer).collect()
        });
        (url, asked)
    }

    async fn got(url: &str, most: u64) -> (Result<(), DatasetError>, String) {
        let bucket = Bucket::new("lake", "", "us-east-1", Some(url), Some("AKIA1"));
        let bucket = bucket.expect("a bucket");
        let mut file = Vec::new();
        let take = &mut |piece: &[u8]| -> io::Result<()> { file.write_all(piece) };
        let secret = Some("planted-secret");
        let came = bucket
            .get(secret, "a b.csv", "lake:a b.csv", most, take)
            .await;
        (came, String::from_utf8(file).expect("text"))
    }

    #[tokio::test]
    async fn what_broke_off_is_gone_on_with_and_who_is_too_busy_is_asked_again() {
        let (url, asked) = answering(&[
            "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\netag: \"1\"\r\n\r\n01234",
            "HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\ncontent-range: bytes 5-9/10\r\netag: \"1\"\r\n\r\n56789",
        ]);
        let (came, file) = got(&url, 10).await;
        came.expect("all of it");
        assert_eq!(file, "0123456789");
        let asked = asked.join().expect("asked three times");
        for head in &asked {
            assert!(head.starts_with("get /lake/a%20b.csv http/1.1"), "{head}");
            assert!(head.contains("credential=akia1/"), "{head}");
            assert!(!head.contains("planted-secret"), "{head}");
        }
        assert!(asked[2].contains("range: bytes=5-9"), "{}", asked[2]);
    }

    #[tokio::test]
    async fn a_file_that_changed_in_the_middle_is_no_file() {
        let (url, asked) = answering(&[
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\netag: \"1\"\r\n\r\n01234",
            "HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\ncontent-range: bytes 5-9/10\r\netag: \"2\"\r\n\r\n56789",
        ]);
        let (came, _) = got(&url, 10).await;
        assert!(came.expect_err("two halves of two files").may_help_again());
        assert_eq!(asked.join().expect("asked twice").len(), 2);
    }

    #[tokio::test]
    async fn redirects_are_not_followed_and_what_is_too_long_is_not_read() {
        let (url, asked) = answering(&[
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/planted\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 11\r\netag: \"1\"\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\netag: \"1\"\r\n\r\n01234",
            // More than was left, under the range that was asked for.
            "HTTP/1.1 206 Partial Content\r\ncontent-length: 7\r\ncontent-range: bytes 5-9/10\r\netag: \"1\"\r\n\r\n56789ab",
        ]);
        let (elsewhere, _) = got(&url, 10).await;
        let elsewhere = elsewhere.expect_err("elsewhere").to_string();
        assert!(
            elsewhere.contains("`--region`") && !elsewhere.contains("planted"),
            "{elsewhere}"
        );
        for kept in ["", "01234"] {
            let (came, file) = got(&url, 10).await;
            let text = came.expect_err("too long").to_string();
            assert!(text.contains("more than 10 bytes"), "{text}");
            assert_eq!(file, kept);
        }
        assert_eq!(asked.join().expect("asked four times").len(), 4);
    }
}
