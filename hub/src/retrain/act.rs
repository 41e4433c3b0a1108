//! Carries out what follows, each thing through the domain that it concerns.
//!
//! What a domain refuses is a fact, stored under the key; what fails because a database or a disk is away is carried out
//! again at the next look.

use tern_retrain::{Act, Action, Step, fact::Again};

use super::{
    comparing,
    desk::Of,
    labels, letting_out, making,
    questions::{self, Body},
    registering, training,
    work::{self, Ended},
};
use crate::{app::App, store::StoreError};

/// Why work was not begun.
#[derive(Debug)]
pub(super) enum NotBegun {
    /// Its domain refuses it.
    Refused(String, Again),
    /// It cannot be begun yet, for this reason; it is tried again.
    NotYet(String),
    /// The database failed.
    Store(StoreError),
}

impl From<StoreError> for NotBegun {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

/// Carries out one action.
pub(super) async fn carry_out(app: &App, of: &Of, action: &Action) -> Result<(), StoreError> {
    let (workspace, model) = of;
    let key = action.key;
    let begun = match &action.act {
        Act::AskLabels(order) => labels::ask(app, of, key, order).await.map_err(Into::into),
        Act::Propose(proposal) => {
            let body = Body::Proposal(proposal.clone());
            let put = questions::put(app, workspace, model, key, &body).await;
            put.map_err(Into::into)
        }
        Act::Ask(text) => {
            let body = Body::Question(text.clone());
            let put = questions::put(app, workspace, model, key, &body).await;
            put.map_err(Into::into)
        }
        Act::Build(order) => making::begin(app, of, key, order).await,
        Act::Train(order) => training::begin(app, of, key, order).await,
        Act::Compare(order) => {
            comparing::begin(app, of, key, order.clone());
            Ok(())
        }
        Act::Register(lineage) => {
            registering::begin(app, of, key, lineage.clone());
            Ok(())
        }
        Act::RollOut(order) => letting_out::begin(app, of, key, order).await,
        Act::Stop => stop(app, of, action).await.map_err(Into::into),
    };
    match begun {
        Ok(()) => Ok(()),
        Err(NotBegun::NotYet(why)) => {
            app.retraining.wait(of, why);
            Ok(())
        }
        Err(NotBegun::Refused(reason, again)) => {
            tracing::info!(%workspace, %model, %key, reason, "work of a round was refused");
            let ended = Ended::failed(reason, again);
            work::end(app.store.write(), workspace, model, key, &ended).await?;
            app.retraining.wake.notify();
            Ok(())
        }
        Err(NotBegun::Store(err)) => Err(err),
    }
}

async fn stop(app: &App, of: &Of, action: &Action) -> Result<(), StoreError> {
    let key = action.key;
    match key.step {
        Step::Build => making::stop(app, of, key).await,
        Step::Train => training::stop(app, of, key).await,
        Step::RollOut => letting_out::stop(app, of, key).await,
        Step::Compare | Step::Register => {
            app.retraining.abort(of, key);
            work::end(app.store.write(), &of.0, &of.1, key, &Ended::Stopped).await
        }
        // Nothing of these runs.
        Step::Labels | Step::Propose | Step::AskUnknown | Step::AskRegister | Step::AskRollOut => {
            Ok(())
        }
    }
}
