//! The architecture of an image network, and its text in a file's metadata.
//!
//! `image` is rows x columns x channels: `28x28x1`. `nodes` lists the operations in order of evaluation, separated by
//! semicolons, each a name and its attributes, separated by spaces. Value 0 is the image, value k + 1 the output of node k;
//! `from` (and `other`) name the values that a node reads.
//!
//! | operation | attributes besides `from` |
//! | --- | --- |
//! | `conv`, `depthwise` | `kernel=3x3 stride=1x1 padding=1x1 zero=0`; `conv` also `out=16` |
//! | `winograd` | `out=16 padding=1x1 zero=0`: a `conv` of 3x3 and stride 1x1 on channels in fours |
//! | `dense` | `out=128 zero=0` |
//! | `max` | `kernel=2x2 stride=2x2` |
//! | `average` | `kernel=8x8 stride=8x8 zero=0` |
//! | `add` | `other=3 zero=0` |
//! | `logits` | `out=10`; the last node, and only that |
//! | `values` | `out=640 zero=96`; in place of `logits`, for a network whose outputs are numbers and no classes |
//!
//! `zero` is the zero point of the node's output. `padding=1x1` puts so many rows above and below, and so many columns to the
//! left and to the right; `padding=0x1:1x1` puts those before the colon above and to the left, the others below and to the
//! right. A [`Step`] displays as this text, with the colon only where both sides differ.
//!
//! Version 2 of the format has what older readers refuse: padding with a colon, `values`, sides above [`FIRST_SIDE`] and more
//! than [`FIRST_NODES`] nodes. A network without any of these is written as version 1 ([`Architecture::version`]).

use crate::error::{Countable, Key, ModelError, NodeDefect};
use crate::layer::shape::{Geometry, Shape, Window};
use crate::layer::{conv, dense_bytes, winograd};
use crate::limits::{MAX_CHANNELS, MAX_CLASSES, MAX_FAN_IN, MAX_NODES, MAX_SIDE};
use crate::text::{split, split_once};
use core::fmt;
use heapless::Vec;

/// Longest side of a value in version 1 of the format.
pub const FIRST_SIDE: usize = 256;
/// Nodes of a network in version 1 of the format.
pub const FIRST_NODES: usize = 24;

/// Largest number of channels of an image: three for color, and one more.
pub const MAX_IMAGE_CHANNELS: usize = 4;

/// The kind of computation of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// See [`crate::layer::conv`].
    Conv,
    /// See [`crate::layer::winograd`].
    Winograd,
    /// See [`crate::layer::depthwise`].
    Depthwise,
    /// See [`crate::layer::dense_bytes`].
    Dense,
    /// See [`crate::layer::pool`].
    Max,
    /// See [`crate::layer::pool`].
    Average,
    /// See [`crate::layer::add`].
    Add,
    /// See [`crate::layer::dense_bytes`].
    Logits,
    /// A dense layer whose outputs are those of the network.
    Values,
}

impl Operation {
    /// All of them, with their names in files.
    const ALL: [(&'static str, Self); 9] = [
        ("conv", Operation::Conv),
        ("winograd", Operation::Winograd),
        ("depthwise", Operation::Depthwise),
        ("dense", Operation::Dense),
        ("max", Operation::Max),
        ("average", Operation::Average),
        ("add", Operation::Add),
        ("logits", Operation::Logits),
        ("values", Operation::Values),
    ];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, operation)| *operation == self).map_or("", |(name, _)| name)
    }

    /// Whether its outputs are those of the network, so that it is the last node.
    fn is_last(self) -> bool {
        matches!(self, Operation::Logits | Operation::Values)
    }
}

/// A node that is known to fit the values it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The computation.
    pub operation: Operation,
    /// The value it reads.
    pub from: usize,
    /// The other value it reads; equal to `from` if it reads only one.
    pub other: usize,
    /// The shapes of input and output, and the window; 1x1 where there is none.
    pub geometry: Geometry,
    /// Zero point of the output.
    pub zero: u8,
}

