//! `tern overview`.

use super::{Answer, AskError, Context};
use crate::{clock, show};

pub(crate) fn run(context: &mut Context) -> Result<Answer, AskError> {
    let overview = context.client.overview()?;
    let text = |look| show::overview::overview(&overview, clock::now(), look);
    context.out.answer(&overview, text)?;
    Ok(Answer::Yes)
}
