//! The pictures that meters take: 8×8 grey values from 0 (paper) to 16 (ink).

/// Width and height in pixels.
pub const SIDE: usize = 8;

/// Pixels of an image, in row order: the features of the model.
pub const PIXELS: usize = SIDE * SIDE;

/// The darkest grey value.
pub const INK: f32 = 16.0;

/// One picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Image(pub [f32; PIXELS]);

impl Image {
    /// An image from what a function gives for each (row, column), kept within 0 to [`INK`].
    pub fn from_pixels(mut pixel: impl FnMut(usize, usize) -> f32) -> Self {
        let mut values = [0.0; PIXELS];
        for (place, value) in values.iter_mut().enumerate() {
            *value = pixel(place / SIDE, place % SIDE).clamp(0.0, INK);
        }
        Self(values)
    }

    /// The grey value at a whole row and column; paper outside of the picture.
    pub fn pixel(&self, row: i32, column: i32) -> f32 {
        let inside = |at: i32| usize::try_from(at).ok().filter(|at| *at < SIDE);
        match (inside(row), inside(column)) {
            (Some(row), Some(column)) => self.0[row * SIDE + column],
            _ => 0.0,
        }
    }

    /// The grey value between pixels, by bilinear interpolation.
    pub fn sample(&self, row: f32, column: f32) -> f32 {
        let (top, left) = (row.floor(), column.floor());
        let (down, right) = (row - top, column - left);
        let (top, left) = (top as i32, left as i32);
        let across =
            |row: i32| self.pixel(row, left) * (1.0 - right) + self.pixel(row, left + 1) * right;
        across(top) * (1.0 - down) + across(top + 1) * down
    }

    /// Mean grey value.
    pub fn mean(&self) -> f32 {
        self.0.iter().sum::<f32>() / PIXELS as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_pixels_and_outside() {
        let image = Image::from_pixels(|row, column| (row * 2 + column) as f32);
        assert!((image.sample(2.0, 3.0) - 7.0).abs() < 1e-6);
        assert!((image.sample(2.5, 3.25) - 8.25).abs() < 1e-6);
        assert!(image.sample(-1.0, 0.0).abs() < 1e-6);
        assert!((image.sample(-0.5, 4.0) - 2.0).abs() < 1e-6);
        assert!(image.0.iter().all(|value| (0.0..=INK).contains(value)));
    }
}
