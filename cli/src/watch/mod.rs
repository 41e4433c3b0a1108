//! Watching a rollout until it has an end.
//!
//! Called by `tern rollout watch` and `start --watch`. The judgement ([`verdict`]) and the words
//! ([`news`]) are pure; the loop asks the hub, woken by its stream of changes and by a timer alike,
//! so that a lost change costs a moment and never the end.

mod bars;

#[cfg(test)]
mod tests;

use std::{
    io::{self, IsTerminal as _},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use tern_cli::client::{Client, ClientError};
use tern_protocol::{
    id::RolloutId,
    rest::{Change, RolloutDevice, RolloutDeviceState, RolloutState, RolloutView},
};

use crate::{
    out::{Out, OutError, Reader, talk},
    show::{self, words},
};
use bars::Bars;

/// Between two looks when nothing wakes us.
const LOOK: Duration = Duration::from_secs(2);

/// Between two looks when something wakes us all the time: a person cannot read faster.
const BREATH: Duration = Duration::from_millis(200);

/// How long the hub may be away before we give up: a restart takes seconds.
const AWAY: Duration = Duration::from_mins(1);

/// Between two tries to open the stream of changes.
const STREAM_AGAIN: Duration = Duration::from_secs(2);

/// Changes waiting to wake us: one says as much as many.
const WAKES: usize = 1;

/// Why a watch ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
}

/// How long, and how far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Give up after this.
    pub(crate) timeout: Option<Duration>,
    /// Whether a failed device is the end.
    pub(crate) after_failure: AfterFailure,
}

/// What a failed device means to the watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// The end.
    Stop,
    /// A note: go on until every device has come to an end.
    GoOn,
}

/// How a watch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every device of the share serves the version.
    Complete,
    /// Not so, and why.
    Not(String),
}

/// Whether this is an end.
pub(crate) fn verdict(view: &RolloutView, after: AfterFailure) -> Option<Verdict> {
    let failed = view.counts.failed;
    let refused = || Verdict::Not(format!("{} refused it", words::things(failed, "device")));
    match view.state {
        RolloutState::Stopped => Some(Verdict::Not(format!("it was stopped: {}", view.reason))),
        RolloutState::Waiting => Some(Verdict::Not(format!(
            "it waits for a person: {}",
            view.reason
        ))),
        RolloutState::Aborted => Some(Verdict::Not("it was aborted".into())),
        RolloutState::Superseded => Some(Verdict::Not("a newer rollout took its devices".into())),
        // With a plan, how many may fail is said by its gates.
        RolloutState::Complete if failed == 0 || view.plan.is_some() => Some(Verdict::Complete),
        RolloutState::Complete => Some(refused()),
        RolloutState::Running | RolloutState::Paused => {
            let ends = after == AfterFailure::Stop && view.plan.is_none();
            (failed > 0 && ends).then(refused)
        }
    }
}

/// What is new since the last look, one sentence each.
pub(crate) fn news(before: Option<&RolloutView>, now: &RolloutView) -> Vec<String> {
    let mut lines = Vec::new();
    let known = |device: &RolloutDevice| {
        let before = before?.devices.iter();
        before
            .into_iter()
            .find(|known| known.device == device.device)
    };
    for device in &now.devices {
        if known(device).is_none_or(|known| known.state != device.state) {
            lines.extend(moved(device, before.is_some()));
        }
    }
    // The reason repeats the counts, so a new one alone is no news; the last words are the caller's.
    let changed = before.is_none_or(|before| before.state != now.state);
    if changed && now.state != RolloutState::Complete {
        let (state, reason) = (
            show::rollout::state_word(now.state),
            words::one_line(&now.reason),
        );
        lines.push(match reason.as_str() {
            "" => state.to_owned(),
            said if said.starts_with(state) => reason,
            _ => format!("{state}: {reason}"),
        });
    }
    if before.is_none_or(|before| before.counts != now.counts) {
        lines.push(show::rollout::counts(&now.counts));
    }
    lines
}

/// A device that changed its place. At the first look only failures are worth a line.
fn moved(device: &RolloutDevice, seen_before: bool) -> Option<String> {
    let word = show::rollout::device_word(device.state);
    match device.state {
        RolloutDeviceState::Failed => {
            let reason = words::one_line(&device.reason);
            Some(format!("{} failed: {reason}", device.device))
        }
        _ if !seen_before => None,
        RolloutDeviceState::Waiting => None,
        RolloutDeviceState::Assigned
        | RolloutDeviceState::InProgress
        | RolloutDeviceState::Serving => Some(format!("{} {word}", device.device)),
    }
}

