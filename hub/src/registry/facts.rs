//! Checks of what a publisher says about a model, before the model itself is touched. Pure.

use std::collections::BTreeSet;

use tern_protocol::{
    id::ModelVersion,
    limits,
    manifest::Golden,
    metric::{METRICS, MetricSpec},
    profile::Reference,
    rest::{Finding, NewPostStep, NewPreStep, NewVersion, UnknownStep},
    steps,
    tensor::TensorSpec,
};
use tern_stats::signal::Signal;

/// Inputs or outputs of one model. Each costs a line in the manifest, which devices decode whole.
const TENSORS: usize = 64;

/// Dimensions of one tensor. ONNX graphs in use stay under eight.
const DIMENSIONS: usize = 16;

/// Classes of one model: each window carries a count a class, and must fit one payload.
const CLASSES: usize = 1024;

/// A name of a tensor or class, in bytes; longer ones come from broken exporters.
const NAME: usize = 256;

/// A note for people, in bytes.
pub(super) const NOTE: usize = 4096;

/// Everything that is wrong with the facts, so that a publisher mends it in one go.
pub(super) fn check(
    new: &NewVersion,
    golden: &Golden,
    reference: Option<&Reference>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    tensors("inputs", &new.inputs, &mut findings);
    tensors("outputs", &new.outputs, &mut findings);
    steps(new, &mut findings);
    classes(new, &mut findings);
    metrics(&new.metrics, &mut findings);
    texts(new, &mut findings);
    samples(new, golden, &mut findings);
    if let Some(reference) = reference {
        profile(new, reference, &mut findings);
    }
    findings
}

/// The finding for a manifest that no device would take.
pub(super) fn manifest_too_large(len: usize) -> Finding {
    finding(
        "manifest",
        "manifest",
        format!(
            "the manifest has {len} bytes, the limit is {}",
            limits::MANIFEST
        ),
        "shorten the names of classes or of inputs and outputs",
    )
}

/// One finding.
pub(super) fn finding(
    check: &str,
    subject: impl Into<String>,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        check: check.into(),
        subject: subject.into(),
        message: message.into(),
        remedy: remedy.into(),
    }
}

fn tensors(what: &str, specs: &[TensorSpec], findings: &mut Vec<Finding>) {
    if specs.is_empty() || specs.len() > TENSORS {
        findings.push(finding(
            "manifest",
            what,
            format!(
                "{} {what} are declared, allowed are 1 to {TENSORS}",
                specs.len()
            ),
            "declare name, dtype and shape of each one, in the graph's order",
        ));
    }
    let mut names = BTreeSet::new();
    for spec in specs {
        let subject = || format!("{what}: `{}`", shown(&spec.name));
        if spec.name.is_empty() || spec.name.len() > NAME || !names.insert(&spec.name) {
            findings.push(finding(
                "manifest",
                subject(),
                format!("the name is empty, longer than {NAME} bytes, or there twice"),
                "use the names of the ONNX graph",
            ));
        }
        if spec.shape.len() > DIMENSIONS || spec.sample_len().is_none() {
            findings.push(finding(
                "shape",
                subject(),
                format!("the shape {:?} is not one", first(&spec.shape)),
                format!(
                    "give 1 to {DIMENSIONS} dimensions from 1 up; only the first may be -1, the batch"
                ),
            ));
        }
    }
}

/// Steps by themselves: what the graph makes of them is for the engine to say.
fn steps(new: &NewVersion, findings: &mut Vec<Finding>) {
    let mut unknown = |subject: String, step: &UnknownStep, known: &str| {
        findings.push(finding(
            "steps",
            subject,
            format!(
                "`{}` is no step, or not with the fields that were given",
                shown(&step.step)
            ),
            format!("there are {known}; the manual says what each takes"),
        ));
    };
    for of in &new.pre {
        for step in &of.steps {
            if let NewPreStep::Unknown(step) = step {
                let known = "scale, normalise, resize, cast, reshape, transpose";
                unknown(format!("input `{}`", shown(&of.input)), step, known);
            }
        }
    }
    for of in &new.post {
        for step in &of.steps {
            if let NewPostStep::Unknown(step) = step {
                let known = "softmax, argmax, threshold, labels";
                unknown(format!("output `{}`", shown(&of.output)), step, known);
            }
        }
    }
    if !findings.is_empty() {
        return;
    }
    for of in new.known_pre() {
        let spec = new.inputs.iter().find(|spec| spec.name == of.input);
        let wrong = spec.map(|spec| steps::graph_input(spec, &of.steps));
        if let Some(Err(err)) = wrong {
            findings.push(finding(
                "steps",
                format!("input `{}`", shown(&of.input)),
                err.to_string(),
                err.remedy,
            ));
        }
    }
    let sides = [
        (
            new.pre.iter().map(|of| &of.input).collect::<Vec<_>>(),
            &new.inputs,
            "input",
        ),
        (
            new.post.iter().map(|of| &of.output).collect(),
            &new.outputs,
            "output",
        ),
    ];
    for (names, specs, what) in sides {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name) || !specs.iter().any(|spec| spec.name == *name) {
                findings.push(finding(
                    "steps",
                    format!("{what} `{}`", shown(name)),
                    format!("there is no such {what}, or its steps are there twice"),
                    format!("give each {what} its steps once, under its name"),
                ));
            }
        }
    }
}

