//! Figures as plain data: panels with axes, what lies beneath the data, the data, and marks on top.

use crate::Axis;

/// One image: panels from top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Shown above the panels, and read out by screen readers.
    pub title: String,
    /// Width in pixels.
    pub width: u32,
    /// Panels from top to bottom.
    pub panels: Vec<Panel>,
}

/// One pair of axes with what is drawn in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Height in pixels, with labels and legend.
    pub height: u32,
    /// Horizontal axis; with an empty label, no room is left for one.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// What lies beneath the data.
    pub ground: Vec<Ground>,
    /// The data.
    pub content: Content,
    /// Lines and boxes on top of the data.
    pub marks: Vec<Mark>,
}

/// What a panel shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Lines with a legend.
    Lines(Vec<Line>),
    /// How often values occur. The horizontal axis shows the values, the vertical one their numbers.
    Histogram {
        /// The values.
        values: Vec<f64>,
        /// Number of bars.
        bins: usize,
    },
    /// A colored grid over the ranges of both axes, which must be fixed.
    HeatMap {
        /// Cells from left to right.
        columns: usize,
        /// Rows from bottom to top, `columns` values each; `None` leaves a cell empty.
        cells: Vec<Option<f64>>,
        /// The colors' scale.
        color: Axis,
    },
    /// Points colored by a value.
    Scatter {
        /// (x, y, value)
        points: Vec<(f64, f64, f64)>,
        /// The colors' scale.
        color: Axis,
    },
}

/// One line of a line plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Name in the legend; a line without a name has no entry.
    pub name: String,
    /// Points in drawing order; a point that is not finite interrupts the line.
    pub points: Vec<(f64, f64)>,
    /// Index of its color in [`qualitative`](crate::palette::qualitative).
    pub color: usize,
    /// How it is drawn.
    pub stroke: Stroke,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// Solid.
    Solid,
    /// Dashed.
    Dashed,
    /// Wide and pale: to lie beneath another line.
    Wide,
    /// Thin and pale: one of many that belong together.
    Faint,
    /// Dots without a line.
    Dots,
}

/// Something that lies beneath the data.
#[derive(Debug, Clone, PartialEq)]
pub enum Ground {
    /// The area between two curves, such as an uncertainty.
    Band {
        /// Name in the legend; a band without a name has no entry.
        name: String,
        /// Index of its color in [`qualitative`](crate::palette::qualitative).
        color: usize,
        /// (x, from, to), ordered by x; a point that is not finite interrupts the band.
        points: Vec<(f64, f64, f64)>,
    },
    /// A shaded range of the horizontal axis, such as times outside the domain.
    Span {
        /// Its ends, clamped to the axis.
        x: (f64, f64),
        /// Label above it.
        label: String,
    },
}

/// Something drawn on top of the data.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A vertical line with a label, such as a median.
    Vertical {
        /// Position on the horizontal axis.
        at: f64,
        /// Label beside the line.
        label: String,
    },
    /// A rectangle, such as the box of the training domain.
    Box {
        /// From, to on the horizontal axis.
        x: (f64, f64),
        /// From, to on the vertical axis.
        y: (f64, f64),
    },
}

impl Line {
    /// A solid line.
    pub fn solid(name: impl Into<String>, color: usize, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, color, stroke: Stroke::Solid }
    }

    /// A dashed line.
    pub fn dashed(name: impl Into<String>, color: usize, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, color, stroke: Stroke::Dashed }
    }
}

impl Panel {
    /// A panel without marks.
    pub fn new(height: u32, x: Axis, y: Axis, content: Content) -> Self {
        Self { height, x, y, ground: Vec::new(), content, marks: Vec::new() }
    }

    /// Adds something beneath the data.
    #[must_use]
    pub fn on(mut self, ground: impl IntoIterator<Item = Ground>) -> Self {
        self.ground.extend(ground);
        self
    }

    /// Adds a mark on top of the data.
    #[must_use]
    pub fn mark(mut self, mark: Mark) -> Self {
        self.marks.push(mark);
        self
    }
}

impl Figure {
    /// A figure of one panel.
    pub fn single(title: impl Into<String>, width: u32, panel: Panel) -> Self {
        Self { title: title.into(), width, panels: vec![panel] }
    }
}
