//! Record keys: out of the data, drawn uniformly or by Zipf's law, or none.
//!
//! A [`KeySource`] becomes a [`Keys`] once per run, and each producer draws through its own [`KeyStream`].
//! Keys from the data keep the skew that real traffic has.

use std::collections::HashMap;
use std::sync::Arc;

use rand_distr::{Distribution, Zipf};

use crate::corpus::{CorpusError, RecordSet};
use crate::payload::{Draw, Payload};

/// Length of a drawn key: `key-` and twelve digits.
const DRAWN_BYTES: usize = 16;
/// Most different keys that can be drawn.
const CARDINALITY_MAX: u64 = u32::MAX as u64;
/// A record that has no key.
const NO_KEY: u32 = u32::MAX;

/// Where keys come from.
#[derive(Debug, Clone, PartialEq)]
pub enum KeySource {
    /// No keys.
    None,
    /// A field of each record, such as `tailnum` or `origin+dest`; without a name, the corpus's own choice.
    Data {
        /// Field, in the words of [`Payload::field`].
        field: Option<String>,
    },
    /// Each of `cardinality` keys equally often.
    Uniform {
        /// Number of different keys.
        cardinality: u64,
    },
    /// The n-th of `cardinality` keys in proportion to n^-theta.
    Zipf {
        /// Skew; 0 is uniform, 0.99 is common.
        theta: f64,
        /// Number of different keys.
        cardinality: u64,
    },
}

/// The keys of a run. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Keys(Kind);

#[derive(Debug, Clone)]
enum Kind {
    None,
    Data(Arc<Table>),
    Uniform(u32),
    Zipf(Zipf<f64>),
}

/// Different keys, and which of them each record has.
#[derive(Debug)]
struct Table {
    keys: RecordSet,
    of_record: Vec<u32>,
}

impl Keys {
    /// Prepares the keys; from data, reads every record once.
    ///
    /// # Errors
    /// A field the records do not have or that is empty in all of them, a cardinality of 0 or above 2^32 - 1,
    /// a negative skew.
    pub fn build(source: &KeySource, payload: &Payload) -> Result<Keys, CorpusError> {
        Ok(Keys(match source {
            KeySource::None => Kind::None,
            KeySource::Data { field } => Kind::Data(Arc::new(table(field.as_deref(), payload)?)),
            KeySource::Uniform { cardinality } => Kind::Uniform(check_cardinality(*cardinality)?),
            KeySource::Zipf { theta, cardinality } => {
                let count = f64::from(check_cardinality(*cardinality)?);
                let law = Zipf::new(count, *theta).ok().filter(|_| theta.is_finite());
                Kind::Zipf(law.ok_or_else(|| {
                    CorpusError::Setting(format!("zipf theta of {theta}: must be a finite number from 0"))
                })?)
            }
        }))
    }

    /// Keys for one producer of the run.
    pub fn stream(&self, seed: u64, producer: u32) -> KeyStream {
        KeyStream {
            keys: self.clone(),
            random: Draw::new(seed, "keys", u64::from(producer)),
            drawn: *b"key-000000000000",
        }
    }

    /// Number of different keys in the data; `None` unless keys come from it.
    pub fn distinct_in_data(&self) -> Option<usize> {
        match &self.0 {
            Kind::Data(table) => Some(table.keys.len()),
            _ => None,
        }
    }
}

/// Gives a key for each record a producer sends.
#[derive(Debug)]
pub struct KeyStream {
    keys: Keys,
    random: Draw,
    drawn: [u8; DRAWN_BYTES],
}

impl KeyStream {
    /// The key for the record with this index in the pool; `None` for a record without one.
    #[inline]
    pub fn next(&mut self, record: u32) -> Option<&[u8]> {
        let number = match &self.keys.0 {
            Kind::None => return None,
            Kind::Data(table) => return table.key(record),
            Kind::Uniform(cardinality) => self.random.below(*cardinality),
            // Ranks are whole numbers from 1 to the cardinality.
            Kind::Zipf(law) => law.sample(self.random.generator()) as u32 - 1,
        };
        write_digits(number, &mut self.drawn);
        Some(&self.drawn)
    }
}

impl Table {
    fn key(&self, record: u32) -> Option<&[u8]> {
        let key = *self.of_record.get(record as usize)?;
        (key != NO_KEY).then(|| self.keys.get(key))
    }
}

