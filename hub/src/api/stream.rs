//! Changes as server-sent events, so that pages stay live without asking all the time.

use axum::{Extension, extract::State, response::IntoResponse};
use tern_protocol::{id::WorkspaceId, rest::Change};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};

use super::{
    Streams,
    coalesce::Coalesce,
    events::{self, Place},
    extract::Workspace,
    problem::ApiError,
};
use crate::{app::App, clock::Clock};

/// Changes as they happen.
///
/// Server-sent events: the name of an event is the kind of change, its data the change as JSON. At
/// most four events a second come about one subject; the last one of a burst always comes.
#[utoipa::path(
    get, path = "/stream", tag = "monitor",
    responses((
        status = 200, description = "Events, until the client leaves or the hub stops",
        body = Change, content_type = "text/event-stream",
    )),
)]
pub(super) async fn stream(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(streams): Extension<Streams>,
) -> Result<impl IntoResponse, ApiError> {
    let place = Place::take(streams, &app)?;
    let listener = Listener {
        workspace,
        changes: app.changes.subscribe(),
        coalesce: Coalesce::default(),
        clock: app.clock,
        place,
    };
    let told = futures::stream::unfold(listener, |mut listener| async {
        let change = listener.next().await?;
        Some(((name(&change), change), listener))
    });
    Ok(events::answer(told))
}

const fn name(change: &Change) -> &'static str {
    match change {
        Change::Device { .. } => "device",
        Change::Rollout { .. } => "rollout",
        Change::Model { .. } => "model",
        Change::Telemetry { .. } => "telemetry",
        Change::Trust => "trust",
        Change::Delivery => "delivery",
        Change::Notifications => "notifications",
        Change::Alerts => "alerts",
        Change::Experiments => "experiments",
        Change::Runs { .. } => "runs",
        Change::Run { .. } => "run",
        Change::Retraining { .. } => "retraining",
        Change::Job { .. } => "job",
        Change::Computes => "computes",
        Change::Datasets => "datasets",
    }
}

/// One open stream.
struct Listener {
    workspace: WorkspaceId,
    changes: Receiver<(WorkspaceId, Change)>,
    coalesce: Coalesce,
    clock: Clock,
    place: Place,
}

impl Listener {
    /// The next change to tell; `None` when the hub stops.
    async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.coalesce.due(Instant::now()) {
                return Some(change);
            }
            let deadline = self.coalesce.deadline();
            let change = tokio::select! {
                change = self.changes.recv() => match change {
                    Ok((workspace, change)) if workspace == self.workspace => change,
                    Ok(_) => continue,
                    // It missed some; this one makes pages look at everything.
                    Err(RecvError::Lagged(_)) => Change::Telemetry { at: self.clock.now() },
                    Err(RecvError::Closed) => return None,
                },
                () = until(deadline) => continue,
                () = self.place.lost() => return None,
            };
            if let Some(change) = self.coalesce.offer(change, Instant::now()) {
                return Some(change);
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
