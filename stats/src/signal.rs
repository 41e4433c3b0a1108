//! What is measured of an input as a whole: an image or a sound has thousands of elements, of which none says much.
//!
//! Called by the agent for every inference, and by whoever makes a reference, so that both mean the same. Must never
//! break: nothing here depends on anything but the values, and nothing panics on them.

use std::{fmt, str::FromStr};

use tern_protocol::{profile::Image, steps::Channels};

use crate::chance::Chance;

/// Signals of one number, of an input's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Mean of all values: fog, night, a gain that was turned.
    Brightness,
    /// Standard deviation of the pixels' means over channels: fog, a veil, a lens that is wet.
    Contrast,
    /// Variance of the Laplacian of the pixels' means over channels: what is out of focus has little. Source: J. L.
    /// Pech-Pacheco, G. Cristóbal, J. Chamorro-Martínez and J. Fernández-Valdivia, "Diatom autofocusing in brightfield
    /// microscopy: a comparative study", ICPR 2000 (`LAP4` there).
    Sharpness,
    /// Root mean square in decibels of 1; [`SILENCE`] at least. For sound, vibration and other series.
    Level,
    /// Projection of the centred values, at unit length, onto a direction of random signs, times the root of their
    /// number: near a standard normal for values without structure, whatever their gain. Several of them are a small
    /// embedding that needs no second model. Source: D. Achlioptas, "Database-friendly random projections:
    /// Johnson-Lindenstrauss with binary coins", Journal of Computer and System Sciences 66(4), 2003.
    Projection(u16),
}

/// The least level, in decibels: of silence there is no logarithm.
pub const SILENCE: f32 = -120.0;

/// A name that is no signal's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no signal: use brightness, contrast, sharpness, level or projection-0, projection-1 …"
)]
pub struct UnknownSignal(String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let unknown = || UnknownSignal(text.chars().take(80).collect());
        Ok(match text {
            "brightness" => Self::Brightness,
            "contrast" => Self::Contrast,
            "sharpness" => Self::Sharpness,
            "level" => Self::Level,
            _ => {
                let number = text.strip_prefix("projection-").ok_or_else(unknown)?;
                Self::Projection(number.parse().map_err(|_| unknown())?)
            }
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brightness => f.write_str("brightness"),
            Self::Contrast => f.write_str("contrast"),
            Self::Sharpness => f.write_str("sharpness"),
            Self::Level => f.write_str("level"),
            Self::Projection(number) => write!(f, "projection-{number}"),
        }
    }
}

/// One input, looked at. What several signals need is found once.
#[derive(Debug)]
pub struct Measured<'a> {
    values: &'a [f32],
    image: Option<Image>,
    mean: f64,
    /// The root of the sum of squares about the mean.
    length: f64,
    /// Means of the pixels over channels, row by row, once somebody asked for them.
    grey: Option<Vec<f32>>,
}

impl<'a> Measured<'a> {
    /// `values` are those of the input in their order; `image` says how they lie if they are an image.
    pub fn new(values: &'a [f32], image: Option<Image>) -> Self {
        let fits = |image: &Image| image.elements() == Some(values.len() as u64);
        let mean = mean(values);
        Self {
            values,
            image: image.filter(fits),
            mean,
            length: squares(values, mean).sqrt(),
            grey: None,
        }
    }

    /// One signal of it; not a number if it has none, such as the sharpness of what is no image, or if a value is not
    /// a number.
    pub fn signal(&mut self, signal: Signal) -> f32 {
        // As the mean of nothing, and of what holds a value that is none.
        if self.mean.is_nan() {
            return f32::NAN;
        }
        let found = match signal {
            Signal::Brightness => self.mean,
            Signal::Contrast => deviation(self.grey()),
            Signal::Sharpness => self.sharpness(),
            Signal::Level => {
                let mean = squares(self.values, 0.0) / self.values.len() as f64;
                (10.0 * mean.log10()).max(SILENCE.into())
            }
            Signal::Projection(number) => self.projection(number),
        };
        found as f32
    }

    fn projection(&self, number: u16) -> f64 {
        let (mut along, mut signs_sum) = (0.0, 0.0);
        for (block, values) in self.values.chunks(64).enumerate() {
            let signs = signs(number, block as u64);
            for (place, value) in values.iter().enumerate() {
                let sign = 2.0 * ((signs >> place) & 1) as f64 - 1.0;
                along += sign * f64::from(*value);
                signs_sum += sign;
            }
        }
        // Values that are all the same point nowhere.
        if self.length > 0.0 {
            (along - self.mean * signs_sum) / self.length
        } else {
            0.0
        }
    }

    fn grey(&mut self) -> &[f32] {
        let (values, image) = (self.values, self.image);
        self.grey.get_or_insert_with(|| grey(values, image))
    }

    fn sharpness(&mut self) -> f64 {
        let Some(image) = self.image else {
            return f64::NAN;
        };
        let (height, width) = (image.height as usize, image.width as usize);
        let grey = self.grey();
        let mut laplacian = Vec::with_capacity(grey.len());
        for row in 1..height.saturating_sub(1) {
            for column in 1..width.saturating_sub(1) {
                let at = row * width + column;
                let around = grey[at - width] + grey[at + width] + grey[at - 1] + grey[at + 1];
                laplacian.push(around - 4.0 * grey[at]);
            }
        }
        if laplacian.is_empty() {
            return f64::NAN;
        }
        deviation(&laplacian).powi(2)
    }
}

