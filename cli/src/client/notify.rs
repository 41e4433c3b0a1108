//! Calls about who is told what by webhook and mail.

use serde::Serialize;
use tern_protocol::{
    id::SubscriptionId,
    rest::{NewSubscription, NotificationView, Subscribed, SubscriptionView, TestOutcome},
};

use super::{Client, ClientError, Pages, http::Patience};

/// A body that says nothing.
#[derive(Serialize)]
struct Nothing {}

impl Client {
    /// `GET /notifications`: newest first.
    pub fn notifications(&self) -> Pages<NotificationView> {
        self.pages("/notifications", Vec::new())
    }

    /// `GET /notifications/subscriptions`.
    pub fn subscriptions(&self) -> Pages<SubscriptionView> {
        self.pages("/notifications/subscriptions", Vec::new())
    }

    /// `POST /notifications/subscriptions`.
    pub fn subscribe(&self, new: &NewSubscription) -> Result<Subscribed, ClientError> {
        let path = self.path("/notifications/subscriptions");
        Ok(self.http.post(&path, new, Patience::Answer)?.1)
    }

    /// `DELETE /notifications/subscriptions/{id}`.
    pub fn unsubscribe(&self, id: SubscriptionId) -> Result<(), ClientError> {
        let path = self.path(&format!("/notifications/subscriptions/{id}"));
        self.http.delete(&path)
    }

    /// `POST /notifications/subscriptions/{id}/test`.
    pub fn test_subscription(&self, id: SubscriptionId) -> Result<TestOutcome, ClientError> {
        let path = self.path(&format!("/notifications/subscriptions/{id}/test"));
        Ok(self.http.post(&path, &Nothing {}, Patience::Answer)?.1)
    }
}
