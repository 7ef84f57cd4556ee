//! Softmax and cross-entropy together: `L_i = ln(sum over k of exp z_ik) - z_i,label`, from logits and not from probabilities.

/// Probabilities of every row of logits `[n, classes]`.
pub fn softmax(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut out = logits.to_vec();
    for row in out.chunks_exact_mut(classes) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|z| *z = (*z - top).exp());
        let scale = 1.0 / row.iter().sum::<f32>();
        row.iter_mut().for_each(|p| *p *= scale);
    }
    out
}

/// The index of the largest number; of equal ones, the first.
pub fn argmax<T: PartialOrd>(row: &[T]) -> usize {
    (0..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best })
}

/// Cross-entropy of every row.
pub fn cross_entropy(logits: &[f32], labels: &[u8], classes: usize) -> Vec<f32> {
    let of = |(row, label): (&[f32], &u8)| {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter().map(|z| (z - top).exp()).sum::<f32>().ln() + top - row[usize::from(*label)]
    };
    logits.chunks_exact(classes).zip(labels).map(of).collect()
}

/// The gradient of the mean cross-entropy by the logits: (softmax - one-hot) / n, times `scale`.
pub fn gradient(logits: &[f32], labels: &[u8], classes: usize, scale: f32) -> Vec<f32> {
    let mut out = softmax(logits, classes);
    let scale = scale / labels.len() as f32;
    for (row, label) in out.chunks_exact_mut(classes).zip(labels) {
        row[usize::from(*label)] -= 1.0;
        row.iter_mut().for_each(|p| *p *= scale);
    }
    out
}
