//! Changes as server-sent events, so that pages stay live without asking all the time.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::Stream;
use tern_protocol::{id::WorkspaceId, rest::Change};
use tokio::{
    sync::{
        OwnedSemaphorePermit,
        broadcast::{Receiver, error::RecvError},
    },
    time::Instant,
};

use super::{Streams, coalesce::Coalesce, extract::Workspace, problem::ApiError};
use crate::{
    app::{App, Ready},
    clock::Clock,
};

/// Between two signs of life on a quiet stream; proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

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
    axum::Extension(streams): axum::Extension<Streams>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let place = streams.0.try_acquire_owned().map_err(|_| {
        ApiError::unavailable("too many streams are open; close a page and try again")
    })?;
    let listener = Listener {
        workspace,
        changes: app.changes.subscribe(),
        coalesce: Coalesce::default(),
        clock: app.clock,
        ready: app.ready,
        _place: place,
    };
    let events = futures::stream::unfold(listener, |mut listener| async {
        let change = listener.next().await?;
        Some((Ok(event(&change)), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn event(change: &Change) -> Event {
    let name = match change {
        Change::Device { .. } => "device",
        Change::Rollout { .. } => "rollout",
        Change::Model { .. } => "model",
        Change::Telemetry { .. } => "telemetry",
    };
    let data = serde_json::to_string(change).expect("ids and numbers are always JSON");
    Event::default().event(name).data(data)
}

/// One open stream.
struct Listener {
    workspace: WorkspaceId,
    changes: Receiver<(WorkspaceId, Change)>,
    coalesce: Coalesce,
    clock: Clock,
    /// Its sender goes when the hub stops: then streams end, so that they do not hold it up.
    ready: tokio::sync::watch::Receiver<Ready>,
    _place: OwnedSemaphorePermit,
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
                changed = self.ready.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return None,
                },
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