fn classes(new: &NewVersion, findings: &mut Vec<Finding>) {
    if new.classes.is_empty() {
        return;
    }
    let mut names = BTreeSet::new();
    let odd = |name: &&String| name.is_empty() || name.len() > NAME;
    let bad = new.classes.iter().find(odd);
    let twice = new.classes.iter().find(|name| !names.insert(*name));
    if let Some(name) = bad.or(twice) {
        findings.push(finding(
            "manifest",
            format!("class `{}`", shown(name)),
            format!("the name is empty, longer than {NAME} bytes, or there twice"),
            "give each class a name of its own",
        ));
    }
    if new.classes.len() > CLASSES {
        findings.push(finding(
            "manifest",
            "classes",
            format!("{} classes, the limit is {CLASSES}", new.classes.len()),
            "leave the names out: then predictions are not counted by class",
        ));
    }
    let Some(first) = new.outputs.first() else {
        return;
    };
    let Some(len) = first.sample_len() else {
        return;
    };
    let post = new.known_post();
    let post = steps::of_output(&post, &first.name);
    if steps::before_decision(post) < post.len() {
        // Only the graph knows how many scores were decided on; the engine looks.
        return;
    }
    if len != new.classes.len() {
        findings.push(finding(
            "shape",
            format!("output `{}`", shown(&first.name)),
            format!(
                "it has {len} elements a sample, but {} classes are named",
                new.classes.len()
            ),
            "name one class an element of the first output, in its order; or put the output with \
             the probabilities first",
        ));
    }
}

/// Metrics by themselves: whether the graph has the tensors that they are read from is for the engine to say.
fn metrics(declared: &[MetricSpec], findings: &mut Vec<Finding>) {
    if declared.len() > METRICS {
        findings.push(finding(
            "metrics",
            "metrics",
            format!("{} metrics, the limit is {METRICS}", declared.len()),
            "declare those that somebody looks at",
        ));
    }
    let mut names = BTreeSet::new();
    for spec in declared {
        let subject = format!("metric `{}`", spec.name);
        if !names.insert(&spec.name) {
            let remedy = "give each metric a name of its own";
            findings.push(finding("metrics", &subject, "it is declared twice", remedy));
        }
        if let Some((problem, remedy)) = spec.problem() {
            findings.push(finding("metrics", subject, problem, remedy));
        }
    }
}

/// The finding for a metric that is of another kind, or on other bins, than in a version before: what is drawn over
/// both would mean nothing.
pub(super) fn metric_changed(spec: &MetricSpec, before: ModelVersion) -> Finding {
    finding(
        "metrics",
        format!("metric `{}`", spec.name),
        format!("it is a {} of other form in version {before}", spec.kind),
        "declare it as it was, or under another name",
    )
}

fn texts(new: &NewVersion, findings: &mut Vec<Finding>) {
    if new.note.len() > NOTE {
        findings.push(finding(
            "manifest",
            "note",
            format!("the note has {} bytes, the limit is {NOTE}", new.note.len()),
            "shorten it",
        ));
    }
    if new
        .validation_accuracy
        .is_some_and(|share| !(0.0..=1.0).contains(&share))
    {
        findings.push(finding(
            "manifest",
            "validation_accuracy",
            "an accuracy lies between 0 and 1",
            "give the share of right predictions, not a percentage",
        ));
    }
}