/// Watches until there is a verdict.
pub(crate) fn watch(
    client: &Client,
    out: &Out,
    id: RolloutId,
    limits: Limits,
) -> Result<(Verdict, RolloutView), WatchError> {
    let started = Instant::now();
    let wakes = wake_on_changes(client.clone(), id);
    let drawn = out.reader == Reader::Person && out.look.terminal && io::stderr().is_terminal();
    let mut bars = drawn.then(Bars::new);
    let mut before: Option<RolloutView> = None;
    loop {
        // A hub that was never there is an error at once; one that goes away may come back.
        let view = match before {
            None => client.rollout(id)?,
            Some(_) => look(client, id, limits.timeout.map(|timeout| (started, timeout)))?,
        };
        if before.as_ref() != Some(&view) {
            tell(out, bars.as_mut(), before.as_ref(), &view)?;
        }
        let late = limits
            .timeout
            .filter(|timeout| started.elapsed() >= *timeout);
        let end = verdict(&view, limits.after_failure).or_else(|| {
            let late = words::duration(late?);
            Some(Verdict::Not(format!("it is not complete after {late}")))
        });
        if let Some(end) = end {
            if let Some(bars) = bars {
                bars.clear();
            }
            return Ok((end, view));
        }
        before = Some(view);
        let left = limits
            .timeout
            .map_or(LOOK, |timeout| timeout.saturating_sub(started.elapsed()));
        match wakes.recv_timeout(left.min(LOOK)) {
            Ok(()) => thread::sleep(BREATH.min(left)),
            Err(RecvTimeoutError::Timeout) => {}
            // The stream's thread is gone; the timer is enough.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(left.min(LOOK)),
        }
    }
}

fn tell(
    out: &Out,
    bars: Option<&mut Bars>,
    before: Option<&RolloutView>,
    view: &RolloutView,
) -> Result<(), OutError> {
    match (out.reader, bars) {
        (Reader::Program, _) => out.json_line(view),
        (Reader::Person, Some(bars)) => {
            bars.draw(before, view);
            Ok(())
        }
        (Reader::Person, None) => {
            let lines = news(before, view);
            lines.iter().try_for_each(|line| out.text(line))
        }
    }
}

/// The rollout as it is now; waits a while for a hub that went away.
fn look(
    client: &Client,
    id: RolloutId,
    deadline: Option<(Instant, Duration)>,
) -> Result<RolloutView, ClientError> {
    let since = Instant::now();
    let mut said = false;
    loop {
        match client.rollout(id) {
            Ok(view) => return Ok(view),
            Err(err) => {
                let late = deadline.is_some_and(|(start, limit)| start.elapsed() >= limit);
                if !err.is_passing() || late || since.elapsed() >= AWAY {
                    return Err(err);
                }
                if !said {
                    talk(format_args!("{err}; waiting for it"));
                    said = true;
                }
                thread::sleep(LOOK);
            }
        }
    }
}

/// A thread that turns the hub's changes into wakes. It ends with the process, or when nobody
/// listens any more.
fn wake_on_changes(client: Client, id: RolloutId) -> Receiver<()> {
    let (wake, wakes) = sync_channel(WAKES);
    thread::spawn(move || {
        loop {
            if let Ok(stream) = client.stream()
                && follow(stream, id, &wake).is_none()
            {
                return;
            }
            thread::sleep(STREAM_AGAIN);
        }
    });
    wakes
}

/// `None` when nobody listens.
fn follow(
    stream: impl Iterator<Item = Result<Change, ClientError>>,
    id: RolloutId,
    wake: &SyncSender<()>,
) -> Option<()> {
    use std::sync::mpsc::TrySendError;
    for change in stream.map_while(Result::ok) {
        let concerns = match change {
            Change::Rollout { id: changed } => changed == id,
            Change::Device { .. } => true,
            Change::Model { .. }
            | Change::Telemetry { .. }
            | Change::Trust
            | Change::Delivery
            | Change::Notifications
            | Change::Alerts
            | Change::Experiments
            | Change::Retraining { .. }
            | Change::Runs { .. }
            | Change::Run { .. }
            | Change::Job { .. }
            | Change::Computes
            | Change::Datasets => false,
        };
        if concerns && let Err(TrySendError::Disconnected(())) = wake.try_send(()) {
            return None;
        }
    }
    Some(())
}
