//! `tern alert`: what goes wrong now, by which rules, and what is said about it.

use std::path::PathBuf;

use clap::Subcommand;
use tern_cli::client::{AlertQuery, ClientError};
use tern_protocol::{
    id::{AlertId, ModelName, RuleName, SilenceId, SiteName},
    rest::{Acknowledge, AlertSeverity, AlertState, Matcher, NewSilence, RuleFile, RuleText, Span},
};
use utoipa::OpenApi as _;

use super::{
    Answer, Context,
    plan::{self, PlanError},
};
use crate::{
    clock,
    out::{OutError, Reader, talk},
    show::alert as show,
};

#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// Alerts that are not over, the newest first
    List(ListArgs),
    /// One with its evidence, what to do, and what happened to it
    Show {
        /// Its number
        #[arg(value_parser = alert_id)]
        id: AlertId,
    },
    /// Say that you know: it is not told again until it is over
    Ack {
        /// Its number
        #[arg(value_parser = alert_id)]
        id: AlertId,
        /// What you say about it
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        comment: String,
    },
    /// Tell nobody of some alerts for a while
    #[command(subcommand)]
    Silence(SilenceCommand),
    /// By which rules something is an alert
    #[command(subcommand)]
    Rules(RulesCommand),
}

/// Which alerts.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only in this state: firing, pending or resolved
    #[arg(long)]
    state: Option<AlertState>,
    /// Those that are over too
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only by this rule
    #[arg(long)]
    rule: Option<RuleName>,
    /// Only of this severity: page, ticket or info
    #[arg(long)]
    severity: Option<AlertSeverity>,
    /// Only of this model
    #[arg(long)]
    model: Option<ModelName>,
    /// Only at this site
    #[arg(long)]
    site: Option<SiteName>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    last: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SilenceCommand {
    /// Silences that hold, will hold, or were over within a week
    List,
    /// Begin one
    Add {
        /// What an alert has to match, all of it: rule=errors, site=harbour, model!=digits, version=1*
        #[arg(required = true, value_name = "LABEL=VALUE")]
        matchers: Vec<Matcher>,
        /// For how long: 30m, 2h, 7d
        #[arg(long = "for", value_name = "TIME", default_value = "2h")]
        lasting: Span,
        /// Why
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        comment: String,
    },
    /// End one before its time
    End {
        /// Its number
        #[arg(value_parser = silence_id)]
        id: SilenceId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// All rules and how they stand
    List,
    /// One as a file, to be changed and applied; all if no name is given
    Show {
        /// Its name
        name: Option<RuleName>,
    },
    /// Say what is wrong with a file of rules, line by line, and what it would say now; exit code 1 if it is wrong
    Check {
        /// The rules, as YAML or JSON; `-` reads standard input
        file: PathBuf,
    },
    /// Write the rules of a file, all or none
    Apply {
        /// The rules, as YAML or JSON; `-` reads standard input
        file: PathBuf,
        /// Rules of the workspace that are not in it go, so that the file says all
        #[arg(long)]
        prune: bool,
    },
    /// Remove a rule; one that every workspace has is as it comes again
    Remove {
        /// Its name
        name: RuleName,
    },
    /// Print the JSON Schema of files of rules, for editors
    Schema,
}

/// What keeps us from doing it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error(transparent)]
    File(#[from] PlanError),
    #[error("there is no rule {0}; `tern alert rules list` shows those there are")]
    NoRule(RuleName),
}

fn alert_id(text: &str) -> Result<AlertId, &'static str> {
    let id = text.trim_start_matches('#').parse().map(AlertId);
    id.map_err(|_| "write an alert's number; `tern alert list` shows them")
}

fn silence_id(text: &str) -> Result<SilenceId, &'static str> {
    let id = text.trim_start_matches('#').parse().map(SilenceId);
    id.map_err(|_| "write a silence's number; `tern alert silence list` shows them")
}

pub(crate) fn run(context: &Context, command: AlertCommand) -> Result<Answer, AlertError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        AlertCommand::List(args) => {
            let query = AlertQuery {
                state: args.state,
                over: args.all,
                rule: args.rule,
                severity: args.severity,
                model: args.model,
                site: args.site,
            };
            let all: Result<Vec<_>, _> = client.alerts(&query).take(args.last).collect();
            let all = all?;
            out.list(&all, "no alert", |look| {
                show::alerts(&all, clock::now(), look)
            })?;
        }
        AlertCommand::Show { id } => {
            let detail = client.alert(id)?;
            out.answer(&detail, |look| show::detail(&detail, clock::now(), look))?;
        }
        AlertCommand::Ack { id, comment } => {
            let alert = client.acknowledge(id, &Acknowledge { comment })?;
            match out.reader {
                Reader::Program => out.document(&alert)?,
                Reader::Person => talk(format_args!(
                    "alert {id} is not told again until it is over"
                )),
            }
        }
        AlertCommand::Silence(command) => silence(context, command)?,
        AlertCommand::Rules(command) => return rules(context, command),
    }
    Ok(Answer::Yes)
}

fn silence(context: &Context, command: SilenceCommand) -> Result<(), AlertError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        SilenceCommand::List => {
            let all = client.silences()?;
            let advice = "no silence; begin one with `tern alert silence add site=SITE --for 2h`";
            out.list(&all, advice, |look| {
                show::silences(&all, clock::now(), look)
            })?;
        }
        SilenceCommand::Add {
            matchers,
            lasting,
            comment,
        } => {
            let new = NewSilence {
                matchers,
                from: None,
                lasting,
                comment,
            };
            let made = client.silence(&new)?;
            let told = format!(
                "silence {} holds for {lasting}; end it with: tern alert silence end {}",
                made.id, made.id
            );
            match out.reader {
                Reader::Program => out.document(&made)?,
                Reader::Person => talk(told),
            }
        }
        SilenceCommand::End { id } => {
            client.end_silence(id)?;
            if out.reader == Reader::Person {
                talk(format_args!("silence {id} is over"));
            }
        }
    }
    Ok(())
}

fn rules(context: &Context, command: RulesCommand) -> Result<Answer, AlertError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        RulesCommand::List => {
            let all = client.alert_rules()?;
            out.list(&all, "no rule", |look| {
                show::rules(&all, clock::now(), look)
            })?;
        }
        RulesCommand::Show { name } => {
            let all = client.alert_rules()?.into_iter().map(|one| one.rule);
            let rules: Vec<_> = all
                .filter(|one| name.as_ref().is_none_or(|name| *name == one.name))
                .collect();
            if let (true, Some(name)) = (rules.is_empty(), name) {
                return Err(AlertError::NoRule(name));
            }
            out.document(&RuleFile { rules })?;
        }
        RulesCommand::Check { file } => {
            let text = plan::text(&file)?;
            let check = client.check_rules(&RuleText { text, prune: false })?;
            out.answer(&check, |look| show::check(&check, look))?;
            if !check.problems.is_empty() {
                return Ok(Answer::No);
            }
        }
        RulesCommand::Apply { file, prune } => {
            let text = plan::text(&file)?;
            let applied = client.apply_rules(&RuleText { text, prune })?;
            out.answer(&applied, |look| show::applied(&applied, look))?;
        }
        RulesCommand::Remove { name } => {
            client.remove_rule(&name)?;
            if out.reader == Reader::Person {
                talk(format_args!("rule {name} is removed"));
            }
        }
        RulesCommand::Schema => {
            let schema = plan::schema_of("Rules of alerts", "RuleFile", &Schemas::openapi())?;
            out.document(&schema)?;
        }
    }
    Ok(Answer::Yes)
}

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(RuleFile)))]
struct Schemas;
