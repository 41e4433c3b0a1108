//! Models and their versions.

use tern_protocol::{
    metric::MetricSpec,
    rest::{DeltaState, DeltaView, ModelView, Transcoded, VersionView},
    tensor::TensorSpec,
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Facts, Table},
    words::{ago, bytes, clean, count, difference, micros, percent, stages, things},
};

/// Classes named on one line; the number of the others follows.
const CLASSES_SHOWN: usize = 20;

/// `tern model list`.
pub(crate) fn list(models: &[ModelView], now: WallTime, look: Look) -> String {
    let headings = [
        "MODEL",
        "LATEST",
        "VERSIONS",
        "PUBLISHED",
        "SIZE",
        "VALIDATION",
        "SERVING",
    ];
    let mut table = Table::new(look, &headings);
    for model in models {
        let latest = model.versions.iter().max_by_key(|version| version.version);
        let serving = model.versions.iter().map(|version| version.devices_serving);
        let serving = serving.fold(0, u64::saturating_add);
        table.row([
            Cell::toned(model.name.as_str(), Tone::Strong),
            Cell::or_none(latest.map(|latest| format!("v{}", latest.version))),
            Cell::number(count(model.versions.len() as u64)),
            Cell::or_none(latest.map(|latest| ago(latest.created, now))),
            Cell::or_none(latest.map(|latest| bytes(latest.total_bytes))),
            validation(latest.and_then(|latest| latest.validation_accuracy)),
            things(serving, "device").into(),
        ]);
    }
    table.text()
}

/// `tern model show MODEL`.
pub(crate) fn model(model: &ModelView, now: WallTime, look: Look) -> String {
    let title = Tone::Strong.paint(model.name.as_str(), look);
    let headings = [
        "VERSION",
        "PUBLISHED",
        "SIZE",
        "DELTA",
        "VALIDATION",
        "LATENCY",
        "SERVING",
        "CONFIRMED",
        "SIGNED",
        "NOTE",
    ];
    let mut table = Table::new(look, &headings);
    for version in &model.versions {
        table.row([
            Cell::toned(format!("v{}", version.version), Tone::Strong),
            ago(version.created, now).into(),
            Cell::number(bytes(version.total_bytes)),
            Cell::or_none(version.deltas.first().map(short)),
            validation(version.validation_accuracy),
            Cell::number(micros(version.vetting.latency_us)),
            things(version.devices_serving, "device").into(),
            format!(
                "{} of {}",
                count(version.stages.confirmed),
                count(version.stages.assigned)
            )
            .into(),
            signed(version),
            version.note.as_str().into(),
        ]);
    }
    format!(
        "{title}  first published {}\n\n{}",
        ago(model.created, now),
        table.text()
    )
}

/// `tern model show MODEL VERSION`.
pub(crate) fn version(version: &VersionView, now: WallTime, look: Look) -> String {
    let title = format!("{} v{}", version.model, version.version);
    let title = Tone::Strong.paint(&title, look);
    let mut facts = facts(version, look);
    facts.fact("published", ago(version.created, now));
    facts.fact("serving", things(version.devices_serving, "device"));
    facts.fact("got to", stages(&version.stages));
    if let Some(revoked) = &version.revoked {
        facts.fact(
            "revoked",
            format!("{}: {}", ago(revoked.at, now), clean(&revoked.reason)),
        );
        if let Some(other) = revoked.replacement {
            facts.fact("instead", format!("v{other}"));
        }
    }
    for delta in &version.deltas {
        facts.fact("delta", told(delta));
    }
    if !version.lacks.is_empty() {
        let lacks: Vec<_> = version.lacks.iter().map(|part| part.word()).collect();
        let lacks = lacks.join(", ");
        facts.fact(
            "damaged",
            format!("the hub lacks {lacks}; publish the same files again"),
        );
    }
    facts.fact("signed", if version.signed { "yes" } else { "not yet" });
    facts.fact("bundle", version.bundle.digest.to_string());
    facts.fact("onnx", version.onnx.digest.to_string());
    format!("{title}\n{}", facts.text())
}

