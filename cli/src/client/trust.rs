//! Signed metadata.

use serde::Serialize;
use tern_protocol::{
    id::{ModelName, ModelVersion},
    rest::{Revoke, Signatures, TrustPlan, TrustView, VersionView},
};

use super::{Client, ClientError, http::Patience};

impl Client {
    /// `GET /trust`.
    pub fn trust(&self) -> Result<TrustView, ClientError> {
        self.http.get(&self.path("/trust"), &[])
    }

    /// `POST /trust/plan`.
    pub fn plan_keys(&self, plan: &TrustPlan) -> Result<TrustView, ClientError> {
        self.post_trust("plan", plan)
    }

    /// `POST /trust/signatures`.
    pub fn hand_in_signatures(&self, signatures: &Signatures) -> Result<TrustView, ClientError> {
        self.post_trust("signatures", signatures)
    }

    /// `POST /trust/withdraw`.
    pub fn withdraw_plan(&self) -> Result<TrustView, ClientError> {
        self.post_trust("withdraw", &serde_json::json!({}))
    }

    /// `POST /models/{model}/versions/{version}/revoke`.
    pub fn revoke_version(
        &self,
        model: &ModelName,
        version: ModelVersion,
        revoke: &Revoke,
    ) -> Result<VersionView, ClientError> {
        let path = self.path(&format!("/models/{model}/versions/{version}/revoke"));
        Ok(self.http.post(&path, revoke, Patience::Answer)?.1)
    }

    fn post_trust<B: Serialize>(&self, verb: &str, body: &B) -> Result<TrustView, ClientError> {
        let path = self.path(&format!("/trust/{verb}"));
        Ok(self.http.post(&path, body, Patience::Answer)?.1)
    }
}
