//! `tern rollout`: start, list, show, watch, pause, resume, abort, widen.

use std::{collections::BTreeMap, time::Duration};

use clap::Subcommand;
use tern_cli::client::{ClientError, ROLLOUTS};
use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, RolloutId, SiteName, SlotName},
    rest::{
        Abort, Expression, Moved, NewRollout, RolloutDeviceState, RolloutView, Selector, Widen,
    },
};

use super::{
    Answer, Context,
    given::{Target, Which, duration, key_value},
    model::latest,
};
use crate::{
    clock,
    out::{OutError, Reader, talk},
    show::{self, Tone},
    watch::{self, AfterFailure, Limits, Verdict, WatchError},
};

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Move devices to a version of a model
    #[command(
        after_help = "Devices that match every option are selected; without options, all of the \
        workspace.\nExample: tern rollout start digit-reader@latest --slot digit-reader --site \
        harbour --percent 25 --watch\nA selection: `site`, `device` or `label.NAME` with `=`, `!=`, `in (A, B)` or \
        `not in (A, B)`, a label by itself, `not`, `and`, `or` and parentheses; values with other \
        characters than letters, digits and . _ : / - stand in double quotes."
    )]
    Start(StartArgs),
    /// All rollouts, newest first
    List,
    /// A rollout with its devices
    Show {
        /// Its number
        #[arg(value_parser = rollout_id)]
        id: RolloutId,
    },
    /// Follow a rollout to its end
    #[command(
        after_help = "Exit code 0: every device of the share serves the version. 1: a device \
        refused it, the rollout was aborted or superseded, or the time is up."
    )]
    Watch {
        /// Its number
        #[arg(value_parser = rollout_id)]
        id: RolloutId,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Assign the version to no more devices until resumed
    Pause {
        /// Its number
        #[arg(value_parser = rollout_id)]
        id: RolloutId,
    },
    /// Go on
    Resume {
        /// Its number
        #[arg(value_parser = rollout_id)]
        id: RolloutId,
    },
    /// End it; devices go back to what they had before
    Abort {
        /// Its number
        #[arg(value_parser = rollout_id)]
        id: RolloutId,
        /// Leave devices that were moved where they are
        #[arg(long)]
        stay: bool,
    },
    /// Raise its share; devices that are in stay in
    Widen {
        /// Its number
        #[arg(value_parser = rollout_id)]
        id: RolloutId,
        /// The new share
        #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: u8,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct StartArgs {
    /// The version to move to; MODEL@latest is the newest
    #[arg(value_name = "MODEL@VERSION")]
    target: Target,
    /// The slot to fill
    #[arg(long)]
    slot: SlotName,
    /// Only devices at this site; may be given several times
    #[arg(long)]
    site: Vec<SiteName>,
    /// Only devices with this label; may be given several times, all must match
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    label: Vec<(String, String)>,
    /// Only this device; may be given several times
    #[arg(long)]
    device: Vec<DeviceId>,
    /// Only devices of which this holds, such as: site in (harbour, hill) and not label.fragile
    #[arg(long, value_name = "EXPRESSION")]
    select: Option<Expression>,
    /// Share of the selected devices to move
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: u8,
    /// Then follow it to its end; --timeout and --keep-going ask for that too
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    limits: WatchArgs,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct WatchArgs {
    /// Stop watching after this long, with exit code 1; for example 90s, 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Go on when a device refuses the version, until every device has come to an end
    #[arg(long)]
    keep_going: bool,
}

impl WatchArgs {
    /// Whether somebody who gives these wants to watch.
    const fn is_given(&self) -> bool {
        self.timeout.is_some() || self.keep_going
    }
}

impl From<WatchArgs> for Limits {
    fn from(args: WatchArgs) -> Self {
        Self {
            timeout: args.timeout,
            after_failure: if args.keep_going {
                AfterFailure::GoOn
            } else {
                AfterFailure::Stop
            },
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RolloutError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error("model {0} has no version yet; publish one with `tern model publish {0} DIR`")]
    NoVersion(ModelName),
}

fn rollout_id(text: &str) -> Result<RolloutId, String> {
    let id = text.trim_start_matches('#').parse().map(RolloutId);
    id.map_err(|_| "write a rollout's number; `tern rollout list` shows them".into())
}

pub(crate) fn run(context: &mut Context, command: RolloutCommand) -> Result<Answer, RolloutError> {
    let client = &context.client;
    let done = match command {
        RolloutCommand::Start(args) => return start(context, args),
        RolloutCommand::List => return list(context),
        RolloutCommand::Watch { id, watch } => return follow(context, id, watch.into()),
        RolloutCommand::Show { id } => client.rollout(id)?,
        RolloutCommand::Pause { id } => client.pause(id)?,
        RolloutCommand::Resume { id } => client.resume(id)?,
        RolloutCommand::Abort { id, stay } => {
            let moved = if stay { Moved::Stay } else { Moved::Back };
            client.abort(id, Abort { moved })?
        }
        RolloutCommand::Widen { id, percent } => client.widen(id, Widen { percent })?,
    };
    show(context, &done)?;
    Ok(Answer::Yes)
}

fn show(context: &Context, view: &RolloutView) -> Result<(), OutError> {
    let text = |look| show::rollout::rollout(view, clock::now(), look);
    context.out.answer(view, text)
}

fn list(context: &Context) -> Result<Answer, RolloutError> {
    let rollouts = context.client.rollouts().all()?;
    let advice = "no rollout yet; start one with `tern rollout start MODEL@VERSION --slot SLOT`";
    let text = |look| show::rollout::list(&rollouts, clock::now(), look);
    context.out.list(&rollouts, advice, text)?;
    if rollouts.len() >= ROLLOUTS as usize && context.out.reader == Reader::Person {
        talk(format_args!(
            "the hub lists its newest {ROLLOUTS} only; there may be more"
        ));
    }
    Ok(Answer::Yes)
}

fn start(context: &Context, args: StartArgs) -> Result<Answer, RolloutError> {
    let version = version(context, &args.target)?;
    let new = NewRollout {
        slot: args.slot,
        model: args.target.model,
        version,
        selector: Selector {
            sites: args.site,
            labels: args.label.into_iter().collect::<BTreeMap<_, _>>(),
            devices: args.device,
            expression: args.select,
        },
        percent: args.percent,
    };
    let view = context.client.start_rollout(&new)?;
    if args.watch || args.limits.is_given() {
        if context.out.reader == Reader::Person {
            let what = show::rollout::what(&view);
            talk(format_args!("rollout {} started: {what}", view.id));
        }
        return follow(context, view.id, args.limits.into());
    }
    show(context, &view)?;
    if context.out.reader == Reader::Person {
        talk(format_args!("next: tern rollout watch {}", view.id));
    }
    Ok(Answer::Yes)
}

fn version(context: &Context, target: &Target) -> Result<ModelVersion, RolloutError> {
    match target.version {
        Which::Number(version) => Ok(version),
        Which::Latest => {
            let newest = latest(context.client.model(&target.model)?);
            let newest = newest.map(|newest| newest.version);
            newest.ok_or_else(|| RolloutError::NoVersion(target.model.clone()))
        }
    }
}

fn follow(context: &Context, id: RolloutId, limits: Limits) -> Result<Answer, RolloutError> {
    let out = &context.out;
    let (verdict, view) = watch::watch(&context.client, out, id, limits)?;
    if out.reader == Reader::Person {
        out.text(&ending(&verdict, &view, out.look))?;
    }
    Ok(match verdict {
        Verdict::Complete => Answer::Yes,
        Verdict::Not(_) => Answer::No,
    })
}

fn ending(verdict: &Verdict, view: &RolloutView, look: show::Look) -> String {
    let what = show::rollout::what(view);
    match verdict {
        Verdict::Complete => {
            let word = Tone::Good.paint("complete", look);
            let devices = show::words::things(view.counts.serving, "device");
            format!("{word}: {devices} proven to serve {what}")
        }
        Verdict::Not(why) => {
            let word = Tone::Bad.paint("not complete", look);
            let counts = show::rollout::counts(&view.counts);
            let mut text = format!("{word}: {what}: {why} ({counts})\n");
            if view.counts.selected == 0 {
                text += "no device matches yet; `tern device list` shows those there are\n";
            }
            let mut troubled = view.devices.clone();
            troubled.retain(|device| match device.state {
                RolloutDeviceState::Serving | RolloutDeviceState::Waiting => false,
                RolloutDeviceState::Assigned
                | RolloutDeviceState::InProgress
                | RolloutDeviceState::Failed => true,
            });
            if !troubled.is_empty() {
                text += "\n";
                text += &show::rollout::devices(&troubled, look);
            }
            text
        }
    }
}
