//! Every criterion on small pools where the right answer is known.

use super::*;
use crate::image::net::architecture::{Architecture, Layer};
use crate::image::net::network::Normalization;
use candle_core::{Device, Tensor};

/// A network whose logits for an image of three pixels are the pixels.
fn identity() -> Network {
    let layers = vec![Layer::Flatten, Layer::Dense(3)];
    let architecture = Architecture { name: "identity".into(), input: [1, 1, 3], classes: 3, layers };
    let normalization = Normalization { mean: vec![0.0], deviation: vec![1.0] };
    let network = Network::random(&architecture, normalization, 0, &Device::Cpu).unwrap();
    network.variables[0].set(&Tensor::eye(3, candle_core::DType::F32, &Device::Cpu).unwrap()).unwrap();
    network.variables[1].set(&Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap()).unwrap();
    network
}

fn pool(rows: &[[f32; 3]], labels: &[u8]) -> Images {
    Images::new([1, 1, 3], rows.concat(), labels.to_vec(), 3).unwrap()
}

/// The choice of `budget` samples and the labels it looked at.
fn chosen(name: &str, pool: &Images, budget: usize, taken: &[bool]) -> (Vec<usize>, usize) {
    let mut ledger = Ledger::new(&pool.labels);
    let mut weights = vec![1.0 / pool.len() as f64; pool.len()];
    let network = identity();
    let mut view = View {
        network: &network,
        pool,
        validation: pool,
        ledger: &mut ledger,
        budget,
        taken,
        weights: &mut weights,
        seed: 3,
        round: 0,
        cache: OnceCell::new(),
    };
    let choice = choose(find(name).unwrap(), &mut view).unwrap();
    assert_eq!(choice.scores.len(), pool.len(), "{name} scores the whole pool");
    (choice.chosen, ledger.count())
}

/// Sure and right; torn between two; torn between three; sure and wrong; rather sure.
fn five() -> Images {
    let rows = [[9.0, 0.0, 0.0], [4.0, 3.9, 0.0], [1.0, 0.9, 0.7], [0.0, 9.0, 0.0], [0.0, 0.0, 2.0]];
    pool(&rows, &[0, 0, 1, 2, 2])
}

#[test]
fn uncertainty_is_what_each_criterion_says_it_is() {
    let free = [false; 5];
    let best = |name| chosen(name, &five(), 2, &free);
    assert_eq!(best("entropy-most"), (vec![2, 1], 0));
    assert_eq!(best("entropy-least").0[..1], [0]);
    assert_eq!(best("margin"), (vec![2, 1], 0));
    assert_eq!(best("temperature").1, 5, "calibration reads the labels of validation");
    assert_eq!(best("highest-loss"), (vec![3, 2], 5));
    assert_eq!(best("error").0, [2, 3], "the wrong ones, in the pool's order");
}

#[test]
fn what_is_taken_is_not_taken_again_and_budgets_are_kept() {
    let taken = [false, false, true, false, false];
    for criterion in ALL {
        let (some, _) = chosen(criterion.name, &five(), 2, &taken);
        assert!(some.len() == 2 && !some.contains(&2) && some[0] != some[1], "{}: {some:?}", criterion.name);
        assert_eq!(chosen(criterion.name, &five(), 9, &taken).0.len(), 4, "{}", criterion.name);
    }
}

#[test]
fn classes_take_turns() {
    // The first class is the most uncertain throughout; the others must come in all the same.
    let rows = [[1.0, 0.9, 0.9], [1.0, 0.8, 0.8], [1.0, 0.7, 0.7], [0.0, 5.0, 0.0], [0.0, 0.0, 6.0]];
    let (mut three, _) = chosen("class-balanced", &pool(&rows, &[0; 5]), 3, &[false; 5]);
    three.sort_unstable();
    assert_eq!(three, [0, 3, 4]);
    let (most, _) = chosen("entropy-most", &pool(&rows, &[0; 5]), 3, &[false; 5]);
    assert_eq!(most, [0, 1, 2]);
}

#[test]
fn badge_prefers_variety_to_repetition() {
    // Forty copies of one uncertain sample and one other: two choices must be different ones.
    let mut rows = vec![[1.0, 0.9, 0.0]; 40];
    rows.push([0.0, 0.9, 1.0]);
    let pool = pool(&rows, &[0; 41]);
    let (two, seen) = chosen("badge", &pool, 2, &[false; 41]);
    assert!(two.contains(&40), "{two:?}");
    assert_eq!(seen, 0);
    assert_eq!(chosen("entropy-most", &pool, 2, &[false; 41]).0, [0, 1]);
}

#[test]
fn random_depends_on_the_seed_alone_and_mixed_is_half_of_it() {
    let rows: Vec<[f32; 3]> = (0..100).map(|k| [k as f32 * 0.05, 0.0, 0.0]).collect();
    let pool = pool(&rows, &[0; 100]);
    let free = [false; 100];
    let (drawn, wanted) = (chosen("random", &pool, 10, &free).0, chosen("entropy-most", &pool, 10, &free).0);
    assert_eq!(drawn, chosen("random", &pool, 10, &free).0);
    let mixed = chosen("mixed", &pool, 10, &free).0;
    assert!(wanted[..5].iter().all(|s| mixed.contains(s)), "{mixed:?} {wanted:?}");
    assert!(drawn[..4].iter().all(|s| mixed.contains(s)), "{mixed:?} {drawn:?}");
}

#[test]
fn differential_is_the_product_of_gradients() {
    let images = five();
    let network = identity();
    let gradient = |images: &Images| -> Vec<f32> {
        let logits = network.evaluate(&network.input(&images.pixels, images.len()).unwrap()).unwrap();
        let store = crate::image::net::operation::cross_entropy(&logits, &images.labels).unwrap().backward().unwrap();
        let of = |v: &candle_core::Var| store.get(v).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        network.variables.iter().flat_map(of).collect()
    };
    let whole = gradient(&images);
    let exact: Vec<f64> = (0..5)
        .map(|i| gradient(&images.select(&[i])).iter().zip(&whole).map(|(a, b)| f64::from(a * b)).sum())
        .collect();
    let mut ledger = Ledger::new(&images.labels);
    let (mut weights, taken) = (vec![0.2; 5], [false; 5]);
    let mut view = View {
        network: &network,
        pool: &images,
        validation: &images,
        ledger: &mut ledger,
        budget: 2,
        taken: &taken,
        weights: &mut weights,
        seed: 0,
        round: 0,
        cache: OnceCell::new(),
    };
    let scores = (find("differential").unwrap().score)(&mut view).unwrap();
    let scale = exact.iter().fold(0.0f64, |m, s| m.max(s.abs()));
    for (score, exact) in scores.iter().zip(&exact) {
        assert!((score - exact).abs() < 0.01 * scale, "{scores:?} {exact:?}");
    }
}

#[test]
fn labels_are_counted_once_and_unknown_criteria_are_refused() {
    let labels = [3, 1, 4];
    let mut ledger = Ledger::new(&labels);
    assert_eq!((ledger.label(2), ledger.label(2), ledger.count()), (4, 4, 1));
    ledger.validated(10);
    ledger.validated(10);
    assert_eq!(ledger.count(), 11);
    assert!(find("entropy").unwrap_err().to_string().contains("random, entropy-most"));
}
