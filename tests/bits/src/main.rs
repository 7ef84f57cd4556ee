//! Prints the bits of a bundle's answers to reproducible queries, to compare machines, profiles and target CPUs.
//!
//! `cargo run -p sirocco-bits -- model.safetensors 1000`

use sirocco::bundle::Bundle;
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: bits FILE [QUERIES]")?;
    let queries: usize = arguments.next().map_or(Ok(1000), |n| n.parse())?;
    let file = std::fs::read(&path)?;
    // Model files are read in place, so their bytes must be aligned to 8.
    let mut words = vec![0u64; file.len().div_ceil(8)];
    let bytes = bytemuck::cast_slice_mut::<u64, u8>(&mut words);
    bytes[..file.len()].copy_from_slice(&file);
    let bundle = Bundle::open(&bytes[..file.len()]).map_err(|e| format!("{path}: {e}"))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for query in bundle.probes(0).take(queries) {
        match bundle.predict(&query) {
            Ok(p) => {
                for v in p.state.iter().chain(&p.derivative).chain(&p.residual) {
                    write!(out, "{:08x} ", v.to_bits())?;
                }
                writeln!(out, "{} {}", u8::from(p.in_domain), u8::from(p.plausible))?;
            }
            Err(e) => writeln!(out, "{e}")?,
        }
    }
    Ok(())
}
