//! Rollouts and their devices.

use tern_protocol::{
    rest::{
        RolloutCounts, RolloutDevice, RolloutDeviceState, RolloutState, RolloutView, Selector,
        Stage,
    },
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Facts, Table},
    words::{ago, count, percent, stages, things},
};

/// State as a word.
pub(crate) const fn state_word(state: RolloutState) -> &'static str {
    match state {
        RolloutState::Running => "running",
        RolloutState::Paused => "paused",
        RolloutState::Complete => "complete",
        RolloutState::Waiting => "waiting for a person",
        RolloutState::Aborted => "aborted",
        RolloutState::Stopped => "stopped",
        RolloutState::Superseded => "superseded",
    }
}

const fn state_tone(view: &RolloutView) -> Tone {
    match view.state {
        RolloutState::Stopped => Tone::Bad,
        RolloutState::Waiting => Tone::Busy,
        _ if view.counts.failed > 0 && view.plan.is_none() => Tone::Bad,
        RolloutState::Running | RolloutState::Paused => Tone::Busy,
        RolloutState::Complete => Tone::Good,
        RolloutState::Aborted | RolloutState::Superseded => Tone::Quiet,
    }
}

/// Where a device is, as a word.
pub(crate) const fn device_word(state: RolloutDeviceState) -> &'static str {
    match state {
        RolloutDeviceState::Waiting => "outside the share",
        RolloutDeviceState::Assigned => "assigned",
        RolloutDeviceState::InProgress => "in progress",
        RolloutDeviceState::Serving => "serving",
        RolloutDeviceState::Failed => "failed",
    }
}

/// `digit-reader v2`, with the slot unless it is named after the model.
pub(crate) fn what(view: &RolloutView) -> String {
    let version = format!("{} v{}", view.model, view.version);
    if view.slot.as_str() == view.model.as_str() {
        version
    } else {
        format!("{version} in slot {}", view.slot)
    }
}

/// Where the devices are; zeros are left out.
pub(crate) fn counts(counts: &RolloutCounts) -> String {
    let mut said = vec![format!(
        "{} of {} serving",
        count(counts.serving),
        count(counts.targeted)
    )];
    let rest = [
        (counts.in_progress, "in progress"),
        (counts.assigned, "assigned"),
        (counts.failed, "failed"),
        (
            counts.selected.saturating_sub(counts.targeted),
            "outside the share",
        ),
    ];
    let rest = rest.into_iter().filter(|(number, _)| *number > 0);
    said.extend(rest.map(|(number, word)| format!("{} {word}", count(number))));
    said.join(", ")
}

/// Its share, or its stage.
fn share(view: &RolloutView) -> String {
    match view.stage {
        Some(stage) => format!("stage {} of {}", stage.number, stage.of),
        None => format!("{} %", view.percent),
    }
}

/// `tern rollout list`.
pub(crate) fn list(rollouts: &[RolloutView], now: WallTime, look: Look) -> String {
    let headings = [
        "ID",
        "STATE",
        "VERSION",
        "SHARE",
        "SERVING",
        "CONFIRMED",
        "STARTED",
        "REASON",
    ];
    let mut table = Table::new(look, &headings);
    for view in rollouts {
        let counts = &view.counts;
        let mut serving = format!("{} of {}", count(counts.serving), count(counts.targeted));
        if counts.failed > 0 {
            serving += &format!(", {} failed", count(counts.failed));
        }
        table.row([
            Cell::toned(view.id.to_string(), Tone::Strong),
            Cell::toned(state_word(view.state), state_tone(view)),
            what(view).into(),
            share(view).into(),
            serving.into(),
            count(counts.stages.confirmed).into(),
            ago(view.created, now).into(),
            view.reason.as_str().into(),
        ]);
    }
    table.text()
}

