//! What devices and hub say to each other, as server-sent events, for `tern tap`.

use std::time::Duration;

use axum::{Extension, extract::State, response::IntoResponse};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    rest::Tapped,
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};
use utoipa::IntoParams;

use super::{
    Streams,
    events::{self, Place},
    extract::{Query, Workspace},
    problem::ApiError,
};
use crate::{app::App, tap::Passing};

/// How long a stream lasts. Whoever listens asks again, and so has to show again that they may.
const LIFE: Duration = Duration::from_mins(5);

/// Whose messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TapQuery {
    /// Only those from and to this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
}

/// Messages between devices and hub, as they go by.
///
/// Server-sent events: the name of an event is its kind, its data the message as JSON. It ends after
/// five minutes; ask again to go on.
#[utoipa::path(
    get, path = "/tap", tag = "devices", params(TapQuery),
    responses((
        status = 200, description = "Messages, until the client leaves or the time is over",
        body = Tapped, content_type = "text/event-stream",
    )),
)]
pub(super) async fn tap(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(TapQuery { device }): Query<TapQuery>,
    Extension(streams): Extension<Streams>,
) -> Result<impl IntoResponse, ApiError> {
    let place = Place::take(streams, &app)?;
    let listener = Listener {
        workspace,
        device,
        passing: app.tap.listen(),
        end: Instant::now() + LIFE,
        place,
    };
    let told = futures::stream::unfold(listener, |mut listener| async {
        let tapped = listener.next().await?;
        Some(((name(&tapped), tapped), listener))
    });
    Ok(events::answer(told))
}

const fn name(tapped: &Tapped) -> &'static str {
    match tapped {
        Tapped::Message { .. } => "message",
        Tapped::Missed { .. } => "missed",
    }
}

/// One open stream.
struct Listener {
    workspace: WorkspaceId,
    device: Option<DeviceId>,
    passing: Receiver<Passing>,
    end: Instant,
    place: Place,
}

impl Listener {
    /// The next message to tell; `None` at the end.
    async fn next(&mut self) -> Option<Tapped> {
        loop {
            tokio::select! {
                passing = self.passing.recv() => match passing {
                    Ok(passing) if self.wants(&passing) => return Some(told(passing)),
                    Ok(_) => {}
                    Err(RecvError::Lagged(messages)) => return Some(Tapped::Missed { messages }),
                    Err(RecvError::Closed) => return None,
                },
                () = sleep_until(self.end) => return None,
                () = self.place.lost() => return None,
            }
        }
    }

    fn wants(&self, passing: &Passing) -> bool {
        let is_of_device = self.device.is_none() || self.device == passing.device;
        passing.workspace == self.workspace && is_of_device
    }
}

fn told(passing: Passing) -> Tapped {
    Tapped::Message {
        at: passing.at,
        topic: passing.topic,
        retained: passing.retained,
        payload: BASE64_STANDARD.encode(&passing.payload),
    }
}
