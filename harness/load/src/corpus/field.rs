//! Reading one field out of a record, so that keys can come from the data.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::catalogue::nearest;
use super::record_set::read_varint;
use super::{CorpusError, CorpusSpec, Framing, csv};

/// Where a field is found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Column of a CSV line, from 0.
    Column(usize),
    /// Path of object keys in JSON.
    Path(Vec<String>),
    /// Field number of a protobuf message.
    Number(u64),
}

/// Reads one field, or several joined by `-`.
#[derive(Debug, Clone)]
pub struct FieldReader {
    name: String,
    places: Vec<Place>,
}

impl FieldReader {
    /// A reader for records of a corpus; `field` is a column, a dotted JSON path or a message field, and
    /// `+` joins several: `origin+dest`.
    ///
    /// # Errors
    /// [`CorpusError::UnknownField`] for a name that CSV or protobuf records do not have, and for text.
    pub fn of_corpus(spec: &CorpusSpec, field: &str) -> Result<FieldReader, CorpusError> {
        let place = |name: &str| -> Result<Place, CorpusError> {
            let column = spec.columns.iter().position(|c| *c == name);
            match (spec.framing, column) {
                (Framing::Lines, Some(column)) => Ok(Place::Column(column)),
                (_, Some(column)) => Ok(Place::Number(column as u64 + 1)),
                (_, None) if spec.name.ends_with(".jsonl") => Ok(json_path(name)),
                (_, None) => Err(unknown_field(spec, name)),
            }
        };
        Ok(FieldReader {
            name: field.to_owned(),
            places: field.split('+').map(place).collect::<Result<_, _>>()?,
        })
    }

    /// A reader for records of the user's own file: `json:PATH`, `csv:COLUMN` from 1 or `protobuf:NUMBER`.
    ///
    /// # Errors
    /// [`CorpusError::Setting`] for any other form.
    pub fn of_file(field: &str) -> Result<FieldReader, CorpusError> {
        let wrong = || {
            CorpusError::Setting(format!(
                "key field `{field}`: write json:PATH, csv:COLUMN (from 1) or protobuf:FIELD_NUMBER"
            ))
        };
        let (form, at) = field.split_once(':').ok_or_else(wrong)?;
        let number = at.parse::<u32>().ok().filter(|n| *n > 0);
        let place = match (form, number) {
            ("json", _) if !at.is_empty() => json_path(at),
            ("csv", Some(column)) => Place::Column(column as usize - 1),
            ("protobuf", Some(number)) => Place::Number(u64::from(number)),
            _ => return Err(wrong()),
        };
        Ok(FieldReader { name: field.to_owned(), places: vec![place] })
    }

    /// The field as it was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field's value in this record; `None` when any part is missing, empty, null or `NA`.
    pub fn read(&self, record: &[u8]) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        for (i, place) in self.places.iter().enumerate() {
            if i > 0 {
                key.push(b'-');
            }
            let part = match place {
                Place::Column(column) => csv_field(record, *column)?,
                Place::Path(path) => json_field(record, path)?,
                Place::Number(number) => protobuf_field(record, *number)?,
            };
            key.extend_from_slice(&part);
        }
        Some(key)
    }
}

fn json_path(name: &str) -> Place {
    Place::Path(name.split('.').map(str::to_owned).collect())
}

fn csv_field(record: &[u8], column: usize) -> Option<Cow<'_, [u8]>> {
    let field = csv::fields(std::str::from_utf8(record).ok()?).nth(column)?;
    (!matches!(field.as_ref(), "" | "NA")).then(|| match field {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}

fn json_field<'a>(record: &'a [u8], path: &[String]) -> Option<Cow<'a, [u8]>> {
    let mut text = std::str::from_utf8(record).ok()?;
    for name in path {
        let object: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
        text = object.get(name.as_str())?.get();
    }
    if text.starts_with('"') {
        return serde_json::from_str::<String>(text).ok().map(|s| Cow::Owned(s.into_bytes()));
    }
    (text != "null").then_some(Cow::Borrowed(text.as_bytes()))
}

/// Walks the message's fields (protobuf encoding guide, "Message Structure") to the first with this number.
fn protobuf_field(record: &[u8], number: u64) -> Option<Cow<'_, [u8]>> {
    let mut rest = record;
    while !rest.is_empty() {
        let (tag, used) = read_varint(rest).ok()?;
        rest = rest.get(used..)?;
        let (value, used) = match tag & 7 {
            0 => read_varint(rest).map(|(v, used)| (Cow::Owned(v.to_string().into_bytes()), used)).ok()?,
            1 => (Cow::Borrowed(rest.get(..8)?), 8),
            2 => {
                let (len, prefix) = read_varint(rest).ok()?;
                let end = prefix.checked_add(usize::try_from(len).ok()?)?;
                (Cow::Borrowed(rest.get(prefix..end)?), end)
            }
            5 => (Cow::Borrowed(rest.get(..4)?), 4),
            _ => return None,
        };
        if tag >> 3 == number {
            return Some(value);
        }
        rest = rest.get(used..)?;
    }
    None
}

fn unknown_field(spec: &CorpusSpec, field: &str) -> CorpusError {
    CorpusError::UnknownField {
        corpus: spec.name.to_owned(),
        field: field.to_owned(),
        suggestion: nearest(field, spec.columns.iter().copied()).map(str::to_owned),
        known: match spec.columns {
            [] => "they are plain text; take uniform, zipf or no keys".to_owned(),
            columns => format!("fields are: {}", columns.join(", ")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;
    use proptest::prelude::*;

    fn read(corpus: &str, field: &str, record: &[u8]) -> Option<String> {
        let reader = FieldReader::of_corpus(find(corpus).unwrap(), field).unwrap();
        reader.read(record).map(|key| String::from_utf8(key).unwrap())
    }

    #[test]
    fn fields_come_out_of_csv_json_and_protobuf() {
        let row = b"2013,1,1,517,515,2,830,819,11,UA,1545,NA,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z";
        assert_eq!(read("flights.csv", "origin+dest", row).unwrap(), "EWR-IAH");
        assert_eq!(read("flights.csv", "tailnum", row), None);
        let event = br#"{"properties":{"net":"c\u0069","nst":7},"id":null}"#;
        assert_eq!(read("quakes.jsonl", "properties.net", event).unwrap(), "ci");
        assert_eq!(read("quakes.jsonl", "properties.nst", event).unwrap(), "7");
        assert_eq!(read("quakes.jsonl", "id", event), None);
        let city = b"\x08\xe4\xfe\xf2\x02\x12\x02El\x1a\x02AD\x48\x9c\x08";
        assert_eq!(read("cities.pb", "country", city).unwrap(), "AD");
        assert_eq!(read("cities.pb", "population", city).unwrap(), "1052");
    }

    #[test]
    fn a_misspelt_column_is_answered_with_the_nearest_and_text_has_none() {
        let message =
            |corpus, field| FieldReader::of_corpus(find(corpus).unwrap(), field).unwrap_err().to_string();
        assert!(message("flights.csv", "tailnumm").contains("did you mean `tailnum`"));
        assert!(message("speech.txt", "word").contains("plain text"));
        assert!(FieldReader::of_file("csv:0").is_err() && FieldReader::of_file("column").is_err());
        assert_eq!(FieldReader::of_file("csv:2").unwrap().read(b"a,b").unwrap(), b"b");
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(record: Vec<u8>) {
            for field in ["json:a.b", "csv:2", "protobuf:3"] {
                let _ = FieldReader::of_file(field).unwrap().read(&record);
            }
        }
    }
}
