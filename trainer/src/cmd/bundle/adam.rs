//! The part of training that is Adam's: recipe, device, checkpoints.

use super::training::{Job, Options, Saver, Trained};
use crate::bundle::optimize::adam::{self, Recipe, Settings, State};
use crate::cmd::Error;
use crate::host::checkpoint::Checkpoint;
use crate::host::interrupt::Interrupt;
use crate::host::progress::Progress;

impl Job {
    pub(super) fn adam(&self, options: &Options, interrupt: &Interrupt) -> Result<Trained, Error> {
        let recipe = options.recipe.unwrap_or(Recipe::Thesis);
        let budget = options.budget(recipe.steps());
        let device = options.compute.open()?;
        let settings = Settings { recipe, points: recipe.points(), budget, seed: options.seed, device };
        let mut identity = self.identity(options, recipe.points());
        identity.insert("recipe".into(), recipe.name().into());
        let mut state = match options.resumed() {
            Some(path) => State::restore(&Checkpoint::load(path, &identity)?, path, &self.start)?,
            None => State::new(self.start.clone()),
        };
        let mut saver = Saver::new(options, identity);
        let mut progress = Progress::new(self.preset.name, budget, options.output.verbosity());
        let ending = adam::run(&self.problem, &settings, &mut state, interrupt, |state| {
            progress.update(state.step, state.loss);
            saver.now_and_then(|identity| state.checkpoint(identity))
        })?;
        progress.finish();
        saver.save(|identity| state.checkpoint(identity))?;
        let score = if state.best_score.is_finite() { state.best_score } else { state.loss };
        Ok(Trained { mlp: state.answer(), iterations: state.step, seconds: state.seconds, score, ending })
    }
}
