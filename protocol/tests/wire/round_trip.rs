//! What is written reads back the same, whatever the values.

use proptest::prelude::*;
use tern_protocol::{
    blob::{ChunkRange, Want},
    codec,
    digest::Digest,
    id::{BootId, OutboxId, Sequence},
    log::{Batch, Body, Entry, EventKind, NumberLabel},
    metric::{MetricCounts, MetricKind, Range, Sum},
    shadow::ShadowWindow,
    tensor::{Dtype, Tensor},
    time::{Instant, Uptime, WallTime},
    window::{FeatureCounts, Sketch, SketchBin, Window},
};

use crate::samples;

prop_compose! {
    fn instants()(boot in any::<u32>(), uptime in any::<u64>()) -> Instant {
        Instant { boot: BootId(boot), uptime: Uptime(uptime) }
    }
}

prop_compose! {
    fn metrics()(
        name in "[a-zA-Z][a-zA-Z0-9_]{0,63}",
        kind in prop::sample::select(vec![MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram]),
        (count, refused) in any::<(u64, u64)>(),
        values in prop::collection::vec(-9e15_f64..9e15, 0..9),
        range in prop::option::of((any::<i32>(), any::<i32>())),
        bins in prop::collection::vec(any::<u64>(), 0..12),
    ) -> MetricCounts {
        MetricCounts {
            name: name.parse().expect("a name"),
            kind, count, refused, bins,
            sum: values.into_iter().filter_map(Sum::of).fold(Sum::default(), Sum::plus),
            range: range.map(|(min, max)| Range { min: min.into(), max: max.into() }),
        }
    }
}

prop_compose! {
    fn windows()(
        (opened, closed) in (instants(), instants()),
        (inferences, errors) in any::<(u64, u64)>(),
        bins in prop::collection::vec(any::<(i32, u64)>(), 0..40),
        (sum, max) in any::<(i32, i32)>(),
        classes in prop::collection::vec(any::<u64>(), 0..20),
        features in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..12), 0..20),
        metrics in prop::collection::vec(metrics(), 0..5),
    ) -> Window {
        let bins = bins.into_iter().map(|(index, count)| SketchBin { index, count }).collect();
        Window {
            opened, closed, inferences, errors, classes,
            latency: Sketch {
                accuracy: 10, zeros: errors, bins, sum: sum.into(), min: 0.0, max: max.into(),
            },
            features: features.into_iter().map(FeatureCounts).collect(),
            metrics,
            ..samples::window()
        }
    }
}

prop_compose! {
    fn shadows()(
        (opened, closed) in (instants(), instants()),
        (compared, agreed, errors, skipped) in any::<(u64, u64, u64, u64)>(),
        classes in prop::collection::vec(any::<u64>(), 0..20),
        (version, tolerance) in (1u32.., 0u16..),
    ) -> ShadowWindow {
        ShadowWindow {
            opened, closed, compared, agreed, errors, skipped, classes,
            version: tern_protocol::id::ModelVersion::new(version).expect("from 1 up"),
            tolerance: tolerance.into(),
            ..samples::shadow_window()
        }
    }
}

prop_compose! {
    fn numbers()(
        predicted in -1e12f64..1e12, truth in -1e12f64..1e12,
        low in prop::option::of(-1e12f64..1e12), high in prop::option::of(-1e12f64..1e12),
        predicted_at in instants(),
    ) -> NumberLabel {
        let Body::Number(sample) = samples::batch_with_number().entries.remove(1).body else {
            unreachable!("the sample's second entry is a number");
        };
        NumberLabel { predicted, truth, low, high, predicted_at, ..*sample }
    }
}

prop_compose! {
    fn batches()(
        outbox in any::<u64>(),
        (acked, after) in any::<(u64, u64)>(),
        now in instants(),
        entries in prop::collection::vec(
            (
                any::<u64>(), instants(), any::<Option<i64>>(), prop::option::of(windows()),
                prop::option::of(shadows()), prop::option::of(numbers()),
            ),
            0..6,
        ),
    ) -> Batch {
        let entries = entries.into_iter().map(|(sequence, at, wall, window, shadow, number)| Entry {
            sequence: Sequence(sequence),
            at,
            wall: wall.map(WallTime),
            body: match (window, shadow, number) {
                (Some(window), ..) => Body::Window(Box::new(window)),
                (None, Some(window), _) => Body::Shadow(Box::new(window)),
                (None, None, Some(number)) => Body::Number(Box::new(number)),
                (None, None, None) => Body::Unknown,
            },
        });
        Batch {
            outbox: OutboxId(outbox),
            acked: Sequence(acked),
            after: Sequence(after),
            now,
            entries: entries.collect(),
        }
    }
}

proptest! {
    #[test]
    fn batches_read_back(batch in batches()) {
        prop_assert_eq!(codec::decode::<Batch>(&codec::encode(&batch)), Ok(batch));
    }

    #[test]
    fn wants_read_back(ranges in prop::collection::vec(any::<(u32, u32)>(), 0..100)) {
        let ranges = ranges.into_iter().map(|(first, count)| ChunkRange { first, count }).collect();
        let want = Want { blob: Digest::of(b"x"), ranges };
        prop_assert_eq!(codec::decode::<Want>(&codec::encode(&want)), Ok(want));
    }

    #[test]
    fn event_kinds_read_back(number in any::<u32>()) {
        prop_assert_eq!(EventKind::from_number(number).number(), number);
    }

    #[test]
    fn tensors_say_whether_they_are_whole(
        shape in prop::collection::vec(any::<u32>(), 0..4),
        data in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let elements = shape.iter().map(|dim| u128::from(*dim)).product::<u128>();
        let len = data.len() as u128;
        let tensor = Tensor { dtype: Dtype::I32, shape, data };
        prop_assert_eq!(tensor.is_whole(), elements * 4 == len);
        prop_assert_eq!(tensor.to_f32().is_some(), tensor.is_whole());
    }
}
