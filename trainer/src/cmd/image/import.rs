//! `image import`

use crate::cmd::error::Error;
use crate::cmd::output::Output;
use crate::host::model_file::Metadata;
use crate::image::import::{self, Imported};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Make a device's file of a network that another program has trained
///
/// Takes TFLite files of 8-bit integers, as TensorFlow's converter writes them with representative data: a device computes with
/// the same integers, so nothing is calibrated. Convolutions, depthwise convolutions, dense layers, sums, pooling, means, padding
/// and ReLU become layers of a device; a softmax at the end makes the outputs classes. Anything else is refused with the number
/// and the name of its operator. Prints what the network costs a device. With --images, the device's evaluator answers images of
/// yours, to be compared with what the program that trained it says about them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// File to import
    #[arg(value_name = "TFLITE")]
    file: PathBuf,
    /// Names of the classes, in the order of the outputs: a list with commas, or a file with a name on each line. Without it,
    /// outputs of a softmax are numbered, and other outputs are values and no classes
    #[arg(long, value_name = "NAMES|FILE")]
    classes: Option<String>,
    /// Bytes of images to evaluate, one image after the other, row by row, channels last; a signed byte is given as 128 more
    #[arg(long, value_name = "FILE", requires = "outputs")]
    images: Option<PathBuf>,
    /// File for the outputs about --images: a 32-bit float per class, little-endian, or a byte per value
    #[arg(long, value_name = "FILE", requires = "images")]
    outputs: Option<PathBuf>,
    /// Model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image import pretrainedResnet_quant.tflite --out resnet.safetensors \\
      --classes airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck
  The same images through the device's evaluator as through the interpreter of the other program:
    sirocco-train image import ad01_int8.tflite --images sound.bin --outputs values.bin --out anomaly.safetensors
  Onto a board:
    sirocco push resnet.safetensors --port /dev/ttyACM0";

/// The report.
#[derive(Serialize)]
struct Report<'a> {
    /// Rows, columns and channels of an image.
    image: [usize; 3],
    /// Names of the classes; none if the outputs are values.
    classes: &'a [String],
    /// Number of outputs.
    outputs: usize,
    nodes: usize,
    parameters: u32,
    macs: u32,
    bytes: usize,
    /// Bytes of working memory.
    arena: usize,
    /// Predicted for a Cortex-M4.
    instructions_dsp: u64,
    instructions_portable: u64,
    /// Images evaluated.
    images: usize,
    file: &'a Path,
}

/// Reads, converts, writes.
///
/// # Errors
/// [`Error`] if a file cannot be read or written, or a device cannot compute the network.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let source = fs::read(&arguments.file).map_err(|e| unreadable(&arguments.file, &e))?;
    let classes = arguments.classes.as_deref().map(names).transpose()?;
    let name = arguments.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let entries = [("imported.file", name), ("software", crate::host::SOFTWARE.to_owned())];
    let provenance = Metadata::from(entries.map(|(key, value)| (key.to_owned(), value)));
    let imported = import::tflite(&source, classes, &provenance)?;
    let images = match (&arguments.images, &arguments.outputs) {
        (Some(images), Some(outputs)) => evaluate(&imported, images, outputs)?,
        _ => 0,
    };
    crate::host::atomic::write(&arguments.out, &imported.bytes)?;
    let Imported { bytes, graph, arena, macs, parameters, instructions } = &imported;
    let report = Report {
        image: [graph.input.height, graph.input.width, graph.input.channels],
        classes: &graph.classes,
        outputs: graph.nodes.last().map_or(0, |node| node.weights.bias.len()),
        nodes: graph.nodes.len(),
        parameters: *parameters,
        macs: *macs,
        bytes: bytes.len(),
        arena: *arena,
        instructions_dsp: instructions[0],
        instructions_portable: instructions[1],
        images,
        file: &arguments.out,
    };
    output.result(&report, |report| say!("{}", report.text()));
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::Usage(format!("cannot read {}: {error}; check the path", path.display()))
}

/// Names from a list, or from the lines of a file.
fn names(text: &str) -> Result<Vec<String>, Error> {
    let path = Path::new(text);
    let names: Vec<String> = if path.is_file() {
        let lines = fs::read_to_string(path).map_err(|e| unreadable(path, &e))?;
        lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    } else {
        text.split(',').map(|name| name.trim().to_owned()).collect()
    };
    match names.iter().find(|name| name.is_empty() || name.contains(',')) {
        None if !names.is_empty() => Ok(names),
        bad => {
            let bad = bad.map_or("", String::as_str);
            Err(Error::Usage(format!("`{bad}` in --classes is no name of a class; give names without commas")))
        }
    }
}

/// Writes the outputs for all images of a file; returns how many there are.
fn evaluate(imported: &Imported, images: &Path, outputs: &Path) -> Result<usize, Error> {
    let bytes = fs::read(images).map_err(|e| unreadable(images, &e))?;
    let size = imported.graph.input.size();
    if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
        let (path, length) = (images.display(), bytes.len());
        let why = format!(
            "{path} has {length} bytes, which are no whole images of {size}; check the order of its dimensions"
        );
        return Err(Error::Usage(why));
    }
    crate::host::atomic::write(outputs, &imported.outputs(&bytes)?)?;
    Ok(bytes.len() / size)
}

impl Report<'_> {
    fn text(&self) -> String {
        let [height, width, channels] = self.image;
        let outputs = if self.classes.is_empty() {
            format!("{} values", self.outputs)
        } else {
            format!("{} classes", self.outputs)
        };
        let images = if self.images == 0 { String::new() } else { format!("\n{} images evaluated", self.images) };
        format!(
            "{height}x{width}x{channels} to {outputs} in {} nodes: {} parameters, {} MACs\n{} bytes, {} bytes of working memory, \
             about {} instructions on a Cortex-M4, {} without its DSP ones{images}\nwrote {}",
            self.nodes,
            self.parameters,
            self.macs,
            self.bytes,
            self.arena,
            self.instructions_dsp,
            self.instructions_portable,
            self.file.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_a_list_or_a_file() {
        assert_eq!(names("cat, dog").unwrap(), ["cat", "dog"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.txt");
        fs::write(&path, "cat\n\ndog\n").unwrap();
        assert_eq!(names(path.to_str().unwrap()).unwrap(), ["cat", "dog"]);
        assert!(names("cat,,dog").is_err());
        fs::write(&path, "cat,dog\n").unwrap();
        assert!(names(path.to_str().unwrap()).is_err());
    }
}
