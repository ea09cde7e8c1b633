//! One line of CSV (RFC 4180), its fields, and the same row as a JSON object.

use std::borrow::Cow;

/// Splits a line into fields; quotes are taken off and doubled quotes undone.
pub(super) fn fields(line: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let (field, tail) = next_field(rest?);
        rest = tail;
        Some(field)
    })
}

fn next_field(line: &str) -> (Cow<'_, str>, Option<&str>) {
    let Some(quoted) = line.strip_prefix('"') else {
        return match line.split_once(',') {
            Some((field, tail)) => (Cow::Borrowed(field), Some(tail)),
            None => (Cow::Borrowed(line), None),
        };
    };
    let mut field = String::new();
    let mut rest = quoted;
    while let Some((part, tail)) = rest.split_once('"') {
        field.push_str(part);
        match tail.strip_prefix('"') {
            Some(tail) => {
                field.push('"');
                rest = tail;
            }
            None => return (Cow::Owned(field), tail.strip_prefix(',')),
        }
    }
    // A quote that never closes: the rest of the line is the field.
    field.push_str(rest);
    (Cow::Owned(field), None)
}

/// Appends a row as one JSON object: numbers stay as they are written, `NA` and empty become null.
pub(super) fn write_json_row(columns: &[&str], line: &str, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (column, field)) in columns.iter().zip(fields(line)).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        super::json::write_string(column, out);
        out.push(b':');
        match field.as_ref() {
            "" | "NA" => out.extend_from_slice(b"null"),
            number if super::json::is_number(number) => out.extend_from_slice(number.as_bytes()),
            text => super::json::write_string(text, out),
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_fields_keep_commas_and_quotes() {
        let line = r#"a,"b,""c""",,d"#;
        assert_eq!(fields(line).collect::<Vec<_>>(), ["a", r#"b,"c""#, "", "d"]);
        assert_eq!(fields("x,").collect::<Vec<_>>(), ["x", ""]);
        assert_eq!(fields(r#""open,x"#).collect::<Vec<_>>(), ["open,x"]);
    }

    #[test]
    fn a_row_becomes_an_object_with_numbers_nulls_and_text() {
        let mut out = Vec::new();
        write_json_row(&["a", "b", "c", "d"], r#"10.357019999999999,NA,N14228,"say ""hi""""#, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"a":10.357019999999999,"b":null,"c":"N14228","d":"say \"hi\""}"#
        );
    }
}
