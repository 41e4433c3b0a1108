//! What goes wrong with a meter's camera: fog on the lens, a wheel stuck between two digits, a
//! tilted mount, a fading print.
//!
//! Called by the cameras and by `tern-models dataset`. Must never break: the same image, strengths
//! and seed give the same picture; strength 0 gives the image itself.
//!
//! Strengths run from 0 (nothing) to 1 (the worst that a person could still just read):
//!
//! | kind | at strength 1 | |
//! |---|---|---|
//! | fog | [`FOG_BLUR`], [`FOG_CONTRAST`], [`FOG_VEIL`] | smears, thins the ink, lays a grey veil over all |
//! | stuck | [`STUCK_ROWS`] | the wheel stands that far towards the next digit |
//! | tilt | [`TILT_DEGREES`] | the camera is turned clockwise |
//! | fade | [`FADE_INK`] | the ink has lost that share |

use crate::{
    image::{INK, Image, SIDE},
    seed,
};

/// Fog smears a pixel this much into its eight neighbours at strength 1 (1: as if all were one).
pub const FOG_BLUR: f32 = 0.6;

/// Share of the contrast that fog takes at strength 1.
pub const FOG_CONTRAST: f32 = 0.6;

/// Grey value of the veil at strength 1. Fog scatters light into the lens: all becomes alike.
pub const FOG_VEIL: f32 = 7.5;

/// How much thicker the veil is on one side than on the other, as a share of it: drops run down.
const FOG_SLOPE: f32 = 0.5;

/// Rows that a stuck wheel stands towards the next digit at strength 1. At 4 of 8 rows nobody
/// could say which digit it is.
pub const STUCK_ROWS: f32 = 2.5;

/// Turn of a tilted camera at strength 1, in degrees.
pub const TILT_DEGREES: f32 = 30.0;

/// Share of the ink that a faded print has lost at strength 1.
pub const FADE_INK: f32 = 0.93;

/// From one frame to the next a strength changes by this share of itself at most: no two pictures
/// of the same meter are the same.
const FLICKER: f32 = 0.15;

/// Grain of a corrupted picture, in grey values.
const GRAIN: f32 = 0.4;

/// How strongly each thing goes wrong, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Corruption {
    /// Fog on the lens.
    pub fog: f32,
    /// A wheel stuck between this digit and the next.
    pub stuck: f32,
    /// A tilted mount.
    pub tilt: f32,
    /// A fading print.
    pub fade: f32,
}

/// A strength that is none.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the strength of {kind} is {value}, not 0 to 1")]
pub struct StrengthError {
    /// Which strength.
    pub kind: &'static str,
    /// What was given.
    pub value: f32,
}

impl Corruption {
    /// Nothing wrong.
    pub const NONE: Self = Self {
        fog: 0.0,
        stuck: 0.0,
        tilt: 0.0,
        fade: 0.0,
    };

    /// Checks that each strength is one.
    pub fn check(self) -> Result<Self, StrengthError> {
        let kinds = [
            ("fog", self.fog),
            ("stuck", self.stuck),
            ("tilt", self.tilt),
            ("fade", self.fade),
        ];
        let wrong = kinds
            .into_iter()
            .find(|(_, value)| !(0.0..=1.0).contains(value));
        match wrong {
            Some((kind, value)) => Err(StrengthError { kind, value }),
            None => Ok(self),
        }
    }
}

/// What the camera sees of `image`. `next` is a picture of the digit that the wheel would turn to.
pub fn apply(image: &Image, next: &Image, strengths: &Corruption, frame: u64) -> Image {
    if *strengths == Corruption::NONE {
        return *image;
    }
    let strength = |value: f32, kind: u64| {
        (value * (1.0 + FLICKER * seed::signed_unit(seed::mix(frame, kind)))).clamp(0.0, 1.0)
    };
    // In the order in which light meets them: wheel and print, then mount, then lens, then sensor.
    let mut seen = *image;
    seen = stuck(&seen, next, strength(strengths.stuck, 1));
    seen = fade(&seen, strength(strengths.fade, 2));
    seen = tilt(&seen, strength(strengths.tilt, 3));
    seen = fog(&seen, strength(strengths.fog, 4), seed::mix(frame, 5));
    grain(&seen, seed::mix(frame, 6))
}

/// The wheel moves up: the rows of this digit leave at the top, those of the next enter below.
fn stuck(image: &Image, next: &Image, strength: f32) -> Image {
    let moved = strength * STUCK_ROWS;
    let side = SIDE as f32;
    Image::from_pixels(|row, column| {
        let (row, column) = (row as f32 + moved, column as f32);
        // Between the last row of one and the first row of the other both show.
        image.sample(row, column) + next.sample(row - side, column)
    })
}

fn fade(image: &Image, strength: f32) -> Image {
    Image::from_pixels(|row, column| {
        image.pixel(row as i32, column as i32) * (1.0 - strength * FADE_INK)
    })
}

fn tilt(image: &Image, strength: f32) -> Image {
    let (sin, cos) = (strength * TILT_DEGREES).to_radians().sin_cos();
    let middle = (SIDE - 1) as f32 / 2.0;
    Image::from_pixels(|row, column| {
        let (down, right) = (row as f32 - middle, column as f32 - middle);
        image.sample(
            middle + down * cos - right * sin,
            middle + down * sin + right * cos,
        )
    })
}

fn fog(image: &Image, strength: f32, drops: u64) -> Image {
    let slope = |number| FOG_SLOPE * seed::signed_unit(seed::mix(drops, number));
    let (down, right) = (slope(1), slope(2));
    let blur = strength * FOG_BLUR;
    let contrast = 1.0 - strength * FOG_CONTRAST;
    Image::from_pixels(|row, column| {
        let (row, column) = (row as i32, column as i32);
        let around = (-1..=1).flat_map(|r| (-1..=1).map(move |c| (r, c)));
        let around: f32 = around.map(|(r, c)| image.pixel(row + r, column + c)).sum();
        let smeared = image.pixel(row, column) * (1.0 - blur) + around / 9.0 * blur;
        let place = |at: i32| at as f32 / (SIDE - 1) as f32 - 0.5;
        let thickness = 1.0 + down * place(row) + right * place(column);
        smeared * contrast + strength * FOG_VEIL * thickness
    })
}

fn grain(image: &Image, frame: u64) -> Image {
    Image::from_pixels(|row, column| {
        let place = (row * SIDE + column) as u64;
        let noise = GRAIN * seed::signed_unit(seed::mix(frame, place));
        (image.pixel(row as i32, column as i32) + noise).min(INK)
    })
}

#[cfg(test)]
mod tests;
