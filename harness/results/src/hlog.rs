//! `latency.hlog`: HdrHistogram interval log, version 1.3, readable by other HdrHistogram tools.
//!
//! Values are nanoseconds; the readable maximum in each line is milliseconds, as those tools expect. The tag
//! is the kind of latency. Intervals outside the measured phase have the phase in front (`warmup.response`),
//! so that a foreign tool which selects `response` sees the measured phase only. What the format has no place for
//! stands in comments before a line: what its histogram could not count, and the exact sum of what it did.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use thiserror::Error;

use crate::histogram::Histogram;
use crate::series::{LatencyInterval, LatencySeries, Metric, Phase};

const UNCOUNTED: &str = "#[Uncounted:";
const SUM: &str = "#[Sum:";
/// A histogram line is a few kilobytes; longer ones are not ours and not memory's to spend.
const LINE_MAX_BYTES: usize = 4 << 20;
/// A histogram at one hour and three digits takes under half a megabyte.
const HISTOGRAM_MAX_BYTES: usize = 8 << 20;

/// A log that could not be read.
#[derive(Debug, Error)]
pub enum HlogError {
    /// The file could not be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// File.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A line is not an interval.
    #[error("{path} line {line}: {what}")]
    Line {
        /// File.
        path: PathBuf,
        /// Line number from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// Appends intervals; every line is whole when [`HlogWriter::interval`] returns.
pub struct HlogWriter<W> {
    out: W,
    serializer: V2DeflateSerializer,
    line: String,
    bytes: Vec<u8>,
}

impl<W> std::fmt::Debug for HlogWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HlogWriter").finish_non_exhaustive()
    }
}

impl<W: Write> HlogWriter<W> {
    /// Writes the header. `started` is the wall-clock time since the epoch at the run's zero.
    pub fn begin(mut out: W, started: Duration) -> io::Result<Self> {
        let seconds = started.as_secs_f64();
        write!(
            out,
            "#[Plimsoll latencies in nanoseconds; tags name the kind, with the phase in front unless measured]\n\
             #[Histogram log format version 1.3]\n\
             #[StartTime: {seconds:.3} (seconds since epoch)]\n\
             #[BaseTime: {seconds:.3} (seconds since epoch)]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
        )?;
        out.flush()?;
        Ok(Self { out, serializer: V2DeflateSerializer::new(), line: String::new(), bytes: Vec::new() })
    }

    /// Writes one interval in one call and flushes it.
    pub fn interval(&mut self, row: &LatencyInterval) -> io::Result<()> {
        self.line.clear();
        self.bytes.clear();
        let histogram = row.histogram.hdr();
        self.serializer.serialize(histogram, &mut self.bytes).map_err(io::Error::other)?;
        let (overflow, negative) = (row.histogram.overflow(), row.histogram.negative());
        if overflow + negative > 0 {
            let _ = writeln!(self.line, "{UNCOUNTED} overflow={overflow} negative={negative}]");
        }
        if !row.histogram.is_empty() {
            let _ = writeln!(self.line, "{SUM} ns={}]", row.histogram.sum_ns());
        }
        let _ = write!(
            self.line,
            "Tag={},{:.3},{:.3},{:.3},",
            tag(row.phase, &row.metric),
            row.at_ns as f64 / 1e9,
            row.len_ns as f64 / 1e9,
            histogram.max() as f64 / 1e6
        );
        BASE64.encode_string(&self.bytes, &mut self.line);
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())?;
        self.out.flush()
    }
}

/// Reads a log. A last line without its end, left by a killed run, is ignored; any other bad line is an error.
pub fn read_hlog(path: &Path) -> Result<LatencySeries, HlogError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| HlogError::Io { path: path.to_owned(), source })?;
    parse_hlog(&text).map_err(|(line, what)| HlogError::Line { path: path.to_owned(), line, what })
}

fn parse_hlog(text: &str) -> Result<LatencySeries, (usize, String)> {
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or(""));
    let mut series = LatencySeries::default();
    let mut beside = Beside::default();
    for (index, line) in whole.lines().enumerate() {
        if let Some(rest) = line.strip_prefix(UNCOUNTED) {
            (beside.overflow, beside.negative) = (number(rest, "overflow="), number(rest, "negative="));
        } else if let Some(rest) = line.strip_prefix(SUM) {
            beside.sum_ns = Some(number(rest, "ns="));
        } else if !line.is_empty() && !line.starts_with('#') && !line.starts_with('"') {
            let row = parse_interval(line, std::mem::take(&mut beside));
            series.push(row.map_err(|what| (index + 1, what))?);
        }
    }
    Ok(series)
}

