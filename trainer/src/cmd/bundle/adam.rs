//! The part of training that is Adam's: its recipe, its device, its state.

use super::training::{Job, Options, Trained};
use crate::bundle::optimize::adam::{self, Recipe, Settings, State};
use crate::cmd::error::Error;
use crate::cmd::output::Output;

impl Job {
    pub(super) fn adam(&self, options: &Options, output: Output) -> Result<Trained, Error> {
        let recipe = options.recipe.unwrap_or(Recipe::Thesis);
        let budget = options.budget(recipe.steps());
        let device = options.compute.open()?;
        let settings = Settings { recipe, points: recipe.points(), budget, seed: options.seed, device };
        let mut identity = self.identity(options, recipe.points());
        identity.insert("recipe".into(), recipe.name().into());
        let mut session = self.session(options, output, budget, identity)?;
        let mut state = State::new(self.start.clone());
        if let Some((checkpoint, path)) = session.saver.load()? {
            state.restore(&checkpoint, path)?;
        }
        let stop = session.interrupt.clone();
        let ending = adam::run(&self.problem, &settings, &mut state, &stop, |state| {
            session.progress.update(state.step, state.loss);
            session.keep(|identity| Ok(state.checkpoint(identity)));
        })?;
        session.finish(|identity| Ok(state.checkpoint(identity)))?;
        let score = if state.best_score.is_finite() { state.best_score } else { state.loss };
        Ok(Trained { mlp: state.answer(), iterations: state.step, seconds: state.seconds, score, ending })
    }
}
