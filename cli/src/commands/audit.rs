//! `tern audit`: list, verify.

use clap::Subcommand;
use tern_cli::client::{Client, Pages};
use tern_protocol::{
    digest::Digest,
    rest::{AuditEntry, AuditVerdict},
    time::WallTime,
};

use super::{
    Answer, AskError, Context,
    given::{self, GivenError},
};
use crate::{
    clock,
    out::{Reader, talk},
    show::{
        Look,
        table::{Cell, Table},
        words::{second, things},
    },
};

/// Entries asked for at once: the most that the hub gives.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// What was done, newest first
    List(ListArgs),
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

#[derive(Debug, clap::Args)]
#[command(
    after_help = "WHEN is a date (its first moment, UTC), a date with a time as \
    2026-11-24T09:30:00Z, or how long ago: 90m, 24h, 2d.\n\
    Example: tern audit list --action identity. --from 7d"
)]
pub(crate) struct ListArgs {
    /// Of the whole hub, not of the workspace alone
    #[arg(long)]
    all: bool,
    /// Done by; any part of it, as `user ada`
    #[arg(long)]
    actor: Option<String>,
    /// What; its beginning, as `rollout.` or `rollout.start`
    #[arg(long)]
    action: Option<String>,
    /// Done to; any part of it, as `rollout 12`
    #[arg(long)]
    subject: Option<String>,
    /// Done then or later
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    from: Option<WallTime>,
    /// Done before
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    to: Option<WallTime>,
    /// Only entries before this number
    #[arg(long, value_name = "N")]
    before: Option<u64>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

/// A moment, as WHEN is written.
fn moment(text: &str) -> Result<WallTime, GivenError> {
    given::moment(text, clock::now())
}

pub(crate) fn run(context: &Context, command: AuditCommand) -> Result<Answer, AskError> {
    match command {
        AuditCommand::Verify { expect } => verify(context, expect.as_ref()),
        AuditCommand::List(args) => list(context, args),
    }
}

fn list(context: &Context, args: ListArgs) -> Result<Answer, AskError> {
    let limit = args.limit as usize;
    let mut pages = pages(context, args);
    let entries = pages.by_ref().take(limit).collect::<Result<Vec<_>, _>>()?;
    let more = pages.next().transpose()?.is_some();
    let advice = "no entry matches; `tern audit list --all` shows those of the whole hub";
    let out = &context.out;
    out.list(&entries, advice, |look| table(&entries, look))?;
    if let Some(last) = entries.last().filter(|_| more)
        && out.reader == Reader::Person
    {
        talk(format_args!(
            "there are more; --before {} goes on",
            last.seq
        ));
    }
    Ok(Answer::Yes)
}

fn pages(context: &Context, args: ListArgs) -> Pages<AuditEntry> {
    // One more than wanted: it says whether there are more.
    let page = args.limit.saturating_add(1).min(PAGE);
    let time = |time: WallTime| time.0.to_string();
    let given = [
        ("limit", Some(page.to_string())),
        ("actor", args.actor),
        ("action", args.action),
        ("subject", args.subject),
        ("from", args.from.map(time)),
        ("to", args.to.map(time)),
    ];
    let given = given.into_iter().filter_map(|(k, v)| Some((k, v?)));
    let whose = if args.all {
        Client::audit_all
    } else {
        Client::audit
    };
    whose(&context.client, given.collect(), args.before)
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
            second(entry.at).into(),
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

    #[test]
    fn entries_line_up() {
        let hash = Digest::of(b"entry");
        let text = format!(
            r#"[{{"seq":12,"at":1709210096789,"workspace":"default","actor":"user ada",
            "from":"10.0.0.9","action":"identity.accept","subject":"identity 3 of meter-01",
            "detail":"a new board","hash":"{hash}"}},
            {{"seq":9,"at":1709210090000,"actor":"hub","action":"authority.rotate",
            "subject":"authority 8f","detail":"","hash":"{hash}"}}]"#
        );
        let entries: Vec<AuditEntry> = serde_json::from_str(&text).expect("entries");
        insta::assert_snapshot!(table(&entries, Look::PLAIN), @r"
        NO  WHEN                     WHO       FROM      WHAT              TO                      DETAILS
        12  2024-02-29 12:34:56 UTC  user ada  10.0.0.9  identity.accept   identity 3 of meter-01  a new board
         9  2024-02-29 12:34:50 UTC  hub       –         authority.rotate  authority 8f
        ");
    }
}
