//! Numbers and spans for an OpenTelemetry collector, if one is set.
//!
//! Called by `main`. Must never break: no answer waits for a collector; without the feature `otlp` a configuration that
//! asks for one is refused, and not passed over.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tern_agent::{config::Config, serve::Shared};
use tern_otlp::{Export, Settings};
use tokio::sync::watch;

/// The shortest time between two times that numbers are sent: writing them costs a device some tenths of a millisecond.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Starts what sends, if it is set.
pub(crate) fn start(config: &Config) -> anyhow::Result<Option<Arc<Export>>> {
    let Some(otlp) = &config.otlp else {
        return Ok(None);
    };
    anyhow::ensure!(
        otlp.interval.0 >= INTERVAL_MIN,
        "`otlp.interval` must be 1s or more"
    );
    let settings = Settings {
        endpoint: otlp.endpoint.parse().context("`otlp.endpoint`")?,
        interval: otlp.interval.0,
        sampled: f64::from(otlp.sampled),
        service: "tern-agent",
        version: env!("CARGO_PKG_VERSION"),
        instance: config.device.to_string(),
        attributes: vec![
            ("tern.workspace", config.workspace.to_string()),
            ("tern.device", config.device.to_string()),
            ("tern.site", config.site.to_string()),
        ],
        // The system's list of authorities is a megabyte that few devices have.
        tls: None,
    };
    Ok(Some(Arc::new(Export::start(settings)?)))
}

/// Tells the collector what `/metrics` says, until `stop`.
pub(crate) async fn tell(
    export: Arc<Export>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        export.tell(&tern_agent::serve::numbers(&shared));
        tokio::select! {
            () = tokio::time::sleep(export.interval() / 2) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