/// The mean of each pixel over its channels; what is no image has one channel.
fn grey(values: &[f32], image: Option<Image>) -> Vec<f32> {
    let Some(image) = image.filter(|image| image.channels > 1) else {
        return values.to_vec();
    };
    let channels = image.channels as usize;
    let pixels = values.len() / channels;
    match image.order {
        Channels::Last => values
            .chunks_exact(channels)
            .map(|pixel| pixel.iter().sum::<f32>() / channels as f32)
            .collect(),
        Channels::First => (0..pixels)
            .map(|pixel| {
                let of = values.iter().skip(pixel).step_by(pixels);
                of.sum::<f32>() / channels as f32
            })
            .collect(),
    }
}

fn mean(values: &[f32]) -> f64 {
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    sum / values.len() as f64
}

fn deviation(values: &[f32]) -> f64 {
    (squares(values, mean(values)) / values.len() as f64).sqrt()
}

/// Sum of squares about a value.
fn squares(values: &[f32], about: f64) -> f64 {
    let squares = values
        .iter()
        .map(|value| (f64::from(*value) - about).powi(2));
    squares.sum()
}

/// The signs of 64 elements of a direction: a number that follows from its own and the block's.
fn signs(number: u16, block: u64) -> u64 {
    Chance::new((u64::from(number) << 48) | block).bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(height: u32, width: u32, channels: u32, order: Channels) -> Image {
        Image {
            height,
            width,
            channels,
            order,
        }
    }

    fn of(values: &[f32], image: Option<Image>, signal: Signal) -> f32 {
        Measured::new(values, image).signal(signal)
    }

    fn near(found: f32, expected: f32) {
        assert!((found - expected).abs() < 1e-4, "{found}, not {expected}");
    }

    #[test]
    fn names_read_back_and_others_are_refused() {
        for name in [
            "brightness",
            "contrast",
            "sharpness",
            "level",
            "projection-7",
        ] {
            assert_eq!(name.parse::<Signal>().expect("a signal").to_string(), name);
        }
        for name in [
            "",
            "Brightness",
            "projection-",
            "projection--1",
            "projection-65536",
        ] {
            assert!(name.parse::<Signal>().is_err(), "{name}");
        }
    }

    #[test]
    fn fog_makes_an_image_brighter_flatter_and_less_sharp() {
        let clear: Vec<f32> = (0..64)
            .map(|n| if (n / 8 + n % 8) % 3 == 0 { 1.0 } else { 0.0 })
            .collect();
        let fog: Vec<f32> = clear.iter().map(|value| 0.6 + 0.3 * value).collect();
        let shape = Some(image(8, 8, 1, Channels::First));
        assert!(of(&fog, shape, Signal::Brightness) > of(&clear, shape, Signal::Brightness));
        near(
            of(&fog, shape, Signal::Contrast),
            0.3 * of(&clear, shape, Signal::Contrast),
        );
        near(
            of(&fog, shape, Signal::Sharpness),
            0.09 * of(&clear, shape, Signal::Sharpness),
        );
    }

    #[test]
    fn channels_may_come_first_or_last() {
        let last = [1.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let first = [1.0, 0.5, 0.0, 1.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.5, 1.0, 1.0];
        for signal in [Signal::Brightness, Signal::Contrast] {
            let a = of(&last, Some(image(2, 2, 3, Channels::Last)), signal);
            near(a, of(&first, Some(image(2, 2, 3, Channels::First)), signal));
        }
    }

    #[test]
    fn a_level_is_in_decibels_and_silence_has_one() {
        near(of(&[1.0, -1.0], None, Signal::Level), 0.0);
        near(of(&[0.1, -0.1], None, Signal::Level), -20.0);
        near(of(&[0.0; 4], None, Signal::Level), SILENCE);
    }

    #[test]
    fn projections_do_not_change_with_gain_and_differ_from_each_other() {
        let values: Vec<f32> = (0..1_000).map(|n| ((n * 37) % 101) as f32).collect();
        let louder: Vec<f32> = values.iter().map(|value| 3.0 * value + 5.0).collect();
        let found: Vec<f32> = (0..8)
            .map(|n| of(&values, None, Signal::Projection(n)))
            .collect();
        for (number, found) in (0..).zip(&found) {
            near(of(&louder, None, Signal::Projection(number)), *found);
            assert!(found.abs() < 5.0, "about normal: {found}");
        }
        assert!(
            found.windows(2).all(|two| (two[0] - two[1]).abs() > 1e-6),
            "{found:?}"
        );
        near(of(&[4.0; 9], None, Signal::Projection(0)), 0.0);
    }

    #[test]
    fn what_cannot_be_measured_is_no_number() {
        let cases: [(&[f32], Option<Image>, Signal); 5] = [
            (&[], None, Signal::Brightness),
            (&[1.0, f32::NAN], None, Signal::Level),
            (&[1.0; 9], None, Signal::Sharpness),
            (
                &[1.0; 9],
                Some(image(2, 2, 1, Channels::First)),
                Signal::Sharpness,
            ),
            (
                &[1.0; 4],
                Some(image(2, 2, 1, Channels::First)),
                Signal::Sharpness,
            ),
        ];
        for (values, image, signal) in cases {
            assert!(of(values, image, signal).is_nan(), "{signal} of {values:?}");
        }
    }
}
