//! The standard normal distribution, as far as the rank tests and the bootstrap need it.

/// Quantile, by bisection on the distribution function.
pub(super) fn quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if below(middle) < share { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Distribution function. Abramowitz and Stegun 26.2.17, error below 7.5e-8.
pub(super) fn below(x: f64) -> f64 {
    const FACTORS: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let polynomial = FACTORS.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial;
    if x >= 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points() {
        for (share, z) in [(0.5, 0.0), (0.975, 1.959_964), (0.005, -2.575_829)] {
            assert!((quantile(share) - z).abs() < 1e-5, "{share}");
            assert!((below(z) - share).abs() < 1e-6, "{z}");
        }
    }
}
