//! `sirocco info`: what a device says about itself.

use crate::Error;
use crate::client::ClientError;
use crate::cmd::classify::sign;
use crate::input::quantities::system;
use crate::output::{Output, finite};
use crate::port::{HELP, PortArguments};
use serde::Serialize;
use sirocco::summary::{Content, ModelKind};
use sirocco::wire::image::{Alarms, Description};
use sirocco::wire::store::Wear;
use sirocco::wire::trust::State;
use sirocco::wire::{DeviceError, Info, Memory, ask};

/// Ask a device what it is and which model it holds
///
/// Prints board, firmware and model: its system and domain or its images and classes, its size, and its error as
/// measured at export. For an image network also the threshold, the drift alarm and the number of kept images. Then whose
/// models the board takes, who may change it, and how worn its flash is.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco info --port /dev/ttyACM0
  sirocco info --port qemu:qemu-mps2-an386 --model model.safetensors --json

{HELP}"))]
pub struct Arguments {
    #[command(flatten)]
    port: PortArguments,
}

#[derive(Serialize)]
struct Report {
    board: String,
    firmware: String,
    model: Model,
    /// For an image network: the images it takes, and its settings.
    image: Option<Image>,
    slot_error: Option<String>,
    stack_high_water: Option<u32>,
    /// RAM in bytes, where the board measures it.
    memory: Option<Ram>,
    /// Whose models the device takes, and who may change it; null for firmware that knows no keys.
    trust: Option<Trust>,
    /// How often flash was written; null for firmware that does not count it.
    wear: Option<Worn>,
}

#[derive(Serialize)]
struct Trust {
    /// Fingerprints of the keys for models; without any, every model is taken.
    model_keys: Vec<String>,
    /// Fingerprints of the operators' keys; without any, everyone may change the device.
    operators: Vec<String>,
    lowest_serial: u32,
}

#[derive(Serialize)]
struct Worn {
    /// Files begun in each slot: how often its first page was erased.
    begun: [u32; 2],
    records: u32,
    begins_left: u32,
    activations_left: u32,
}

#[derive(Serialize)]
struct Ram {
    ram: u32,
    statics: u32,
    stack: u32,
    stack_high_water: u32,
}

#[derive(Serialize)]
struct Image {
    height: u16,
    width: u16,
    channels: u8,
    classes: Vec<String>,
    threshold: Option<f32>,
    entropy_mean: Option<f32>,
    entropy_deviation: Option<f32>,
    drift_score: Option<f32>,
    drift_alarm: bool,
    /// Whether the sequential test for drift watches, and how many images there are to a false alarm of it, on average.
    drift_sequential: bool,
    images_per_false_alarm: Option<f32>,
    /// The image at which the first alarm was raised since the watch began, and what was unusual.
    first_alarm: Option<u32>,
    drift_sign: Option<&'static str>,
    /// The first class that was answered more often than usual.
    frequent_class: Option<String>,
    /// Relative distance of the features above which answers are withheld.
    distance_limit: Option<f32>,
    images: u32,
    abstained: u32,
    samples: u16,
    samples_room: u16,
    /// Bytes of working memory that the network needs, and that there are.
    memory: u32,
    memory_room: u32,
}

#[derive(Serialize)]
struct Model {
    from_slot: bool,
    ode: String,
    form: String,
    scheme: String,
    bytes: u32,
    crc32: String,
    parameters: u32,
    macs: u32,
    max_error: Option<f32>,
    #[serde(serialize_with = "crate::output::map")]
    domain: Vec<(String, (f32, f32))>,
    golden: u16,
}

/// Asks the device.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let (mut client, info) = arguments.port.connect(output)?;
    let image = match info.model.kind() {
        ModelKind::Bundle => None,
        ModelKind::Image => Some(Image::of(client.ask(ask::ImageDescribe)?, client.alarms()?, client.classes()?)),
    };
    let memory = client.ask(ask::Statistics)?.memory;
    let trust = if_known(client.ask(ask::TrustState))?;
    let wear = if_known(client.ask(ask::ModelWear))?;
    let report = Report { trust: trust.map(Trust::of), wear: wear.map(Worn::of), ..report(&info, image, memory)? };
    output.result(&report, |report| {
        let model = &report.model;
        say!("board      {}, firmware {}", report.board, report.firmware);
        if let Some(error) = &report.slot_error {
            say!("slot       refused: {error}");
        }
        let origin = if model.from_slot { "slot" } else { "firmware" };
        say!("model      {} ({}, {}), from the {origin}", model.ode, model.form, model.scheme);
        say!("file       {} bytes, crc32 {}", model.bytes, model.crc32);
        say!("network    {} parameters, {} MACs", model.parameters, model.macs);
        for (name, (lo, hi)) in &model.domain {
            say!("domain     {name:<6} {lo} to {hi}");
        }
        match model.max_error {
            _ if report.image.is_some() => {}
            Some(error) => say!("error      at most {error:e} in the domain, as measured at export"),
            None => say!("error      not stated"),
        }
        say!("golden     {} queries or images", model.golden);
        if let Some(image) = &report.image {
            image.print();
        }
        if let Some(ram) = &report.memory {
            say!("RAM        {} bytes, {} for variables, {} for the stack", ram.ram, ram.statics, ram.stack);
            say!("stack      {} bytes used at most since reset", ram.stack_high_water);
        }
        Trust::print(report.trust.as_ref());
        if let Some(Worn { begun: [first, second], records, begins_left, activations_left }) = &report.wear {
            say!("flash      slot 0 erased {first} times, slot 1 {second} times, {records} records written");
            say!("           {begins_left} pushes and {activations_left} activations may follow at once");
        }
    });
    Ok(())
}

