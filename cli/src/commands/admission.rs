//! `tern device invite|invitations|uninvite|pending|identities|accept|reject|revoke`: who may speak.
//!
//! Must never break: a verdict falls on one identity that was named without doubt; nothing is revoked
//! without a yes.

use std::{io, time::Duration};

use tern_cli::client::{ClientError, Verdict};
use tern_protocol::{
    id::{DeviceId, IdError, IdentityId, InvitationId, SiteName},
    rest::{Because, IdentityState, IdentityView, NewInvitation},
};

use super::{
    Answer, Context,
    given::{duration, key_value},
};
use crate::{
    ask, clock,
    out::{OutError, Reader, talk},
    show::admission as show,
};

#[derive(Debug, clap::Args)]
pub(crate) struct InviteArgs {
    /// Devices that join with it are at this site, whatever they say
    #[arg(long)]
    site: Option<SiteName>,
    /// Devices that join with it have this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    label: Vec<(String, String)>,
    /// How many devices may join with it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    uses: u32,
    /// How long it is good for, at most a year; for example 90m, 24h, 30d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    expires: Duration,
    /// Only this device may join with it
    #[arg(long)]
    device: Option<DeviceId>,
    /// Only hardware that calls itself this may join with it
    #[arg(long, value_name = "ID")]
    hardware_id: Option<String>,
    /// Devices wait, once joined, until somebody accepts them
    #[arg(long)]
    approval: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JudgeArgs {
    /// The device, or an identity's number
    #[arg(value_name = "DEVICE|ID")]
    whom: String,
    /// Why; kept in the audit log
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

/// State as the command line spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StateGiven {
    /// Joined, and waits until somebody accepts it
    Pending,
    /// Speaks for its device
    Active,
    /// Another key took its place
    Superseded,
    /// Refused before it was accepted
    Rejected,
    /// Its right to speak was taken away
    Revoked,
}

impl From<StateGiven> for IdentityState {
    fn from(given: StateGiven) -> Self {
        match given {
            StateGiven::Pending => Self::Pending,
            StateGiven::Active => Self::Active,
            StateGiven::Superseded => Self::Superseded,
            StateGiven::Rejected => Self::Rejected,
            StateGiven::Revoked => Self::Revoked,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmissionError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error("{0}; write a device or an identity's number, `tern device identities` shows both")]
    Whom(IdError),
    #[error(
        "device {0} has no identity that is {1}; `tern device identities --device {0}` shows all"
    )]
    None(DeviceId, &'static str),
    #[error("several identities of {0} are {1} ({2}); give the number of one of them")]
    Several(DeviceId, &'static str, String),
    #[error("nobody can be asked whether it is meant; say so with --yes")]
    NobodyToAsk,
    #[error("asking on the terminal")]
    Ask(#[source] io::Error),
}

pub(crate) fn invite(context: &Context, args: InviteArgs) -> Result<Answer, AdmissionError> {
    let invited = context.client.invite(&NewInvitation {
        site: args.site,
        labels: args.label.into_iter().collect(),
        device: args.device,
        hardware_id: args.hardware_id,
        uses: args.uses,
        expires_in_s: args.expires.as_secs(),
        approval: args.approval,
    })?;
    context
        .out
        .answer(&invited, |_| show::invited(&invited, clock::now()))?;
    Ok(Answer::Yes)
}

pub(crate) fn invitations(context: &Context) -> Result<Answer, AdmissionError> {
    let all = context.client.invitations().all()?;
    let advice = "no invitation yet; make one with `tern device invite`";
    let text = |look| show::invitations(&all, clock::now(), look);
    context.out.list(&all, advice, text)?;
    Ok(Answer::Yes)
}

pub(crate) fn uninvite(context: &Context, id: InvitationId) -> Result<Answer, AdmissionError> {
    context.client.uninvite(id)?;
    if context.out.reader == Reader::Person {
        talk(format_args!(
            "nobody joins with invitation {id} any more; who has joined stays in"
        ));
    }
    Ok(Answer::Yes)
}

pub(crate) fn identities(
    context: &Context,
    device: Option<&DeviceId>,
    state: Option<IdentityState>,
) -> Result<Answer, AdmissionError> {
    let all = asked(context, device, state)?;
    let advice = match (device, state) {
        (None, Some(IdentityState::Pending)) => "no device waits to be accepted",
        (None, None) => "no device has joined yet; let one in with `tern device invite`",
        _ => "no identity matches; `tern device identities` shows all",
    };
    let text = |look| show::identities(&all, clock::now(), look);
    context.out.list(&all, advice, text)?;
    Ok(Answer::Yes)
}

pub(crate) fn judge(
    context: &Context,
    verdict: Verdict,
    args: JudgeArgs,
) -> Result<Answer, AdmissionError> {
    let id = whom(context, verdict, &args.whom)?;
    let because = Because {
        reason: args.reason,
    };
    let identity = context.client.judge(id, verdict, &because)?;
    context.out.answer(&identity, |_| show::judged(&identity))?;
    Ok(Answer::Yes)
}

/// The same, after a yes: the device is cut off at once and cannot come back with this key.
pub(crate) fn revoke(
    context: &Context,
    args: JudgeArgs,
    yes: bool,
) -> Result<Answer, AdmissionError> {
    if !yes {
        if !ask::somebody() {
            return Err(AdmissionError::NobodyToAsk);
        }
        let question = format!(
            "{} is cut off at once and has to join anew. Revoke it?",
            args.whom
        );
        if !ask::yes(&question).map_err(AdmissionError::Ask)? {
            talk("nothing was revoked");
            return Ok(Answer::No);
        }
    }
    judge(context, Verdict::Revoke, args)
}

fn asked(
    context: &Context,
    device: Option<&DeviceId>,
    state: Option<IdentityState>,
) -> Result<Vec<IdentityView>, ClientError> {
    let mut parameters = Vec::new();
    if let Some(device) = device {
        parameters.push(("device", device.to_string()));
    }
    if let Some(state) = state {
        parameters.push(("state", show::state_word(state).to_owned()));
    }
    context.client.identities(parameters).all()
}

/// The identity that a person means: its number, or the one of the device that the verdict fits.
fn whom(context: &Context, verdict: Verdict, given: &str) -> Result<IdentityId, AdmissionError> {
    if let Ok(number) = given.trim_start_matches('#').parse() {
        return Ok(IdentityId(number));
    }
    let device: DeviceId = given.parse().map_err(AdmissionError::Whom)?;
    let state = match verdict {
        Verdict::Accept | Verdict::Reject => IdentityState::Pending,
        Verdict::Revoke => IdentityState::Active,
    };
    let word = show::state_word(state);
    let found = asked(context, Some(&device), Some(state))?;
    match found.as_slice() {
        [] => Err(AdmissionError::None(device, word)),
        [one] => Ok(one.id),
        many => {
            let ids: Vec<_> = many.iter().map(|one| one.id.to_string()).collect();
            Err(AdmissionError::Several(device, word, ids.join(", ")))
        }
    }
}