impl Step {
    /// The number of words of scratch memory that it needs.
    pub fn scratch(&self) -> usize {
        match self.operation {
            Operation::Conv => conv::scratch(&self.geometry),
            Operation::Winograd => winograd::scratch(&self.geometry),
            Operation::Dense | Operation::Logits | Operation::Values => dense_bytes::words(self.geometry.input.size()),
            Operation::Average => self.geometry.output.channels,
            Operation::Depthwise | Operation::Max | Operation::Add => 0,
        }
    }

    /// The number of weights of one output, padding included where they are packed.
    fn fan_in(&self) -> usize {
        match self.operation {
            Operation::Conv => 2 * conv::words(&self.geometry),
            Operation::Winograd => winograd::fan_in(&self.geometry),
            Operation::Dense | Operation::Logits | Operation::Values => {
                2 * dense_bytes::words(self.geometry.input.size())
            }
            _ => self.geometry.window.kernel.iter().product(),
        }
    }
}

/// The text of a node in a file.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Geometry { output, window: Window { kernel, stride, padding, after }, .. } = self.geometry;
        let takes = Takes::of(self.operation);
        write!(f, "{} from={}", self.operation.name(), self.from)?;
        if takes.other {
            write!(f, " other={}", self.other)?;
        }
        if takes.out {
            write!(f, " out={}", output.channels)?;
        }
        if takes.window {
            write!(f, " kernel={}x{} stride={}x{}", kernel[0], kernel[1], stride[0], stride[1])?;
        }
        if takes.padding {
            write!(f, " padding={}x{}", padding[0], padding[1])?;
            if after != padding {
                write!(f, ":{}x{}", after[0], after[1])?;
            }
        }
        if takes.zero {
            write!(f, " zero={}", self.zero)?;
        }
        Ok(())
    }
}

/// A whole network without its weights.
#[derive(Debug, Clone)]
pub struct Architecture {
    /// The image's shape.
    pub image: Shape,
    /// The nodes in order of evaluation, at least one.
    pub steps: Vec<Step, MAX_NODES>,
}

impl Architecture {
    /// An image of this shape, without nodes.
    ///
    /// # Errors
    /// [`ModelError::Metadata`] if the image is larger than the limits allow.
    pub fn new(image: Shape) -> Result<Self, ModelError> {
        if !is_image(image) {
            return Err(ModelError::Metadata(Key::Image));
        }
        Ok(Architecture { image, steps: Vec::new() })
    }

    /// Appends a node, which may read all values so far.
    ///
    /// # Errors
    /// [`ModelError::Node`] if it does not fit the values it reads or is too large, [`ModelError::TooMany`] if there are as many
    /// nodes as the limits allow.
    pub fn push(&mut self, operation: Operation, attributes: Attributes) -> Result<(), ModelError> {
        let node = self.steps.len().min(MAX_NODES) as u8;
        let step = self.step(operation, attributes).map_err(|defect| ModelError::Node { node, defect })?;
        self.steps.push(step).map_err(|_| ModelError::TooMany(Countable::Layers))
    }

    /// Parses the text of `image` and `nodes`.
    ///
    /// # Errors
    /// [`ModelError::Metadata`] if `image` is not a shape within the limits; else as for [`Self::push`], and [`ModelError::Node`]
    /// if the last node is neither `logits` nor `values`.
    pub fn parse(image: &str, nodes: &str) -> Result<Self, ModelError> {
        let image = parse_image(image).ok_or(ModelError::Metadata(Key::Image))?;
        // Not by `new`: moved out of its result, the architecture would lie on the stack twice.
        let mut architecture = Architecture { image, steps: Vec::new() };
        for (node, text) in (0u8..).zip(split(nodes, b';')) {
            let (operation, attributes) = parse_node(text).map_err(|defect| ModelError::Node { node, defect })?;
            architecture.push(operation, attributes)?;
        }
        match architecture.steps.last() {
            Some(step) if step.operation.is_last() => Ok(architecture),
            _ => {
                let node = architecture.steps.len().saturating_sub(1) as u8;
                Err(ModelError::Node { node, defect: NodeDefect::Logits })
            }
        }
    }

