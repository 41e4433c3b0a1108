//! Size of the agent's binary; its memory without a model, and serving one.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    Binaries,
    parts::{Agent, Hub, KeepAlive, Security, infer_path, infer_request},
    report::{Figure, Report},
};

/// How long memory may settle before it is read: sled writes its first pages, the link has
/// subscribed and reported.
const SETTLE: Duration = Duration::from_secs(5);

/// Inferences before memory with a model is read.
const INFERENCES: usize = 1_000;

/// Pixels of a digit.
const PIXELS: usize = 64;

pub(crate) fn run(binaries: &Binaries, report: &Report) -> Result<()> {
    let bytes = fs::metadata(&binaries.agent)
        .with_context(|| binaries.agent.display().to_string())?
        .len();
    Figure {
        bench: "footprint",
        figure: "agent_binary_bytes",
        value: bytes as f64,
        unit: "bytes",
        goal: "<= 10000000",
        detail: json!({"profile": "device", "stripped": true}),
    }
    .print();

    let folder = tempfile::tempdir()?;
    let hub = Hub::start(binaries, folder.path(), Security::InsecureLoopback)?;
    let agent = Agent::start(binaries, &hub, folder.path())?;
    report.progress("agent is connected; its memory settles");
    thread::sleep(SETTLE);
    memory(&agent, "agent_rss_idle_bytes", json!({"model": null}))?;

    agent.serve_model(binaries, &hub)?;
    report.progress("agent serves the digit model");
    let request = infer_request(&[8.0; PIXELS], &input_name(&binaries.package)?);
    let mut http = KeepAlive::connect(&agent.address, &infer_path(), &request)?;
    for _ in 0..INFERENCES {
        http.call()?;
    }
    thread::sleep(SETTLE);
    memory(
        &agent,
        "agent_rss_model_bytes",
        json!({"inferences": INFERENCES}),
    )
}

fn memory(agent: &Agent, figure: &'static str, mut detail: serde_json::Value) -> Result<()> {
    for part in ["RssAnon", "RssFile", "VmHWM"] {
        detail[part] = agent.memory(part)?.into();
    }
    Figure {
        bench: "footprint",
        figure,
        value: agent.memory("VmRSS")? as f64,
        unit: "bytes",
        goal: if figure == "agent_rss_idle_bytes" {
            "<= 10000000"
        } else {
            "none"
        },
        detail,
    }
    .print();
    Ok(())
}

/// Name of the digit model's input.
pub(crate) fn input_name(package: &Path) -> Result<String> {
    let file = package.join("publish.json");
    let publish: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    let name = publish["inputs"][0]["name"].as_str();
    Ok(name
        .with_context(|| format!("no input in {}", file.display()))?
        .to_string())
}
