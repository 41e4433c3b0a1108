//! Calls about jobs and computes.

use std::{io::Write, time::Duration};

use tern_protocol::{
    id::{ComputeName, JobId},
    rest::{
        ComputeSettings, ComputeView, JobAsked, JobDetail, JobLog, JobRetry, JobState, JobView,
        Page,
    },
};

use super::{Client, ClientError, Pages, http::Patience, query::given};

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobQuery {
    /// In this state.
    pub state: Option<JobState>,
    /// Only those that are not over.
    pub open: bool,
    /// Of this account.
    pub by: Option<String>,
    /// On this compute.
    pub compute: Option<ComputeName>,
    /// On one page.
    pub page: Option<u64>,
}

/// Which part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// Of this attempt; of the last if not given.
    pub attempt: Option<u32>,
    /// From this place on.
    pub offset: u64,
    /// How long to wait for more if there is nothing yet.
    pub wait: Duration,
}

/// Bytes of a log asked for at once.
const LOG: u64 = 256 * 1024;

impl Client {
    /// `POST /jobs`.
    pub fn submit_job(
        &self,
        asked: &JobAsked,
        key: Option<&str>,
    ) -> Result<JobDetail, ClientError> {
        let path = match key {
            None => self.path("/jobs"),
            Some(key) => {
                let key: String = url_encoded(key);
                format!("{}?key={key}", self.path("/jobs"))
            }
        };
        Ok(self.http.post(&path, asked, Patience::Vetting)?.1)
    }

    /// `GET /jobs`, the newest first.
    pub fn jobs(&self, query: &JobQuery) -> Pages<JobView> {
        let parameters = given([
            ("state", query.state.map(|state| state.word().to_owned())),
            ("open", query.open.then(|| "true".into())),
            ("by", query.by.clone()),
            ("compute", query.compute.as_ref().map(ToString::to_string)),
            ("limit", query.page.map(|limit| limit.to_string())),
        ]);
        self.pages("/jobs", parameters)
    }

    /// `GET /jobs/{id}`.
    pub fn job(&self, id: JobId) -> Result<JobDetail, ClientError> {
        self.http.get(&self.path(&format!("/jobs/{id}")), &[])
    }

    /// `GET /jobs/{id}/log`.
    pub fn job_log(&self, id: JobId, query: LogQuery) -> Result<JobLog, ClientError> {
        let parameters = given([
            ("attempt", query.attempt.map(|number| number.to_string())),
            ("offset", Some(query.offset.to_string())),
            ("most", Some(LOG.to_string())),
            ("wait_s", Some(query.wait.as_secs().to_string())),
        ]);
        let path = self.path(&format!("/jobs/{id}/log"));
        self.http.get(&path, &parameters)
    }

    /// `POST /jobs/{id}/cancel`.
    pub fn cancel_job(&self, id: JobId) -> Result<JobDetail, ClientError> {
        let path = self.path(&format!("/jobs/{id}/cancel"));
        Ok(self
            .http
            .post(&path, &JobRetry::default(), Patience::Answer)?
            .1)
    }

    /// `POST /jobs/{id}/retry`.
    pub fn retry_job(&self, id: JobId, secrets: &JobRetry) -> Result<JobDetail, ClientError> {
        let path = self.path(&format!("/jobs/{id}/retry"));
        Ok(self.http.post(&path, secrets, Patience::Vetting)?.1)
    }

    /// `GET /jobs/{id}/artifact`: its bytes, as they come.
    pub fn job_artifact(
        &self,
        id: JobId,
        path: &str,
        attempt: Option<u32>,
        to: &mut dyn Write,
    ) -> Result<u64, ClientError> {
        let parameters = given([
            ("path", Some(path.to_owned())),
            ("attempt", attempt.map(|number| number.to_string())),
        ]);
        let path = self.path(&format!("/jobs/{id}/artifact"));
        self.http.download(&path, &parameters, to)
    }

    /// `GET /computes`.
    pub fn computes(&self) -> Result<Vec<ComputeView>, ClientError> {
        let page: Page<ComputeView> = self.http.get(&self.path("/computes"), &[])?;
        Ok(page.items)
    }

    /// `GET /computes/{name}`.
    pub fn compute(&self, name: &ComputeName) -> Result<ComputeView, ClientError> {
        self.http.get(&self.path(&format!("/computes/{name}")), &[])
    }

    /// `PUT /computes/{name}`.
    pub fn set_compute(
        &self,
        name: &ComputeName,
        settings: &ComputeSettings,
    ) -> Result<(), ClientError> {
        self.http
            .put_json(&format!("/api/v1/computes/{name}"), settings)
    }

    /// `DELETE /computes/{name}`.
    pub fn remove_compute(&self, name: &ComputeName) -> Result<(), ClientError> {
        self.http.delete(&format!("/api/v1/computes/{name}"))
    }
}

/// A text as one segment of an address.
fn url_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
