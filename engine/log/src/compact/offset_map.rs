//! The newest offset of each key, in a fixed amount of memory.

use std::hash::{BuildHasher, RandomState};

/// Memory per key: a hash of 128 bits and an offset.
const SLOT_BYTES: usize = size_of::<Slot>();
/// Marks a slot without a key. No record has this offset.
const EMPTY: Slot = Slot { hash: (0, 0), offset: -1 };

/// Key hash to last offset, by open addressing with linear probing (Kafka's `SkimpyOffsetMap`, 24 bytes a key).
///
/// Keys are known only by their hash: two 64-bit hashes of the standard library's keyed hasher (SipHash) under two
/// random keys, drawn for this map. Of `n` keys two collide with a chance below n²/2¹²⁹: 5·10⁻²⁶ for the 5.6 million keys
/// of a 128 MiB map. The older of two colliding records would be lost. Nobody can pick keys that collide, since the
/// hash keys never leave the process.
#[derive(Debug)]
pub struct OffsetMap {
    slots: Vec<Slot>,
    hashers: (RandomState, RandomState),
    len: usize,
    len_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: (u64, u64),
    offset: i64,
}

impl OffsetMap {
    /// A map of `memory_bytes` (`log.cleaner.dedupe.buffer.size` for one cleaner), used up to `load_factor`
    /// (`log.cleaner.io.buffer.load.factor`, 0.9 in Kafka; taken as lying in 0..=1). Holds one key at least and always
    /// keeps a slot free. The memory is taken now and never grows.
    pub fn new(memory_bytes: usize, load_factor: f64) -> Self {
        let slots = (memory_bytes / SLOT_BYTES).max(2);
        // Truncation is what is meant; NaN becomes 0.
        let len_max = ((slots as f64 * load_factor) as usize).clamp(1, slots - 1);
        let hashers = (RandomState::new(), RandomState::new());
        Self { slots: vec![EMPTY; slots], hashers, len: 0, len_max }
    }

    /// Keys in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without any key.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keys that it takes.
    pub fn capacity(&self) -> usize {
        self.len_max
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        if self.len > 0 {
            self.slots.fill(EMPTY);
            self.len = 0;
        }
    }

    /// Notes a key's offset, the largest so far. Returns false, and changes nothing, for another key in a full map.
    pub fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let (hash, full) = (self.hash(key), self.len >= self.len_max);
        let Some(slot) = self.slot_of(hash).and_then(|i| self.slots.get_mut(i)) else { return false };
        if slot.offset == EMPTY.offset {
            if full {
                return false;
            }
            self.len += 1;
        }
        *slot = Slot { hash, offset };
        true
    }

    /// The largest offset noted for a key.
    pub fn get(&self, key: &[u8]) -> Option<i64> {
        let slot = self.slots.get(self.slot_of(self.hash(key))?)?;
        (slot.offset != EMPTY.offset).then_some(slot.offset)
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        (self.hashers.0.hash_one(key), self.hashers.1.hash_one(key))
    }

    /// The slot with this hash, or the empty one where it would go: there is always one.
    fn slot_of(&self, hash: (u64, u64)) -> Option<usize> {
        let start = (hash.0 % self.slots.len() as u64) as usize;
        let here = |slot: &Slot| slot.offset == EMPTY.offset || slot.hash == hash;
        let found = self.slots.iter().skip(start).position(here).map(|i| start + i);
        found.or_else(|| self.slots.iter().position(here))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_map_refuses_new_keys_and_goes_on_with_known_ones() {
        let mut map = OffsetMap::new(24 * 10, 0.5);
        assert_eq!((map.capacity(), map.is_empty()), (5, true));
        for key in 0..5u8 {
            assert!(map.put(&[key], i64::from(key)));
        }
        assert!(!map.put(&[5], 5), "full");
        assert!(map.put(&[0], 6), "known");
        assert_eq!((map.get(&[0]), map.get(&[5]), map.len()), (Some(6), None, 5));
        map.clear();
        assert_eq!((map.get(&[0]), map.len()), (None, 0));
    }

    #[test]
    fn whatever_is_asked_for_holds_a_key_and_keeps_a_slot_free() {
        for (memory_bytes, load_factor) in [(0, 0.9), (24, 9.0), (240, f64::NAN), (240, -1.0), (240, 1.0)] {
            let mut map = OffsetMap::new(memory_bytes, load_factor);
            assert!(map.capacity() >= 1 && map.capacity() < map.slots.len());
            assert!(map.put(b"k", 0));
            assert_eq!((map.get(b"k"), map.get(b"other")), (Some(0), None));
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_hash_map(puts in proptest::collection::vec((0u8..60, 0i64..1_000), 0..200)) {
            let (mut map, mut model) = (OffsetMap::new(24 * 64, 0.95), HashMap::new());
            for (key, offset) in puts {
                prop_assert!(map.put(&[key], offset));
                model.insert(key, offset);
            }
            prop_assert_eq!(map.len(), model.len());
            for key in 0..60 {
                prop_assert_eq!(map.get(&[key]), model.get(&key).copied());
            }
        }
    }
}
