//! Measurements over a grid of problems in (I0, R0), and their maps.

use super::probe::Probe;
use crate::bundle::mlp::Mlp;
use crate::bundle::problem::Problem;
use crate::report::plot::{Axis, Content, Figure, Panel};
use crate::study::StudyError;

/// Places of I0 and R0 among the quantities.
const AXES: [usize; 2] = [1, 2];

/// A grid of single problems over (I0, R0) of a box, row by row from below; other quantities have their middle values.
#[derive(Debug)]
pub struct Grid {
    /// Cells along a side.
    pub side: usize,
    box_: Vec<(f64, f64)>,
    /// Domain of every cell's own problem: all quantities but time fixed.
    pub cells: Vec<Vec<(f64, f64)>>,
    probes: Vec<Probe>,
}

/// Measurements of a network, one per cell.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Field {
    /// LogLoss over the problem's times.
    pub logloss: Vec<f64>,
    /// Largest error over them.
    pub max_error: Vec<f64>,
}

impl Grid {
    /// `side` times `side` cells over the box of `problem`.
    ///
    /// # Errors
    /// [`StudyError::Trainer`] if a cell is not a problem of the system.
    pub fn new(problem: &Problem, side: usize) -> Result<Self, StudyError> {
        let cell = |k: usize| {
            let middle = |(lo, hi): (f64, f64)| 0.5 * (lo + hi);
            let mut domain: Vec<(f64, f64)> = problem.domain.iter().map(|r| (middle(*r), middle(*r))).collect();
            domain[0] = problem.domain[0];
            for (axis, place) in AXES.into_iter().zip([k % side, k / side]) {
                let (lo, hi) = problem.domain[axis];
                let value = lo + (hi - lo) * (place as f64 + 0.5) / side as f64;
                domain[axis] = (value, value);
            }
            domain
        };
        let cells: Vec<_> = (0..side * side).map(cell).collect();
        let probe = |domain: &Vec<(f64, f64)>| Ok(Probe::new(&problem.moved(domain)?));
        let probes = cells.iter().map(probe).collect::<Result<_, StudyError>>()?;
        Ok(Grid { side, box_: problem.domain.clone(), cells, probes })
    }

    /// Measures one network in every cell.
    pub fn measure(&self, problem: &Problem, mlp: &Mlp) -> Field {
        self.probes.iter().map(|probe| probe.measure(problem, mlp)).collect()
    }

    /// A map of `values`, one per cell, with the color axis `color`.
    pub fn map(&self, title: &str, values: &[f64], color: Axis) -> Figure {
        let cells = values.iter().map(|v| Some(*v).filter(|v| v.is_finite())).collect();
        let axis = |label: &str, q: usize| Axis::linear(label).over(self.box_[q].0, self.box_[q].1);
        let content = Content::HeatMap { columns: self.side, cells, color };
        Figure::single(title, 400, Panel::new(300, axis("I0", AXES[0]), axis("R0", AXES[1]), content))
    }
}

impl FromIterator<(f64, f64)> for Field {
    fn from_iter<I: IntoIterator<Item = (f64, f64)>>(cells: I) -> Self {
        let (logloss, max_error) = cells.into_iter().unzip();
        Field { logloss, max_error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::preset;
    use crate::bundle::problem::Form;

    #[test]
    fn cells_tile_the_box_and_fix_everything_but_time() {
        let problem = preset::find("sir-initial-shifted").unwrap().problem(Form::Reduced).unwrap();
        let grid = Grid::new(&problem, 2).unwrap();
        let places: Vec<_> = grid.cells.iter().map(|c| (c[1].0, c[2].0)).collect();
        for (place, expected) in places.iter().zip([(0.325, 0.325), (0.375, 0.325), (0.325, 0.375), (0.375, 0.375)]) {
            assert!((place.0 - expected.0).abs() < 1e-12 && (place.1 - expected.1).abs() < 1e-12, "{places:?}");
        }
        assert!(grid.cells.iter().all(|c| c[0] == (0.0, 20.0) && c[1..].iter().all(|(lo, hi)| lo == hi)));
    }
}
