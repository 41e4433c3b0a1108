//! `tern ca`: list, export.

use clap::Subcommand;
use tern_protocol::rest::AuthorityView;

use super::{Answer, AskError, Context};
use crate::show::{
    Look,
    table::{Cell, Table},
    words::{count, date},
};

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityCommand {
    /// Authorities, and how many identities hang on each
    List,
    /// Print the certificates that vouch for the hub, as PEM
    Export,
}

pub(crate) fn run(context: &Context, command: &AuthorityCommand) -> Result<Answer, AskError> {
    let out = &context.out;
    match command {
        AuthorityCommand::List => {
            let all = context.client.authorities().all()?;
            let advice = "the hub has no authority; it was started with --insecure-loopback";
            out.list(&all, advice, |look| table(&all, look))?;
        }
        AuthorityCommand::Export => {
            let pem = context.client.ca()?;
            let pem = String::from_utf8_lossy(&pem);
            out.answer(&serde_json::json!({ "pem": &pem }), |_| pem.to_string())?;
        }
    }
    Ok(Answer::Yes)
}

fn table(all: &[AuthorityView], look: Look) -> String {
    let headings = ["ID", "FOR", "ISSUES", "UNTIL", "IDENTITIES", "FINGERPRINT"];
    let mut table = Table::new(look, &headings);
    for view in all {
        let whom = view.workspace.as_ref();
        table.row([
            view.id.as_str().into(),
            whom.map_or("the hub".into(), ToString::to_string).into(),
            if view.issues { "yes" } else { "no" }.into(),
            date(view.not_after).into(),
            Cell::number(count(view.identities)),
            view.fingerprint.to_string().into(),
        ]);
    }
    table.text()
}
