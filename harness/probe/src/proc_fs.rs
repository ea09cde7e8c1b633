//! Small text files of the kernel, read whole, with the reason when they cannot be.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// Collects values and, for those that could not be read, why.
#[derive(Debug, Default)]
pub(crate) struct Unread(pub(crate) BTreeMap<String, String>);

impl Unread {
    /// The value, or `None` with the reason noted under `name`.
    pub(crate) fn note<T>(&mut self, name: &str, value: Result<T, String>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(reason) => {
                self.0.insert(name.to_owned(), reason);
                None
            }
        }
    }
}

/// The file's text without the line end, or why not.
pub(crate) fn text(path: impl AsRef<Path>) -> Result<String, String> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
    Ok(text.trim_end().to_owned())
}

/// The file's text as one value.
pub(crate) fn value<T: FromStr>(path: impl AsRef<Path>) -> Result<T, String> {
    let path = path.as_ref();
    let text = text(path)?;
    text.trim().parse().map_err(|_| format!("{}: `{text}` is not a number", path.display()))
}

/// The value of `key` in lines such as `Dirty:   12 kB`, without the unit.
pub(crate) fn keyed<T: FromStr>(text: &str, key: &str) -> Option<T> {
    let line = text.lines().find(|line| line.split([':', ' ', '\t']).next() == Some(key))?;
    line.get(key.len()..)?.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}

/// As [`keyed`], for the kB lines of `/proc/meminfo` and `/proc/<pid>/status`.
pub(crate) fn keyed_bytes(text: &str, key: &str) -> Option<u64> {
    keyed::<u64>(text, key).map(|kib| kib.saturating_mul(1024))
}

/// The word in brackets of `always [madvise] never`.
pub(crate) fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_whole_words_only() {
        let meminfo = "DirtyX:  1 kB\nDirty:      12 kB\nWriteback:  3 kB\n";
        assert_eq!(keyed_bytes(meminfo, "Dirty"), Some(12 * 1024));
        assert_eq!(keyed::<u64>("pswpin 7\npswpout 9", "pswpout"), Some(9));
        assert_eq!(keyed::<u64>(meminfo, "Swap"), None);
    }

    #[test]
    fn the_chosen_word_is_the_one_in_brackets() {
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(chosen("none"), None);
    }

    #[test]
    fn what_cannot_be_read_has_a_reason() {
        let mut unread = Unread::default();
        assert_eq!(unread.note("x", text("/nonexistent/file")), None);
        assert!(unread.0["x"].contains("/nonexistent/file"));
    }
}
