//! What answers questions: a device on a port, or this machine from a model file, with the same bits; or this machine by the
//! Runge-Kutta method, for problems that no model covers.

use crate::Error;
use crate::client::{Client, ClientError, answered};
use crate::input::model_file::ModelFile;
use crate::input::quantities::{self, system};
use sirocco::bundle::Certificate;
use sirocco::calibrate::{self, Calibration, CalibrationError, Forecast, Forward, Numerical, Observation, Task};
use sirocco::ode::Ode;
use sirocco::query::{Query, QueryError};
use sirocco::trajectory::{Point, Trajectory};
use sirocco::wire::{DeviceError, Info, ask};

/// A solution bundle, on a device or in a file, or equations that are solved here.
pub struct Solver {
    place: Place,
    ode: Ode,
    domain: Vec<(f32, f32)>,
    name: String,
}

enum Place {
    Device(Box<Client>),
    Here(ModelFile),
    Equations(Numerical),
}

impl Solver {
    /// A device, with the information it gave about itself.
    ///
    /// # Errors
    /// [`Error::NoBundle`] if it holds an image network, [`Error::Usage`] if the system of its bundle is unknown here.
    pub fn device(client: Client, info: &Info) -> Result<Self, Error> {
        let (ode, domain) = system(&info.model)?;
        let domain = domain.to_vec();
        let name = format!("{} on {}", info.board, client.port());
        Ok(Solver { place: Place::Device(Box::new(client)), ode, domain, name })
    }

    /// A model file, evaluated on this machine.
    ///
    /// # Errors
    /// [`Error::Model`] if it is not a valid solution bundle.
    pub fn here(file: ModelFile) -> Result<Self, Error> {
        let (ode, domain) = {
            let bundle = file.bundle()?;
            (bundle.ode(), bundle.domain().iter().map(|range| (range.lo, range.hi)).collect())
        };
        let name = file.path().display().to_string();
        Ok(Solver { place: Place::Here(file), ode, domain, name })
    }

    /// Equations, and the domain in which this machine solves them.
    pub fn equations(numerical: Numerical) -> Self {
        let ode = numerical.ode();
        let domain = numerical.domain().iter().map(|range| (range.lo, range.hi)).collect();
        let name = format!("the Runge-Kutta method for {}", ode.name());
        Solver { place: Place::Equations(numerical), ode, domain, name }
    }

    /// The system of equations.
    pub fn ode(&self) -> Ode {
        self.ode
    }

    /// The ranges that the model was trained on, in the order of the system's quantities.
    pub fn domain(&self) -> &[(f32, f32)] {
        &self.domain
    }

    /// A name for people: the board and its port, or the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks that the device answers.
    ///
    /// # Errors
    /// [`Error::Client`] if it does not.
    pub fn is_there(&mut self) -> Result<(), Error> {
        match &mut self.place {
            Place::Device(client) => Ok(client.ask(ask::Info).map(|_| ())?),
            Place::Here(_) | Place::Equations(_) => Ok(()),
        }
    }

    /// The states of a problem at many times.
    ///
    /// # Errors
    /// [`Error::Query`] if one of them has no answer, [`Error::Client`] if the device fails.
    pub fn trajectory(&mut self, trajectory: &Trajectory) -> Result<Vec<Point>, Error> {
        let points: Result<_, _> = match &mut self.place {
            Place::Device(client) => answered(client.trajectory(trajectory))?,
            Place::Here(file) => {
                let bundle = file.bundle()?;
                bundle
                    .solution(&trajectory.problem)
                    .and_then(|solution| (0..trajectory.points).map_while(|k| solution.point(trajectory, k)).collect())
            }
            Place::Equations(numerical) => {
                let times = (0..trajectory.points).map_while(|k| trajectory.query(k));
                times.map(|query| Ok(numerical.certify(&query)?.prediction.into())).collect()
            }
        };
        points.map_err(|source| self.unanswered(&trajectory.problem, source))
    }

    /// The state and its certificate, or why the query has no answer.
    ///
    /// # Errors
    /// [`Error::Client`] if the device fails.
    pub fn certify(&mut self, query: &Query) -> Result<Result<Certificate, QueryError>, Error> {
        Ok(match &mut self.place {
            Place::Device(client) => answered(client.ask(ask::Certify(*query)))?,
            Place::Here(file) => file.bundle()?.certify(query),
            Place::Equations(numerical) => numerical.certify(query),
        })
    }

    /// The estimates from these observations, or why there are none; from a device also the ticks of its clock they
    /// took.
    ///
    /// # Errors
    /// [`Error::Client`] if the device fails.
    pub fn calibrate(
        &mut self,
        observations: &[Observation],
        task: &Task,
    ) -> Result<Result<(Calibration, Option<u32>), CalibrationError>, Error> {
        match &mut self.place {
            Place::Device(client) => {
                client.observe(observations)?;
                match client.ask(ask::Calibrate(*task)) {
                    Ok(answer) => Ok(Ok(answer)),
                    Err(ClientError::Device { source: DeviceError::Calibration(error), .. }) => Ok(Err(error)),
                    Err(error) => Err(error.into()),
                }
            }
            Place::Here(file) => Ok(calibrate::calibrate(&file.bundle()?, observations, task).map(|c| (c, None))),
            Place::Equations(numerical) => Ok(calibrate::calibrate(numerical, observations, task).map(|c| (c, None))),
        }
    }

    /// What follows from `calibration`, which must be the last one made here: the reproduction number at the time
    /// `now`, the state at `horizon`; or why there is no answer.
    ///
    /// # Errors
    /// [`Error::Client`] if the device fails.
    pub fn forecast(
        &mut self,
        calibration: &Calibration,
        now: f32,
        horizon: f32,
    ) -> Result<Result<Forecast, QueryError>, Error> {
        Ok(match &mut self.place {
            Place::Device(client) => answered(client.ask(ask::Forecast(now, horizon)))?,
            Place::Here(file) => calibrate::forecast(&file.bundle()?, calibration, now, horizon),
            Place::Equations(numerical) => calibrate::forecast(numerical, calibration, now, horizon),
        })
    }

    /// The error that reports a query without an answer.
    pub fn unanswered(&self, query: &Query, source: QueryError) -> Error {
        Error::Query { query: quantities::text(self.ode, query), source }
    }
}