/// `tern rollout show`.
pub(crate) fn rollout(view: &RolloutView, now: WallTime, look: Look) -> String {
    let title = Tone::Strong.paint(&format!("rollout {}", view.id), look);
    let mut facts = Facts::new(look);
    facts.toned("state", state_word(view.state), state_tone(view));
    if !view.reason.is_empty() {
        facts.fact("", &view.reason);
    }
    let selected = things(view.counts.selected, "device");
    let who = selector(&view.selector);
    if view.stage.is_none() && view.plan.is_none() {
        facts.fact("share", format!("{} % of {selected}: {who}", view.percent));
    } else {
        facts.fact("selected", format!("{selected}: {who}"));
    }
    if let Some(stage) = view.stage {
        facts.fact("stage", format!("{} of {}", stage.number, stage.of));
    }
    facts.fact("devices", counts(&view.counts));
    facts.fact("got to", stages(&view.counts.stages));
    for warning in &view.warnings {
        facts.toned("warning", warning, Tone::Busy);
    }
    let by = view.actor.as_ref();
    let by = by.map_or(String::new(), |actor| format!(" by {actor}"));
    facts.fact("started", format!("{}{by}", ago(view.created, now)));
    facts.fact("changed", ago(view.updated, now));
    let mut text = format!("{title}  {}\n{}", what(view), facts.text());
    if let Some(evidence) = &view.evidence {
        text += "\n";
        text += &super::evidence::evidence(evidence, now, look);
    }
    if !view.devices.is_empty() {
        text += "\n";
        text += &devices(&view.devices, look);
    }
    text
}

/// Devices of a rollout.
pub(crate) fn devices(devices: &[RolloutDevice], look: Look) -> String {
    let headings = [
        "DEVICE", "SITE", "STATE", "GOT TO", "HERE", "BEFORE", "REASON",
    ];
    let mut table = Table::new(look, &headings);
    for device in devices {
        let tone = match device.state {
            RolloutDeviceState::Waiting => Tone::Quiet,
            RolloutDeviceState::Assigned | RolloutDeviceState::InProgress => Tone::Busy,
            RolloutDeviceState::Serving => Tone::Good,
            RolloutDeviceState::Failed => Tone::Bad,
        };
        table.row([
            Cell::toned(device.device.as_str(), Tone::Strong),
            device.site.as_str().into(),
            Cell::toned(device_word(device.state), tone),
            Cell::or_none(device.stage.map(Stage::word)),
            Cell::or_none(device.progress.map(percent)),
            Cell::or_none(device.before.map(|before| format!("v{before}"))),
            device.reason.as_str().into(),
        ]);
    }
    table.text()
}

fn selector(selector: &Selector) -> String {
    let mut parts = Vec::new();
    if !selector.sites.is_empty() {
        parts.push(format!("site {}", joined(&selector.sites)));
    }
    for (key, value) in &selector.labels {
        parts.push(format!("label {key}={value}"));
    }
    if !selector.devices.is_empty() {
        parts.push(format!("device {}", joined(&selector.devices)));
    }
    if let Some(expression) = &selector.expression {
        parts.push(if parts.is_empty() {
            expression.to_string()
        } else {
            format!("({expression})")
        });
    }
    if parts.is_empty() {
        "all".into()
    } else {
        parts.join(" and ")
    }
}

fn joined<T: ToString>(names: &[T]) -> String {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_with_a_failed_device() {
        let json = r#"{"id":3,"slot":"digit-reader","model":"digit-reader","version":2,
            "selector":{"sites":["harbour","hill"],"labels":{"lens":"plastic"}},"percent":50,
            "state":"running","reason":"1 of 4 devices refused it","created":0,"updated":0,"actor":"user anna",
            "counts":{"selected":8,"targeted":4,"assigned":1,"in_progress":1,"serving":1,"failed":1,
              "stages":{"assigned":4,"stored":2,"loaded":1,"serving":1,"confirmed":0}},
            "devices":[
              {"device":"meter-01","site":"harbour","state":"in-progress","stage":"fetching","progress":0.5,"reason":"","before":1},
              {"device":"meter-02","site":"hill","state":"failed","progress":null,"reason":"golden-mismatch: 0.3","before":null}]}"#;
        let view: RolloutView = serde_json::from_str(json).expect("a rollout");
        insta::assert_snapshot!(rollout(&view, WallTime(90_000), Look::PLAIN), @r"
        rollout 3  digit-reader v2
          state    running
                   1 of 4 devices refused it
          share    50 % of 8 devices: site harbour or hill and label lens=plastic
          devices  1 of 4 serving, 1 in progress, 1 assigned, 1 failed, 4 outside the share
          got to   4 assigned, 2 stored, 1 loaded, 1 serving, 0 confirmed
          started  1 min ago by user anna
          changed  1 min ago

        DEVICE    SITE     STATE        GOT TO    HERE    BEFORE  REASON
        meter-01  harbour  in progress  fetching  50.0 %  v1
        meter-02  hill     failed       –         –       –       golden-mismatch: 0.3
        ");
    }
}
