//! `bundle study`

use super::training::{FormChoice, Optimizer};
use crate::bundle::load;
use crate::bundle::optimize::adam;
use crate::bundle::problem::Form;
use crate::cmd::error::Error;
use crate::cmd::options::Threads;
use crate::cmd::output::Output;
use crate::host::interrupt::Interrupt;
use crate::host::{self, clock};
use crate::report::html::{Highlight, Page};
use crate::study::bundle::bench::Bench;
use crate::study::bundle::setting::{Effort, Setting};
use crate::study::bundle::{self as study, Study};
use crate::study::pieces::Cost;
use crate::study::{StudyError, findings};
use clap::builder::{PossibleValue, PossibleValuesParser};
use serde::Serialize;
use sirocco::ode::Ode;
use sirocco::query::Query;
use std::path::PathBuf;

/// Name that means every study.
const EVERY: &str = "all";

/// Study how training, transfer and distance affect loss and error
///
/// Each study writes tables (CSV, JSON) and plots (SVG) into its own folder in DIR, and all studies in DIR are collected
/// in DIR/report.html. Prints what each study has found. Finished training runs are kept in DIR/pieces, so an interrupted
/// command that is repeated goes on where it was, and studies share the networks that they have in common.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Study to run
    #[arg(value_parser = names())]
    name: String,
    /// Folder for the report, tables, plots and finished pieces
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of seeds for every training run, counted from --seed
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::builder::RangedU64ValueParser::<u64>::new().range(1..=1000))]
    seeds: u64,
    /// First seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Form of the trial solution. Unless given, the form that suits the study; with adam, generic
    #[arg(long, value_enum)]
    form: Option<FormChoice>,
    /// Method that finds the weights; adam only for `finetune`
    #[arg(long, value_enum, default_value_t = Optimizer::Lm)]
    optimizer: Optimizer,
    /// For adam: learning rate and points per step; `thesis` unless given
    #[arg(long, value_enum)]
    recipe: Option<adam::Recipe>,
    /// Show every part of the study within seconds, by small networks with hardly any training
    #[arg(long)]
    quick: bool,
    /// For `curves`: model file whose trajectories are shown, in place of newly trained networks
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// With --model: problem whose trajectory is shown, such as I0=0.3,R0=0.2,beta=0.6,gamma=0.5. May be repeated;
    /// the middle of the box unless given
    #[arg(long, value_name = "NAME=VALUE,...", requires = "model")]
    query: Vec<String>,
    #[command(flatten)]
    threads: Threads,
}

const EXAMPLES: &str = "\
Examples:
  Everything, with a report to look at:
    sirocco-train bundle study all --out studies
  How much sooner does a pretrained network arrive, by the recipe of the literature?
    sirocco-train bundle study finetune --optimizer adam --out studies-adam
  Curves of a model file:
    sirocco-train bundle study curves --model full.safetensors \\
        --query I0=0.3,R0=0.2,beta=0.6,gamma=0.5 --out curves";

fn names() -> PossibleValuesParser {
    let every = PossibleValue::new(EVERY).help("Every one of these");
    let values = study::ALL.iter().map(|s| PossibleValue::new(s.name).help(s.what));
    PossibleValuesParser::new(values.chain([every]))
}

/// What is printed of one study.
#[derive(Debug, Serialize)]
struct Done {
    study: &'static str,
    seen: Vec<String>,
    figures: serde_json::Value,
    #[serde(flatten)]
    cost: Cost,
    folder: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    studies: Vec<Done>,
    seeds: Vec<u64>,
    effort: &'static str,
    optimizer: &'static str,
    cpu_seconds: Option<f64>,
    report: PathBuf,
}

/// Runs the studies and writes the report.
///
/// # Errors
/// Options that do not go together; a model file that cannot be used; folders that cannot be written.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let setting = arguments.setting()?;
    arguments.threads.apply()?;
    let interrupt = Interrupt::on_ctrl_c("stopping; what is finished is kept, run the same command again to go on")?;
    let studies = study::ALL.iter().filter(|s| arguments.name == EVERY || s.name == arguments.name);
    let mut done = Vec::new();
    for study in studies {
        done.push(arguments.study(study, &setting, &interrupt, output)?);
    }
    let report = arguments.out.join("report.html");
    arguments.page(&setting).write(&report)?;
    let report = Report {
        studies: done,
        seeds: setting.seeds,
        effort: setting.effort.name,
        optimizer: arguments.optimizer.name(),
        cpu_seconds: clock::cpu_seconds(),
        report,
    };
    output.result(&report, |report| say!("{}", report.text()));
    Ok(())
}

impl Arguments {
    fn study(
        &self,
        study: &Study,
        setting: &Setting,
        interrupt: &Interrupt,
        output: Output,
    ) -> Result<Done, StudyError> {
        let bench = Bench::new(setting, study.name, &self.out, interrupt.clone(), output.verbosity())?;
        let found = (study.answer)(&bench)?;
        let (effort, cost) = (setting.effort.name, bench.pieces.cost());
        let seeds = setting.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let provenance = format!(
            "Effort {effort}, seeds {seeds}. {} training runs, {:.0} CPU seconds with their measurements (shared with other \
             studies where they need the same networks). Numbers: {name}/*.csv, {name}/results.json.",
            cost.pieces,
            cost.cpu_seconds,
            name = study.name,
        );
        let results = serde_json::json!({
            "study": study.name, "seen": found.seen(), "figures": found.figures, "effort": effort,
            "seeds": setting.seeds, "cost": cost, "software": host::SOFTWARE,
        });
        found.write(&bench.folder, study.what, provenance, &results)?;
        let seen = found.seen().into_iter().map(str::to_owned).collect();
        Ok(Done { study: study.name, cost, seen, figures: found.figures, folder: bench.folder })
    }

