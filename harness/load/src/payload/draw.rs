//! Seeded numbers whose sequence is fixed for good: the same seed draws the same load on any machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A random stream, named by what it is for and numbered, so that no two uses share one.
#[derive(Debug, Clone)]
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64, purpose: &str, number: u64) -> Draw {
        let mut key = [0; 32];
        let (head, rest) = key.split_at_mut(8);
        let (middle, tail) = rest.split_at_mut(8);
        head.copy_from_slice(&seed.to_le_bytes());
        middle.copy_from_slice(&number.to_le_bytes());
        tail.iter_mut().zip(purpose.bytes()).for_each(|(slot, byte)| *slot = byte);
        Draw(ChaCha8Rng::from_seed(key))
    }

    /// A number below `bound`; 0 when `bound` is 0. The bias of at most `bound` / 2^32 is accepted.
    #[inline]
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// A number in [0, 1) with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// The generator itself, for distributions.
    pub(crate) fn generator(&mut self) -> &mut ChaCha8Rng {
        &mut self.0
    }
}
