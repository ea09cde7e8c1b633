//! Whole files and whole lines.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::BundleError;

pub(crate) fn io<'a>(
    op: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> BundleError + use<'a> {
    move |source| BundleError::Io { op, path: path.to_owned(), source }
}

/// Replaces a file: readers see the old document or the new one, never a part.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), BundleError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut file = File::create(&fresh).map_err(io("create", &fresh))?;
    file.write_all(bytes).map_err(io("write", &fresh))?;
    file.sync_data().map_err(io("sync", &fresh))?;
    fs::rename(&fresh, path).map_err(io("replace", path))
}

pub(crate) fn replace_json<T: Serialize>(path: &Path, value: &T) -> Result<(), BundleError> {
    let mut text = serde_json::to_string_pretty(value).map_err(json(path, None))?;
    text.push('\n');
    replace(path, text.as_bytes())
}

pub(super) fn replace_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), BundleError> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row).map_err(json(path, None))?);
        text.push('\n');
    }
    replace(path, text.as_bytes())
}

/// Appends one line in one write.
pub(super) fn append_line<T: Serialize>(path: &Path, row: &T) -> Result<(), BundleError> {
    let mut text = serde_json::to_string(row).map_err(json(path, None))?;
    text.push('\n');
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(io("open", path))?;
    file.write_all(text.as_bytes()).map_err(io("append to", path))
}

/// Reads one document per line; a last line without its end, left by a killed run, is ignored.
pub(super) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, BundleError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io("read", path)(source)),
    };
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or(""));
    let rows = whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    rows.map(|(index, line)| serde_json::from_str(line).map_err(json(path, Some(index + 1)))).collect()
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, BundleError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(json(path, None)),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io("read", path)(source)),
    }
}

/// The document `name` in the directory `path`, or at `path` itself: its directory, what this version knows of it, and all
/// of it as found. `known` is what this version reads, such as `run/1.x`.
pub(crate) fn read_document<D: DeserializeOwned>(
    path: &Path,
    name: &str,
    known: &'static str,
) -> Result<(PathBuf, D, Value), BundleError> {
    let dir = if path.is_file() { path.parent().unwrap_or(Path::new(".")) } else { path };
    let file = dir.join(name);
    let bytes = fs::read(&file).map_err(io("read", &file))?;
    let raw: Value = serde_json::from_slice(&bytes).map_err(json(&file, None))?;
    let Some(schema) = raw.get("schema").and_then(Value::as_str) else {
        return Err(BundleError::Foreign { known, path: file });
    };
    let minor = schema.strip_prefix(known.trim_end_matches('x'));
    if minor.is_none_or(|minor| minor.parse::<u32>().is_err()) {
        return Err(BundleError::Schema { known, found: schema.to_owned(), path: file });
    }
    let document = D::deserialize(&raw).map_err(json(&file, None))?;
    Ok((dir.to_owned(), document, raw))
}

pub(crate) fn json(
    path: &Path,
    line: Option<usize>,
) -> impl FnOnce(serde_json::Error) -> BundleError + use<'_> {
    move |source| BundleError::Json { path: path.to_owned(), line, source }
}
