//! People say what is true about captures: which they are asked about, what follows from what they say, how far they
//! agree.
//!
//! Called by the API. [`queue`] chooses captures in the order of [`value`] (pure) and lends each to one person at a time;
//! [`say`] stores what was said and makes the label that follows by [`settle`] (pure); [`stand`] counts; [`view`] (pure)
//! says how an input is shown.
//!
//! Must never break:
//! - what a person said is kept as they said it, one row each, and a label that people made follows from these rows alone;
//! - labels of captures that were chosen by what the model said count in no estimate: their chance is stored as 0;
//! - a truth that came by another way is neither changed nor taken back here;
//! - no capture is on two screens at once, and no screen keeps one for ever.

mod queue;
mod say;
pub mod schema;
mod settle;
mod shown;
mod stand;
#[cfg(test)]
mod tests;
mod value;
mod view;

pub(crate) use self::view::view as drawn;
pub use self::{
    queue::next,
    say::{say, undo},
    shown::shown,
    stand::{set, stand},
};

use tern_protocol::id::{DeviceId, ModelName, PredictionId};

use crate::{access::principal::Principal, registry::ProfileError, store::StoreError};

/// Who labels: their account, whichever way they came; everybody on an open hub is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labeller(String);

impl Labeller {
    /// Whoever asks.
    pub fn of(principal: &Principal) -> Self {
        let user = principal.user();
        Self(user.map_or_else(|| principal.to_string(), ToString::to_string))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why something about labelling was not done.
#[derive(Debug, thiserror::Error)]
pub enum LabellingError {
    /// There is no such model.
    #[error("there is no model {0}")]
    NoModel(ModelName),
    /// One or two people.
    #[error("`labellers` is 1 or 2: how many people have to say the same")]
    Labellers,
    /// There is no such capture.
    #[error("there is no capture of prediction {prediction} of {device} by {model}")]
    NoCapture {
        /// The device.
        device: DeviceId,
        /// The prediction.
        prediction: PredictionId,
        /// The model.
        model: ModelName,
    },
    /// Not a class.
    #[error("`{truth}` is not a class of {model} v{version}")]
    NotAClass {
        /// What was said.
        truth: String,
        /// The model.
        model: ModelName,
        /// Its version.
        version: i64,
    },
    /// Not a number.
    #[error("`{truth}` is not a number, and {model} answers numbers")]
    NotANumber {
        /// What was said.
        truth: String,
        /// The model.
        model: ModelName,
    },
    /// The truth is known already.
    #[error("the truth about this capture is known already; nothing was changed")]
    Known,
    /// Somebody else is at it.
    #[error("somebody else is labelling this capture just now; ask for the next one")]
    Lent,
    /// Two others have said something.
    #[error("two others have labelled this capture already; ask for the next one")]
    Full,
    /// There is nothing to decide.
    #[error("nobody disagrees about this capture; label it from the open queue")]
    NotDisagreed,
    /// There is nothing to take back.
    #[error("you have not labelled anything of {0} that could be taken back")]
    NothingToUndo(ModelName),
    /// The reference profile is damaged or gone.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long a capture is on one screen before others are asked about it, in milliseconds: a person who thinks longer has
/// left.
const LEASE: i64 = 10 * 60 * 1000;
