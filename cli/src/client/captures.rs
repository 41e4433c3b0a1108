//! Calls about what is asked of devices and what is deleted.

use serde::Serialize;
use tern_protocol::{
    id::{ModelName, SiteName},
    rest::{
        CaptureRequestView, CapturesKept, DeletionView, NewCaptureDeletion, NewCaptureRequest, Page,
    },
};

use super::{Client, ClientError, http::Patience};

/// A body that says nothing.
#[derive(Serialize)]
struct Nothing {}

impl Client {
    /// `GET /captures/kept`.
    pub fn captures_kept(
        &self,
        model: Option<&ModelName>,
        site: Option<&SiteName>,
    ) -> Result<CapturesKept, ClientError> {
        let named = [
            ("model", model.map(ToString::to_string)),
            ("site", site.map(ToString::to_string)),
        ];
        let given = named.into_iter();
        let given: Vec<_> = given
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        self.http.get(&self.path("/captures/kept"), &given)
    }

    /// `POST /capture-requests`.
    pub fn request_captures(
        &self,
        new: &NewCaptureRequest,
    ) -> Result<CaptureRequestView, ClientError> {
        let path = self.path("/capture-requests");
        Ok(self.http.post(&path, new, Patience::Answer)?.1)
    }

    /// `GET /capture-requests`: the newest, newest first.
    pub fn capture_requests(&self) -> Result<Vec<CaptureRequestView>, ClientError> {
        let page: Page<_> = self.http.get(&self.path("/capture-requests"), &[])?;
        Ok(page.items)
    }

    /// `POST /capture-requests/{id}/cancel`.
    pub fn cancel_captures(&self, id: u64) -> Result<CaptureRequestView, ClientError> {
        let path = self.path(&format!("/capture-requests/{id}/cancel"));
        Ok(self.http.post(&path, &Nothing {}, Patience::Answer)?.1)
    }

    /// `POST /capture-deletions`.
    pub fn delete_captures(&self, new: &NewCaptureDeletion) -> Result<DeletionView, ClientError> {
        let path = self.path("/capture-deletions");
        Ok(self.http.post(&path, new, Patience::Vetting)?.1)
    }

    /// `GET /capture-deletions`: the newest, newest first, without proofs.
    pub fn capture_deletions(&self) -> Result<Vec<DeletionView>, ClientError> {
        let page: Page<_> = self.http.get(&self.path("/capture-deletions"), &[])?;
        Ok(page.items)
    }

    /// `GET /capture-deletions/{id}`, with its proof.
    pub fn capture_deletion(&self, id: u64) -> Result<DeletionView, ClientError> {
        self.http
            .get(&self.path(&format!("/capture-deletions/{id}")), &[])
    }
}
