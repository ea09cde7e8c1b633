//! A corpus in memory: one buffer, one span per record, nothing copied when a record is taken.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use bytes::Bytes;

use super::CorpusError;

/// Largest file that is loaded; spans are 32 bits wide and the buffer is resident.
const MAX_BYTES: u64 = 2 << 30;

/// How the records of a file are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One record a line; `\n` or `\r\n` ends it and is not part of it; empty lines are skipped.
    Lines,
    /// A protobuf varint with the length, then that many bytes.
    Varint,
    /// A 32-bit big-endian length, then that many bytes.
    Length,
}

impl FromStr for Framing {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "lines" => Ok(Framing::Lines),
            "varint" => Ok(Framing::Varint),
            "length" => Ok(Framing::Length),
            other => Err(format!("unknown framing `{other}`: lines, varint or length")),
        }
    }
}

impl Framing {
    /// Appends one record with its frame.
    pub fn write(self, record: &[u8], out: &mut Vec<u8>) {
        match self {
            Framing::Lines => {
                out.extend_from_slice(record);
                out.push(b'\n');
                return;
            }
            Framing::Varint => {
                let mut len = record.len();
                while len >= 0x80 {
                    out.push(len as u8 | 0x80);
                    len >>= 7;
                }
                out.push(len as u8);
            }
            // Records of more than 4 GiB do not exist here: spans are 32 bits wide.
            Framing::Length => out.extend_from_slice(&(record.len() as u32).to_be_bytes()),
        }
        out.extend_from_slice(record);
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Framing::Lines => "lines",
            Framing::Varint => "varint",
            Framing::Length => "length",
        })
    }
}

/// Where one record lies in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub at_bytes: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    fn new(at: usize, len: usize) -> Option<Span> {
        Some(Span { at_bytes: u32::try_from(at).ok()?, len: u32::try_from(len).ok()? })
    }
}

/// Records in one buffer. Cloning shares both buffer and spans are copied; wrap in `Arc` to share all.
///
/// Invariant: every span lies inside the buffer, and there is at least one.
#[derive(Clone)]
pub struct RecordSet {
    name: String,
    buffer: Bytes,
    spans: Vec<Span>,
    record_bytes: u64,
}

impl RecordSet {
    /// Splits a file's content into records. `name` appears in errors and results.
    ///
    /// # Errors
    /// [`CorpusError::Malformed`] with the byte where a length lies or is cut, [`CorpusError::Empty`], or
    /// [`CorpusError::TooLarge`].
    pub fn parse(name: &str, buffer: Bytes, framing: Framing) -> Result<RecordSet, CorpusError> {
        check_size(Path::new(name), buffer.len() as u64)?;
        let spans = match framing {
            Framing::Lines => split_lines(&buffer),
            Framing::Varint => split_framed(name, &buffer, read_varint)?,
            Framing::Length => split_framed(name, &buffer, read_length)?,
        };
        RecordSet::of(name, buffer, spans)
    }

    /// Loads a file and splits it.
    ///
    /// # Errors
    /// As [`RecordSet::parse`], and [`CorpusError::Io`].
    pub fn load(path: &Path, framing: Framing) -> Result<RecordSet, CorpusError> {
        let bytes = std::fs::metadata(path).map_err(CorpusError::io("stat", path))?.len();
        check_size(path, bytes)?;
        let buffer = std::fs::read(path).map_err(CorpusError::io("read", path))?;
        RecordSet::parse(&path.display().to_string(), buffer.into(), framing)
    }

    /// Takes records as they are; for generated payloads.
    ///
    /// # Errors
    /// [`CorpusError::Empty`] without records, [`CorpusError::TooLarge`] beyond the limit of a corpus.
    pub fn collect<R: AsRef<[u8]>>(
        name: &str,
        records: impl IntoIterator<Item = R>,
    ) -> Result<RecordSet, CorpusError> {
        let (mut buffer, mut spans) = (Vec::new(), Vec::new());
        for record in records {
            let record = record.as_ref();
            check_size(Path::new(name), (buffer.len() + record.len()) as u64)?;
            spans.extend(Span::new(buffer.len(), record.len()));
            buffer.extend_from_slice(record);
        }
        RecordSet::of(name, buffer.into(), spans)
    }

