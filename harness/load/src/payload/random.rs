//! Generated values of a declared entropy.

use super::Draw;

/// Bytes of one piece of a [`Entropy::Ratio`] pool: long enough that the reference a codec writes for a
/// repetition hardly counts, short enough to lie within every codec's window.
const PIECE_BYTES: usize = 1024;

/// How compressible generated values are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entropy {
    /// Independent bytes with this many bits of entropy each, 0 to 8. Only codecs with an entropy coder
    /// profit; lz4 and snappy find nothing to repeat.
    BitsPerByte(f64),
    /// Random bytes, each stretch repeated to this ratio, at least 1. Every codec comes near it.
    Ratio(f64),
}

impl Entropy {
    /// What is wrong with the value, if anything is.
    pub(super) fn fault(self) -> Option<String> {
        match self {
            Entropy::BitsPerByte(bits) if !(0.0..=8.0).contains(&bits) => {
                Some(format!("entropy of {bits} bits per byte: must be 0 to 8"))
            }
            Entropy::Ratio(ratio) if !(1.0..=1000.0).contains(&ratio) => {
                Some(format!("ratio of {ratio}: must be 1 to 1000"))
            }
            _ => None,
        }
    }

    /// `bytes` of this entropy.
    pub(super) fn generate(self, bytes: usize, random: &mut Draw) -> Vec<u8> {
        match self {
            Entropy::BitsPerByte(bits) => independent(bits, bytes, random),
            Entropy::Ratio(ratio) => repeated(ratio, bytes, random),
        }
    }
}

/// One symbol is more likely than the other 255, by as much as the entropy asks.
fn independent(bits: f64, bytes: usize, random: &mut Draw) -> Vec<u8> {
    let mut pool = vec![0; bytes];
    random.fill(&mut pool);
    let likely = likely_for(bits);
    if likely <= 1.0 / 256.0 {
        return pool;
    }
    for byte in &mut pool {
        *byte = if random.unit() < likely { b'0' } else { b'0'.wrapping_add(1 + (*byte % 255)) };
    }
    pool
}

/// Probability of the likely symbol that gives this entropy; by bisection, since entropy falls as it grows.
fn likely_for(bits: f64) -> f64 {
    let (mut low, mut high) = (1.0 / 256.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if entropy_bits(middle) > bits { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// Entropy in bits of a symbol of probability `likely` and 255 equal others.
fn entropy_bits(likely: f64) -> f64 {
    let rest = 1.0 - likely;
    let term = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    term(likely) + term(rest) + rest * 255f64.log2()
}

fn repeated(ratio: f64, bytes: usize, random: &mut Draw) -> Vec<u8> {
    let mut pool = vec![0; bytes];
    let fresh = ((PIECE_BYTES as f64 / ratio).round() as usize).clamp(1, PIECE_BYTES);
    for piece in pool.chunks_mut(PIECE_BYTES) {
        let seed = fresh.min(piece.len());
        let (head, tail) = piece.split_at_mut(seed);
        random.fill(head);
        tail.chunks_mut(seed).for_each(|copy| copy.iter_mut().zip(&*head).for_each(|(to, from)| *to = *from));
    }
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured_bits(pool: &[u8]) -> f64 {
        let mut counts = [0u32; 256];
        pool.iter().for_each(|byte| counts[*byte as usize] += 1);
        let total = pool.len() as f64;
        counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) / total).map(|p| -p * p.log2()).sum()
    }

    #[test]
    fn independent_bytes_have_the_declared_entropy() {
        for bits in [0.0, 0.5, 2.0, 5.0, 7.9, 8.0] {
            let pool = Entropy::BitsPerByte(bits).generate(1 << 20, &mut Draw::new(1, "t", 0));
            let found = measured_bits(&pool);
            assert!((found - bits).abs() < 0.02, "declared {bits}, found {found}");
        }
    }

    #[test]
    fn a_declared_ratio_is_nearly_what_a_codec_reaches() {
        use std::io::Write;
        for ratio in [1.0, 2.0, 4.0] {
            let pool = Entropy::Ratio(ratio).generate(1 << 18, &mut Draw::new(1, "t", 0));
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&pool).unwrap();
            let found = pool.len() as f64 / encoder.finish().unwrap().len() as f64;
            assert!((found / ratio - 1.0).abs() < 0.05, "declared {ratio}, found {found}");
        }
    }

    #[test]
    fn entropy_out_of_range_is_refused() {
        assert!(
            Entropy::BitsPerByte(8.1).fault().is_some() && Entropy::BitsPerByte(f64::NAN).fault().is_some()
        );
        assert!(Entropy::Ratio(0.9).fault().is_some() && Entropy::Ratio(2.0).fault().is_none());
    }
}
