//! `tern rollout`: start, list, show, watch, pause, resume, abort, widen.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::Subcommand;
use tern_cli::client::{ClientError, ROLLOUTS};
use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, RolloutId, SiteName, SlotName},
    rest::{
        Abort, Expression, Moved, NewRollout, Plan, RolloutDeviceState, RolloutView, Selector,
        Widen,
    },
};

use super::{
    Answer, Context,
    given::{Target, Which, duration, key_value},
    model::latest,
    plan::{self, PlanArgs, PlanError, RehearseArgs, TemplateCommand},
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
    /// Look at a plan of a rollout that decides by evidence, check it, or keep it as a template
    Plan(PlanArgs),
    /// Run a plan again and again on a simulated fleet, before it starts
    #[command(
        after_help = "Says how long it takes, how often a good version is stopped, and how many devices a bad one \
        hurts before it is. Nothing is changed."
    )]
    Rehearse(RehearseArgs),
    /// Plans that are kept for a model
    #[command(subcommand)]
    Template(TemplateCommand),
    /// Let the next stage of a rollout with a plan begin, although a person was to be asked or
    /// nothing is proven
    Approve {
        /// Its number
        #[arg(value_parser = rollout_id)]
        id: RolloutId,
    },
    /// Decide again from the stored evidence; exit code 1 if that is not what was decided
    Replay {
        /// Its number
        #[arg(value_parser = rollout_id)]
        id: RolloutId,
    },
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
    #[arg(value_name = "MODEL@VERSION", required_unless_present = "plan")]
    target: Option<Target>,
    /// The slot to fill
    #[arg(long, required_unless_present_any = ["plan", "template"])]
    slot: Option<SlotName>,
    /// Decide by evidence, as this file (YAML or JSON) says; see `tern rollout plan --schema`
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["site", "label", "device", "select", "percent"]
    )]
    plan: Option<PathBuf>,
    /// Decide by evidence, as this template of the model says
    #[arg(
        long,
        value_name = "NAME",
        requires = "target",
        conflicts_with_all = ["plan", "site", "label", "device", "select", "percent"]
    )]
    template: Option<String>,
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
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(
        "say which version: `tern rollout start MODEL@VERSION --plan FILE`, or write it into the plan"
    )]
    WhichVersion,
    #[error("the plan is for {plan}, and you name {named}")]
    OtherModel { plan: ModelName, named: ModelName },
    #[error("name the version to move to, as MODEL@VERSION, and --slot")]
    NoTarget,
}

fn rollout_id(text: &str) -> Result<RolloutId, String> {
    let id = text.trim_start_matches('#').parse().map(RolloutId);
    id.map_err(|_| "write a rollout's number; `tern rollout list` shows them".into())
}

pub(crate) fn run(context: &mut Context, command: RolloutCommand) -> Result<Answer, RolloutError> {
    let client = &context.client;
    let done = match command {
        RolloutCommand::Start(args) => return start(context, &args),
        RolloutCommand::Plan(args) => return plan::run(context, &args),
        RolloutCommand::Rehearse(args) => return plan::rehearse(context, &args),
        RolloutCommand::Template(command) => return plan::templates(context, &command),
        RolloutCommand::Replay { id } => return replay(context, id),
        RolloutCommand::Approve { id } => client.approve(id)?,
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

fn replay(context: &Context, id: RolloutId) -> Result<Answer, RolloutError> {
    let replay = context.client.replay(id)?;
    let text = |look| show::evidence::replay(&replay, clock::now(), look);
    context.out.answer(&replay, text)?;
    Ok(if replay.same { Answer::Yes } else { Answer::No })
}

/// The plan that is meant, with the version and the slot that were named.
fn planned(context: &Context, args: &StartArgs) -> Result<Option<Plan>, RolloutError> {
    let mut plan = match (&args.plan, &args.template, &args.target) {
        (Some(file), ..) => plan::read(file)?,
        (None, Some(name), Some(target)) => plan::template(context, &target.model, name)?,
        _ => return Ok(None),
    };
    if let Some(target) = &args.target {
        if target.model != plan.model {
            return Err(RolloutError::OtherModel {
                plan: plan.model,
                named: target.model.clone(),
            });
        }
        plan.version = Some(version(context, target)?);
    }
    if let Some(slot) = &args.slot {
        plan.slot = slot.clone();
    }
    if plan.version.is_none() {
        return Err(RolloutError::WhichVersion);
    }
    Ok(Some(plan))
}

fn start(context: &Context, args: &StartArgs) -> Result<Answer, RolloutError> {
    if let Some(plan) = planned(context, args)? {
        let view = context.client.start_plan(&plan)?;
        return started(context, args, &view);
    }
    let (Some(target), Some(slot)) = (&args.target, args.slot.clone()) else {
        return Err(RolloutError::NoTarget);
    };
    let version = version(context, target)?;
    let new = NewRollout {
        slot,
        model: target.model.clone(),
        version,
        selector: Selector {
            sites: args.site.clone(),
            labels: args.label.iter().cloned().collect::<BTreeMap<_, _>>(),
            devices: args.device.clone(),
            expression: args.select.clone(),
        },
        percent: args.percent,
    };
    let view = context.client.start_rollout(&new)?;
    started(context, args, &view)
}

fn started(
    context: &Context,
    args: &StartArgs,
    view: &RolloutView,
) -> Result<Answer, RolloutError> {
    if args.watch || args.limits.is_given() {
        if context.out.reader == Reader::Person {
            let what = show::rollout::what(view);
            talk(format_args!("rollout {} started: {what}", view.id));
        }
        return follow(context, view.id, args.limits.into());
    }
    show(context, view)?;
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
