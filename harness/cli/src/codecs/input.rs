//! The records to compare codecs on: files, corpora, or the samples that are part of this program.

use std::path::Path;

use plimsoll_codecs::Item;
use plimsoll_load::corpus::{CorpusCache, CorpusError, RecordSet, catalogue, find, sample};
use serde::Serialize;

use super::options::CodecsOptions;
use crate::exit::UsageError;

/// Where records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    File,
    Corpus,
    Sample,
}

/// Records under one name.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) source: Source,
    records: RecordSet,
    /// False when the records repeat each other more than real traffic does.
    pub(super) ranks_codecs: bool,
}

/// The samples that lie in the repository as files; the others are the same rows in another format.
const SAMPLES: [&str; 6] =
    ["flights.csv", "weather.csv", "quakes.jsonl", "cities.pb", "speech.txt", "webhooks.jsonl"];
/// A part of an input is taken in this many stretches, since its beginning may not look like the rest.
const STRETCHES: usize = 8;

/// Loads everything that was named.
pub(super) fn load(options: &CodecsOptions) -> anyhow::Result<Vec<Input>> {
    if options.inputs.is_empty() {
        return SAMPLES.iter().map(|name| Ok(Input::of_sample(name)?)).collect();
    }
    let cache = CorpusCache::from_env()?;
    options.inputs.iter().map(|input| named(input, options, &cache)).collect()
}

/// A file if there is one of this name, else a corpus.
fn named(input: &Path, options: &CodecsOptions, cache: &CorpusCache) -> anyhow::Result<Input> {
    let name = input.display().to_string();
    if input.is_file() {
        let short =
            input.file_name().map_or_else(|| name.clone(), |name| name.to_string_lossy().into_owned());
        let records = RecordSet::load(input, options.framing)?;
        return Ok(Input { name: short, source: Source::File, records, ranks_codecs: true });
    }
    let spec = find(&name).map_err(|error| UsageError(format!("there is no file `{name}`, and {error}")))?;
    match cache.open(spec) {
        Ok(records) => Ok(Input { name, source: Source::Corpus, records, ranks_codecs: spec.ranks_codecs }),
        Err(CorpusError::NotCached { .. }) => Ok(Input::of_sample(&name)?),
        Err(error) => Err(error.into()),
    }
}

impl Input {
    fn of_sample(name: &str) -> Result<Input, CorpusError> {
        let ranks_codecs = catalogue().iter().all(|spec| spec.name != name || spec.ranks_codecs);
        Ok(Input { name: name.to_owned(), source: Source::Sample, records: sample(name)?, ranks_codecs })
    }

    /// All records in their order, or as many as `max_bytes` hold in stretches spread evenly over all of them. No
    /// record is taken twice.
    pub(super) fn items(&self, max_bytes: u64) -> Vec<Item<'_>> {
        let item = |value| Item { key: None, value };
        if self.records.record_bytes() <= max_bytes {
            return self.records.iter().map(item).collect();
        }
        let (count, share_bytes) = (self.records.len(), max_bytes.div_ceil(STRETCHES as u64));
        let mut items = Vec::new();
        for stretch in 0..STRETCHES {
            let (first, next) = (stretch * count / STRETCHES, (stretch + 1) * count / STRETCHES);
            let mut bytes = 0;
            let records = self.records.iter().skip(first).take(next - first);
            items.extend(records.map(item).take_while(|record| {
                let fits = bytes < share_bytes;
                bytes += record.value.len() as u64;
                fits
            }));
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_spread_over_the_whole_and_holds_nothing_twice() {
        let records = RecordSet::collect("t", (0..8000).map(|i| format!("record {i:04}"))).unwrap();
        let input = Input { name: "t".to_owned(), source: Source::File, records, ranks_codecs: true };
        let values: Vec<&[u8]> = input.items(8000).iter().map(|item| item.value).collect();
        assert_eq!(values.len(), 8 * 91, "1000 bytes of 11 each, the last may pass");
        assert_eq!((values[0], values[91]), (b"record 0000".as_slice(), b"record 1000".as_slice()));
        assert!(values.is_sorted() && values.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(input.items(u64::MAX).len(), 8000);
    }

    #[test]
    fn the_samples_are_in_the_catalogue() {
        for name in SAMPLES {
            let input = Input::of_sample(name).unwrap();
            assert_eq!(input.ranks_codecs, name != "webhooks.jsonl");
        }
    }
}
