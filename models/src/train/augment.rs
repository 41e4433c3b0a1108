//! Small changes that make a thousand images do for many thousand.

use rand::Rng;

use crate::image::Image;

/// Largest shift along each side, in pixels: hands and wheels are never quite in the middle.
const SHIFT: f32 = 0.6;

/// Largest change of a pixel, in grey values.
const NOISE: f32 = 0.6;

/// The image, a little beside itself and a little grainy.
pub(super) fn augment(image: &Image, rng: &mut impl Rng) -> Image {
    let (down, right) = (
        rng.random_range(-SHIFT..SHIFT),
        rng.random_range(-SHIFT..SHIFT),
    );
    Image::from_pixels(|row, column| {
        let noise = rng.random_range(-NOISE..NOISE);
        image.sample(row as f32 + down, column as f32 + right) + noise
    })
}
