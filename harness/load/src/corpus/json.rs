//! Small JSON tools that keep the source's own spelling of numbers and order of keys.

/// Copies a JSON text without the white space between its tokens.
pub(super) fn write_compact(text: &str, out: &mut Vec<u8>) {
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
}

/// Appends a JSON string with what must be escaped escaped.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory cannot fail.
    let quoted = serde_json::to_vec(text).unwrap_or_default();
    out.extend_from_slice(&quoted);
}

/// Whether `text` is a number by JSON's grammar (RFC 8259, section 6), so that it can stand unquoted.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let no_leading_zero = whole == "0" || !whole.starts_with('0');
    digits(whole) && no_leading_zero && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn white_space_goes_between_tokens_and_stays_in_strings() {
        let mut out = Vec::new();
        write_compact("{ \"a b\\\" \" :\n[1.50, 2] }", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a b\" ":[1.50,2]}"#);
    }

    proptest! {
        #[test]
        fn a_number_is_what_a_json_parser_takes_for_one(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?") {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
            // Two digits of exponent never overflow a double.
            prop_assert_eq!(is_number(&text), parsed.is_ok_and(|v| v.is_number()));
        }
    }
}
