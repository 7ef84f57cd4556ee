//! Sizes of image values and of the windows that slide over them.

use core::fmt;

/// Rows, columns and channels of a value. In the evaluator channels lie next to each other in memory, then columns, then
/// rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl Shape {
    /// The shape of a dense layer's output: one row and one column.
    pub fn vector(channels: usize) -> Self {
        Shape { height: 1, width: 1, channels }
    }

    /// The number of elements, which are bytes in the evaluator.
    pub fn size(&self) -> usize {
        self.pixels() * self.channels
    }

    /// Rows times columns.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }
}

/// Rows x columns x channels, as in model files: `28x28x1`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// A window that slides over a value: rows first, then columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns it covers.
    pub kernel: [usize; 2],
    /// Step from one output to the next.
    pub stride: [usize; 2],
    /// Rows put above the value and columns to its left.
    pub padding: [usize; 2],
    /// Rows put below the value and columns to its right.
    pub after: [usize; 2],
}

impl Window {
    /// A window with the same numbers for rows and columns.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self::even([kernel; 2], [stride; 2], [padding; 2])
    }

    /// A window with the same padding on both sides.
    pub fn even(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Self {
        Window { kernel, stride, padding, after: padding }
    }

    /// The window of TensorFlow's padding `SAME` over a value: ceil(n / stride) outputs, and where the padding is odd, the
    /// larger half comes after the value.
    pub fn same(kernel: [usize; 2], stride: [usize; 2], input: Shape) -> Self {
        let total = |axis: usize, n: usize| {
            let outputs = n.div_ceil(stride[axis].max(1));
            (outputs.saturating_sub(1) * stride[axis] + kernel[axis]).saturating_sub(n)
        };
        let total = [total(0, input.height), total(1, input.width)];
        let padding = total.map(|total| total / 2);
        Window { kernel, stride, padding, after: [total[0] - padding[0], total[1] - padding[1]] }
    }

    /// Whether nothing is put around the value.
    pub fn is_bare(&self) -> bool {
        self.padding == [0; 2] && self.after == [0; 2]
    }

    /// Rows and columns of the output: floor((n + padding + after - kernel) / stride) + 1; `None` if the window does not fit,
    /// does not move, or can lie wholly inside the padding.
    pub fn output(&self, input: Shape) -> Option<[usize; 2]> {
        let along = |axis: usize, n: usize| {
            let [kernel, stride, padding, after] =
                [self.kernel, self.stride, self.padding, self.after].map(|pair| pair[axis]);
            let room = (n + padding + after).checked_sub(kernel).filter(|_| padding.max(after) < kernel)?;
            Some(room.checked_div(stride)? + 1)
        };
        Some([along(0, input.height)?, along(1, input.width)?])
    }
}

/// The shapes and the window of a layer: what convolutions and pools have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Shape of the value that the window slides over.
    pub input: Shape,
    /// Shape of the result.
    pub output: Shape,
    /// The window.
    pub window: Window,
}

/// A geometry in half the memory: an opened network keeps one for each layer. No number of it is above
/// [`MAX_SIDE`](crate::limits::MAX_SIDE) or [`MAX_CHANNELS`](crate::limits::MAX_CHANNELS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compact {
    input: [u16; 3],
    output: [u16; 3],
    window: [[u16; 2]; 4],
}

impl From<Geometry> for Compact {
    fn from(Geometry { input, output, window }: Geometry) -> Self {
        let Window { kernel, stride, padding, after } = window;
        let shape = |shape: Shape| [shape.height, shape.width, shape.channels].map(|n| n as u16);
        Compact {
            input: shape(input),
            output: shape(output),
            window: [kernel, stride, padding, after].map(|pair| pair.map(|n| n as u16)),
        }
    }
}

impl Compact {
    /// The geometry.
    pub fn get(self) -> Geometry {
        let shape = |[height, width, channels]: [u16; 3]| Shape {
            height: height.into(),
            width: width.into(),
            channels: channels.into(),
        };
        let [kernel, stride, padding, after] = self.window.map(|pair| pair.map(usize::from));
        let window = Window { kernel, stride, padding, after };
        Geometry { input: shape(self.input), output: shape(self.output), window }
    }
}

/// Top left corner of a window in the input; negative inside the padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corner {
    /// Row.
    pub row: isize,
    /// Column.
    pub column: isize,
}

impl Geometry {
    /// A window over `input` with a result of so many channels; `None` if it does not fit, see [`Window::output`].
    pub fn new(input: Shape, channels: usize, window: Window) -> Option<Self> {
        let [height, width] = window.output(input)?;
        Some(Geometry { input, output: Shape { height, width, channels }, window })
    }

    /// The number of weights of one output channel of a convolution: the places of the window over all input channels.
    pub fn taps(&self) -> usize {
        let [rows, columns] = self.window.kernel;
        rows * columns * self.input.channels
    }

    /// The corners of all windows, row by row.
    pub fn corners(&self) -> impl Iterator<Item = Corner> + use<> {
        let ([down, right], [top, left]) = (self.window.stride, self.window.padding);
        let last = (self.output.width * right) as isize - left as isize;
        let mut corner = Corner { row: -(top as isize), column: -(left as isize) };
        core::iter::repeat_with(move || {
            let this = corner;
            corner.column += right as isize;
            if corner.column == last {
                corner = Corner { row: corner.row + down as isize, column: -(left as isize) };
            }
            this
        })
    }

    /// The number of multiply-accumulates of a convolution with this geometry, padding included.
    pub fn macs(&self) -> u32 {
        let [rows, columns] = self.window.kernel;
        let factors = [self.output.size(), rows, columns, self.input.channels];
        factors.iter().fold(1, |product: u32, factor| product.saturating_mul(*factor as u32))
    }

    /// The index of the first channel of the input's pixel at this row and column, if there is one.
    pub fn pixel(&self, row: isize, column: isize) -> Option<usize> {
        let (row, column) = (usize::try_from(row).ok()?, usize::try_from(column).ok()?);
        let inside = row < self.input.height && column < self.input.width;
        inside.then_some((row * self.input.width + column) * self.input.channels)
    }
}
