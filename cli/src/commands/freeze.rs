//! `tern freeze`, `tern thaw`: nothing is moved until somebody says so.

use tern_protocol::rest::NewFreeze;

use super::{Answer, AskError, Context};
use crate::{
    clock,
    out::{Reader, talk},
    show,
};

/// What `tern freeze` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct FreezeArgs {
    /// Why, for those who find it frozen
    #[arg(long, default_value = "")]
    reason: String,
    /// Only say whether it is frozen; exit code 1 if it is not
    #[arg(long, conflicts_with = "reason")]
    status: bool,
}

pub(crate) fn freeze(context: &Context, args: FreezeArgs) -> Result<Answer, AskError> {
    let frozen = if args.status {
        context.client.frozen()?
    } else {
        let new = NewFreeze {
            reason: args.reason,
        };
        Some(context.client.freeze(&new)?)
    };
    context.out.answer(&frozen, |look| match &frozen {
        Some(frozen) => show::evidence::frozen(frozen, clock::now(), look),
        None => "not frozen\n".into(),
    })?;
    Ok(if frozen.is_some() {
        Answer::Yes
    } else {
        Answer::No
    })
}

pub(crate) fn thaw(context: &Context) -> Result<Answer, AskError> {
    context.client.thaw()?;
    if context.out.reader == Reader::Person {
        talk("not frozen: rollouts go on");
    }
    Ok(Answer::Yes)
}
