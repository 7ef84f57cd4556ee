//! The options of a study: seeds, form, optimizer, effort.

use super::run::{Method, Run, Start};
use crate::bundle::load::Loaded;
use crate::bundle::optimize::adam;
use crate::bundle::optimize::lm::Schedule;
use crate::bundle::preset::{Preset, Recipe};
use crate::bundle::problem::Form;
use sirocco::query::Query;
use std::path::PathBuf;

/// Options of all studies.
#[derive(Debug)]
pub struct Setting {
    /// Seeds of training.
    pub seeds: Vec<u64>,
    /// Form of the trial solution, if the user wants one.
    pub form: Option<Form>,
    /// Adam's recipe, if the user wants Adam.
    pub adam: Option<adam::Recipe>,
    /// How much is computed.
    pub effort: Effort,
    /// The model file whose curves are shown instead of those of the presets.
    pub model: Option<(PathBuf, Loaded)>,
    /// The queries whose curves are shown for it.
    pub queries: Vec<Query>,
}

/// How much is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Name in the report.
    pub name: &'static str,
    /// Most iterations of a pretrained network; its preset may have fewer.
    pub pretrain: usize,
    /// Iterations of finetuning, and of the networks that are trained from random weights for comparison.
    pub tune: usize,
    /// Most collocation points of a round.
    pub points: usize,
    /// Steps of Adam: of pretraining, and of finetuning.
    pub adam: [usize; 2],
    /// Random problems of a loss map.
    pub draws: usize,
    /// Cells along a side of the point-to-bundle maps.
    pub cells: usize,
    /// One of this many steps of a series is taken.
    pub stride: usize,
}

impl Effort {
    /// The effort behind the figures in the documentation.
    pub const FULL: Effort = Effort {
        name: "full",
        pretrain: 1500,
        tune: 120,
        points: 4096,
        adam: [10_000, 2_000],
        draws: 1000,
        cells: 9,
        stride: 1,
    };
    /// A look at everything in seconds: the figures mean little.
    pub const QUICK: Effort =
        Effort { name: "quick", pretrain: 30, tune: 12, points: 256, adam: [100, 50], draws: 60, cells: 3, stride: 3 };
}

impl Setting {
    /// The form that the user wants, or the one that the study takes otherwise.
    pub fn form(&self, usual: Form) -> Form {
        match self.form {
            Some(form) => form,
            None if self.adam.is_some() => Form::Conserved,
            None => usual,
        }
    }

    /// Iterations of finetuning, or steps of Adam.
    pub fn tune(&self) -> usize {
        if self.adam.is_some() { self.effort.adam[1] } else { self.effort.tune }
    }

    /// The network of a preset, trained as `bundle train` does, or less with a smaller effort.
    pub fn pretrained(&self, preset: &Preset, form: Form, seed: u64) -> Run {
        self.pretrained_by(preset, form, preset.recipe(form), seed)
    }

    /// The network of a preset, trained by another recipe than its own.
    pub fn pretrained_by(&self, preset: &Preset, form: Form, recipe: Recipe, seed: u64) -> Run {
        let Recipe { hidden, iterations, points, .. } = recipe;
        let (method, hidden, iterations) = match self.adam {
            Some(recipe) => (Method::Adam(recipe), crate::bundle::optimize::adam::HIDDEN, self.effort.adam[0]),
            None => {
                let points = points.min(self.effort.points);
                (Method::Lm { points, schedule: Schedule::Gain }, hidden, iterations.min(self.effort.pretrain))
            }
        };
        Run {
            ode: preset.ode,
            form,
            domain: preset.domain.to_vec(),
            hidden: hidden.to_vec(),
            start: Start::Random,
            method,
            iterations,
            seed,
            watched: false,
        }
    }

    /// `source` taken to another box and trained there for [`Setting::tune`] iterations, and the same training from random
    /// weights.
    pub fn pair(&self, source: &Run, domain: &[(f64, f64)]) -> [Run; 2] {
        let tuned = Run {
            start: Start::From(Box::new(source.clone())),
            domain: domain.to_vec(),
            iterations: self.tune(),
            watched: true,
            ..source.clone()
        };
        let scratch = Run { start: Start::Random, ..tuned.clone() };
        [tuned, scratch]
    }
}