/// What the comments before an interval say of it.
#[derive(Debug, Clone, Copy, Default)]
struct Beside {
    sum_ns: Option<u128>,
    overflow: u64,
    negative: u64,
}

fn number<N: std::str::FromStr + Default>(rest: &str, key: &str) -> N {
    let digits = rest.split_once(key).map_or("", |(_, tail)| tail);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn parse_interval(line: &str, beside: Beside) -> Result<LatencyInterval, String> {
    if line.len() > LINE_MAX_BYTES {
        return Err(format!("{} bytes in one line, at most {LINE_MAX_BYTES} are read", line.len()));
    }
    let (tag, rest) = match line.strip_prefix("Tag=") {
        Some(tagged) => tagged.split_once(',').ok_or("a tag without an interval")?,
        None => ("response", line),
    };
    let mut fields = rest.splitn(4, ',');
    let mut next = |name: &str| fields.next().ok_or_else(|| format!("no {name}"));
    let at_ns = nanos(next("start")?)?;
    let len_ns = nanos(next("length")?)?;
    next("maximum")?;
    let histogram = decode(next("histogram")?, beside)?;
    let (phase, metric) = untag(tag);
    Ok(LatencyInterval { at_ns, len_ns, phase, metric, histogram })
}

fn nanos(text: &str) -> Result<u64, String> {
    let seconds: f64 = text.trim().parse().map_err(|_| format!("`{text}` is not a number of seconds"))?;
    if !(0.0..1e10).contains(&seconds) {
        return Err(format!("{text} s is not a time of a run"));
    }
    Ok((seconds * 1e3).round() as u64 * 1_000_000)
}

fn decode(text: &str, beside: Beside) -> Result<Histogram, String> {
    let counts = decode_counts(text)?;
    Ok(Histogram::from_parts(counts, beside.sum_ns, beside.overflow, beside.negative))
}

/// Counts as HdrHistogram serializes them, in base64, of a bounded range.
pub(crate) fn decode_counts(text: &str) -> Result<hdrhistogram::Histogram<u64>, String> {
    let bytes = BASE64.decode(text.trim()).map_err(|cause| format!("not base64: {cause}"))?;
    // Deserializing takes memory for the range the header declares, so the range is checked first.
    check_header(&bytes)?;
    let counts = Deserializer::new().deserialize(&mut bytes.as_slice());
    counts.map_err(|cause| format!("not an HdrHistogram: {cause:?}"))
}

/// V2 compressed: cookie, length, deflate stream. The stream's own header holds digits, lowest and highest.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    use std::io::Read as _;
    const COMPRESSED_COOKIE: [u8; 4] = 0x1c84_9314_u32.to_be_bytes();
    const HEADER_BYTES: usize = 40;
    let Some((cookie, rest)) = bytes.split_at_checked(4) else { return Err("cut short".to_owned()) };
    let mut header = [0; HEADER_BYTES];
    if cookie == COMPRESSED_COOKIE {
        let stream = rest.get(4..).ok_or("cut short")?;
        let mut inflate = flate2::read::ZlibDecoder::new(stream);
        inflate.read_exact(&mut header).map_err(|cause| format!("histogram does not inflate: {cause}"))?;
    } else {
        header.copy_from_slice(bytes.get(..HEADER_BYTES).ok_or("cut short")?);
    }
    let word =
        |at: usize| header.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
    let payload_bytes = word(4) >> 32;
    let (digits, low, high) = (word(8) & 0xffff_ffff, word(16), word(24));
    if payload_bytes > HISTOGRAM_MAX_BYTES as u64 || digits > 5 || low == 0 || high < 2 * low {
        return Err(format!("histogram declares {payload_bytes} bytes, {digits} digits, {low} to {high}"));
    }
    Ok(())
}

fn tag(phase: Phase, metric: &Metric) -> String {
    match phase {
        Phase::Measure => metric.to_string(),
        other => format!("{}.{metric}", other.as_str()),
    }
}

fn untag(tag: &str) -> (Phase, Metric) {
    let metric = |text: &str| text.parse().unwrap_or_else(|never| match never {});
    match tag.split_once('.') {
        Some(("warmup", rest)) => (Phase::Warmup, metric(rest)),
        Some(("drain", rest)) => (Phase::Drain, metric(rest)),
        _ => (Phase::Measure, metric(tag)),
    }
}
