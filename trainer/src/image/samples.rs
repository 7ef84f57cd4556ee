//! Images that a device kept, with the labels that a person gave them: `tools/docs/samples.md` has the format.

use crate::dataset::Images;
use crate::dataset::images::ImagesError;
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

/// The table in which a person fills in the labels.
const TABLE: &str = "samples.csv";
/// The pixels.
const TENSORS: &str = "samples.safetensors";

/// Labeled samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// The images that have a label.
    pub images: Images,
    /// The number of images that have none.
    pub unlabeled: usize,
    /// Checksum of the device's model, as eight hexadecimal digits.
    pub model: String,
}

/// Why samples cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// The table or the tensors cannot be read.
    #[error("{}: {source}; give the folder that `sirocco samples fetch` wrote", .path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A tensor or a metadata entry violates the format.
    #[error("{}: `{what}` is missing or has the wrong type or shape; fetch the samples again", .path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor or metadata entry.
        what: &'static str,
    },
    /// A row of the table violates the format.
    #[error("{}, line {line}: {what}; keep the columns and rows as they were, and fill in `label`", .path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// No image has a label.
    #[error("{}: no row has a label; fill in the column `label`, or look at the PNG files first", .0.display())]
    NoLabel(PathBuf),
    /// The images do not fit the network.
    #[error("{}: images of {got:?} for a network that takes {wanted:?} (channels, rows, columns); finetune the network that the device has", .path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The shape of the images.
        got: [usize; 3],
        /// The shape that the network takes.
        wanted: [usize; 3],
    },
    /// The images are not a set.
    #[error(transparent)]
    Images(#[from] ImagesError),
}

impl Samples {
    /// Reads a folder. Labels are names of `classes`; images have the `shape` (channels, rows, columns).
    ///
    /// # Errors
    /// [`SamplesError`] if a file cannot be read or violates the format, no image has a label, or images have another shape.
    pub fn read(folder: &Path, classes: &[String], shape: [usize; 3]) -> Result<Self, SamplesError> {
        let table = folder.join(TABLE);
        let text =
            std::fs::read_to_string(&table).map_err(|source| SamplesError::Table { path: table.clone(), source })?;
        let path = folder.join(TENSORS);
        let bad = |what| SamplesError::Tensor { path: path.clone(), what };
        // A plain safetensors file: unlike a model, it has no checksum.
        let file = std::fs::read(&path).map_err(|source| SamplesError::Table { path: path.clone(), source })?;
        let tensors = SafeTensors::deserialize(&file).map_err(|_| bad("images"))?;
        let (_, header) = SafeTensors::read_metadata(&file).map_err(|_| bad("kind"))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let entry = |key: &'static str| metadata.get(key).cloned().ok_or_else(|| bad(key));
        if entry("kind")? != "samples" || entry("format")? != "1" {
            return Err(bad("kind"));
        }
        let model = entry("model.crc32")?;
        let images = tensors.tensor("images").map_err(|_| bad("images"))?;
        let numbers = tensors.tensor("number").map_err(|_| bad("number"))?;
        let &[count, height, width, channels] = images.shape() else { return Err(bad("images")) };
        if images.dtype() != safetensors::Dtype::U8 {
            return Err(bad("images"));
        }
        if numbers.dtype() != safetensors::Dtype::U32 || numbers.shape() != [count] {
            return Err(bad("number"));
        }
        if [channels, height, width] != shape {
            return Err(SamplesError::Shape { path, got: [channels, height, width], wanted: shape });
        }
        let numbers = numbers.data().as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n));
        let labels = labels(&table, &text, numbers, classes)?;
        let size = height * width * channels;
        let (mut pixels, mut classes_given) = (Vec::new(), Vec::new());
        for (image, label) in images.data().chunks_exact(size.max(1)).zip(&labels) {
            let Some(label) = label else { continue };
            // The device's images have their channels last, training's first.
            let plane = |c: usize| image.iter().skip(c).step_by(channels).map(|byte| f32::from(*byte) / 255.0);
            pixels.extend((0..channels).flat_map(plane));
            classes_given.push(*label);
        }
        if classes_given.is_empty() {
            return Err(SamplesError::NoLabel(table));
        }
        let unlabeled = labels.len() - classes_given.len();
        Ok(Samples { images: Images::new(shape, pixels, classes_given, classes.len())?, unlabeled, model })
    }
}

