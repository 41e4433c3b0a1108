//! Whether numbers and spans go to an OpenTelemetry collector.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;
use tern_otlp::{Endpoint, EndpointError, Export, ExportError, Settings};

/// Where a collector is by the custom of all programs; heard only with `--otlp`, since a variable that somebody set for
/// another program must not make this one send.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Numbers and spans for an OpenTelemetry collector, by OTLP over HTTP: none unless one of the first two is given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "OpenTelemetry")]
pub struct OtlpArgs {
    /// Send to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, or to http://127.0.0.1:4318.
    #[arg(long)]
    pub otlp: bool,
    /// Send to this collector, as http://collector:4318.
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<Endpoint>,
    /// Between two times that numbers are sent; 60s by default.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub otlp_interval: Option<Duration>,
    /// Share of requests and decisions that are traced, 0 to 1; 0.01 by default.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub otlp_sample: Option<f64>,
}

/// Nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The variable says something impossible.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT")]
    Variable(#[source] EndpointError),
    /// Whom this machine trusts is not known.
    #[error("reading whom this machine trusts, for the OpenTelemetry collector")]
    Trust(#[source] rustls::Error),
    /// What sends does not start.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl OtlpArgs {
    /// Starts what sends, if anything is to be sent.
    pub fn export(&self) -> Result<Option<Export>, OtlpError> {
        let Some(endpoint) = self.endpoint(std::env::var(ENDPOINT).ok())? else {
            return Ok(None);
        };
        let settings = Settings {
            endpoint,
            interval: self.otlp_interval.unwrap_or(Duration::from_mins(1)),
            sampled: self.otlp_sample.unwrap_or(0.01),
            service: "tern-hub",
            version: env!("CARGO_PKG_VERSION"),
            instance: std::process::id().to_string(),
            attributes: Vec::new(),
            tls: Some(trust()?),
        };
        Ok(Some(Export::start(settings)?))
    }

    fn endpoint(&self, variable: Option<String>) -> Result<Option<Endpoint>, OtlpError> {
        if let Some(given) = &self.otlp_endpoint {
            return Ok(Some(given.clone()));
        }
        let variable = variable.filter(|text| self.otlp && !text.is_empty());
        match variable {
            Some(text) => text.parse().map(Some).map_err(OtlpError::Variable),
            None => Ok(self.otlp.then(Endpoint::here)),
        }
    }
}

fn trust() -> Result<Arc<ClientConfig>, OtlpError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier);
    let config = config.map_err(OtlpError::Trust)?;
    Ok(Arc::new(config.with_no_client_auth()))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is from 0 to 1, as 0.05".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_alone_makes_nobody_send() {
        let variable = || Some("http://collector:4318".to_owned());
        let args = OtlpArgs::default();
        assert_eq!(args.endpoint(variable()).expect("nothing is wrong"), None);
        let args = OtlpArgs {
            otlp: true,
            ..OtlpArgs::default()
        };
        let shown = |variable| {
            args.endpoint(variable)
                .expect("good")
                .map(|one| one.to_string())
        };
        assert_eq!(shown(variable()).as_deref(), Some("http://collector:4318"));
        assert_eq!(shown(None).as_deref(), Some("http://127.0.0.1:4318"));
        assert!(args.endpoint(Some("nonsense".into())).is_err());
        assert!(share("0.5").is_ok() && share("2").is_err() && share("x").is_err());
    }
}
