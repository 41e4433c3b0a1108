use super::*;
use crate::data::{self, Part};

fn two() -> (Image, Image) {
    let samples = data::load().unwrap().part(Part::Field);
    let shows = |digit| samples.iter().find(|s| s.digit == digit).unwrap().image;
    (shows(3), shows(4))
}

fn distance(a: &Image, b: &Image) -> f32 {
    a.0.iter().zip(b.0).map(|(a, b)| (a - b).abs()).sum()
}

fn of(kind: usize, strength: f32) -> Corruption {
    let mut all = Corruption::NONE;
    *[&mut all.fog, &mut all.stuck, &mut all.tilt, &mut all.fade][kind] = strength;
    all
}

#[test]
fn nothing_wrong_changes_nothing_and_frames_repeat() {
    let (three, four) = two();
    assert_eq!(apply(&three, &four, &Corruption::NONE, 7), three);
    for kind in 0..4 {
        let strengths = of(kind, 0.5);
        let seen = apply(&three, &four, &strengths, 7);
        assert_eq!(seen, apply(&three, &four, &strengths, 7));
        assert_ne!(seen, apply(&three, &four, &strengths, 8));
    }
}

#[test]
fn stronger_is_further_away_and_always_a_picture() {
    let (three, four) = two();
    for kind in 0..4 {
        let mean = |strength| -> f32 {
            let frames = (0..20).map(|frame| apply(&three, &four, &of(kind, strength), frame));
            frames.map(|seen| distance(&three, &seen)).sum()
        };
        let far: Vec<f32> = [0.1, 0.4, 0.7, 1.0].map(mean).to_vec();
        assert!(
            far.windows(2).all(|pair| pair[0] < pair[1]),
            "{kind}: {far:?}"
        );
        let worst = apply(&three, &four, &of(kind, 1.0), 1);
        assert!(worst.0.iter().all(|value| (0.0..=INK).contains(value)));
    }
}

#[test]
fn each_does_what_its_name_says() {
    let (three, four) = two();
    let spread = |image: &Image| {
        image
            .0
            .iter()
            .map(|v| (v - image.mean()).abs())
            .sum::<f32>()
    };
    let fogged = apply(&three, &four, &of(0, 0.8), 1);
    assert!(fogged.mean() > three.mean() && spread(&fogged) < 0.6 * spread(&three));
    let faded = apply(&three, &four, &of(3, 0.8), 1);
    assert!(faded.mean() < 0.5 * three.mean());
    // Two rows and a half up: row 0 shows the third and fourth rows, row 6 the next digit.
    let wheel = stuck(&three, &four, 1.0);
    for column in 0..8 {
        let between = f32::midpoint(three.pixel(2, column), three.pixel(3, column));
        assert!((wheel.pixel(0, column) - between).abs() < 1e-4);
        let next = f32::midpoint(four.pixel(0, column), four.pixel(1, column));
        assert!((wheel.pixel(6, column) - next).abs() < 1e-4);
    }
    // A quarter turn clockwise: what was left is on top.
    let turned = tilt(&three, 90.0 / TILT_DEGREES);
    assert!((turned.pixel(0, 3) - three.pixel(4, 0)).abs() < 1e-3);
}

#[test]
fn strengths_from_outside() {
    assert_eq!(of(0, 1.0).check(), Ok(of(0, 1.0)));
    for value in [-0.1, 1.1, f32::INFINITY] {
        let err = of(2, value).check().unwrap_err();
        assert_eq!((err.kind, err.value), ("tilt", value));
    }
    assert!(of(1, f32::NAN).check().is_err());
}
