//! Java properties files, as `server.properties` is one: `key=value`, `#`/`!` comments, continuation
//! lines and backslash escapes.

use std::path::{Path, PathBuf};

use super::ConfigError;

/// One entry of a properties file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped.
    pub value: String,
    /// Line where the entry begins, counted from 1.
    pub line: usize,
}

/// Reads and parses `path`.
pub fn read(path: &Path) -> Result<Vec<Property>, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: PathBuf::from(path), source })?;
    parse(&text).map_err(|(line, reason)| ConfigError::Syntax { path: PathBuf::from(path), line, reason })
}

/// Parses properties text. The error names the line and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Property>, (usize, String)> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while ends_with_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        entries.push(entry(&logical, index + 1)?);
    }
    Ok(entries)
}

/// An odd number of trailing backslashes continues the line; an even number is escaped backslashes.
fn ends_with_continuation(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

fn entry(logical: &str, line: usize) -> Result<Property, (usize, String)> {
    let split = key_end(logical);
    let (key, rest) = logical.split_at_checked(split).unwrap_or((logical, ""));
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    let key = unescape(key).map_err(|reason| (line, reason))?;
    if key.is_empty() {
        return Err((line, "an entry needs a key before `=`".into()));
    }
    let value = unescape(value).map_err(|reason| (line, reason))?;
    Ok(Property { key, value: value.trim_end().to_owned(), line })
}

fn key_end(logical: &str) -> usize {
    let mut escaped = false;
    for (at, c) in logical.char_indices() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '=' | ':' | ' ' | '\t' if !escaped => return at,
            _ => {}
        }
        escaped = false;
    }
    logical.len()
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => out.push(unicode(&mut chars)?),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

fn unicode(chars: &mut std::str::Chars<'_>) -> Result<char, String> {
    let hex: String = chars.take(4).collect();
    u32::from_str_radix(&hex, 16)
        .ok()
        .filter(|_| hex.len() == 4)
        .and_then(char::from_u32)
        .ok_or_else(|| format!("`\\u{hex}` is not a character; write four hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).expect("parses").into_iter().map(|p| (p.key, p.value)).collect()
    }

    #[test]
    fn reads_separators_comments_and_continuations() {
        let text = "# comment\n! another\n\nlisteners = PLAINTEXT://:9092\nlog.dirs:/data\nnum.partitions 3\nlist=a,\\\n   b\n";
        let got = pairs(text);
        let want = [
            ("listeners", "PLAINTEXT://:9092"),
            ("log.dirs", "/data"),
            ("num.partitions", "3"),
            ("list", "a,b"),
        ];
        assert_eq!(got, want.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn an_entry_remembers_its_first_line() {
        let got = parse("\n\na=1\\\n2\nb=3\n").expect("parses");
        assert_eq!(got.iter().map(|p| (p.key.as_str(), p.line)).collect::<Vec<_>>(), [("a", 3), ("b", 5)]);
    }

    #[test]
    fn escapes_are_undone_and_bad_ones_named() {
        assert_eq!(pairs("a\\=b=c\\u0041\\td"), [("a=b".to_owned(), "cA\td".to_owned())]);
        assert_eq!(parse("x=\\u00zz").expect_err("bad escape").0, 1);
        assert_eq!(parse("ok=1\n=5").expect_err("no key").0, 2);
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,200}") {
            let _ = parse(&text).is_ok();
        }
    }
}
