//! A rollout as bars on stderr: one for all, one for each device on its way.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tern_protocol::{
    id::DeviceId,
    rest::{RolloutDeviceState, RolloutView},
};

use super::news;
use crate::show::{self, words::one_line};

/// Devices with a bar of their own: a screenful.
const DEVICES_SHOWN: usize = 10;

/// Steps of a device's bar.
const STEPS: u64 = 1000;

pub(super) struct Bars {
    screen: MultiProgress,
    all: ProgressBar,
    devices: Vec<(DeviceId, ProgressBar)>,
}

impl Bars {
    pub(super) fn new() -> Self {
        let screen = MultiProgress::new();
        let all = screen.add(ProgressBar::new(1));
        all.set_style(style("{prefix:.bold} {bar:30.green/dim} {msg}"));
        Self {
            screen,
            all,
            devices: Vec::new(),
        }
    }

    pub(super) fn draw(&mut self, before: Option<&RolloutView>, view: &RolloutView) {
        let counts = &view.counts;
        self.all.set_prefix(format!("rollout {}", view.id));
        self.all.set_length(counts.targeted.max(1));
        self.all.set_position(counts.serving);
        let state = show::rollout::state_word(view.state);
        self.all
            .set_message(format!("{} · {state}", show::rollout::counts(counts)));
        // News other than the counts, which the bar says.
        for line in news(before, view) {
            if line.contains(" failed: ") || line.starts_with("paused") {
                let _ = self.screen.println(line);
            }
        }
        self.devices(view);
    }

    fn devices(&mut self, view: &RolloutView) {
        let on_their_way: Vec<_> = view
            .devices
            .iter()
            .filter(|device| device.state == RolloutDeviceState::InProgress)
            .take(DEVICES_SHOWN)
            .collect();
        self.devices.retain(|(id, bar)| {
            let stays = on_their_way.iter().any(|device| device.device == *id);
            if !stays {
                bar.finish_and_clear();
                self.screen.remove(bar);
            }
            stays
        });
        for device in on_their_way {
            let bar = self.bar(&device.device);
            let share = device.progress.unwrap_or(0.0).clamp(0.0, 1.0);
            bar.set_position((share * STEPS as f64) as u64);
            bar.set_message(one_line(&device.reason));
        }
    }

    fn bar(&mut self, device: &DeviceId) -> ProgressBar {
        if let Some((_, bar)) = self.devices.iter().find(|(id, _)| id == device) {
            return bar.clone();
        }
        let bar = self.screen.add(ProgressBar::new(STEPS));
        bar.set_style(style("  {prefix:20} {bar:20} {msg}"));
        bar.set_prefix(device.to_string());
        self.devices.push((device.clone(), bar.clone()));
        bar
    }

    pub(super) fn clear(self) {
        let _ = self.screen.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("a template of ours");
    style.progress_chars("━╸ ")
}
