//! What part devices had in rollouts while their windows were open.

use tern_protocol::{id::WorkspaceId, rest::Part, window::Window};

use super::gather::Arm;
use crate::{app::App, monitor::follow::Followed, rollout::Seat};

/// The part of each window's device in a rollout that moves now. Of windows from before its device was watched, and of
/// rollouts that are over, nobody says.
pub(super) async fn of(
    app: &App,
    workspace: &WorkspaceId,
    windows: &[Followed<Window>],
) -> Vec<Arm> {
    let asked = windows.iter().map(|followed| Seat {
        device: &followed.device,
        slot: &followed.window.slot,
        model: &followed.window.model,
        version: followed.window.version,
        opened: followed.opened,
    });
    let parts = app.engines.parts(workspace, asked).await;
    let arm = |part: Option<Part>| match part {
        Some(Part::Treatment) => Arm::Treatment,
        Some(Part::Control) => Arm::Control,
        _ => Arm::None,
    };
    parts.into_iter().map(arm).collect()
}
