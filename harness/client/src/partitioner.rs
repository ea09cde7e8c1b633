//! Assigning records to partitions as other clients do.

/// How a record finds its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Partitioner {
    /// Java's `DefaultPartitioner`: murmur2 of the key. Records without a key go round-robin.
    #[default]
    Murmur2,
    /// librdkafka's `consistent_random`: CRC-32 of the key. Records without a key go round-robin.
    Crc32,
    /// One partition after the other, whatever the key.
    RoundRobin,
}

/// A [`Partitioner`] at work on a topic.
#[derive(Debug, Clone)]
pub struct Assigner {
    partitioner: Partitioner,
    partitions: u32,
    next: u32,
}

impl Assigner {
    /// An assigner over `partitions` partitions; 0 counts as 1.
    pub fn new(partitioner: Partitioner, partitions: u32) -> Self {
        Self { partitioner, partitions: partitions.max(1), next: 0 }
    }

    /// The partition of the next record.
    pub fn assign(&mut self, key: Option<&[u8]>) -> u32 {
        match (self.partitioner, key) {
            (Partitioner::Murmur2, Some(key)) => java_partition(key, self.partitions),
            (Partitioner::Crc32, Some(key)) => librdkafka_partition(key, self.partitions),
            (Partitioner::RoundRobin, _) | (_, None) => self.round_robin(),
        }
    }

    fn round_robin(&mut self) -> u32 {
        let partition = self.next;
        self.next = (partition + 1) % self.partitions;
        partition
    }
}

/// Java's choice for a key: murmur2 with the sign bit masked, modulo the partitions (at least 1).
pub fn java_partition(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// librdkafka's choice for a key: CRC-32 modulo the partitions (at least 1). An empty key counts as a key.
pub fn librdkafka_partition(key: &[u8], partitions: u32) -> u32 {
    crc32(key) % partitions.max(1)
}

/// MurmurHash2 as `org.apache.kafka.common.utils.Utils.murmur2` computes it (little-endian words).
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let (words, tail) = data.as_chunks::<4>();
    // Java's length is an int; keys of more than 2 GiB do not exist.
    let mut hash = SEED ^ data.len() as u32;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        hash =
            tail.iter().zip([0, 8, 16]).fold(hash, |hash, (&byte, shift)| hash ^ (u32::from(byte) << shift));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// CRC-32 (IEEE 802.3), as `rd_crc32` computes it.
pub fn crc32(data: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    !data.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_agrees_with_java() {
        let vectors: [(&[u8], i32); 7] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
        ];
        for (key, expected) in vectors {
            assert_eq!(murmur2(key) as i32, expected, "{:?}", std::str::from_utf8(key));
        }
    }

    #[test]
    fn crc32_agrees_with_its_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn keys_stay_and_keyless_records_go_round() {
        let mut assigner = Assigner::new(Partitioner::Murmur2, 3);
        let of_key = assigner.assign(Some(b"key"));
        let keyless: Vec<u32> = (0..4).map(|_| assigner.assign(None)).collect();
        assert_eq!(keyless, [0, 1, 2, 0]);
        assert_eq!(assigner.assign(Some(b"key")), of_key);
        let mut round = Assigner::new(Partitioner::RoundRobin, 2);
        assert_eq!([round.assign(Some(b"k")), round.assign(Some(b"k"))], [0, 1]);
    }

    #[test]
    fn partitions_are_in_range_even_for_negative_hashes() {
        assert!((murmur2(b"21") as i32) < 0);
        assert_eq!(java_partition(b"21", 1000), ((-973_932_308_i32 & 0x7fff_ffff) % 1000) as u32);
        assert_eq!(java_partition(b"21", 0), 0);
    }
}
