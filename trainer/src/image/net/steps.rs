//! The steps that evaluate an architecture: shapes are checked, ReLU is joined to the layer before it, pooling to the
//! normalization before it, and weights are numbered.

use super::architecture::{Architecture, Layer};
use super::error::NetworkError;
use super::kernel::norm::Norm;
use super::kernel::pool::{Kind, Pool};
use sirocco::layer::shape::{Geometry, Shape, Window};

/// One step of the evaluation. Weights are numbers into the network's list; a bias follows its weight there, a shift
/// its gain.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Convolution and bias, perhaps ReLU.
    Conv {
        /// Shapes.
        geometry: Geometry,
        /// Number of the weights.
        weight: usize,
        /// max(0, y) at the end.
        relu: bool,
    },
    /// Batch normalization, perhaps ReLU and pooling.
    Norm {
        /// Shapes, ReLU and pooling.
        norm: Norm,
        /// Number of the gains.
        gain: usize,
        /// Number of the running moments.
        moments: usize,
    },
    /// Pooling.
    Pool(Pool),
    /// `[c, h, w]` to `[c h w]`.
    Flatten,
    /// Dropout of this share.
    Dropout(f32),
    /// Dense layer, perhaps ReLU.
    Dense {
        /// Number of the weights.
        weight: usize,
        /// max(0, y) at the end.
        relu: bool,
    },
    /// max(0, body(x) + shortcut(x)).
    Residual {
        /// The layers.
        body: Vec<Step>,
        /// The layers of the summand.
        shortcut: Vec<Step>,
    },
}

/// A tensor of weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Name in files, such as `conv1.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Inputs of one output; first weights are uniform within 1 / sqrt of this number. 0 for gains, which begin at 1, and
    /// shifts, which begin at 0.
    pub fan_in: usize,
}

/// Steps, weights and cost of an architecture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps {
    /// The steps in order.
    pub list: Vec<Step>,
    /// Tensors of weights.
    pub slots: Vec<Slot>,
    /// Channels of every normalization.
    pub normalized: Vec<usize>,
    /// Multiply-accumulates of convolutions and dense layers for one image.
    pub macs: usize,
}

impl Steps {
    /// The steps of an architecture.
    ///
    /// # Errors
    /// [`NetworkError::Layer`] for the first layer that does not fit, [`NetworkError::Classes`] if the last value is not one
    /// logit per class.
    pub fn new(architecture: &Architecture) -> Result<Self, NetworkError> {
        let mut steps = Steps::default();
        let mut shape = architecture.input.to_vec();
        steps.list = steps.join(&architecture.layers, &mut shape).map_err(|(layer, input, what)| {
            NetworkError::Layer { network: architecture.name.clone(), layer: format!("{layer:?}"), input, what }
        })?;
        if shape != [architecture.classes] {
            let (network, classes) = (architecture.name.clone(), architecture.classes);
            return Err(NetworkError::Classes { network, outputs: shape, classes });
        }
        Ok(steps)
    }

    /// The number of weights, biases, gains and shifts.
    pub fn parameters(&self) -> usize {
        self.slots.iter().map(|s| s.shape.iter().product::<usize>()).sum()
    }

    /// The steps of `layers`; `shape` becomes that of their output.
    fn join(&mut self, layers: &[Layer], shape: &mut Vec<usize>) -> Result<Vec<Step>, Misfit> {
        let mut steps = Vec::new();
        for layer in layers {
            let input = shape.clone();
            if *layer == Layer::Relu {
                match steps.last_mut() {
                    Some(
                        Step::Conv { relu, .. }
                        | Step::Norm { norm: Norm { relu, pool: None, .. }, .. }
                        | Step::Dense { relu, .. },
                    ) => *relu = true,
                    _ => return Err((layer.clone(), input, "ReLU stands after Conv, BatchNorm or Dense")),
                }
                continue;
            }
            let step = self.step(layer, shape).map_err(|e| e.into_misfit(layer, input))?;
            match (steps.last_mut(), step) {
                (Some(Step::Norm { norm: Norm { pool: none @ None, .. }, .. }), Step::Pool(pool)) => *none = Some(pool),
                (_, step) => steps.push(step),
            }
        }
        Ok(steps)
    }