fn samples(new: &NewVersion, golden: &Golden, findings: &mut Vec<Finding>) {
    if golden.samples.is_empty() {
        findings.push(finding(
            "golden",
            "samples",
            "there are no golden samples, so nothing proves that a device runs the model rightly",
            "publish at least one input with the output that the trainer saw",
        ));
    }
    if !(golden.tolerance.is_finite() && golden.tolerance >= 0.0) {
        findings.push(finding(
            "golden",
            "tolerance",
            format!("a tolerance of {} allows anything", golden.tolerance),
            "give the largest absolute difference allowed, for example 0.0001",
        ));
    }
    for (index, sample) in golden.samples.iter().enumerate() {
        let counts = [
            ("inputs", sample.inputs.len(), new.inputs.len()),
            ("outputs", sample.outputs.len(), new.outputs.len()),
        ];
        for (what, found, declared) in counts {
            if found != declared {
                findings.push(finding(
                    "golden",
                    format!("sample {index}"),
                    format!("it has {found} {what}, the model {declared}"),
                    "give one tensor for each, in the graph's order",
                ));
                // One such sample says it all.
                return;
            }
        }
    }
}

fn profile(new: &NewVersion, reference: &Reference, findings: &mut Vec<Finding>) {
    if let Some(problem) = reference.problem() {
        findings.push(finding(
            "reference",
            "reference",
            problem,
            "make the profile with the trainer that comes with Tern, or leave it out",
        ));
        return;
    }
    let inputs = new.inputs.first().and_then(TensorSpec::sample_len);
    let features = reference.features.len();
    if features > 0 && inputs.is_some_and(|len| len != features) {
        findings.push(finding(
            "reference",
            "features",
            format!(
                "the profile describes {features} features, the first input has {} elements",
                inputs.unwrap_or_default()
            ),
            "describe each element of the first input, in row-major order",
        ));
    }
    signals(inputs, reference, findings);
    let classes = reference.classes.len();
    if classes > 0 && classes != new.classes.len() {
        findings.push(finding(
            "reference",
            "classes",
            format!(
                "the profile counts {classes} classes, {} are named",
                new.classes.len()
            ),
            "count each class, in the order of their names",
        ));
    }
}

/// What the profile says of inputs as a whole.
fn signals(elements: Option<usize>, reference: &Reference, findings: &mut Vec<Finding>) {
    let image = reference.image.and_then(|image| image.elements());
    if let (Some(image), Some(elements)) = (image, elements)
        && image != elements as u64
    {
        findings.push(finding(
            "reference",
            "image",
            format!(
                "the profile's image has {image} values, the first input has {elements} elements"
            ),
            "give height, width and channels of the first input",
        ));
    }
    for signal in &reference.signals {
        if let Err(err) = signal.name.parse::<Signal>() {
            findings.push(finding(
                "reference",
                shown(&signal.name),
                err.to_string(),
                "name a signal that devices can measure",
            ));
        }
    }
}

fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}

fn first(shape: &[i64]) -> &[i64] {
    &shape[..shape.len().min(DIMENSIONS)]
}

#[cfg(test)]
mod tests {
    use tern_protocol::{
        digest::Digest,
        manifest::GoldenSample,
        profile::{FeatureReference, Image},
        rest::{NewInputSteps, NewOutputSteps},
        steps::Channels,
        tensor::{Dtype, Tensor},
    };

    use super::*;

    fn spec(name: &str, shape: &[i64]) -> TensorSpec {
        TensorSpec {
            name: name.into(),
            dtype: Dtype::F32,
            shape: shape.into(),
        }
    }

    fn good() -> (NewVersion, Golden, Reference) {
        let new = NewVersion {
            onnx: Digest::of(b"onnx"),
            golden: Digest::of(b"golden"),
            reference: None,
            inputs: vec![spec("image", &[-1, 2])],
            outputs: vec![spec("probabilities", &[-1, 2])],
            classes: vec!["no".into(), "yes".into()],
            pre: Vec::new(),
            post: Vec::new(),
            min_agent: None,
            metrics: Vec::new(),
            note: String::new(),
            validation_accuracy: Some(0.9),
            dataset: None,
        };
        let sample = GoldenSample {
            inputs: vec![Tensor::from_f32(&[1, 2], &[0.0, 1.0])],
            outputs: vec![Tensor::from_f32(&[1, 2], &[0.5, 0.5])],
        };
        let feature = FeatureReference {
            edges: vec![0.0, 1.0],
            counts: vec![9],
            ..Default::default()
        };
        let reference = Reference {
            features: vec![feature.clone(), feature],
            ..Default::default()
        };
        (
            new,
            Golden {
                tolerance: 1e-4,
                samples: vec![sample],
            },
            reference,
        )
    }

