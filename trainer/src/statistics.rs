//! Summary statistics: quantiles, mean, standard deviation, rank correlation. The only definition of each.

/// The median: of an even number of values, the mean of the two in the middle; NaN if there are none.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The quantile of `share` (0 is the smallest value, 1 the largest), by linear interpolation between neighboring order
/// statistics (type 7 of Hyndman and Fan, the default of R and NumPy); NaN if there are no values.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let sorted = sorted(values);
    let at = share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    match (sorted.get(low), sorted.get(high)) {
        (Some(a), Some(b)) => a + (b - a) * (at - low as f64),
        _ => f64::NAN,
    }
}

/// The arithmetic mean; NaN if there are no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of a sample (n - 1 in the denominator); zero for fewer than two values.
pub fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// Spearman's rank correlation of two columns, in [-1, 1]; NaN if one of them is constant.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let (ma, mb) = (mean(&a), mean(&b));
    let product =
        |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 { x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum() };
    product(&a, ma, &b, mb) / (product(&a, ma, &a, ma) * product(&b, mb, &b, mb)).sqrt()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The rank of each value; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let sorted = sorted(values);
    let rank = |v: &f64| {
        let below = sorted.partition_point(|s| s.total_cmp(v).is_lt());
        let up_to = sorted.partition_point(|s| s.total_cmp(v).is_le());
        0.5 * (below + up_to - 1) as f64
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middle_and_spread() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!((quantile(&[0.0, 10.0], 0.25), quantile(&[5.0], 0.9)), (2.5, 5.0));
        assert_eq!((quantile(&[3.0, 1.0, 2.0], 0.0), quantile(&[3.0, 1.0, 2.0], 1.0)), (1.0, 3.0));
        assert!((deviation(&[1.0, 2.0, 3.0, 4.0]) - (5.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(deviation(&[7.0]), 0.0);
    }

    #[test]
    fn rank_correlation_depends_on_order_alone() {
        let x = [1.0, 2.0, 3.0, 4.0];
        assert!((rank_correlation(&x, &[0.1, 10.0, 1e3, 1e9]) - 1.0).abs() < 1e-15);
        assert!((rank_correlation(&x, &[4.0, 3.0, 2.0, 1.0]) + 1.0).abs() < 1e-15);
        assert!((rank_correlation(&x, &[1.0, 1.0, 2.0, 2.0]) - 0.894_427_190_999_916).abs() < 1e-12);
        assert!(rank_correlation(&x, &[5.0; 4]).is_nan());
    }
}
