//! The text files of a log directory, read without mending what is wrong in them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use plimsoll_io::{IoFault, IoOp};

/// No checkpoint is longer: a million partitions with long names.
const TEXT_MAX_BYTES: u64 = 64 << 20;

/// The file as text; `Err` inside says why it is none.
pub(crate) fn read(path: &Path) -> Result<Result<String, String>, IoFault> {
    let fault = |error| IoFault::new(IoOp::Read, path, 0, error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fault)?;
    file.take(TEXT_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > TEXT_MAX_BYTES {
        return Ok(Err(format!("it is longer than {TEXT_MAX_BYTES} bytes")));
    }
    Ok(String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned()))
}

/// The entry lines of a checkpoint: version 0, a count, and as many lines. Kafka creates checkpoints empty, which
/// says that there are no entries.
pub(crate) fn entries<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("0") {
        return Err("line 1: expected version 0".to_owned());
    }
    let declared = lines.next().and_then(|line| line.trim().parse::<usize>().ok());
    let declared = declared.ok_or("line 2: expected the number of entries")?;
    let parsed: Result<Vec<T>, String> = lines
        .enumerate()
        .map(|(i, line)| parse(line).ok_or_else(|| format!("line {}: cannot read `{line}`", i + 3)))
        .collect();
    let parsed = parsed?;
    if parsed.len() != declared {
        return Err(format!("line 2: {declared} entries declared, {} found", parsed.len()));
    }
    Ok(parsed)
}

/// `epoch start-offset`.
pub(crate) fn epoch_line(line: &str) -> Option<(i32, i64)> {
    let (epoch, start_offset) = line.trim().split_once(' ')?;
    Some((epoch.parse().ok()?, start_offset.trim().parse().ok()?))
}

/// `topic partition offset`.
pub(crate) fn offset_line(line: &str) -> Option<(String, i32, i64)> {
    let mut words = line.split_ascii_whitespace();
    let entry = (words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some(entry)
}

/// `key=value` or `key: value` lines, without comments.
pub(crate) fn properties(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let content = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    content.filter_map(|line| line.split_once(['=', ':'])).map(|(key, value)| (key.trim(), value.trim()))
}