    /// Shape of a value.
    pub fn value(&self, value: usize) -> Option<Shape> {
        match value.checked_sub(1) {
            None => Some(self.image),
            Some(node) => self.steps.get(node).map(|step| step.geometry.output),
        }
    }

    /// Inputs that are looked at for one image, by all operations: multiplications, and what pooling and sums read.
    pub fn work(&self) -> u64 {
        let of = |step: &Step| {
            let Geometry { input, output, window, .. } = step.geometry;
            let taps = window.kernel.iter().fold(1, |product: u64, side| product.saturating_mul(*side as u64));
            let each = match step.operation {
                Operation::Conv | Operation::Winograd => taps.saturating_mul(input.channels as u64),
                Operation::Depthwise | Operation::Max | Operation::Average => taps,
                Operation::Dense | Operation::Logits | Operation::Values => input.size() as u64,
                Operation::Add => 2,
            };
            each.saturating_mul(output.size() as u64)
        };
        self.steps.iter().map(of).fold(0, u64::saturating_add)
    }

    /// Classes: the width of the logits, or 0 if the outputs are values.
    pub fn classes(&self) -> usize {
        let logits = self.steps.last().filter(|step| step.operation == Operation::Logits);
        logits.map_or(0, |step| step.geometry.output.channels)
    }

    /// Whether the outputs are values and no classes.
    pub fn has_values(&self) -> bool {
        self.steps.last().is_some_and(|step| step.operation == Operation::Values)
    }

    /// The oldest version of the format that has all this network uses, but for the multipliers of sums.
    pub fn version(&self) -> u16 {
        let long = |shape: Shape| shape.height > FIRST_SIDE || shape.width > FIRST_SIDE;
        let newer = |step: &Step| {
            let window = step.geometry.window;
            let long =
                long(step.geometry.output) || window.kernel.iter().chain(&window.stride).any(|n| *n > FIRST_SIDE);
            window.padding != window.after || long || step.operation == Operation::Values
        };
        if long(self.image) || self.steps.len() > FIRST_NODES || self.steps.iter().any(newer) { 2 } else { 1 }
    }

    /// Checks a node against the values so far.
    fn step(&self, operation: Operation, attributes: Attributes) -> Result<Step, NodeDefect> {
        if self.steps.last().is_some_and(|step| step.operation.is_last()) {
            return Err(NodeDefect::Logits);
        }
        let input = self.value(attributes.from).ok_or(NodeDefect::Order)?;
        let other = self.value(attributes.other).ok_or(NodeDefect::Order)?;
        if other != input {
            return Err(NodeDefect::Operands);
        }
        let window = attributes.window;
        let [height, width] = match operation {
            Operation::Dense | Operation::Logits | Operation::Values => [1, 1],
            _ => window.output(input).ok_or(NodeDefect::Window)?,
        };
        let channels = attributes.out.unwrap_or(input.channels);
        let geometry = Geometry { input, output: Shape { height, width, channels }, window };
        if operation == Operation::Winograd && !winograd::fits(&geometry) {
            return Err(NodeDefect::Window);
        }
        let Attributes { from, other, zero, .. } = attributes;
        let step = Step { operation, from, other, geometry, zero };
        let limit = if operation == Operation::Logits { MAX_CLASSES } else { MAX_CHANNELS };
        let fits = (1..=limit).contains(&channels) && height <= MAX_SIDE && width <= MAX_SIDE;
        if fits && step.fan_in() <= MAX_FAN_IN { Ok(step) } else { Err(NodeDefect::TooLarge) }
    }
}

/// Name and attributes of a node.
fn parse_node(text: &str) -> Result<(Operation, Attributes), NodeDefect> {
    let mut words = split(text.trim_ascii(), b' ');
    let name = words.next().unwrap_or("");
    let (_, operation) = Operation::ALL.into_iter().find(|(n, _)| *n == name).ok_or(NodeDefect::Operation)?;
    Ok((operation, Attributes::parse(words, operation)?))
}

