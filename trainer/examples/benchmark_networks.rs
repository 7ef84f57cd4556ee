//! Writes the networks that instructions are counted on: `cargo run --release -p sirocco-trainer --example
//! benchmark_networks -- target/bench`.

use sirocco_trainer::host::atomic;
use sirocco_trainer::image::benchmark;
use std::path::PathBuf;

/// Seed of the weights.
const SEED: u64 = 0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name the folder to write to")?);
    std::fs::create_dir_all(&folder)?;
    for name in benchmark::NAMES {
        let exported = benchmark::network(name, SEED).ok_or("no such network")??;
        let path = folder.join(name).with_extension("safetensors");
        atomic::write(&path, &exported.bytes)?;
        println!(
            "{}: {} bytes, {} MACs, arena {} bytes, seed {SEED}",
            path.display(),
            exported.bytes.len(),
            exported.macs,
            exported.arena
        );
    }
    Ok(())
}