/// `from v1 to fp16 (60 KB), golden samples differ by at most 1e-4, 30 of 30 have the same class`.
fn transcoded(cost: &Transcoded) -> String {
    let mut text = format!(
        "from v{} to {} ({}), golden samples differ by at most {}",
        cost.from,
        cost.to,
        bytes(cost.onnx_bytes_before),
        difference(cost.largest_difference)
    );
    if let Some(same) = cost.same_class {
        text += &format!(", {same} of {} have the same class", cost.golden_samples);
    }
    text
}

/// What a device that has the version before fetches instead of the ONNX file.
fn short(delta: &DeltaView) -> String {
    match (delta.state, delta.ratio) {
        (DeltaState::Ready, Some(ratio)) => percent(ratio),
        (state, _) => state.to_string(),
    }
}

/// `from v1: 41 KB instead of 60 KB, 68 %`.
fn told(delta: &DeltaView) -> String {
    let base = delta.base;
    match (delta.state, delta.bytes, delta.ratio) {
        (DeltaState::Ready, Some(len), Some(ratio)) => format!(
            "from v{base}: {} instead of {}, {}",
            bytes(len),
            bytes(delta.full_bytes),
            percent(ratio)
        ),
        (state, ..) if delta.reason.is_empty() => format!("from v{base}: {state}"),
        (state, ..) => format!("from v{base}: {state}: {}", clean(&delta.reason)),
    }
}

fn signed(version: &VersionView) -> Cell {
    match (&version.revoked, version.signed) {
        (Some(_), _) => Cell::toned("revoked", Tone::Bad),
        (None, true) => "yes".into(),
        (None, false) => Cell::toned("not yet", Tone::Busy),
    }
}

/// `tern model publish`, accepted.
pub(crate) fn published(version: &VersionView, new: bool, look: Look) -> String {
    let title = format!("{} v{}", version.model, version.version);
    let title = Tone::Strong.paint(&title, look);
    let said = if new {
        "published"
    } else {
        "these files were published before:"
    };
    format!("{said} {title}\n{}", facts(version, look).text())
}

fn facts(version: &VersionView, look: Look) -> Facts {
    let vetting = &version.vetting;
    let mut facts = Facts::new(look);
    if !version.note.is_empty() {
        facts.fact("note", &version.note);
    }
    if let Some(accuracy) = version.validation_accuracy {
        facts.fact("validation", format!("{} right", percent(accuracy)));
    }
    if let Some(cost) = &version.transcoded {
        facts.fact("transcoded", transcoded(cost));
        if let (Some(before), Some(after)) = (cost.right_before, cost.right_after) {
            let text = format!(
                "{} right before, {} now, of {}",
                percent(before),
                percent(after),
                things(cost.labelled, "labelled capture")
            );
            facts.fact("accuracy", text);
        }
    }
    let parts = bytes(version.onnx.len);
    let size = format!(
        "{} for a device to fetch, ONNX {parts}",
        bytes(version.total_bytes)
    );
    facts.fact("size", size);
    let golden = format!(
        "{} reproduced, largest difference {}",
        things(vetting.golden_samples, "golden sample"),
        difference(vetting.golden_difference)
    );
    facts.fact("vetting", golden);
    let speed = format!(
        "{} a sample on the hub, loads in {}",
        micros(vetting.latency_us),
        micros(vetting.load_ms * 1000.0)
    );
    facts.fact("speed", speed);
    for measured in &version.measured {
        let peak = measured.peak_rss.map_or("not known".into(), bytes);
        facts.fact("memory", format!("{peak} at most on {}", measured.target));
    }
    if let Some(min) = version.min_agent {
        facts.fact("agent", format!("{min} or newer"));
    }
    facts.fact("operators", vetting.operators.join(" "));
    facts.fact("inputs", tensors(&version.inputs));
    facts.fact("outputs", tensors(&version.outputs));
    for of in &version.pre {
        facts.fact("before", steps(&of.input, &of.steps));
    }
    for of in &version.post {
        facts.fact("after", steps(&of.output, &of.steps));
    }
    if !version.classes.is_empty() {
        facts.fact("classes", classes(&version.classes));
    }
    for spec in &version.metrics {
        facts.fact("metric", metric(spec));
    }
    facts
}