/// The label of every image, in the tensors' order.
fn labels(
    path: &Path,
    text: &str,
    numbers: impl ExactSizeIterator<Item = u32>,
    classes: &[String],
) -> Result<Vec<Option<u8>>, SamplesError> {
    let bad = |line: usize, what: String| SamplesError::Row { path: path.to_owned(), line, what };
    let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let header = lines.next().map_or(Vec::new(), |(line, _)| fields(line));
    let column = |name: &str| header.iter().position(|field| field.trim() == name);
    let (Some(number), Some(label)) = (column("number"), column("label")) else {
        return Err(bad(1, "no columns `number` and `label`".into()));
    };
    let mut labels = Vec::new();
    let (wanted, mut numbers) = (numbers.len(), numbers);
    for (line, k) in lines {
        let fields = fields(line);
        let Some(expected) = numbers.next() else { return Err(bad(k, format!("more than {wanted} rows"))) };
        let found = fields.get(number).and_then(|field| field.trim().parse::<u32>().ok());
        if found != Some(expected) {
            return Err(bad(k, format!("this row should be about image {expected}")));
        }
        let name = fields.get(label).map_or("", |field| field.trim());
        let class = classes.iter().position(|class| class == name);
        match class.and_then(|class| u8::try_from(class).ok()) {
            Some(class) => labels.push(Some(class)),
            None if name.is_empty() => labels.push(None),
            None => return Err(bad(k, format!("`{name}` is none of the classes {}", classes.join(", ")))),
        }
    }
    match labels.len() {
        n if n == wanted => Ok(labels),
        n => Err(bad(n + 1, format!("{n} rows, there are {wanted} images"))),
    }
}

/// The fields of a line; those in quotes may hold commas, and quotes doubled.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            // Spreadsheets in some languages write semicolons.
            ',' | ';' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::{Dtype, tensor::TensorView};

    fn folder(table: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let pixels: Vec<u8> = (0..12).map(|k| k * 20).collect();
        let numbers: Vec<u8> = [7u32, 3].iter().flat_map(|n| n.to_le_bytes()).collect();
        let tensors = [
            ("images", TensorView::new(Dtype::U8, vec![2, 1, 2, 3], &pixels).unwrap()),
            ("number", TensorView::new(Dtype::U32, vec![2], &numbers).unwrap()),
        ];
        let metadata = [("kind", "samples"), ("format", "1"), ("model.crc32", "0123abcd")];
        let metadata = metadata.map(|(k, v)| (k.to_string(), v.to_string())).into();
        std::fs::write(folder.path().join(TENSORS), safetensors::serialize(tensors, Some(metadata)).unwrap()).unwrap();
        std::fs::write(folder.path().join(TABLE), table).unwrap();
        folder
    }

    fn read(table: &str) -> Result<Samples, String> {
        let classes = ["cat".to_string(), "dog, small".to_string()];
        Samples::read(folder(table).path(), &classes, [3, 1, 2]).map_err(|e| e.to_string())
    }

    #[test]
    fn labeled_rows_become_images_with_channels_first() {
        let samples = read("file,number,class,label\na.png,7,cat,\"dog, small\"\nb.png,3,cat,\n").unwrap();
        assert_eq!((samples.images.labels.as_slice(), samples.unlabeled), (&[1][..], 1));
        let bytes: Vec<f32> = samples.images.pixels.iter().map(|p| (p * 255.0).round()).collect();
        assert_eq!(bytes, [0.0, 60.0, 20.0, 80.0, 40.0, 100.0]);
        assert_eq!(samples.model, "0123abcd");
        let semicolons = read("number;label\r\n7;cat\r\n3;cat\r\n").unwrap();
        assert_eq!(semicolons.images.labels, [0, 0]);
    }

    #[test]
    fn every_mistake_is_named() {
        for (table, what) in [
            ("", "line 1: no columns"),
            ("number,label\n7,cat\n", "1 rows, there are 2 images"),
            ("number,label\n7,cat\n3,cat\n9,cat\n", "line 4: more than 2 rows"),
            ("number,label\n3,cat\n7,cat\n", "line 2: this row should be about image 7"),
            ("number,label\n7,cat\n3,cow\n", "line 3: `cow` is none of the classes cat"),
            ("number,label\n7,\n3,\n", "no row has a label"),
        ] {
            let error = read(table).unwrap_err();
            assert!(error.contains(what) && error.contains(TABLE) && error.contains(';'), "{error}");
        }
        let shape = Samples::read(folder("number,label\n7,a\n3,a\n").path(), &["a".into()], [1, 16, 16]);
        assert!(shape.unwrap_err().to_string().contains("[1, 16, 16]"));
        assert!(
            Samples::read(Path::new("/no/such/folder"), &[], [1, 1, 1])
                .unwrap_err()
                .to_string()
                .contains("samples fetch")
        );
    }
}
