//! Tables for a terminal: columns as wide as their widest cell, words to the left, numbers to the right.

use std::ops::RangeBounds;

/// A table with a head. The columns in `numbers` are flushed right, the others left; lines end in `\n`, without
/// spaces before it.
pub fn text_table(head: &[&str], rows: &[Vec<String>], numbers: impl RangeBounds<usize>) -> String {
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| all().filter_map(|row| Some(row.get(column)?.chars().count())).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in all() {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if numbers.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A text broken between words into lines of at most `width` characters, each ended by `\n`. A longer word stays whole.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree\n");
        assert_eq!(wrapped("extraordinarily long", 5), "extraordinarily\nlong\n");
    }

    #[test]
    fn words_stand_left_and_numbers_right() {
        let rows = [vec!["a".to_owned(), "1.00 k".to_owned()], vec!["longer".to_owned(), "–".to_owned()]];
        assert_eq!(
            text_table(&["run", "rate"], &rows, 1..),
            "run       rate\na       1.00 k\nlonger       –\n"
        );
    }
}