/// The shape of an image within the limits, such as `28x28x1`.
pub(crate) fn parse_image(text: &str) -> Option<Shape> {
    let mut parts = split(text, b'x').map(|part| part.parse::<usize>().ok());
    let (height, width, channels) = (parts.next()??, parts.next()??, parts.next()??);
    let image = Shape { height, width, channels };
    (is_image(image) && parts.next().is_none()).then_some(image)
}

/// Whether an image may have this shape.
fn is_image(Shape { height, width, channels }: Shape) -> bool {
    let sides = 1..=MAX_SIDE;
    sides.contains(&height) && sides.contains(&width) && (1..=MAX_IMAGE_CHANNELS).contains(&channels)
}

/// The attributes that the text of an operation states besides `from`.
struct Takes {
    other: bool,
    out: bool,
    window: bool,
    padding: bool,
    zero: bool,
}

impl Takes {
    fn of(operation: Operation) -> Self {
        use Operation::{Add, Average, Conv, Dense, Depthwise, Logits, Max, Values, Winograd};
        Takes {
            other: operation == Add,
            out: matches!(operation, Conv | Winograd | Dense | Logits | Values),
            window: matches!(operation, Conv | Depthwise | Max | Average),
            padding: matches!(operation, Conv | Winograd | Depthwise),
            zero: !matches!(operation, Max | Logits),
        }
    }
}

/// Attributes of a node; those that its operation does not take have defaults.
#[derive(Debug, Clone, Copy)]
pub struct Attributes {
    /// The value it reads.
    pub from: usize,
    /// The other value it reads; equal to `from` if it reads only one.
    pub other: usize,
    /// Channels of the output; unless given, those of the input.
    pub out: Option<usize>,
    /// Its window; 1x1 where there is none.
    pub window: Window,
    /// Zero point of the output.
    pub zero: u8,
}

impl Attributes {
    /// Parses the attributes: exactly those that the operation takes, each once.
    fn parse<'t>(words: impl Iterator<Item = &'t str>, operation: Operation) -> Result<Self, NodeDefect> {
        let (mut from, mut other, mut out, mut zero) = (None, None, None, None);
        let (mut kernel, mut stride, mut padding) = (None, None, None);
        for word in words {
            let (key, value) = split_once(word, b'=').ok_or(NodeDefect::Attribute)?;
            let again = match key {
                "from" => from.replace(number(value)?).is_some(),
                "other" => other.replace(number(value)?).is_some(),
                "out" => out.replace(number(value)?).is_some(),
                "zero" => zero.replace(value.parse::<u8>().map_err(|_| NodeDefect::Attribute)?).is_some(),
                "kernel" => kernel.replace(pair(value)?).is_some(),
                "stride" => stride.replace(pair(value)?).is_some(),
                "padding" => padding.replace(both(value)?).is_some(),
                _ => true,
            };
            if again {
                return Err(NodeDefect::Attribute);
            }
        }
        let takes = Takes::of(operation);
        let stated = [
            (other.is_some(), takes.other),
            (out.is_some(), takes.out),
            (zero.is_some(), takes.zero),
            (kernel.is_some(), takes.window),
            (stride.is_some(), takes.window),
            (padding.is_some(), takes.padding),
        ];
        let from = from.filter(|_| stated.iter().all(|(has, takes)| has == takes)).ok_or(NodeDefect::Attribute)?;
        let [padding, after] = padding.unwrap_or([[0; 2]; 2]);
        let window = Window {
            kernel: kernel.unwrap_or(if operation == Operation::Winograd { winograd::KERNEL } else { [1, 1] }),
            stride: stride.unwrap_or([1, 1]),
            padding,
            after,
        };
        Ok(Attributes { from, other: other.unwrap_or(from), out, window, zero: zero.unwrap_or(0) })
    }
}

