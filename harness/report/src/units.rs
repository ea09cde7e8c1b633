//! Numbers for people: three significant digits and a unit. MB = 10^6 bytes.

/// Three significant digits: `0.971`, `12.3`, `412`. Below the thousandth, scientific.
pub fn three(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return "–".to_owned();
    }
    let rounded = round_three(value);
    let magnitude = rounded.abs().log10().floor() as i32;
    if magnitude < -4 {
        return format!("{rounded:.2e}");
    }
    let decimals = usize::try_from(2 - magnitude).unwrap_or(0);
    format!("{rounded:.decimals$}")
}

/// A latency in microseconds with the unit that fits: `970 µs`, `1.23 ms`, `2.50 s`.
pub fn duration_us(value_us: f64) -> String {
    scaled(value_us * 1e3, &[("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)])
}

/// CPU time in nanoseconds: `850 ns`, `1.20 µs`.
pub fn duration_ns(value_ns: f64) -> String {
    duration_us(value_ns / 1e3)
}

/// Bytes in powers of ten: `34.5 MB`.
pub fn bytes(value: f64) -> String {
    scaled(value, &[("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)])
}

/// A count or a rate: `412 k`, `1.20 M`, `950`.
pub fn count(value: f64) -> String {
    scaled(value, &[("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9)]).trim_end().to_owned()
}

/// An exact count with separators: `1,234,567`.
pub fn exact(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent: `12.3 %`.
pub fn percent(value: f64) -> String {
    format!("{} %", three(value))
}

/// The value or a dash when it is not known.
pub fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// Rounds first and chooses the unit then, so that 999.9 µs is `1.00 ms` and not `1000 µs`.
fn scaled(value: f64, units: &[(&str, f64)]) -> String {
    let rounded = round_three(value);
    let fits = units.iter().rev().find(|(_, size)| rounded.abs() >= *size);
    let (unit, size) = fits.or(units.first()).copied().unwrap_or(("", 1.0));
    let number =
        if size == 1.0 && rounded.fract() == 0.0 { format!("{rounded:.0}") } else { three(rounded / size) };
    format!("{number} {unit}")
}

fn round_three(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10f64.powi(value.abs().log10().floor() as i32 - 2);
    (value / unit).round() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c2_three_significant_digits() {
        let shown = [0.0, 0.97, 0.9996, 1.0, 12.345, 99.96, 412.4, 0.00123].map(three);
        assert_eq!(shown, ["0", "0.970", "1.00", "1.00", "12.3", "100", "412", "0.00123"]);
    }

    #[test]
    fn c2_p99_of_0_97_ms_never_prints_zero() {
        assert_eq!(duration_us(970.0), "970 µs");
        assert_eq!(duration_us(0.4), "400 ns");
    }

    #[test]
    fn the_unit_is_chosen_after_rounding() {
        assert_eq!(duration_us(999.6), "1.00 ms");
        assert_eq!(bytes(999_999.0), "1.00 MB");
        assert_eq!(count(999.7), "1.00 k");
    }

    #[test]
    fn whole_small_numbers_have_no_decimals() {
        assert_eq!(
            (count(7.0), bytes(0.0), count(950.0)),
            ("7".to_owned(), "0 B".to_owned(), "950".to_owned())
        );
    }

    #[test]
    fn megabytes_are_decimal() {
        assert_eq!(bytes(1_048_576.0), "1.05 MB");
    }

    #[test]
    fn exact_counts_are_not_rounded() {
        assert_eq!([0, 999, 1000, 1_234_567].map(exact), ["0", "999", "1,000", "1,234,567"]);
    }
}
