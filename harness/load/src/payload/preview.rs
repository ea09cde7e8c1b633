//! The records of a run as they would be sent, for measuring codecs on them.

use super::{Draw, Payload, Window};
use crate::keys::Keys;
use crate::stamp::Stamp;

/// Most bytes of a preview, so that measuring codecs stays a matter of a second or two.
const PREVIEW_MAX_BYTES: u64 = 16 << 20;

/// Records in the order one producer would send them.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// Keys, where records have one.
    pub keys: Vec<Option<Vec<u8>>>,
    /// Values without the stamp.
    pub plain: Vec<Vec<u8>>,
    /// The same values with it.
    pub stamped: Vec<Vec<u8>>,
}

/// The first records of producer 0: as many as fill the window, but none twice, and at most 16 MiB.
///
/// Stamps are as in a run: running sequences and exponential gaps of `gap_ns` on average, since intended times
/// and checksums are what a codec cannot compress.
pub fn preview(payload: &Payload, keys: &Keys, seed: u64, window: Window, gap_ns: u64) -> Preview {
    let (mut values, mut keys) = (payload.stream(seed, 0, window), keys.stream(seed, 0));
    let mut gaps = Draw::new(seed, "preview", 0);
    let mut preview = Preview::default();
    let mut intended = 1_000_000_000_000.0;
    let (mut bytes, want) = (0, window.need_bytes().min(PREVIEW_MAX_BYTES));
    while preview.plain.is_empty() || (bytes < want && preview.plain.len() < payload.records().len()) {
        let index = values.next();
        let value = values.record(index);
        let stamp = Stamp { producer: 0, sequence: preview.plain.len() as u64, intended_ns: intended as u64 };
        preview.keys.push(keys.next(index).map(<[u8]>::to_vec));
        preview.stamped.push([stamp.encode_summed(values.sum(index)).as_slice(), value].concat());
        preview.plain.push(value.to_vec());
        bytes += value.len() as u64;
        intended -= (1.0 - gaps.unit()).ln() * gap_ns as f64;
    }
    preview
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::CorpusCache;
    use crate::keys::KeySource;
    use crate::payload::PayloadSource;

    #[test]
    fn a_preview_holds_different_records_with_their_keys_and_true_stamps() {
        let source = PayloadSource::Sample { name: "flights.csv".to_owned() };
        let payload = Payload::build(&source, &CorpusCache::at("/nonexistent"), 1).unwrap();
        let keys = Keys::build(&KeySource::Data { field: Some("carrier".to_owned()) }, &payload).unwrap();
        let window = Window { largest_batch_bytes: 16 << 10, open_batches: 1 };
        let preview = preview(&payload, &keys, 1, window, 50_000);
        let bytes: usize = preview.plain.iter().map(Vec::len).sum();
        assert!((131_072..131_200).contains(&bytes), "{bytes}");
        let mut last_ns = 0;
        for (i, value) in preview.stamped.iter().enumerate() {
            let (stamp, plain) = Stamp::check(value).unwrap();
            assert_eq!((stamp.sequence, plain), (i as u64, preview.plain[i].as_slice()));
            let carrier = plain.split(|b| *b == b',').nth(9).unwrap();
            assert_eq!(preview.keys[i].as_deref(), Some(carrier));
            assert!(stamp.intended_ns >= last_ns);
            last_ns = stamp.intended_ns;
        }
        let mut different = preview.plain.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), preview.plain.len());
    }
}