    /// The options, checked against one another.
    fn setting(&self) -> Result<Setting, Error> {
        let adam = self.optimizer == Optimizer::Adam;
        if adam && self.name != study::finetune::STUDY.name {
            let why = format!("--optimizer adam is for the study `finetune`, not `{}`; leave it out", self.name);
            return Err(Error::Usage(why));
        }
        if self.form == Some(FormChoice::Phase) {
            let why = "the studies compare domains, and the form by phase has none; leave out --form";
            return Err(Error::Usage(why.into()));
        }
        if adam && self.form == Some(FormChoice::Reduced) {
            return Err(Error::Usage("--optimizer adam studies the generic form; leave out --form reduced".into()));
        }
        if self.recipe.is_some() && !adam {
            return Err(Error::Usage("--recipe is an option of adam; leave it out or add --optimizer adam".into()));
        }
        if self.model.is_some() && self.name != study::curves::STUDY.name {
            let why = format!("--model is for the study `curves`, not `{}`; leave it out", self.name);
            return Err(Error::Usage(why));
        }
        let model = match &self.model {
            Some(path) => Some((path.clone(), load::bundle(path)?)),
            None => None,
        };
        if let Some((path, loaded)) = &model
            && loaded.problem.form == Form::Phase
        {
            let why = "has the form `phase`; the study follows residuals in time, which that form does not train on";
            return Err(Error::Usage(format!("`{}` {why}", path.display())));
        }
        let ode = model.as_ref().map_or(Ode::Sir, |(_, loaded)| loaded.problem.ode);
        let queries = self.query.iter().map(|text| query(ode, text)).collect::<Result<_, Error>>()?;
        Ok(Setting {
            seeds: (self.seed..self.seed.saturating_add(self.seeds)).collect(),
            form: self.form.map(|form| form.of(ode)),
            adam: adam.then(|| self.recipe.unwrap_or_default()),
            effort: if self.quick { Effort::QUICK } else { Effort::FULL },
            model,
            queries,
        })
    }

    /// The report on all studies that have left a section in the folder.
    fn page(&self, setting: &Setting) -> Page {
        let sections: Vec<_> = study::ALL.iter().filter_map(|s| findings::section(&self.out.join(s.name))).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cpu = clock::cpu_seconds().map_or("unknown".to_owned(), |s| format!("{s:.0} s"));
        let pair = |key: &str, value: String| (key.to_owned(), value);
        Page {
            title: "Studies of solution bundles".to_owned(),
            lead: "What is seen when networks that solve whole families of epidemics are trained, moved and pushed \
                   beyond their box. LogLoss is the natural logarithm of the squared residual of the equations, averaged \
                   over points and summed over the components; errors are against a high-order reference."
                .to_owned(),
            highlights: vec![
                Highlight::new("Studies", sections.len().to_string(), "in this folder"),
                Highlight::new("Seeds", setting.seeds.len().to_string(), "of every training run"),
                Highlight::new("CPU time", cpu, format!("of the last command, on {cores} cores")),
            ],
            provenance: vec![
                pair("last command", format!("bundle study {}", self.name)),
                pair("software", host::SOFTWARE.to_owned()),
                pair("effort", setting.effort.name.to_owned()),
                pair("optimizer", self.optimizer.name().to_owned()),
                pair("machine", format!("{} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH)),
            ],
            sections,
        }
    }
}

/// The problem that `name=value,...` states: every quantity of the system except time.
fn query(ode: Ode, text: &str) -> Result<Query, Error> {
    let names: Vec<_> = ode.quantity_names().skip(1).collect();
    let all = names.join(", ");
    let remedy = || Error::Usage(format!("--query {text}: give every one of {all} as name=value, separated by commas"));
    let mut quantities = vec![None; names.len()];
    for part in text.split(',') {
        let (name, value) = part.split_once('=').ok_or_else(remedy)?;
        let at = names.iter().position(|n| *n == name.trim()).ok_or_else(remedy)?;
        quantities[at] = Some(value.trim().parse::<f32>().map_err(|_| remedy())?);
    }
    let quantities: Option<Vec<f32>> = std::iter::once(Some(0.0)).chain(quantities).collect();
    let query = Query::from_quantities(ode, &quantities.ok_or_else(remedy)?);
    query.check(ode).map_err(|e| Error::Usage(format!("--query {text}: {e}; choose another problem")))?;
    Ok(query)
}

impl Report {
    fn text(&self) -> String {
        let mut text = String::new();
        for done in &self.studies {
            text += &format!("{}\n", done.study);
            done.seen.iter().for_each(|sentence| text += &format!("  {sentence}\n"));
        }
        let cpu = self.cpu_seconds.map_or(String::new(), |s| format!(" in {s:.1} CPU seconds"));
        let (seeds, report) = (self.seeds.len(), self.report.display());
        text + &format!("{seeds} seeds, effort {}{cpu}; open {report}", self.effort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_in_any_order_and_must_be_whole() {
        let read = query(Ode::Sir, "gamma=0.5, beta=0.6,R0=0.2,I0=0.3").unwrap();
        assert_eq!((read.initial[..2].to_vec(), read.rates[..2].to_vec()), (vec![0.3, 0.2], vec![0.6, 0.5]));
        for bad in ["I0=0.3", "I0=0.3,R0=0.2,beta=0.6,gamma=x", "I0=0.9,R0=0.9,beta=1,gamma=1", "I=0.3", ""] {
            assert!(query(Ode::Sir, bad).unwrap_err().to_string().contains("--query"), "{bad}");
        }
    }
}
