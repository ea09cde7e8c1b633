//! A small part of each corpus inside the binary, for tests and first runs without a network.

use bytes::Bytes;

use super::catalogue::{FLIGHTS_COLUMNS, WEATHER_COLUMNS};
use super::convert::csv_to_json;
use super::{CorpusError, CorpusSpec, Framing, RecordSet, find};

/// Largest committed sample file; six of them stay under 1.5 MB.
pub const SAMPLE_MAX_BYTES: usize = 248_000;

macro_rules! embedded {
    ($name:literal) => {
        include_bytes!(concat!("../../../../workloads/samples/", $name))
    };
}

static FLIGHTS: &[u8] = embedded!("flights.csv");
static WEATHER: &[u8] = embedded!("weather.csv");
static QUAKES: &[u8] = embedded!("quakes.jsonl");
static CITIES: &[u8] = embedded!("cities.pb");
static SPEECH: &[u8] = embedded!("speech.txt");
static WEBHOOKS: &[u8] = embedded!("webhooks.jsonl");

/// Names that [`sample`] knows: all of the catalogue.
pub fn sample_names() -> impl Iterator<Item = &'static str> {
    super::catalogue().iter().map(|spec| spec.name)
}

/// The sample of a corpus. The JSON forms of flights and weather are made from the CSV samples' rows.
///
/// # Errors
/// [`CorpusError::Unknown`] with the nearest name.
pub fn sample(name: &str) -> Result<RecordSet, CorpusError> {
    let spec = find(name)?;
    RecordSet::parse(spec.name, content(spec)?, spec.framing)
}

fn content(spec: &CorpusSpec) -> Result<Bytes, CorpusError> {
    Ok(match spec.name {
        "flights.csv" => Bytes::from_static(FLIGHTS),
        "flights.jsonl" => csv_to_json(FLIGHTS_COLUMNS, FLIGHTS, "flights.csv")?.into(),
        "weather.csv" => Bytes::from_static(WEATHER),
        "weather.jsonl" => csv_to_json(WEATHER_COLUMNS, WEATHER, "weather.csv")?.into(),
        "quakes.jsonl" => Bytes::from_static(QUAKES),
        "cities.pb" => Bytes::from_static(CITIES),
        "speech.txt" => Bytes::from_static(SPEECH),
        _ => Bytes::from_static(WEBHOOKS),
    })
}

/// Makes a sample file: records taken evenly from the whole corpus, as many as fit `max_bytes`.
///
/// Evenly rather than from the front, since neighbours resemble each other and would compress better than
/// the shuffled corpus does.
pub fn thin(records: &RecordSet, framing: Framing, max_bytes: usize) -> Vec<u8> {
    let average = (records.record_bytes() as usize / records.len()).max(1) + 2;
    let mut wanted = (max_bytes / average).clamp(1, records.len());
    loop {
        let file = every_nth(records, framing, wanted);
        if file.len() <= max_bytes || wanted == 1 {
            return file;
        }
        wanted = (wanted * 99 / 100).max(1);
    }
}

fn every_nth(records: &RecordSet, framing: Framing, wanted: usize) -> Vec<u8> {
    let mut file = Vec::new();
    for i in 0..wanted {
        let record = records.get((i * records.len() / wanted) as u32);
        framing.write(record, &mut file);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;

    #[test]
    fn every_corpus_has_a_sample_within_its_limit() {
        let files = [FLIGHTS, WEATHER, QUAKES, CITIES, SPEECH, WEBHOOKS];
        assert!(files.iter().all(|file| file.len() <= SAMPLE_MAX_BYTES));
        assert!(files.iter().map(|file| file.len()).sum::<usize>() <= 1_500_000);
        for spec in catalogue() {
            let records = sample(spec.name).unwrap();
            assert!(records.len() >= 20, "{records:?}");
            assert!(records.record_bytes() >= 200_000, "{records:?}");
        }
    }

    #[test]
    fn samples_are_clean_of_personal_addresses() {
        let text = std::str::from_utf8(WEBHOOKS).unwrap();
        assert_eq!(super::super::redact::without_personal_addresses(text), text);
        for record in sample("webhooks.jsonl").unwrap().iter() {
            serde_json::from_slice::<serde_json::Value>(record).unwrap();
        }
    }

    #[test]
    fn a_thinned_file_fits_and_spans_the_whole_corpus() {
        let records = RecordSet::collect("t", (0..1000).map(|i| format!("record {i:04}"))).unwrap();
        for framing in [Framing::Lines, Framing::Varint, Framing::Length] {
            let file = thin(&records, framing, 1200);
            assert!(file.len() <= 1200 && file.len() > 1000, "{}", file.len());
            let back = RecordSet::parse("t", file.into(), framing).unwrap();
            assert_eq!(back.get(0), b"record 0000");
            assert!(back.iter().last().unwrap() >= b"record 0980".as_slice());
        }
    }
}
