//! `sirocco samples`: the images that a device kept.

use crate::Error;
use crate::input::sample_files::{Fetched, write};
use crate::output::Output;
use crate::port::{HELP, PortArguments};
use serde::Serialize;
use sirocco::retain::Sample;
use sirocco::wire::ask;
use std::path::PathBuf;

/// List, fetch or clear the images about which a device was most uncertain
///
/// A device with an image network keeps the images with the highest predictive entropy. `fetch` writes each as a PNG
/// file, and all of them as samples.safetensors and samples.csv. Fill in the column `label` of samples.csv; then
/// `sirocco-train image finetune --samples DIR` trains on them. tools/docs/samples.md describes the files.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco samples list --port /dev/ttyACM0
  sirocco samples fetch --port /dev/ttyACM0 --out samples
  sirocco samples clear --port /dev/ttyACM0 --json

{HELP}"))]
pub struct Arguments {
    /// What to do
    #[arg(value_enum)]
    action: Action,
    #[command(flatten)]
    port: PortArguments,
    /// Folder for the files of `fetch`; it is created if it does not exist
    #[arg(long, value_name = "DIR", required_if_eq("action", "fetch"))]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    /// Show which images are kept
    List,
    /// Write the images to a folder
    Fetch,
    /// Remove all kept images from the device
    Clear,
}

#[derive(Serialize)]
struct Report {
    samples: Vec<Row>,
    /// How many images the device can keep.
    room: u16,
    /// How many images it classified since the model was opened.
    images: u32,
    abstained: u32,
    /// The folder that `fetch` wrote.
    out: Option<PathBuf>,
    cleared: bool,
}

/// A kept image.
#[derive(Serialize)]
pub(crate) struct Row {
    number: u32,
    class: String,
    entropy: f32,
    abstained: bool,
}

impl Row {
    /// What is known about a kept image, with its class by name.
    pub(crate) fn of(sample: &Sample, classes: &[String]) -> Self {
        let Sample { number, class, entropy, abstained } = *sample;
        let class = classes.get(usize::from(class)).cloned().unwrap_or_default();
        Row { number, class, entropy, abstained }
    }
}

/// Lists, fetches or clears the kept images.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let (mut client, info) = arguments.port.connect(output)?;
    let description = client.ask(ask::ImageDescribe)?;
    let classes = client.classes()?;
    let samples = client.samples()?;
    let mut out = None;
    match (arguments.action, &arguments.out) {
        (Action::Fetch, Some(folder)) => {
            let (height, width) = (description.height.into(), description.width.into());
            let channels = description.channels.into();
            let mut images = Vec::new();
            for sample in &samples {
                images.push(client.fetch_sample(sample.number, height * width * channels)?);
            }
            let fetched = Fetched {
                shape: [height, width, channels],
                classes: &classes,
                samples: &samples,
                images: &images,
                board: &info.board,
                crc32: info.model.crc32,
            };
            write(folder, &fetched)?;
            out = Some(folder.clone());
        }
        (Action::Clear, _) => client.ask(ask::SamplesClear)?,
        _ => {}
    }
    let report = Report {
        samples: samples.iter().map(|sample| Row::of(sample, &classes)).collect(),
        room: description.samples_room,
        images: description.images,
        abstained: description.abstained,
        out,
        cleared: arguments.action == Action::Clear,
    };
    output.result(&report, |report| report.print());
    Ok(())
}

impl Report {
    fn print(&self) {
        let Report { samples, room, images, .. } = self;
        if self.cleared {
            say!("{} samples removed", samples.len());
            return;
        }
        say!("{} of at most {room} samples kept, of {images} images", samples.len());
        for Row { number, class, entropy, abstained } in samples {
            let note = if *abstained { ", withheld" } else { "" };
            say!("image {number:>6}  {class:<12} entropy {entropy:.3} nats{note}");
        }
        if let Some(out) = &self.out {
            say!("written to {}; fill in the column `label` of samples.csv", out.display());
        }
    }
}