    fn of(name: &str, buffer: Bytes, spans: Vec<Span>) -> Result<RecordSet, CorpusError> {
        if spans.is_empty() {
            return Err(CorpusError::Empty { file: name.to_owned() });
        }
        let record_bytes = spans.iter().map(|s| u64::from(s.len)).sum();
        Ok(RecordSet { name: name.to_owned(), buffer, spans, record_bytes })
    }

    /// What these records are called in results.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same records under another name.
    pub fn renamed(self, name: &str) -> RecordSet {
        RecordSet { name: name.to_owned(), ..self }
    }

    /// Number of records; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a record set is never empty, by construction")]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Sum of the records' lengths, framing not counted.
    pub fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Length of the longest record.
    pub fn longest_bytes(&self) -> usize {
        self.spans.iter().map(|s| s.len as usize).max().unwrap_or(0)
    }

    /// The same bytes cut every `size_bytes` instead, framing bytes included; a short rest is left out.
    ///
    /// # Errors
    /// [`CorpusError::Setting`] when not one record of this size is there, or the size is 0.
    pub fn resized(&self, size_bytes: usize) -> Result<RecordSet, CorpusError> {
        let name = format!("{} cut to {size_bytes} B", self.name);
        let count = self.buffer.len().checked_div(size_bytes).unwrap_or(0);
        let spans: Vec<Span> = (0..count).filter_map(|i| Span::new(i * size_bytes, size_bytes)).collect();
        if spans.is_empty() {
            let have = self.buffer.len();
            return Err(CorpusError::Setting(format!("{name}: {} has only {have} bytes", self.name)));
        }
        RecordSet::of(&name, self.buffer.clone(), spans)
    }

    /// Length of record `index`, 0 past the end.
    pub fn len_of(&self, index: u32) -> usize {
        self.spans.get(index as usize).map_or(0, |s| s.len as usize)
    }

    /// The bytes of record `index`; empty past the end.
    #[inline]
    pub fn get(&self, index: u32) -> &[u8] {
        let Some(span) = self.spans.get(index as usize) else { return &[] };
        let at = span.at_bytes as usize;
        self.buffer.get(at..at + span.len as usize).unwrap_or(&[])
    }

    /// Record `index` as a shared slice of the buffer; empty past the end.
    pub fn get_bytes(&self, index: u32) -> Bytes {
        self.buffer.slice_ref(self.get(index))
    }

    /// All records in file order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.spans.len() as u32).map(|i| self.get(i))
    }

    /// Number of different records. Hashes every record: not for the hot path.
    pub fn unique(&self) -> usize {
        self.iter().collect::<HashSet<_>>().len()
    }
}

impl fmt::Debug for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordSet")
            .field("name", &self.name)
            .field("records", &self.spans.len())
            .field("record_bytes", &self.record_bytes)
            .finish_non_exhaustive()
    }
}

fn check_size(path: &Path, bytes: u64) -> Result<(), CorpusError> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(CorpusError::TooLarge { path: path.to_owned(), bytes, max: MAX_BYTES })
}

fn split_lines(buffer: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    for line in buffer.split(|b| *b == b'\n') {
        let content = line.strip_suffix(b"\r").unwrap_or(line);
        if !content.is_empty() {
            spans.extend(Span::new(at, content.len()));
        }
        at += line.len() + 1;
    }
    spans
}

/// Reads a length prefix: `(length, bytes of prefix)`, or what is wrong with it.
type ReadPrefix = fn(&[u8]) -> Result<(u64, usize), &'static str>;

