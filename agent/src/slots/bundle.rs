//! From blobs on disk to a model that may serve: read, verify, load, reproduce the golden samples.
//!
//! Called where it may take its time. Must never break: every byte that a model is made of is
//! hashed here, at each load; nothing is loaded that does not reproduce its golden samples.

use std::io;

use tern_protocol::{
    agent_version::AgentVersion,
    blob::BlobRef,
    codec,
    digest::Digest,
    id::SlotName,
    limits,
    manifest::{Golden, Manifest, Requirement},
    metric::METRICS,
    profile::Reference,
    reported::RejectReason,
    steps,
    tensor::{Dtype, TensorSpec},
    time::Uptime,
};

use super::{Loaded, Trial};
use crate::{
    chain,
    clock::Clock,
    engine::{Interface, Model, golden},
    fetch::files::{BlobError, Files},
    state::slot::Kept,
    telemetry::Bins,
};

/// Largest ONNX file that is loaded: it is read into memory whole.
const ONNX_MAX: u64 = limits::BLOB;

/// Why a bundle does not become a model.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The error's name, for programs.
    pub reason: RejectReason,
    /// What happened, for people.
    pub text: String,
    /// A blob whose bytes on disk are not what they were.
    pub rotten: Option<Digest>,
    /// It was the device's moment that was bad, not the bundle: another try later makes sense.
    pub passing: bool,
}

impl Refusal {
    /// A refusal without a damaged blob.
    pub fn new(reason: RejectReason, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
            rotten: None,
            passing: false,
        }
    }
}

/// Reads the manifest of a bundle and checks that it is the version that was desired.
pub fn manifest(files: &Files, kept: &Kept) -> Result<Manifest, Refusal> {
    let bytes = read(files, kept.bundle, limits::MANIFEST as u64)?;
    let bad = |text: String| Refusal::new(RejectReason::BadManifest, text);
    let requirement: Requirement = codec::decode_within(&bytes, limits::MANIFEST)
        .map_err(|err| bad(format!("the manifest cannot be read: {err}")))?;
    // Before anything else in it: what is new there cannot be read by an older agent.
    check_agent(requirement.min_agent)?;
    let manifest: Manifest = codec::decode_within(&bytes, limits::MANIFEST)
        .map_err(|err| bad(format!("the manifest cannot be read: {err}")))?;
    let version = &kept.version;
    if (&manifest.model, manifest.version) != (&version.model, version.version) {
        return Err(bad(format!(
            "the manifest is of {} v{}, desired is {} v{}",
            manifest.model, manifest.version, version.model, version.version
        )));
    }
    let profile = limits::PROFILE as u64;
    let reference = manifest.reference.map_or(0, |blob| blob.len);
    if manifest.onnx.len > ONNX_MAX || manifest.golden.len > profile || reference > profile {
        return Err(bad("a part of the bundle is larger than any may be".into()));
    }
    Ok(manifest)
}

/// Refuses what asks for a newer agent than this one.
fn check_agent(min: Option<AgentVersion>) -> Result<(), Refusal> {
    let own: AgentVersion = env!("CARGO_PKG_VERSION")
        .parse()
        .expect("a package's version has three numbers");
    match min {
        Some(min) if own < min => Err(Refusal::new(
            RejectReason::AgentTooOld,
            format!("the model asks for agent {min} or newer, this is {own}; update the agent"),
        )),
        _ => Ok(()),
    }
}

/// Loads a bundle whose blobs are all here.
pub fn load(
    files: &Files,
    slot: &SlotName,
    kept: &Kept,
    clock: &Clock,
    trial: Trial,
) -> Result<Loaded, Refusal> {
    let manifest = manifest(files, kept)?;
    let bad = |text: String| Refusal::new(RejectReason::BadManifest, text);
    let bins = match manifest.reference {
        None => Bins::default(),
        Some(blob) => {
            let reference: Reference = decode(files, blob, "reference profile")?;
            bins(&manifest, &reference).map_err(bad)?
        }
    };
    let bins = with_metrics(bins, &manifest).map_err(bad)?;
    check_classes(&manifest).map_err(bad)?;
    let golden: Golden = decode(files, manifest.golden, "golden samples")?;
    let onnx = read(files, manifest.onnx, ONNX_MAX)?;
    let model = Model::load_as(&onnx, &Interface::from(&manifest)).map_err(|err| {
        Refusal::new(
            RejectReason::NotLoadable,
            format!("{err}; {}", err.remedy()),
        )
    })?;
    drop(onnx);
    let watch = clock.stopwatch();
    let golden_difference = golden::check(&model, &golden)
        .map_err(|err| Refusal::new(RejectReason::GoldenMismatch, chain(&err)))?;
    let micros = watch.micros() / golden.samples.len() as f64;
    let since = clock.now();
    let trial_until = match trial {
        Trial::None => Uptime(0),
        Trial::For(length) => since.uptime.plus(length),
    };
    Ok(Loaded::new(
        slot.clone(),
        kept.clone(),
        manifest,
        model,
        bins,
        since,
        trial_until,
        golden_difference,
        micros,
    ))
}

