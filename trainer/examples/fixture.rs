//! Makes the built-in digits anew: `cargo run --release -p sirocco-trainer --example fixture -- DATA_FOLDER`.

use flate2::{Compression, GzBuilder};
use sirocco_pictures::Preparation;
use sirocco_trainer::dataset::format::idx;
use sirocco_trainer::dataset::{self, Folder, Split, prepare};
use std::error::Error;
use std::io::Write;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Folder::named(std::env::args().nth(1).as_deref().map(Path::new));
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixture");
    for (set, split, part, count) in [
        ("mnist", Split::Train, "train", 800),
        ("mnist", Split::Test, "test", 200),
        ("usps", Split::Train, "train", 600),
        ("usps", Split::Test, "test", 400),
    ] {
        let (_, drawn) = dataset::find(set)?.load(&folder, split)?.split(count, 0)?;
        let images = prepare(&drawn, &Preparation::default(), Some([16, 16]))?;
        let bytes: Vec<u8> = images.pixels.iter().map(|p| (p * 255.0).round() as u8).collect();
        let file = out.join(format!("{set}-{part}.gz"));
        // No time and no name in the header: the same images give the same file.
        let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        packed.write_all(&idx::write_images(16, 16, &bytes))?;
        packed.write_all(&idx::write_labels(&images.labels))?;
        sirocco_trainer::host::atomic::write(&file, &packed.finish()?)?;
        println!("{}: {count} images", file.display());
    }
    Ok(())
}