    fn step(&mut self, layer: &Layer, shape: &mut Vec<usize>) -> Result<Step, Fault> {
        let image = || match shape[..] {
            [channels, height, width] => Ok(Shape { channels, height, width }),
            _ => Err(Fault::Here("it takes channels, rows, columns")),
        };
        match layer {
            Layer::Conv { filters, kernel, stride, padding } => {
                let input = image()?;
                let window = Window::square(*kernel, *stride, *padding);
                let geometry = Geometry::new(input, *filters, window).ok_or(Fault::Here("the kernel does not fit"))?;
                let weight = self.slots.len();
                self.pair("conv", vec![*filters, input.channels, *kernel, *kernel], geometry.taps());
                self.macs += geometry.taps() * geometry.output.size();
                *shape = vec![*filters, geometry.output.height, geometry.output.width];
                Ok(Step::Conv { geometry, weight, relu: false })
            }
            Layer::BatchNorm => {
                let Shape { channels, height, width } = image()?;
                let gain = self.slots.len();
                self.pair("norm", vec![channels], 0);
                self.normalized.push(channels);
                let moments = self.normalized.len() - 1;
                Ok(Step::Norm { norm: Norm { plane: height * width, relu: false, pool: None }, gain, moments })
            }
            Layer::MaxPool(size) | Layer::AveragePool(size) => {
                let Shape { channels, height, width } = image()?;
                if *size == 0 || *size > height || *size > width {
                    return Err(Fault::Here("the window is larger"));
                }
                let kind = if matches!(layer, Layer::MaxPool(_)) { Kind::Max } else { Kind::Average };
                let pool = Pool { kind, size: *size, height, width };
                *shape = vec![channels, pool.output()[0], pool.output()[1]];
                Ok(Step::Pool(pool))
            }
            Layer::Flatten => {
                *shape = vec![shape.iter().product()];
                Ok(Step::Flatten)
            }
            Layer::Dropout(share) if (0.0..1.0).contains(share) => Ok(Step::Dropout(*share)),
            Layer::Dropout(_) => Err(Fault::Here("the share is not in [0, 1)")),
            Layer::Dense(outputs) => {
                let [inputs] = shape[..] else { return Err(Fault::Here("flatten it first")) };
                let weight = self.slots.len();
                self.pair("dense", vec![*outputs, inputs], inputs);
                self.macs += outputs * inputs;
                *shape = vec![*outputs];
                Ok(Step::Dense { weight, relu: false })
            }
            Layer::Residual { body, shortcut } => {
                let mut other = shape.clone();
                let body = self.join(body, shape).map_err(Fault::Inside)?;
                let shortcut = self.join(shortcut, &mut other).map_err(Fault::Inside)?;
                if *shape != other {
                    return Err(Fault::Here("body and shortcut end in different shapes"));
                }
                Ok(Step::Residual { body, shortcut })
            }
            Layer::Relu => Err(Fault::Here("ReLU stands after Conv, BatchNorm or Dense")),
        }
    }

    fn pair(&mut self, kind: &str, shape: Vec<usize>, fan_in: usize) {
        let number = 1 + self.slots.iter().filter(|s| s.name.starts_with(kind)).count() / 2;
        let (first, second) = if fan_in == 0 { ("gain", "shift") } else { ("weight", "bias") };
        let bias = vec![shape[0]];
        self.slots.push(Slot { name: format!("{kind}{number}.{first}"), shape, fan_in });
        self.slots.push(Slot { name: format!("{kind}{number}.{second}"), shape: bias, fan_in });
    }
}

/// A layer, its input, and why they do not fit.
type Misfit = (Layer, Vec<usize>, &'static str);

enum Fault {
    Here(&'static str),
    Inside(Misfit),
}

impl Fault {
    fn into_misfit(self, layer: &Layer, input: Vec<usize>) -> Misfit {
        match self {
            Fault::Here(what) => (layer.clone(), input, what),
            Fault::Inside(misfit) => misfit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::architecture::{PRESETS, preset};
    use super::*;

    #[test]
    fn the_presets_cost_what_they_should() {
        let cost = |name: &str| {
            let steps = Steps::new(&preset(name, 10).unwrap()).unwrap();
            (steps.parameters(), steps.macs)
        };
        assert_eq!(cost("lenet16"), (8_234, 107_136));
        assert_eq!(cost("thesis-mlp"), (784 * 16 + 16 + 170, 784 * 16 + 160));
        assert_eq!(cost("thesis-digits").0, 160 + 32 + 4_640 + 64 + 6_272 * 32 + 32 + 330);
        let (parameters, macs) = cost("resnet8");
        assert!((77_000..79_500).contains(&parameters) && (12_400_000..12_600_000).contains(&macs));
        for p in PRESETS {
            Steps::new(&preset(p.name, 100).unwrap()).unwrap();
        }
    }

    #[test]
    fn pooling_joins_the_normalization_before_it() {
        let layers = vec![Layer::BatchNorm, Layer::Relu, Layer::MaxPool(2), Layer::MaxPool(4), Layer::Flatten];
        let steps = Steps::new(&Architecture { name: "pools".into(), input: [2, 8, 8], classes: 2, layers }).unwrap();
        let pool = |size, side| Pool { kind: Kind::Max, size, height: side, width: side };
        let norm = Norm { plane: 64, relu: true, pool: Some(pool(2, 8)) };
        let joined = [Step::Norm { norm, gain: 0, moments: 0 }, Step::Pool(pool(4, 4)), Step::Flatten];
        assert_eq!(steps.list, joined);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let broken = |layers: Vec<Layer>| {
            let network = Architecture { name: "broken".into(), input: [1, 8, 8], classes: 2, layers };
            Steps::new(&network).unwrap_err().to_string()
        };
        assert!(broken(vec![Layer::Dense(2)]).contains("flatten it first"));
        assert!(broken(vec![Layer::Relu]).contains("stands after"));
        assert!(broken(vec![Layer::BatchNorm, Layer::MaxPool(2), Layer::Relu]).contains("stands after"));
        assert!(broken(vec![Layer::MaxPool(9)]).contains("the window is larger"));
        assert!(broken(vec![Layer::Flatten, Layer::Dense(3)]).contains("2 classes"));
        assert!(broken(vec![Layer::Flatten, Layer::Dropout(1.0)]).contains("share"));
        let narrower = vec![Layer::MaxPool(2)];
        let residual = Layer::Residual { body: narrower, shortcut: Vec::new() };
        assert!(broken(vec![residual]).contains("different shapes"));
        assert!(preset("lenet", 10).unwrap_err().to_string().contains("lenet16, thesis-digits"));
    }
}
