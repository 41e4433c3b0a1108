//! Calls about alerts, their rules and silences.

use tern_protocol::{
    id::{AlertId, ModelName, RuleName, SilenceId, SiteName},
    rest::{
        Acknowledge, AlertDetail, AlertRuleView, AlertSeverity, AlertState, AlertView, NewSilence,
        Page, RuleCheck, RuleText, RulesApplied, SilenceView,
    },
};

use super::{Client, ClientError, Pages, http::Patience, query::Parameters};

/// Which alerts. Without a state those that are not over, and with `over` all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertQuery {
    /// In this state.
    pub state: Option<AlertState>,
    /// Those that are over too.
    pub over: bool,
    /// By this rule.
    pub rule: Option<RuleName>,
    /// Of this severity.
    pub severity: Option<AlertSeverity>,
    /// Of this model.
    pub model: Option<ModelName>,
    /// At this site.
    pub site: Option<SiteName>,
}

impl AlertQuery {
    fn parameters(&self) -> Parameters {
        let all = [
            ("state", self.state.map(|state| state.word().to_owned())),
            ("over", self.over.then(|| "true".to_owned())),
            ("rule", self.rule.as_ref().map(ToString::to_string)),
            ("severity", self.severity.map(|one| one.word().to_owned())),
            ("model", self.model.as_ref().map(ToString::to_string)),
            ("site", self.site.as_ref().map(ToString::to_string)),
        ];
        let given = all.into_iter();
        given
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

impl Client {
    /// `GET /alerts`: the newest first.
    pub fn alerts(&self, query: &AlertQuery) -> Pages<AlertView> {
        self.pages("/alerts", query.parameters())
    }

    /// `GET /alerts/{id}`.
    pub fn alert(&self, id: AlertId) -> Result<AlertDetail, ClientError> {
        self.http.get(&self.path(&format!("/alerts/{id}")), &[])
    }

    /// `POST /alerts/{id}/acknowledge`.
    pub fn acknowledge(&self, id: AlertId, said: &Acknowledge) -> Result<AlertView, ClientError> {
        let path = self.path(&format!("/alerts/{id}/acknowledge"));
        Ok(self.http.post(&path, said, Patience::Answer)?.1)
    }

    /// `GET /alerts/rules`.
    pub fn alert_rules(&self) -> Result<Vec<AlertRuleView>, ClientError> {
        let page: Page<AlertRuleView> = self.http.get(&self.path("/alerts/rules"), &[])?;
        Ok(page.items)
    }

    /// `POST /alerts/rules/check`.
    pub fn check_rules(&self, text: &RuleText) -> Result<RuleCheck, ClientError> {
        let path = self.path("/alerts/rules/check");
        Ok(self.http.post(&path, text, Patience::Answer)?.1)
    }

    /// `POST /alerts/rules/apply`.
    pub fn apply_rules(&self, text: &RuleText) -> Result<RulesApplied, ClientError> {
        let path = self.path("/alerts/rules/apply");
        Ok(self.http.post(&path, text, Patience::Answer)?.1)
    }

    /// `DELETE /alerts/rules/{name}`.
    pub fn remove_rule(&self, name: &RuleName) -> Result<(), ClientError> {
        self.http
            .delete(&self.path(&format!("/alerts/rules/{name}")))
    }

    /// `GET /alerts/silences`.
    pub fn silences(&self) -> Result<Vec<SilenceView>, ClientError> {
        let page: Page<SilenceView> = self.http.get(&self.path("/alerts/silences"), &[])?;
        Ok(page.items)
    }

    /// `POST /alerts/silences`.
    pub fn silence(&self, new: &NewSilence) -> Result<SilenceView, ClientError> {
        let path = self.path("/alerts/silences");
        Ok(self.http.post(&path, new, Patience::Answer)?.1)
    }

    /// `DELETE /alerts/silences/{id}`.
    pub fn end_silence(&self, id: SilenceId) -> Result<(), ClientError> {
        self.http
            .delete(&self.path(&format!("/alerts/silences/{id}")))
    }
}