/// `belt_speed, gauge in m/s, told by programs on the device`.
fn metric(spec: &MetricSpec) -> String {
    let unit = match spec.unit.as_str() {
        "" => String::new(),
        unit => format!(" in {}", clean(unit)),
    };
    let from = match &spec.from {
        Some(from) => format!("{} of {}", from.reduce, clean(&from.output)),
        None => "told by programs on the device".into(),
    };
    format!("{}, {}{unit}, {from}", spec.name, spec.kind)
}

/// `image: cast f32, scale ×0.5 +0`.
fn steps<T: ToString>(name: &str, steps: &[T]) -> String {
    let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
    format!("{}: {}", clean(name), steps.join(", "))
}

fn validation(accuracy: Option<f64>) -> Cell {
    Cell::or_none(accuracy.map(percent))
}

/// `image f32 [batch, 64]`.
fn tensors(specs: &[TensorSpec]) -> String {
    let one = |spec: &TensorSpec| {
        let dimension = |dimension: &i64| match dimension {
            -1 => "batch".to_owned(),
            number => number.to_string(),
        };
        let shape: Vec<_> = spec.shape.iter().map(dimension).collect();
        format!("{} {} [{}]", spec.name, spec.dtype, shape.join(", "))
    };
    specs.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn classes(classes: &[String]) -> String {
    let shown: Vec<_> = classes
        .iter()
        .take(CLASSES_SHOWN)
        .map(|class| clean(class))
        .collect();
    let more = classes.len().saturating_sub(CLASSES_SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    shown.join(" ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_version() {
        let json = r#"{"model":"digit-reader","version":2,"created":0,
            "bundle":{"digest":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","len":300},
            "onnx":{"digest":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","len":40000},
            "total_bytes":52000,"inputs":[{"name":"image","dtype":"f32","shape":[-1,64]}],
            "outputs":[{"name":"probabilities","dtype":"f32","shape":[-1,10]}],
            "classes":["0","1","2"],"note":"with fog","validation_accuracy":0.9714,
            "vetting":{"operators":["Gemm","Relu"],"golden_samples":12,"golden_difference":1.19e-7,
            "latency_us":41.3,"load_ms":3.14},"devices_serving":0,"signed":true,"min_agent":"0.2.0",
            "pre":[{"input":"image","steps":[{"step":"cast","to":"f32"},{"step":"scale","factor":0.5}]}],
            "post":[{"output":"probabilities","steps":[{"step":"softmax"}]}],
            "metrics":[{"name":"belt_speed","kind":"gauge","unit":"m/s"},
            {"name":"surest","kind":"histogram","bins":[0,1],"from":{"output":"probabilities","reduce":"max"}}],
            "measured":[{"target":"x86_64","latency_us":41,"load_us":3140,"peak_rss":14680064}]}"#;
        let version: VersionView = serde_json::from_str(json).expect("a version");
        insta::assert_snapshot!(published(&version, true, Look::PLAIN), @r"
        published digit-reader v2
          note        with fog
          validation  97.1 % right
          size        50.8 KiB for a device to fetch, ONNX 39.1 KiB
          vetting     12 golden samples reproduced, largest difference 1.2e-7
          speed       41 µs a sample on the hub, loads in 3.1 ms
          memory      14.0 MiB at most on x86_64
          agent       0.2.0 or newer
          operators   Gemm Relu
          inputs      image f32 [batch, 64]
          outputs     probabilities f32 [batch, 10]
          before      image: cast f32, scale ×0.5 +0
          after       probabilities: softmax
          classes     0 1 2
          metric      belt_speed, gauge in m/s, told by programs on the device
          metric      surest, histogram, max of probabilities
        ");
    }
}
