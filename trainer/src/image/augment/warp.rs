//! Linear maps of the plane applied to images: bilinear, zero outside, about the image's center.

/// A linear map of the plane, and a shift after it, in pixels: where a point (right, down) from the center goes.
#[derive(Debug, Clone, Copy)]
pub struct Map {
    /// Rows of the matrix.
    pub matrix: [[f64; 2]; 2],
    /// Pixels to the right and down.
    pub shift: [f64; 2],
}

impl Map {
    /// A rotation by an angle in degrees, from right to down.
    pub fn rotation(degrees: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Map { matrix: [[cos, -sin], [sin, cos]], shift: [0.0; 2] }
    }

    /// The image under this map: every pixel is interpolated between the four that surround its place before, those outside
    /// counting as zero.
    pub fn apply(&self, image: &mut [f32], [_, height, width]: [usize; 3]) {
        let [[a, b], [c, d]] = self.matrix;
        let determinant = a * d - b * c;
        let inverse = [[d / determinant, -b / determinant], [-c / determinant, a / determinant]];
        let center = [(width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0];
        let taps: Vec<Tap> = (0..height * width)
            .map(|at| {
                let x = (at % width) as f64 - center[0] - self.shift[0];
                let y = (at / width) as f64 - center[1] - self.shift[1];
                Tap::at(
                    inverse[0][0] * x + inverse[0][1] * y + center[0],
                    inverse[1][0] * x + inverse[1][1] * y + center[1],
                )
            })
            .collect();
        for plane in image.chunks_exact_mut(height * width) {
            let from = plane.to_vec();
            let pixel = |x: i64, y: i64| {
                let inside = (0..width as i64).contains(&x) && (0..height as i64).contains(&y);
                if inside { from[y as usize * width + x as usize] } else { 0.0 }
            };
            for (to, Tap { x, y, right, down }) in plane.iter_mut().zip(&taps) {
                let above = pixel(*x, *y) * (1.0 - right) + pixel(x + 1, *y) * right;
                let below = pixel(*x, y + 1) * (1.0 - right) + pixel(x + 1, y + 1) * right;
                *to = above * (1.0 - down) + below * down;
            }
        }
    }
}

/// The pixel up and left of a place, and the shares of those to the right and below.
struct Tap {
    x: i64,
    y: i64,
    right: f32,
    down: f32,
}

impl Tap {
    fn at(x: f64, y: f64) -> Self {
        Tap { x: x.floor() as i64, y: y.floor() as i64, right: (x - x.floor()) as f32, down: (y - y.floor()) as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::net::kernel::tests::numbers;

    fn mapped(map: Map, image: &[f32], shape: [usize; 3]) -> Vec<f32> {
        let mut image = image.to_vec();
        map.apply(&mut image, shape);
        image
    }

    fn farthest(a: &[f32], b: impl IntoIterator<Item = f32>) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_quarter_turn_moves_pixels_and_four_are_none() {
        let image = numbers(2 * 49, 1);
        let turned = mapped(Map::rotation(90.0), &image, [2, 7, 7]);
        // From right to down: column 6 of row 2 was at the right and is now at the bottom.
        let expected = (0..98).map(|k| image[k / 49 * 49 + (6 - k % 7) * 7 + k % 49 / 7]);
        assert!(farthest(&turned, expected) < 1e-5);
        let full = (0..4).fold(image.clone(), |image, _| mapped(Map::rotation(90.0), &image, [2, 7, 7]));
        assert!(farthest(&full, image) < 1e-4);
    }

    #[test]
    fn shifts_interpolate_and_bring_zeros() {
        let row = [1.0, 2.0, 4.0, 8.0];
        let by = |right: f64| mapped(Map { matrix: [[1.0, 0.0], [0.0, 1.0]], shift: [right, 0.0] }, &row, [1, 1, 4]);
        assert!(farthest(&by(1.0), [0.0, 1.0, 2.0, 4.0]) < 1e-6);
        assert!(farthest(&by(-0.25), [1.25, 2.5, 5.0, 6.0]) < 1e-6, "{:?}", by(-0.25));
        assert_eq!(by(7.0), [0.0; 4]);
    }

    /// Bilinear interpolation keeps a ramp under any linear map, away from the borders.
    #[test]
    fn ramps_stay_ramps() {
        let (size, map) = (21, Map { matrix: [[1.1, 0.2], [-0.15, 0.9]], shift: [0.7, -0.4] });
        let ramp: Vec<f32> = (0..size * size).map(|k| (k % size) as f32 + 3.0 * (k / size) as f32).collect();
        let found = mapped(map, &ramp, [1, size, size]);
        // A point p of the result was at q with matrix q + shift = p; at the center's neighborhood solve it by hand.
        let determinant = 1.1 * 0.9 + 0.2 * 0.15;
        for (row, column) in [(10, 10), (8, 12), (13, 9)] {
            let (x, y) = (column as f64 - 10.0 - 0.7, row as f64 - 10.0 + 0.4);
            let q = [(0.9 * x - 0.2 * y) / determinant, (0.15 * x + 1.1 * y) / determinant];
            let expected = (q[0] + 10.0) + 3.0 * (q[1] + 10.0);
            assert!((f64::from(found[row * size + column]) - expected).abs() < 1e-4);
        }
    }
}
