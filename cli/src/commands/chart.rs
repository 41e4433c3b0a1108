//! `tern chart`.

use std::time::Duration;

use tern_cli::client::{ChartQuery, ClientError};
use tern_protocol::{
    id::{DeviceId, IdError, MetricName, ModelName, ModelVersion, SiteName},
    rest::{GroupBy, Metric, Part},
    time::WallTime,
};

use super::{Answer, Context, given};
use crate::{clock, out::OutError, show};

/// Intervals unless somebody says how long they are: as many lines as are read at a glance.
const INTERVALS: u64 = 12;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tern chart latency --model digits --last 6h\n  \
    tern chart belt_speed --model digits --site harbour --last 7d --step 1d")]
pub(crate) struct ChartArgs {
    /// traffic, errors, latency, prediction, confidence or accuracy; or a metric that the model declares
    #[arg(value_name = "QUANTITY")]
    what: String,
    /// It is a metric that the model declares, also if its name is that of another quantity
    #[arg(long)]
    declared: bool,
    /// Only of this model; a metric that a model declares needs it
    #[arg(long)]
    model: Option<ModelName>,
    /// Only of this version
    #[arg(id = "of-version", long = "of-version", value_name = "VERSION")]
    version: Option<ModelVersion>,
    /// Only at this site
    #[arg(long)]
    site: Option<SiteName>,
    /// Only of this device
    #[arg(long)]
    device: Option<DeviceId>,
    /// Only of devices with this part in a rollout: treatment or control
    #[arg(long, value_parser = word::<Part>)]
    arm: Option<Part>,
    /// One series each: version, site or arm
    #[arg(long, value_parser = word::<GroupBy>)]
    group: Option<GroupBy>,
    /// The time up to now, as `6h` or `30d`
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = given::duration)]
    last: Duration,
    /// Length of an interval, as `5m`
    #[arg(long, value_name = "TIME", value_parser = given::duration)]
    step: Option<Duration>,
}

/// Why there is no chart.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChartError {
    #[error(
        "`{0}` is no quantity of every model: those are traffic, errors, latency, prediction, confidence and accuracy; a metric that a model declares needs `--model`"
    )]
    NoModel(String),
    #[error(transparent)]
    Name(#[from] IdError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
}

/// One of a few words that the protocol has.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|err| err.to_string())
}

/// What is drawn: a quantity that every model has, or a metric that one declares.
fn quantity(args: &ChartArgs) -> Result<(Metric, Option<MetricName>), ChartError> {
    let known = word::<Metric>(&args.what);
    match known {
        Ok(metric) if !args.declared && metric != Metric::Custom => Ok((metric, None)),
        _ if args.model.is_none() => Err(ChartError::NoModel(args.what.clone())),
        _ => Ok((Metric::Custom, Some(args.what.parse()?))),
    }
}

pub(crate) fn run(context: &mut Context, args: &ChartArgs) -> Result<Answer, ChartError> {
    let (metric, name) = quantity(args)?;
    let now = clock::now();
    let length = u64::try_from(args.last.as_millis()).unwrap_or(u64::MAX);
    let step = args
        .step
        .map_or(length.div_ceil(INTERVALS), |step| step.as_millis() as u64);
    let query = ChartQuery {
        name,
        model: args.model.clone(),
        version: args.version,
        site: args.site.clone(),
        device: args.device.clone(),
        arm: args.arm,
        group: args.group.unwrap_or_default(),
        from: Some(WallTime(now.0.saturating_sub_unsigned(length))),
        to: Some(now),
        step_ms: Some(step),
        ..ChartQuery::of(metric)
    };
    let chart = context.client.chart(&query)?;
    context
        .out
        .answer(&chart, |look| show::chart::chart(&chart, look))?;
    Ok(Answer::Yes)
}
