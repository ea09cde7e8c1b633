//! Damage to a well-formed input, in a form that a fuzzer can vary and shrink.

use crate::seeds::Seeds;

/// Which seed is damaged, and how. Numbers beyond the seed's size wrap around.
#[derive(Debug, Clone, Copy)]
pub struct Damage<'a> {
    /// Which seed.
    pub seed: u16,
    /// Positions and the bytes to put there.
    pub bytes: &'a [(u32, u8)],
    /// Where the input ends, if it is cut.
    pub cut: Option<u32>,
}

impl Damage<'_> {
    /// The damaged seed.
    pub fn apply(&self, seeds: &Seeds) -> Vec<u8> {
        let mut input = seeds.pick(usize::from(self.seed)).to_vec();
        let length = input.len().max(1);
        for &(at, byte) in self.bytes {
            if let Some(place) = input.get_mut(at as usize % length) {
                *place = byte;
            }
        }
        if let Some(cut) = self.cut {
            input.truncate(cut as usize % length);
        }
        input
    }
}