    /// Spoils the good facts and lists what is found as `check subject`.
    fn found(spoil: impl FnOnce(&mut NewVersion, &mut Golden, &mut Reference)) -> Vec<String> {
        let (mut new, mut golden, mut reference) = good();
        spoil(&mut new, &mut golden, &mut reference);
        let findings = check(&new, &golden, Some(&reference));
        findings
            .iter()
            .map(|f| format!("{} {}", f.check, f.subject))
            .collect()
    }

    #[test]
    fn good_facts_pass() {
        assert_eq!(found(|_, _, _| {}), [""; 0]);
    }

    #[test]
    fn each_bad_fact_is_named() {
        let expect = |found: Vec<String>, expected: &str| assert_eq!(found, [expected]);
        expect(
            found(|new, _, _| new.classes.push("maybe".into())),
            "shape output `probabilities`",
        );
        expect(
            found(|new, _, _| new.classes[1] = "no".into()),
            "manifest class `no`",
        );
        expect(
            found(|new, _, _| new.inputs[0].shape = vec![2, -1]),
            "shape inputs: `image`",
        );
        expect(
            found(|new, _, _| new.inputs[0].shape = vec![-1, 3]),
            "reference features",
        );
        let metric = |name: &str| MetricSpec {
            name: name.parse().expect("a name"),
            kind: tern_protocol::metric::MetricKind::Gauge,
            bins: Vec::new(),
            unit: String::new(),
            help: String::new(),
            from: None,
        };
        expect(
            found(|new, _, _| new.metrics = vec![metric("belt"), metric("belt")]),
            "metrics metric `belt`",
        );
        expect(
            found(|new, _, _| new.metrics = vec![metric("belt_total")]),
            "metrics metric `belt_total`",
        );
        expect(
            found(|new, _, _| {
                let name = |n: usize| metric(&format!("m{n}"));
                new.metrics = (0..=METRICS).map(name).collect();
            }),
            "metrics metrics",
        );
        let on_image = |json: &str| NewInputSteps {
            input: "image".into(),
            steps: serde_json::from_str(json).expect("what a request holds"),
        };
        for bad in [
            r#"[{"step": "blur", "radius": 2}]"#,
            r#"[{"step": "scale", "factor": 2, "offest": 1}]"#,
            r#"[{"step": "scale", "factor": 1e39}]"#,
            r#"[{"step": "normalise", "mean": [0], "std": [0]}]"#,
            r#"[{"step": "resize", "height": 8, "width": 8, "method": "bilinear"}]"#,
            r#"[{"step": "cast", "to": "f16"}]"#,
        ] {
            expect(
                found(|new, _, _| new.pre.push(on_image(bad))),
                "steps input `image`",
            );
        }
        let odd = NewOutputSteps {
            output: "odd".into(),
            steps: vec![],
        };
        expect(found(|new, _, _| new.post.push(odd)), "steps output `odd`");
        expect(
            found(|new, _, _| new.validation_accuracy = Some(97.0)),
            "manifest validation_accuracy",
        );
        expect(
            found(|_, golden, _| golden.samples.clear()),
            "golden samples",
        );
        expect(
            found(|_, golden, _| golden.tolerance = f32::NAN),
            "golden tolerance",
        );
        expect(
            found(|_, golden, _| golden.samples[0].outputs.clear()),
            "golden sample 0",
        );
        expect(
            found(|_, _, r| r.features[1].edges = vec![1.0, 0.0]),
            "reference reference",
        );
        let (height, width, channels) = (1, 3, 1);
        let order = Channels::First;
        expect(
            found(|_, _, r| {
                r.image = Some(Image {
                    height,
                    width,
                    channels,
                    order,
                });
            }),
            "reference image",
        );
        expect(
            found(|_, _, r| {
                let name = "sharpnes".into();
                let signal = FeatureReference {
                    name,
                    ..r.features[0].clone()
                };
                r.signals = vec![signal];
            }),
            "reference sharpnes",
        );
        expect(
            found(|_, _, r| r.classes = vec![1; 10]),
            "reference classes",
        );
    }
}
