//! How a capture is shown to a person, and by which keys its classes are chosen. Pure.

use tern_protocol::{
    capture::MeasuredSignal,
    profile::{FeatureReference, Image, Reference},
    rest::{CaptureSummary, Choice, InputView, SummaryRow, TableRow},
    steps::Channels,
};

/// Values of a table that are told: a person reads no more.
const ROWS: usize = 256;

/// Lines that one drawing may have and still be read.
const LINES: u32 = 8;

/// Values from which on a list of numbers without names is a line.
const LINE: u32 = 32;

/// Letters that mean something else on the page: undo, skip, and what the model said.
const RESERVED: [char; 3] = ['u', 's', 'm'];

/// Each class with its key: a class of one digit or letter is its own key; the others get the digits and letters that are
/// left, in their order.
pub(super) fn choices(classes: &[String]) -> Vec<Choice> {
    let own = |class: &String| {
        let mut signs = class.chars();
        let sign = signs.next().filter(|_| signs.next().is_none())?;
        let sign = sign.to_ascii_lowercase();
        (sign.is_ascii_alphanumeric() && !RESERVED.contains(&sign)).then_some(sign)
    };
    let mut keys: Vec<Option<char>> = Vec::with_capacity(classes.len());
    for class in classes {
        let key = own(class).filter(|key| !keys.contains(&Some(*key)));
        keys.push(key);
    }
    let mut left = "1234567890"
        .chars()
        .chain('a'..='z')
        .filter(|key| !RESERVED.contains(key) && !keys.contains(&Some(*key)))
        .collect::<Vec<_>>()
        .into_iter();
    for key in &mut keys {
        *key = key.or_else(|| left.next());
    }
    let pairs = classes.iter().zip(keys);
    pairs
        .map(|(class, key)| Choice {
            class: class.clone(),
            key: key.map(String::from),
        })
        .collect()
}

/// As a picture if the reference profile says so or its shape does; as lines if it has a moment's values side by side, or
/// is long; else as a table.
pub(crate) fn view(shape: &[u32], values: &[f32], reference: Option<&Reference>) -> InputView {
    let elements = values.len() as u64;
    let fits = |image: &Image| image.elements() == Some(elements);
    let declared = reference.and_then(|reference| reference.image);
    if let Some(image) = declared.filter(fits) {
        return image.into();
    }
    // Without the batch of one in front.
    let sample = match shape {
        [1, rest @ ..] if !rest.is_empty() => rest,
        shape => shape,
    };
    let named = reference.is_some_and(|reference| reference.features.len() == values.len());
    let picture = |height: u32, width: u32, channels: u32, order| {
        InputView::from(Image {
            height,
            width,
            channels,
            order,
        })
    };
    let colours = |channels: u32| matches!(channels, 1 | 3 | 4);
    match *sample {
        [height, width, channels] if colours(channels) && height > 4 && width > 4 => {
            picture(height, width, channels, Channels::Last)
        }
        [channels, height, width] if colours(channels) && height > 4 && width > 4 => {
            picture(height, width, channels, Channels::First)
        }
        [length, channels] if channels <= LINES && length > channels => InputView::Series {
            channels,
            length,
            order: Channels::Last,
        },
        [channels, length] if channels <= LINES && length > channels => InputView::Series {
            channels,
            length,
            order: Channels::First,
        },
        [height, width] if height > LINES && width > LINES => {
            picture(height, width, 1, Channels::Last)
        }
        [length] if length >= LINE && !named => InputView::Series {
            channels: 1,
            length,
            order: Channels::Last,
        },
        _ => table(values, reference),
    }
}

fn table(values: &[f32], reference: Option<&Reference>) -> InputView {
    let features = reference.map(|reference| &reference.features[..]);
    let features = features.filter(|features| features.len() == values.len());
    let row = |(at, value): (usize, &f32)| {
        let feature = features.and_then(|features| features.get(at));
        let name = feature.map(|feature| feature.name.clone());
        TableRow {
            name: name
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| at.to_string()),
            value: value.is_finite().then_some(*value),
            percentile: feature.and_then(|feature| percentile(feature, *value)),
        }
    };
    InputView::Table {
        rows: values.iter().enumerate().take(ROWS).map(row).collect(),
        values: values.len() as u64,
    }
}

/// What there is of an input that was not kept: between which edges each feature lies, and each signal as it was measured.
pub(super) fn summary(kept: &CaptureSummary, reference: Option<&Reference>) -> InputView {
    let features = reference.map_or(&[][..], |reference| &reference.features);
    let place = |(at, place): (usize, &u8)| {
        let feature = features.get(at);
        let name = feature.map(|feature| feature.name.clone());
        let (from, to, share) = feature.map_or((None, None, None), |feature| bin(feature, *place));
        SummaryRow {
            name: name
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| at.to_string()),
            from,
            to,
            share,
        }
    };
    let signal = |signal: &MeasuredSignal| {
        let value = Some(f64::from(signal.value)).filter(|value| value.is_finite());
        SummaryRow {
            name: signal.name.clone(),
            from: value,
            to: value,
            share: None,
        }
    };
    // Signals are of the whole input: first.
    let signals = kept.signals.iter().map(signal);
    let places = kept.places.iter().enumerate().map(place);
    InputView::Summary {
        rows: signals.chain(places).take(ROWS).collect(),
        values: (kept.signals.len() + kept.places.len()) as u64,
    }
}

