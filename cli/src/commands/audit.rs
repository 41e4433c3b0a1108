//! `tern audit`: list, verify.

use clap::Subcommand;
use tern_protocol::{
    digest::Digest,
    rest::{AuditEntry, AuditVerdict},
};

use super::{Answer, AskError, Context};
use crate::show::{
    Look,
    table::{Cell, Table},
    words::{date, things, time_of_day},
};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// What was done, newest first
    List {
        /// Of the whole hub, not of the workspace alone
        #[arg(long)]
        all: bool,
        /// Done by; as `user ada`
        #[arg(long)]
        actor: Option<String>,
        /// What; as `rollout.start`
        #[arg(long)]
        action: Option<String>,
        /// Done to; as `rollout 12`
        #[arg(long)]
        subject: Option<String>,
        /// Only entries before this number
        #[arg(long, value_name = "N")]
        before: Option<u64>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Whether the log is whole
    #[command(
        after_help = "Exit code 1: an entry was changed or removed, or the newest is not --expect."
    )]
    Verify {
        /// Hash that the newest entry has to have, as noted down elsewhere
        #[arg(long, value_name = "SHA256")]
        expect: Option<Digest>,
    },
}

pub(crate) fn run(context: &Context, command: AuditCommand) -> Result<Answer, AskError> {
    match command {
        AuditCommand::Verify { expect } => verify(context, expect.as_ref()),
        AuditCommand::List {
            all,
            actor,
            action,
            subject,
            before,
            limit,
        } => {
            let mut parameters = vec![("limit", limit.to_string())];
            let given = [("actor", actor), ("action", action), ("subject", subject)];
            parameters.extend(given.into_iter().filter_map(|(k, v)| Some((k, v?))));
            parameters.extend(before.map(|before| ("before", before.to_string())));
            let entries = if all {
                context.client.audit_all(&parameters)?
            } else {
                context.client.audit(&parameters)?
            };
            let advice = "no entry matches; `tern audit list --all` shows those of the whole hub";
            let out = &context.out;
            out.list(&entries, advice, |look| table(&entries, look))?;
            Ok(Answer::Yes)
        }
    }
}

fn verify(context: &Context, expect: Option<&Digest>) -> Result<Answer, AskError> {
    let verdict = context.client.verify_audit()?;
    context.out.answer(&verdict, |_| said(&verdict, expect))?;
    let as_expected = expect.is_none_or(|hash| verdict.head.as_ref() == Some(hash));
    Ok(if verdict.whole && as_expected {
        Answer::Yes
    } else {
        Answer::No
    })
}

fn said(verdict: &AuditVerdict, expect: Option<&Digest>) -> String {
    let entries = things(verdict.entries, "record");
    let head = verdict.head.as_ref();
    match (&verdict.broken, head) {
        (Some(broken), _) => format!("broken at entry {}: {}", broken.seq, broken.text),
        (None, _) if !verdict.whole => "broken; the hub does not say where".into(),
        (None, Some(head)) if expect.is_some_and(|hash| hash != head) => format!(
            "whole in itself ({entries}), but its newest hash is {head}: it was written anew, or \
             has grown since the hash was noted down"
        ),
        (None, Some(head)) => format!("whole: {entries}, newest hash {head}"),
        (None, None) if expect.is_some() => "empty, where an entry was expected".into(),
        (None, None) => "whole: nothing was done yet".into(),
    }
}

fn table(entries: &[AuditEntry], look: Look) -> String {
    let headings = ["NO", "WHEN", "WHO", "FROM", "WHAT", "TO", "DETAILS"];
    let mut table = Table::new(look, &headings);
    for entry in entries {
        table.row([
            Cell::number(entry.seq.to_string()),
            format!("{} {}", date(entry.at), time_of_day(entry.at)).into(),
            entry.actor.as_str().into(),
            Cell::or_none(entry.from.as_ref()),
            entry.action.as_str().into(),
            entry.subject.as_str().into(),
            entry.detail.as_str().into(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_newest_hash_is_said() {
        let head = Digest::of(b"head");
        let verdict = AuditVerdict {
            whole: true,
            entries: 3,
            head: Some(head),
            broken: None,
        };
        assert!(said(&verdict, None).starts_with("whole: 3"));
        assert!(said(&verdict, Some(&Digest::of(b"other"))).contains("written anew"));
        let empty = AuditVerdict {
            head: None,
            entries: 0,
            ..verdict
        };
        assert!(said(&empty, Some(&Digest::of(b"other"))).starts_with("empty"));
    }
}