/// Parses a number of at most 16 bits.
fn number(text: &str) -> Result<usize, NodeDefect> {
    text.parse::<u16>().map(usize::from).map_err(|_| NodeDefect::Attribute)
}

/// `3x3`, rows first, each at most [`MAX_SIDE`].
fn pair(text: &str) -> Result<[usize; 2], NodeDefect> {
    let (rows, columns) = split_once(text, b'x').ok_or(NodeDefect::Attribute)?;
    let pair = [number(rows)?, number(columns)?];
    if pair.iter().all(|n| *n <= MAX_SIDE) { Ok(pair) } else { Err(NodeDefect::TooLarge) }
}

/// `1x1`, or `0x0:1x1` where the two sides differ.
fn both(text: &str) -> Result<[[usize; 2]; 2], NodeDefect> {
    let Some((before, after)) = split_once(text, b':') else { return Ok([pair(text)?; 2]) };
    let sides = [pair(before)?, pair(after)?];
    if sides[0] == sides[1] { Err(NodeDefect::Attribute) } else { Ok(sides) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONV: &str = "conv from=0 out=8 kernel=3x3 stride=1x1 padding=1x1 zero=0";

    fn defect(nodes: &str) -> (u8, NodeDefect) {
        match Architecture::parse("8x8x2", nodes) {
            Err(ModelError::Node { node, defect }) => (node, defect),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_network_with_a_residual() {
        let text = std::format!(
            "{CONV};conv from=1 out=8 kernel=3x3 stride=1x1 padding=1x1 zero=100;add from=2 other=1 zero=0;\
             max from=3 kernel=2x2 stride=2x2;average from=4 kernel=4x4 stride=4x4 zero=0;logits from=5 out=10"
        );
        let parsed = Architecture::parse("8x8x2", &text).unwrap();
        assert_eq!(parsed.classes(), 10);
        assert_eq!(parsed.value(4), Some(Shape { height: 4, width: 4, channels: 8 }));
        assert_eq!((parsed.steps[2].from, parsed.steps[2].other), (2, 1));
        assert_eq!(parsed.steps[0].operation.name(), "conv");
        let written: std::vec::Vec<_> = parsed.steps.iter().map(|step| std::format!("{step}")).collect();
        assert_eq!(written.join(";"), text);
    }

    #[test]
    fn every_operation_is_read_and_written() {
        let text = "conv from=0 out=8 kernel=3x2 stride=1x2 padding=1x0 zero=7;winograd from=1 out=4 padding=1x1 zero=0;\
                    depthwise from=2 kernel=1x3 stride=1x1 padding=0x1 zero=9;add from=3 other=2 zero=255;\
                    max from=4 kernel=2x1 stride=2x1;average from=5 kernel=4x1 stride=4x1 zero=3;\
                    dense from=6 out=5 zero=1;logits from=7 out=2";
        let parsed = Architecture::parse("8x8x2", text).unwrap();
        let written: std::vec::Vec<_> = parsed.steps.iter().map(|step| std::format!("{step}")).collect();
        assert_eq!(written.join(";"), text);
    }

    #[test]
    fn padding_of_one_side_is_read_and_written() {
        let text = "conv from=0 out=8 kernel=3x3 stride=2x2 padding=0x0:1x1 zero=0;depthwise from=1 kernel=1x4 stride=1x1 \
                    padding=0x3:0x0 zero=0;winograd from=2 out=4 padding=0x2:1x1 zero=0;values from=3 out=640 zero=9";
        let parsed = Architecture::parse("8x8x2", text).unwrap();
        let shapes = parsed.steps.iter().map(|step| (step.geometry.output.height, step.geometry.output.width));
        assert_eq!(shapes.collect::<std::vec::Vec<_>>(), [(4, 4), (4, 4), (3, 5), (1, 1)]);
        let written: std::vec::Vec<_> = parsed.steps.iter().map(|step| std::format!("{step}")).collect();
        assert_eq!(written.join(";"), text);
        assert_eq!((parsed.classes(), parsed.has_values(), parsed.version()), (0, true, 2));
        for (bad, why) in [
            ("1x1:1x1", NodeDefect::Attribute),
            ("1x1:", NodeDefect::Attribute),
            ("1x1:1x0:1x1", NodeDefect::Attribute),
            ("0x0:3x0", NodeDefect::Window),
        ] {
            let node = std::format!("conv from=0 out=8 kernel=3x3 stride=1x1 padding={bad} zero=0");
            assert_eq!(defect(&node), (0, why), "{bad}");
        }
    }

    #[test]
    fn only_new_forms_raise_the_version() {
        let version = |image: &str, nodes: &str| Architecture::parse(image, nodes).unwrap().version();
        let logits = "logits from=1 out=2";
        assert_eq!(version("8x8x2", &std::format!("{CONV};{logits}")), 1);
        let pool = "max from=0 kernel=1x1 stride=1x1";
        let many = |nodes: usize| std::vec![pool; nodes].join(";");
        assert_eq!(version("8x8x2", &std::format!("{};{logits}", many(23))), 1);
        assert_eq!(version("8x8x2", &std::format!("{};{logits}", many(24))), 2);
        assert_eq!(version("1x257x2", &std::format!("max from=0 kernel=1x9 stride=1x9;{logits}")), 2);
        assert_eq!(version("8x8x2", "values from=0 out=2 zero=0"), 2);
    }

    #[test]
    fn every_defect_has_its_name() {
        assert_eq!(defect("blur from=0"), (0, NodeDefect::Operation));
        assert_eq!(defect(""), (0, NodeDefect::Operation));
        for bad in ["logits from=0", "logits out=2", "logits from=0 out=2 zero=1", "logits from=0 out=2 out=2"] {
            assert_eq!(defect(bad), (0, NodeDefect::Attribute), "{bad}");
        }
        for bad in
            ["logits from=0 out", "logits from=0 out=-1", "max from=0 kernel=2x2", "max from=0 kernel=2 stride=2"]
        {
            assert_eq!(defect(bad), (0, NodeDefect::Attribute), "{bad}");
        }
        assert_eq!(defect("logits from=1 out=2"), (0, NodeDefect::Order));
        assert_eq!(defect(&std::format!("{CONV};add from=1 other=0 zero=0")), (1, NodeDefect::Operands));
        assert_eq!(defect("max from=0 kernel=9x9 stride=1x1"), (0, NodeDefect::Window));
        assert_eq!(defect("max from=0 kernel=2x2 stride=0x1"), (0, NodeDefect::Window));
        assert_eq!(defect("conv from=0 out=8 kernel=1x1 stride=1x1 padding=1x1 zero=0"), (0, NodeDefect::Window));
        // Two channels.
        assert_eq!(defect("winograd from=0 out=8 padding=1x1 zero=0"), (0, NodeDefect::Window));
        assert_eq!(defect("winograd from=0 out=8 kernel=3x3 padding=1x1 zero=0"), (0, NodeDefect::Attribute));
        assert_eq!(defect("dense from=0 out=5000 zero=0"), (0, NodeDefect::TooLarge));
        assert_eq!(defect("max from=0 kernel=1025x1 stride=1x1"), (0, NodeDefect::TooLarge));
        assert_eq!(defect("logits from=0 out=200"), (0, NodeDefect::TooLarge));
        assert_eq!(defect(CONV), (0, NodeDefect::Logits));
        assert_eq!(defect("logits from=0 out=2;logits from=0 out=2"), (1, NodeDefect::Logits));
        let many = std::vec!["max from=0 kernel=1x1 stride=1x1"; MAX_NODES + 1].join(";");
        assert!(matches!(Architecture::parse("8x8x2", &many), Err(ModelError::TooMany(Countable::Layers))));
        for bad in ["8x8", "8x8x5", "0x8x1", "8x8x1x1", "8x1025x1", "axbxc"] {
            assert!(matches!(Architecture::parse(bad, CONV), Err(ModelError::Metadata(Key::Image))), "{bad}");
        }
    }
}