/// Both edges of a place as windows count them (under, bins, over, missing), and the share of training in it.
fn bin(feature: &FeatureReference, place: u8) -> (Option<f64>, Option<f64>, Option<f64>) {
    let edge = |at: usize| feature.edges.get(at).map(|edge| f64::from(*edge));
    let all = feature.counts.iter().sum::<u64>() + feature.missing;
    let share = |count: u64| (all > 0).then(|| count as f64 / all as f64);
    let bins = feature.counts.len();
    match usize::from(place) {
        0 => (None, edge(0), share(0)),
        place if place <= bins => (
            edge(place - 1),
            edge(place),
            feature
                .counts
                .get(place - 1)
                .and_then(|count| share(*count)),
        ),
        place if place == bins + 1 => (edge(bins), None, share(0)),
        _ => (None, None, share(feature.missing)),
    }
}

/// Share of the training values under this one; within a bin as if they lay evenly.
fn percentile(feature: &FeatureReference, value: f32) -> Option<f64> {
    let whole: u64 = feature.counts.iter().sum();
    if whole == 0 || !value.is_finite() {
        return None;
    }
    let value = f64::from(value);
    let bins = feature.edges.windows(2).zip(&feature.counts);
    let under: f64 = bins
        .map(|(edges, count)| {
            let (from, to) = (f64::from(edges[0]), f64::from(edges[1]));
            ((value - from) / (to - from)).clamp(0.0, 1.0) * *count as f64
        })
        .sum();
    Some(under / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(classes: &[&str]) -> String {
        let classes: Vec<String> = classes.iter().map(ToString::to_string).collect();
        let keys = choices(&classes).into_iter();
        keys.map(|choice| choice.key.unwrap_or_else(|| "-".into()))
            .collect()
    }

    #[test]
    fn digits_are_their_own_keys_and_others_get_what_is_left() {
        assert_eq!(keys(&["0", "1", "2", "9"]), "0129");
        assert_eq!(keys(&["cat", "dog", "1"]), "231");
        // Reserved letters, the same letter twice, and something that is no letter.
        assert_eq!(keys(&["U", "a", "A", "é"]), "1a23");
        let many: Vec<String> = (0..40).map(|at| format!("class {at}")).collect();
        let many = choices(&many);
        assert_eq!(many[9].key.as_deref(), Some("0"));
        assert_eq!(many.iter().filter(|choice| choice.key.is_none()).count(), 7);
    }

    #[test]
    fn shapes_are_shown_as_what_they_are() {
        let of = |shape: &[u32]| {
            let elements = shape.iter().product::<u32>() as usize;
            match view(shape, &vec![0.0; elements], None) {
                InputView::Image {
                    channels, order, ..
                } => format!("image {channels} {order:?}"),
                InputView::Series {
                    channels, length, ..
                } => format!("series {channels} × {length}"),
                InputView::Table { values, .. } => format!("table {values}"),
                InputView::Summary { .. } => "a summary".into(),
            }
        };
        for (shape, expected) in [
            (&[1, 28, 28, 1][..], "image 1 Last"),
            (&[1, 3, 32, 48], "image 3 First"),
            (&[1, 32, 48, 3], "image 3 Last"),
            (&[1, 28, 28], "image 1 Last"),
            (&[1, 200, 3], "series 3 × 200"),
            (&[1, 2, 200], "series 2 × 200"),
            (&[1, 128], "series 1 × 128"),
            (&[1, 5], "table 5"),
            (&[5], "table 5"),
            (&[], "table 1"),
        ] {
            assert_eq!(of(shape), expected, "{shape:?}");
        }
    }

    #[test]
    fn a_table_has_names_and_how_usual_each_value_is() {
        let feature = FeatureReference {
            name: "flow".into(),
            edges: vec![0.0, 1.0, 3.0],
            counts: vec![30, 70],
            missing: 0,
            by_class: Vec::new(),
        };
        let reference = Reference {
            features: vec![feature.clone(), FeatureReference::default(), feature],
            ..Reference::default()
        };
        let shown = view(&[1, 3], &[2.0, 7.0, f32::NAN], Some(&reference));
        let InputView::Table { rows, values } = shown else {
            panic!("{shown:?}");
        };
        assert_eq!(
            (values, rows[0].name.as_str(), rows[1].name.as_str()),
            (3, "flow", "1")
        );
        assert!((rows[0].percentile.expect("known") - 0.65).abs() < 1e-9);
        assert_eq!(
            (rows[1].percentile, rows[2].value, rows[2].percentile),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_left_of_an_input_is_told_by_the_edges_between_which_it_lies() {
        let feature = FeatureReference {
            name: "flow".into(),
            edges: vec![0.0, 1.0, 3.0],
            counts: vec![30, 60],
            missing: 10,
            by_class: Vec::new(),
        };
        let reference = Reference {
            features: vec![feature; 5],
            ..Reference::default()
        };
        let kept = CaptureSummary {
            places: vec![0, 1, 2, 3, 4, 1],
            signals: vec![MeasuredSignal {
                name: "mean".into(),
                value: 0.5,
            }],
            embedding: Vec::new(),
        };
        let InputView::Summary { rows, values } = summary(&kept, Some(&reference)) else {
            panic!("it is one");
        };
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.name.as_str(), row.from, row.to, row.share))
            .collect();
        let expected = [
            ("mean", Some(0.5), Some(0.5), None),
            ("flow", None, Some(0.0), Some(0.0)),
            ("flow", Some(0.0), Some(1.0), Some(0.3)),
            ("flow", Some(1.0), Some(3.0), Some(0.6)),
            ("flow", Some(3.0), None, Some(0.0)),
            ("flow", None, None, Some(0.1)),
            ("5", None, None, None),
        ];
        assert_eq!((told, values), (expected.to_vec(), 7));
    }
}
