//! Model files that were changed on purpose and whose checksum was made good again. Whatever a mutant says, nothing panics or
//! hangs, and an answer that a mutant calls trusted is not off by more than the bound that it states.
//!
//! `SIROCCO_MUTANTS=20000 cargo test --workspace --test suites -- mutants::` tries more of them.

use sirocco::held::Held;
use sirocco::layer::kernel::Portable;
use sirocco::model::{CRC_DIGITS, crc_of};
use sirocco::query::Query;
use sirocco_tests::program::root;
use sirocco_trainer::bundle::evaluate::{distance, solve};
use sirocco_trainer::host::model_file;
use sirocco_trainer::host::random::{Purpose, Random};
use std::time::{Duration, Instant};

/// Files of every form and number format.
const FILES: [&str; 9] = [
    "firmware/app/assets/sir.safetensors",
    "tests/data/sir-full.safetensors",
    "tests/data/sir-quick-i16.safetensors",
    "tests/data/sir-full-i8i16.safetensors",
    "tests/data/digits-int8.safetensors",
    "tests/fuzz/corpus/model_reader/reduced-f32",
    "tests/fuzz/corpus/model_reader/conserved-i16",
    "tests/fuzz/corpus/model_reader/image",
    "tests/fuzz/corpus/model_reader/signed",
];
/// Opening a mutant and asking it takes no longer than this, on a host.
const LONGEST: Duration = Duration::from_secs(1);
/// Queries of each bundle that opens.
const QUERIES: usize = 6;
const MARK: &[u8] = b"\"sirocco.crc32\":\"";

/// A whole number below `limit`.
fn below(random: &mut Random, limit: usize) -> usize {
    (random.uniform() * limit as f64) as usize
}

/// One to four changes: a flipped bit, a byte, a digit of the header, or a number that is extreme.
fn change(bytes: &mut [u8], random: &mut Random) {
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for _ in 0..1 + below(random, 4) {
        let data = below(random, 10) < 7;
        let (begin, end) = if data { (header, bytes.len()) } else { (8, header) };
        if begin == end {
            continue;
        }
        let at = begin + below(random, end - begin);
        match below(random, 4) {
            0 => bytes[at] ^= 1 << below(random, 8),
            1 => bytes[at] = below(random, 256) as u8,
            2 if data => {
                let number = [f32::NAN, f32::INFINITY, -1e30, 1e-30, 0.0, 1.0][below(random, 6)];
                let at = begin + (at - begin) / 4 * 4;
                if let Some(place) = bytes.get_mut(at..at + 4) {
                    place.copy_from_slice(&number.to_le_bytes());
                }
            }
            _ => {
                let digits = (begin..end).filter(|at| bytes[*at].is_ascii_digit()).count();
                let digit = (begin..end).filter(|at| bytes[*at].is_ascii_digit()).nth(below(random, digits.max(1)));
                if let Some(at) = digit {
                    bytes[at] = b'0' + below(random, 10) as u8;
                }
            }
        }
    }
}

fn repair(bytes: &mut [u8]) {
    if let Some(at) = bytes.windows(MARK.len()).position(|window| window == MARK).map(|at| at + MARK.len())
        && at + CRC_DIGITS <= bytes.len()
    {
        let crc = format!("{:08x}", crc_of(bytes, at..at + CRC_DIGITS));
        bytes[at..at + CRC_DIGITS].copy_from_slice(crc.as_bytes());
    }
}

/// What became of the mutants.
#[derive(Debug, Default)]
struct Tally {
    opened: usize,
    asked: usize,
    trusted: usize,
    worst: f64,
}

impl Tally {
    /// Asks for a certificate; where the mutant trusts its answer, the bound has to hold.
    fn ask(&mut self, bundle: &sirocco::bundle::Bundle<'_>, query: &Query, name: &str) {
        self.asked += 1;
        let Ok(certificate) = bundle.certify(query) else { return };
        // The truth of an epidemic that turns over ten thousand times takes longer than the test.
        if !certificate.trusted || query.t * query.rates.iter().fold(0.0f32, |a, b| a.max(*b)) > 1e4 {
            return;
        }
        if let Some(bound) = certificate.bound {
            self.trusted += 1;
            let error = distance(&certificate.prediction.state, &solve(bundle, query));
            self.worst = self.worst.max(error / f64::from(bound));
            assert!(error <= f64::from(bound), "{name}: error {error:e}, bound {bound:e} at {query:?}");
        }
    }
}

#[test]
fn mutants_neither_hang_nor_break_a_bound() {
    let number = std::env::var("SIROCCO_MUTANTS").ok().and_then(|number| number.parse().ok()).unwrap_or(1000);
    let files = FILES.map(|name| (name, model_file::read(&root().join(name)).unwrap()));
    let mut tally = Tally::default();
    for k in 0..number {
        let mut random = Random::new(17, Purpose::Attack, k as u64);
        let (name, file) = &files[k % files.len()];
        let mut bytes = file.clone();
        change(&mut bytes, &mut random);
        repair(&mut bytes);
        let begin = Instant::now();
        let held = Held::open_prefix::<Portable>(&bytes);
        tally.opened += usize::from(held.is_ok());
        let mut queries = Vec::new();
        match &held {
            Ok(Held::Bundle(bundle)) => {
                bundle.self_test();
                queries = bundle.probes(k as u64).take(QUERIES).collect();
                for query in &queries {
                    let _ = bundle.certify(query);
                }
            }
            Ok(Held::Image(image)) => {
                let mut arena = vec![0; image.network.arena()];
                let pixels: Vec<u8> =
                    (0..image.network.image().size()).map(|_| below(&mut random, 256) as u8).collect();
                let _ = image.network.classify::<Portable>(&pixels, &mut arena);
            }
            Err(_) => {}
        }
        let took = begin.elapsed();
        assert!(took < LONGEST, "mutant {k} of {name} took {took:?}");
        if let Ok(Held::Bundle(bundle)) = &held {
            queries.iter().for_each(|query| tally.ask(bundle, query, &format!("mutant {k} of {name}")));
        }
    }
    println!("{number} mutants: {tally:?}");
    assert!(tally.opened * 20 > number && tally.trusted > 0, "{tally:?}");
}
