//! Writes the images that a device kept to files, to be labeled and trained on; `tools/docs/samples.md` defines the
//! format.

use crate::Error;
use crate::input::picture::Picture;
use crate::table;
use safetensors::tensor::{Dtype, TensorView};
use sirocco::retain::Sample;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// Name of the table, which has one row per image.
pub const TABLE: &str = "samples.csv";
/// The table's columns.
const COLUMNS: [&str; 6] = ["file", "number", "class", "entropy", "abstained", "label"];
/// Name of the file with all pixels, in the order of the table's rows.
pub const TENSORS: &str = "samples.safetensors";

/// The images that a device kept, and what it knows about them.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// Rows, columns and channels of an image.
    pub shape: [usize; 3],
    /// Names of the classes.
    pub classes: &'a [String],
    /// What the device knows about each image.
    pub samples: &'a [Sample],
    /// The images: rows x columns x channels bytes each.
    pub images: &'a [Vec<u8>],
    /// The board that kept them.
    pub board: &'a str,
    /// Checksum of the model that classified them.
    pub crc32: u32,
}

/// Writes all files to a folder. A table that exists is never overwritten: it may hold labels.
///
/// # Errors
/// [`Error::Samples`] if there is a table, [`Error::File`] if a file cannot be written.
pub fn write(folder: &Path, fetched: &Fetched<'_>) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let table = folder.join(TABLE);
    if table.exists() {
        return Err(Error::Samples(table));
    }
    let [height, width, channels] = fetched.shape;
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    for (sample, image) in fetched.samples.iter().zip(fetched.images) {
        let file = format!("image-{:06}.png", sample.number);
        let class = fetched.classes.get(usize::from(sample.class)).map_or_else(String::new, |name| harmless(name));
        let picture = Picture { height, width, channels, bytes: image.clone() };
        let picture = picture.png().map_err(|e| std::io::Error::other(e.to_string()));
        save(&folder.join(&file), &picture.map_err(Error::file(folder.join(&file)))?)?;
        let Sample { number, entropy, abstained, .. } = sample;
        rows.push([file, number.to_string(), class, entropy.to_string(), abstained.to_string(), String::new()]);
    }
    save(&folder.join(TENSORS), &tensors(fetched).map_err(Error::file(folder.join(TENSORS)))?)?;
    // The table comes last: where it exists, all other files are complete.
    save(&table, table::text(rows).as_bytes())
}

fn tensors(fetched: &Fetched<'_>) -> std::io::Result<Vec<u8>> {
    let Fetched { shape: [height, width, channels], classes, samples, images, board, crc32 } = *fetched;
    let pixels: Vec<u8> = images.iter().flatten().copied().collect();
    let numbers: Vec<u8> = samples.iter().flat_map(|s| s.number.to_le_bytes()).collect();
    let entropies: Vec<u8> = samples.iter().flat_map(|s| s.entropy.to_le_bytes()).collect();
    let given: Vec<u8> = samples.iter().map(|s| s.class).collect();
    let n = samples.len();
    let view = |dtype, shape: &[usize], bytes| TensorView::new(dtype, shape.to_vec(), bytes);
    let failed = |e: safetensors::SafeTensorError| std::io::Error::other(e.to_string());
    let tensors = [
        ("images", view(Dtype::U8, &[n, height, width, channels], &pixels).map_err(failed)?),
        ("number", view(Dtype::U32, &[n], &numbers).map_err(failed)?),
        ("entropy", view(Dtype::F32, &[n], &entropies).map_err(failed)?),
        ("class", view(Dtype::U8, &[n], &given).map_err(failed)?),
    ];
    let metadata = [
        ("kind", "samples".to_owned()),
        ("format", "1".to_owned()),
        ("classes", classes.join(",")),
        ("board", board.to_owned()),
        ("model.crc32", format!("{crc32:08x}")),
    ];
    let metadata: HashMap<String, String> = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    safetensors::serialize(tensors, Some(metadata)).map_err(failed)
}

/// A name that a spreadsheet does not take for a formula.
fn harmless(name: &str) -> String {
    let formula = name.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{name}") } else { name.to_owned() }
}

/// Writes a file completely or not at all.
fn save(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::picture::read;
    use sirocco_pictures::Background;

    #[test]
    fn a_folder_holds_what_was_fetched_and_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("samples");
        let sample = |number, class| Sample { number, entropy: 0.5, class, abstained: true };
        let (samples, images) = ([sample(3, 1), sample(12, 0)], [vec![1, 2, 3, 4, 5, 6], vec![6, 5, 4, 3, 2, 1]]);
        let fetched = Fetched {
            shape: [1, 2, 3],
            classes: &["=cmd|calc".into(), "dog, small".into()],
            samples: &samples,
            images: &images,
            board: "qemu-mps2-an386",
            crc32: 0xABC,
        };
        write(&folder, &fetched).unwrap();
        let table = std::fs::read_to_string(folder.join(TABLE)).unwrap();
        let rows = "file,number,class,entropy,abstained,label\nimage-000003.png,3,\"dog, small\",0.5,true,\n\
            image-000012.png,12,'=cmd|calc,0.5,true,\n";
        assert_eq!(table, rows);
        assert_eq!(read(&folder.join("image-000012.png"), Background::Auto).unwrap().bytes, images[1]);
        let bytes = std::fs::read(folder.join(TENSORS)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let pixels = tensors.tensor("images").unwrap();
        assert_eq!((pixels.shape(), pixels.data()), (&[2, 1, 2, 3][..], images.concat().as_slice()));
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()["model.crc32"], "00000abc");
        let again = write(&folder, &fetched).unwrap_err().to_string();
        assert!(again.contains(TABLE) && again.contains(';'), "{again}");
    }
}