fn bins(manifest: &Manifest, reference: &Reference) -> Result<Bins, String> {
    if let Some(problem) = reference.problem() {
        return Err(problem.into());
    }
    let elements = manifest.inputs.first().and_then(TensorSpec::sample_len);
    let features = reference.features.len();
    if features > 0 && elements != Some(features) {
        return Err(format!(
            "the reference profile has {features} features, the first input {} elements",
            elements.unwrap_or(0)
        ));
    }
    let image = reference.image.and_then(|image| image.elements());
    if image.is_some() && image != elements.map(|elements| elements as u64) {
        return Err(format!(
            "the image of the reference profile has {} elements, the first input {}",
            image.unwrap_or(0),
            elements.unwrap_or(0)
        ));
    }
    Bins::new(reference).map_err(|err| err.to_string())
}

/// With the metrics that the bundle declares, each within what any may take.
fn with_metrics(bins: Bins, manifest: &Manifest) -> Result<Bins, String> {
    let declared = &manifest.metrics;
    if declared.len() > METRICS {
        return Err(format!("the manifest declares more than {METRICS} metrics"));
    }
    for spec in declared {
        if let Some((problem, _)) = spec.problem() {
            return Err(format!("the metric `{}`: {problem}", spec.name));
        }
    }
    bins.with_metrics(declared).map_err(|err| err.to_string())
}

/// The first output of a classifier gives a probability a class. If it is decided, only the graph
/// knows how many scores it had, and the engine looks.
fn check_classes(manifest: &Manifest) -> Result<(), String> {
    let classes = manifest.classes.len();
    let first = manifest.outputs.first();
    if let Some(spec) = first {
        let steps = steps::of_output(&manifest.post, &spec.name);
        if steps::before_decision(steps) < steps.len() {
            return Ok(());
        }
    }
    let fits = first.is_some_and(|spec| {
        spec.sample_len() == Some(classes) && matches!(spec.dtype, Dtype::F32 | Dtype::F64)
    });
    if classes == 0 || fits {
        Ok(())
    } else {
        Err(format!(
            "the manifest names {classes} classes, the first output has not as many probabilities"
        ))
    }
}

fn decode<T: for<'b> minicbor::Decode<'b, ()>>(
    files: &Files,
    blob: BlobRef,
    what: &str,
) -> Result<T, Refusal> {
    let bytes = read(files, blob, limits::PROFILE as u64)?;
    codec::decode_within(&bytes, limits::PROFILE).map_err(|err| {
        let text = format!("the {what} cannot be read: {err}");
        Refusal::new(RejectReason::BadManifest, text)
    })
}

fn read(files: &Files, blob: BlobRef, limit: u64) -> Result<Vec<u8>, Refusal> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    files.read(blob, limit).map_err(|err| match err {
        // The blob is as it was; there is no memory to read it into.
        BlobError::Io { err: ref io, .. } if io.kind() == io::ErrorKind::OutOfMemory => {
            let text = format!("{}: more than `[vetting] memory` allows", chain(&err));
            Refusal::new(RejectReason::Exhausting, text)
        }
        err => Refusal {
            passing: false,
            reason: RejectReason::DigestMismatch,
            text: chain(&err),
            // Also when it cannot be read: what is not there has to be fetched again.
            rotten: match err {
                BlobError::Mismatch { .. } | BlobError::Io { .. } => Some(blob.digest),
                BlobError::NoSpace { .. } | BlobError::Full { .. } => None,
            },
        },
    })
}