fn table(field: Option<&str>, payload: &Payload) -> Result<Table, CorpusError> {
    let reader = payload.field(field)?;
    let mut numbers: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut of_record = Vec::with_capacity(payload.records().len());
    for record in payload.records().iter() {
        let number = reader.read(record).map(|key| {
            let next = numbers.len() as u32;
            *numbers.entry(key).or_insert(next)
        });
        of_record.push(number.unwrap_or(NO_KEY));
    }
    let mut keys: Vec<(u32, Vec<u8>)> = numbers.into_iter().map(|(key, number)| (number, key)).collect();
    keys.sort_unstable();
    let none_has_it = |_| {
        CorpusError::Setting(format!(
            "no record of {} has the field `{}`",
            payload.records().name(),
            reader.name()
        ))
    };
    let keys = RecordSet::collect(reader.name(), keys.iter().map(|(_, key)| key)).map_err(none_has_it)?;
    Ok(Table { keys, of_record })
}

fn check_cardinality(cardinality: u64) -> Result<u32, CorpusError> {
    u32::try_from(cardinality).ok().filter(|count| *count > 0).ok_or_else(|| {
        CorpusError::Setting(format!("{cardinality} different keys: must be 1 to {CARDINALITY_MAX}"))
    })
}

/// Writes the number's digits into the last ten places.
fn write_digits(number: u32, key: &mut [u8; DRAWN_BYTES]) {
    let mut left = number;
    for place in key.iter_mut().rev().take(10) {
        *place = b'0' + (left % 10) as u8;
        left /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::CorpusCache;
    use crate::payload::PayloadSource;

    fn sample(name: &str) -> Payload {
        let source = PayloadSource::Sample { name: name.to_owned() };
        Payload::build(&source, &CorpusCache::at("/nonexistent"), 1).unwrap()
    }

    fn counts(source: KeySource, draws: u32) -> HashMap<Vec<u8>, u32> {
        let keys = Keys::build(&source, &sample("speech.txt")).unwrap();
        let mut stream = keys.stream(5, 0);
        let mut counts = HashMap::new();
        for i in 0..draws {
            *counts.entry(stream.next(i).unwrap().to_vec()).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn keys_from_data_belong_to_their_record_in_csv_and_json_alike() {
        let field = Some("origin+dest".to_owned());
        let draw = |name: &str| {
            let payload = sample(name);
            let keys = Keys::build(&KeySource::Data { field: field.clone() }, &payload).unwrap();
            let mut stream = keys.stream(1, 0);
            (0..200).map(|i| stream.next(i).unwrap().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(draw("flights.csv"), draw("flights.jsonl"));
        assert_eq!(draw("flights.csv")[0], b"EWR-IAH");
    }

    #[test]
    fn without_a_field_the_corpus_chooses_and_text_is_refused() {
        let keys = Keys::build(&KeySource::Data { field: None }, &sample("cities.pb")).unwrap();
        assert!(keys.distinct_in_data().unwrap() > 50);
        let message = Keys::build(&KeySource::Data { field: None }, &sample("speech.txt")).unwrap_err();
        assert!(message.to_string().contains("plain text"), "{message}");
        let field = Some("no.such.path".to_owned());
        let message = Keys::build(&KeySource::Data { field }, &sample("quakes.jsonl")).unwrap_err();
        assert!(message.to_string().contains("no record of quakes.jsonl"), "{message}");
    }

    #[test]
    fn uniform_keys_come_about_equally_often() {
        let counts = counts(KeySource::Uniform { cardinality: 10 }, 10_000);
        assert_eq!(counts.len(), 10);
        assert!(counts.values().all(|n| (850..1150).contains(n)), "{counts:?}");
        assert!(counts.contains_key(b"key-000000000009".as_slice()));
    }

    #[test]
    fn zipf_keys_follow_their_law() {
        let counts = counts(KeySource::Zipf { theta: 1.0, cardinality: 1000 }, 100_000);
        let first = f64::from(counts[b"key-000000000000".as_slice()]);
        let tenth = f64::from(counts[b"key-000000000009".as_slice()]);
        assert!((8.0..12.5).contains(&(first / tenth)), "{first} / {tenth}");
        // 1 / H(1000)
        assert!((first / 100_000.0 - 0.1336).abs() < 0.01, "{first}");
    }

    #[test]
    fn the_same_seed_and_producer_draw_the_same_keys() {
        let keys =
            Keys::build(&KeySource::Zipf { theta: 0.99, cardinality: 500 }, &sample("speech.txt")).unwrap();
        let draw = |producer| {
            let mut stream = keys.stream(9, producer);
            (0..50).map(|i| stream.next(i).unwrap().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
    }

    #[test]
    fn impossible_key_settings_are_refused() {
        let payload = sample("speech.txt");
        for source in [
            KeySource::Uniform { cardinality: 0 },
            KeySource::Uniform { cardinality: 1 << 32 },
            KeySource::Zipf { theta: -1.0, cardinality: 5 },
            KeySource::Zipf { theta: f64::NAN, cardinality: 5 },
            KeySource::Zipf { theta: f64::INFINITY, cardinality: 5 },
        ] {
            assert!(Keys::build(&source, &payload).is_err(), "{source:?}");
        }
    }
}
