//! Calls about retraining: policies, trainings, rounds, questions, lessons.

use tern_protocol::{
    id::{ModelName, ProposalId, TrainingName},
    rest::{
        LessonView, NewRound, Page, ProposalAnswer, ProposalView, RetrainCheck, RetrainPolicyView,
        RetrainText, RetrainView, TrainingView,
    },
};

use super::{Client, ClientError, http::Patience, query::Parameters};

impl Client {
    /// `GET /retraining`.
    pub fn retraining(&self) -> Result<Vec<RetrainView>, ClientError> {
        let page: Page<RetrainView> = self.http.get(&self.path("/retraining"), &[])?;
        Ok(page.items)
    }

    /// `GET /models/{model}/retraining`.
    pub fn retraining_of(&self, model: &ModelName) -> Result<RetrainView, ClientError> {
        let path = self.path(&format!("/models/{model}/retraining"));
        self.http.get(&path, &[])
    }

    /// `POST /models/{model}/retraining/rounds`.
    pub fn open_round(
        &self,
        model: &ModelName,
        new: &NewRound,
    ) -> Result<RetrainView, ClientError> {
        let path = self.path(&format!("/models/{model}/retraining/rounds"));
        Ok(self.http.post(&path, new, Patience::Answer)?.1)
    }

    /// `GET /models/{model}/retraining/policy`.
    pub fn retrain_policy(&self, model: &ModelName) -> Result<RetrainPolicyView, ClientError> {
        let path = self.path(&format!("/models/{model}/retraining/policy"));
        self.http.get(&path, &[])
    }

    /// `POST /retraining/policies`.
    pub fn set_retrain_policy(&self, text: &RetrainText) -> Result<RetrainPolicyView, ClientError> {
        let path = self.path("/retraining/policies");
        Ok(self.http.post(&path, text, Patience::Answer)?.1)
    }

    /// `DELETE /models/{model}/retraining/policy`.
    pub fn remove_retrain_policy(&self, model: &ModelName) -> Result<(), ClientError> {
        let path = self.path(&format!("/models/{model}/retraining/policy"));
        self.http.delete(&path)
    }

    /// `POST /retraining/check`.
    pub fn check_retrain_policy(&self, text: &RetrainText) -> Result<RetrainCheck, ClientError> {
        let path = self.path("/retraining/check");
        Ok(self.http.post(&path, text, Patience::Answer)?.1)
    }

    /// `GET /retraining/trainings`.
    pub fn trainings(&self) -> Result<Vec<TrainingView>, ClientError> {
        let page: Page<TrainingView> = self.http.get(&self.path("/retraining/trainings"), &[])?;
        Ok(page.items)
    }

    /// `GET /retraining/trainings/{name}`.
    pub fn training(&self, name: &TrainingName) -> Result<TrainingView, ClientError> {
        let path = self.path(&format!("/retraining/trainings/{name}"));
        self.http.get(&path, &[])
    }

    /// `PUT /retraining/trainings/{name}`.
    pub fn set_training(&self, name: &TrainingName, text: &RetrainText) -> Result<(), ClientError> {
        let path = self.path(&format!("/retraining/trainings/{name}"));
        self.http.put_json(&path, text)
    }

    /// `DELETE /retraining/trainings/{name}`.
    pub fn remove_training(&self, name: &TrainingName) -> Result<(), ClientError> {
        let path = self.path(&format!("/retraining/trainings/{name}"));
        self.http.delete(&path)
    }

    /// `GET /proposals`: what waits for an answer, or with `all` everything that was asked; the newest first.
    pub fn proposals(
        &self,
        model: Option<&ModelName>,
        all: bool,
        limit: u64,
    ) -> Result<Vec<ProposalView>, ClientError> {
        let mut query: Parameters = vec![("limit", limit.to_string())];
        query.extend(model.map(|model| ("model", model.to_string())));
        query.extend(all.then(|| ("all", "true".to_owned())));
        let page: Page<ProposalView> = self.http.get(&self.path("/proposals"), &query)?;
        Ok(page.items)
    }

    /// `GET /proposals/{id}`.
    pub fn proposal(&self, id: ProposalId) -> Result<ProposalView, ClientError> {
        self.http.get(&self.path(&format!("/proposals/{id}")), &[])
    }

    /// `POST /proposals/{id}/say`.
    pub fn answer_proposal(
        &self,
        id: ProposalId,
        answer: &ProposalAnswer,
    ) -> Result<ProposalView, ClientError> {
        let path = self.path(&format!("/proposals/{id}/say"));
        Ok(self.http.post(&path, answer, Patience::Answer)?.1)
    }

    /// `GET /retraining/lessons`: the latest first.
    pub fn lessons(
        &self,
        model: Option<&ModelName>,
        limit: u64,
    ) -> Result<Vec<LessonView>, ClientError> {
        let mut query: Parameters = vec![("limit", limit.to_string())];
        query.extend(model.map(|model| ("model", model.to_string())));
        let page: Page<LessonView> = self.http.get(&self.path("/retraining/lessons"), &query)?;
        Ok(page.items)
    }
}
