//! What a chart needs of a stored window: the parts before its feature histograms, which are most of
//! its bytes and are not decoded.

use minicbor::{Decoder, decode::Error};
use tern_protocol::{metric::MetricCounts, window::Sketch as WireSketch};
use tern_stats::sketch::Sketch;

// Keys of `tern_protocol::window::Window`; the hub writes bodies itself, keys rising.
const LATENCY: u32 = 8;
const CLASSES: u32 = 9;
const CONFIDENCE: u32 = 10;

const METRICS: u32 = 20;

/// What metrics that the bundle declares came to in a stored window.
pub(super) fn metrics(body: &[u8]) -> Result<Vec<MetricCounts>, Error> {
    let mut decoder = Decoder::new(body);
    let keys = decoder
        .map()?
        .ok_or_else(|| Error::message("a body has a length"))?;
    for _ in 0..keys {
        if decoder.u32()? == METRICS {
            return decoder.decode();
        }
        decoder.skip()?;
    }
    Ok(Vec::new())
}

/// Latency, classes and confidence of a window.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Summary {
    pub(super) latency: Sketch,
    pub(super) classes: Vec<u64>,
    pub(super) confidence: Vec<u64>,
}

impl Summary {
    /// Reads a stored body. A latency sketch that a device got wrong counts as empty.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        let mut summary = Self::default();
        let mut decoder = Decoder::new(body);
        let keys = decoder
            .map()?
            .ok_or_else(|| Error::message("a body has a length"))?;
        for _ in 0..keys {
            match decoder.u32()? {
                LATENCY => {
                    let wire: WireSketch = decoder.decode()?;
                    summary.latency = Sketch::try_from(&wire).unwrap_or_default();
                }
                CLASSES => summary.classes = decoder.decode()?,
                CONFIDENCE => {
                    summary.confidence = decoder.decode()?;
                    break;
                }
                _ => decoder.skip()?,
            }
        }
        Ok(summary)
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::{
        codec,
        digest::Digest,
        id::ModelVersion,
        time::Instant,
        window::{FeatureCounts, Window},
    };

    use super::*;

    #[test]
    fn it_reads_what_the_hub_writes() {
        let mut latency = Sketch::new();
        latency.insert(250.0);
        let window = Window {
            slot: "reader".parse().expect("a name"),
            model: "digits".parse().expect("a name"),
            version: ModelVersion::FIRST,
            bundle: Digest::of(b"bundle"),
            opened: Instant::default(),
            closed: Instant::default(),
            inferences: 1,
            errors: 0,
            latency: (&latency).into(),
            classes: vec![0, 1],
            confidence: vec![1; 20],
            features: vec![FeatureCounts(vec![1, 2, 3]); 64],
            rss: Some(1),
            cpu_ms: Some(2),
            parts: None,
            margin: Vec::new(),
            repeated: Vec::new(),
            values: None,
            signals: Vec::new(),
            temperature: None,
            metrics: Vec::new(),
        };
        let summary = Summary::read(&codec::encode(&window)).expect("reads");
        assert_eq!(
            summary,
            Summary {
                latency,
                classes: vec![0, 1],
                confidence: vec![1; 20]
            }
        );
        assert!(Summary::read(b"\xff").is_err() && metrics(b"\xff").is_err());
        assert_eq!(metrics(&codec::encode(&window)).expect("reads"), []);
        let counts = MetricCounts {
            name: "rejects".parse().expect("a name"),
            kind: tern_protocol::metric::MetricKind::Counter,
            count: 7,
            sum: tern_protocol::metric::Sum::default(),
            range: None,
            bins: Vec::new(),
            refused: 0,
        };
        let told = Window {
            metrics: vec![counts.clone()],
            ..window
        };
        assert_eq!(metrics(&codec::encode(&told)).expect("reads"), [counts]);
    }
}