fn split_framed(name: &str, buffer: &[u8], prefix: ReadPrefix) -> Result<Vec<Span>, CorpusError> {
    let malformed =
        |at: usize, what: String| CorpusError::Malformed { file: name.to_owned(), at_bytes: at as u64, what };
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(rest) = buffer.get(at..).filter(|rest| !rest.is_empty()) {
        let (len, prefix_bytes) = prefix(rest).map_err(|what| malformed(at, what.to_owned()))?;
        let left = rest.len() - prefix_bytes;
        let span = usize::try_from(len)
            .ok()
            .filter(|len| *len <= left)
            .and_then(|len| Span::new(at + prefix_bytes, len))
            .ok_or_else(|| malformed(at, format!("record of {len} bytes declared, {left} are left")))?;
        at += prefix_bytes + span.len as usize;
        spans.push(span);
    }
    Ok(spans)
}

/// A protobuf varint of at most 64 bits (protobuf encoding guide, "Base 128 Varints").
pub(crate) fn read_varint(bytes: &[u8]) -> Result<(u64, usize), &'static str> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i).min(63);
        if byte & 0x80 == 0 {
            return if i == 9 && *byte > 1 { Err("varint of more than 64 bits") } else { Ok((value, i + 1)) };
        }
    }
    Err(if bytes.len() < 10 { "varint is cut" } else { "varint of more than 64 bits" })
}

fn read_length(bytes: &[u8]) -> Result<(u64, usize), &'static str> {
    let prefix = bytes.first_chunk::<4>().ok_or("length is cut")?;
    Ok((u64::from(u32::from_be_bytes(*prefix)), 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8], framing: Framing) -> Result<Vec<Vec<u8>>, CorpusError> {
        let set = RecordSet::parse("t", Bytes::copy_from_slice(bytes), framing)?;
        Ok(set.iter().map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn lines_end_with_lf_or_crlf_and_empty_ones_are_no_records() {
        let records = parse(b"a\r\n\nbc\nd", Framing::Lines).unwrap();
        assert_eq!(records, [b"a".to_vec(), b"bc".to_vec(), b"d".to_vec()]);
    }

    #[test]
    fn a_lying_length_is_named_with_its_place() {
        let error = parse(b"\x01a\x7fb", Framing::Varint).unwrap_err().to_string();
        assert_eq!(error, "t: byte 2: record of 127 bytes declared, 1 are left");
        let error = parse(b"\xff\xff\xff\xffa", Framing::Length).unwrap_err().to_string();
        assert!(error.contains("4294967295 bytes declared, 1 are left"), "{error}");
        assert!(parse(b"\x00\x00", Framing::Length).unwrap_err().to_string().contains("cut"));
        assert!(parse(&[0x80; 11], Framing::Varint).unwrap_err().to_string().contains("64 bits"));
        assert!(parse(b"\x80", Framing::Varint).unwrap_err().to_string().contains("cut"));
    }

    #[test]
    fn a_set_without_records_is_refused() {
        assert!(matches!(parse(b"\n\n", Framing::Lines), Err(CorpusError::Empty { .. })));
    }

    proptest! {
        #[test]
        fn framed_records_come_back_as_written(records: Vec<Vec<u8>>) {
            prop_assume!(!records.is_empty());
            let mut by_length = Vec::new();
            let mut by_varint = Vec::new();
            for r in &records {
                Framing::Length.write(r, &mut by_length);
                Framing::Varint.write(r, &mut by_varint);
            }
            prop_assert_eq!(&parse(&by_length, Framing::Length).unwrap(), &records);
            prop_assert_eq!(&parse(&by_varint, Framing::Varint).unwrap(), &records);
        }

        #[test]
        fn any_bytes_are_split_or_refused_but_never_panic(bytes: Vec<u8>) {
            for framing in [Framing::Lines, Framing::Varint, Framing::Length] {
                if let Ok(records) = parse(&bytes, framing) {
                    prop_assert!(records.iter().map(Vec::len).sum::<usize>() <= bytes.len());
                }
            }
        }
    }
}