/// The answer, or nothing if the firmware is older than the question.
fn if_known<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Err(ClientError::Device { source: DeviceError::UnknownRequest { .. }, .. }) => Ok(None),
        answer => answer.map(Some),
    }
}

impl Trust {
    fn of(State { models, operators, lowest, .. }: State) -> Self {
        let names = |keys: &[u64]| keys.iter().map(|key| format!("{key:016x}")).collect();
        Trust { model_keys: names(&models), operators: names(&operators), lowest_serial: lowest }
    }

    fn print(trust: Option<&Self>) {
        match trust {
            Some(trust) if !trust.model_keys.is_empty() => {
                say!(
                    "models     signed by {}, serial number {} or higher",
                    trust.model_keys.join(" or "),
                    trust.lowest_serial
                );
            }
            _ => say!("models     signed or not, by anyone"),
        }
        match trust {
            Some(trust) if !trust.operators.is_empty() => {
                say!("changes    by operators only: {}", trust.operators.join(", "))
            }
            _ => say!("changes    by everyone who reaches the port"),
        }
    }
}

impl Worn {
    fn of(Wear { begun, records, begins_left, activations_left }: Wear) -> Self {
        Worn { begun, records, begins_left, activations_left }
    }
}

impl Image {
    fn of(d: Description, alarms: Alarms, classes: Vec<String>) -> Self {
        Image {
            drift_sequential: alarms.sequential,
            images_per_false_alarm: alarms.images_per_false_alarm,
            first_alarm: alarms.first.map(|alarm| alarm.number),
            drift_sign: alarms.first.map(|alarm| sign(alarm.sign)),
            frequent_class: alarms.frequent.and_then(|f| classes.get(usize::from(f.class)).cloned()),
            distance_limit: alarms.distance_limit,
            height: d.height,
            width: d.width,
            channels: d.channels,
            classes,
            threshold: d.threshold,
            entropy_mean: d.reference.map(|r| r.mean),
            entropy_deviation: d.reference.map(|r| r.deviation),
            drift_score: d.drift.score.and_then(finite),
            drift_alarm: d.drift.alarm,
            images: d.images,
            abstained: d.abstained,
            samples: d.samples,
            samples_room: d.samples_room,
            memory: d.memory,
            memory_room: d.memory_room,
        }
    }

    fn print(&self) {
        say!("images     {}x{}x{}, classes {}", self.height, self.width, self.channels, self.classes.join(", "));
        say!("arena      {} of {} bytes", self.memory, self.memory_room);
        match self.threshold {
            Some(threshold) => say!("withholds  answers with an entropy above {threshold} nats"),
            None => say!("withholds  no answers"),
        }
        say!("seen       {} images, {} answers withheld", self.images, self.abstained);
        if let Some(limit) = self.distance_limit {
            say!("withholds  answers with features {limit:.1} times as far from the training images as usual");
        }
        match (self.first_alarm, self.drift_sign) {
            (Some(number), Some(sign)) => {
                let now = if self.drift_alarm { "it goes on" } else { "the latest images are as usual" };
                say!("drift      ALARM, raised at image {number}: {sign}; {now}");
            }
            _ => say!("drift      {}", if self.drift_alarm { "ALARM" } else { "no alarm" }),
        }
        if let Some(images) = self.images_per_false_alarm {
            say!("           at most one false alarm in {images} images, on average");
        }
        if let Some(class) = &self.frequent_class {
            say!("answers    {class} is more frequent than usual; that alone is no drift");
        }
        say!("samples    {} of at most {} kept", self.samples, self.samples_room);
    }
}

fn report(info: &Info, image: Option<Image>, memory: Option<Memory>) -> Result<Report, Error> {
    let model = &info.model;
    let (max_error, domain) = match &model.content {
        Content::Bundle(bundle) => {
            let (ode, domain) = system(model)?;
            let names = ode.quantity_names().map(str::to_owned);
            (bundle.max_error, names.zip(domain.iter().copied()).collect())
        }
        Content::Image(_) => (0.0, Vec::new()),
    };
    Ok(Report {
        board: info.board.to_string(),
        firmware: info.firmware.to_string(),
        model: Model {
            from_slot: model.from_slot,
            ode: model.subject().to_owned(),
            form: model.form().to_string(),
            scheme: model.scheme.to_string(),
            bytes: model.bytes,
            crc32: format!("{:08x}", model.crc32),
            parameters: model.parameters,
            macs: model.macs,
            max_error: finite(max_error),
            domain,
            golden: model.golden,
        },
        image,
        slot_error: info.slot_error.map(|e| e.to_string()),
        stack_high_water: info.stack_high_water,
        memory: memory.map(|m| Ram {
            ram: m.ram,
            statics: m.statics,
            stack: m.stack(),
            stack_high_water: m.stack_high_water,
        }),
        trust: None,
        wear: None,
    })
}
