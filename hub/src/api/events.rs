//! Server-sent events: how many streams are open, when they end, and what an event looks like.
//!
//! Must never break: a stream that nobody reads any more gives its place back; none holds the hub up
//! when it stops.

use std::{convert::Infallible, time::Duration};

use axum::response::{
    Sse,
    sse::{Event, KeepAlive, KeepAliveStream},
};
use futures::{Stream, StreamExt as _};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Streams, problem::ApiError};
use crate::app::{App, Ready};

/// Between two signs of life on a quiet stream; proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A place among the open streams.
pub(super) struct Place {
    /// Its sender goes when the hub stops.
    ready: watch::Receiver<Ready>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Takes one, if there is one left.
    pub(super) fn take(streams: Streams, app: &App) -> Result<Self, ApiError> {
        let permit = streams.0.try_acquire_owned().map_err(|_| {
            ApiError::unavailable("too many streams are open; close a page and try again")
        })?;
        Ok(Self {
            ready: app.ready.clone(),
            _permit: permit,
        })
    }

    /// Waits until the hub stops.
    pub(super) async fn lost(&mut self) {
        while self.ready.changed().await.is_ok() {}
    }
}

/// An answer of events, each of a name and something that is its data as JSON.
pub(super) fn answer<T: Serialize>(
    told: impl Stream<Item = (&'static str, T)> + Send + 'static,
) -> Sse<KeepAliveStream<impl Stream<Item = Result<Event, Infallible>>>> {
    let events = told.map(|(name, data)| {
        let data = serde_json::to_string(&data).expect("ids, texts and numbers are always JSON");
        Ok(Event::default().event(name).data(data))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
