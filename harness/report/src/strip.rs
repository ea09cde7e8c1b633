//! The percentile strip of the terminal card: one line, logarithmic, every mark at its place.

use plimsoll_results::QuantileSet;

use crate::units::duration_us;

const MARKS: [char; 5] = ['5', '9', '○', '●', '┤'];

/// `100 µs ┈┈5┈┈9┈┈┈○┈┈┈┈●┈┈┤┈┈ 10 ms` with p50 (5), p90 (9), p99 (○), p99.9 (●) and the maximum (┤).
/// `None` when there is no median or no room.
pub(crate) fn strip(set: &QuantileSet, width: usize) -> Option<String> {
    let (low, high) = (decade_below(set.p50_us?), decade_above(set.max_us?));
    let (left, right) = (duration_us(low), duration_us(high));
    let cells = width.checked_sub(left.chars().count() + right.chars().count() + 2).filter(|n| *n >= 20)?;
    let mut line = vec!['┈'; cells];
    let values = [set.p50_us, set.p90_us, set.p99_us, set.p999_us, set.max_us];
    for (value, mark) in values.into_iter().zip(MARKS) {
        let place = value.map(|us| (us.max(low) / low).log10() / (high / low).log10());
        let cell = place.map(|place| (place * (cells - 1) as f64).round() as usize);
        if let Some(cell) = cell.and_then(|cell| line.get_mut(cell)) {
            *cell = mark;
        }
    }
    Some(format!("{left} {} {right}", line.into_iter().collect::<String>()))
}

/// What the marks mean.
pub(crate) const LEGEND: &str = "5 p50   9 p90   ○ p99   ● p99.9   ┤ max";

fn decade_below(us: f64) -> f64 {
    10f64.powf(us.max(0.001).log10().floor())
}

fn decade_above(us: f64) -> f64 {
    10f64.powf((us.max(0.001) * 1.000_001).log10().ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_in_order_between_whole_decades() {
        let set = QuantileSet {
            p50_us: Some(300.0),
            p90_us: Some(600.0),
            p99_us: Some(1_500.0),
            p999_us: None,
            p9999_us: None,
            max_us: Some(9_000.0),
            n: 1,
        };
        let line = strip(&set, 60).unwrap();
        assert!(line.starts_with("100 µs ") && line.ends_with(" 10.0 ms"), "{line}");
        let at = |mark| line.chars().position(|c| c == mark).unwrap();
        let marks: String = line.chars().skip(7).filter(|c| MARKS.contains(c)).take(4).collect();
        assert_eq!(marks, "59○┤", "{line}");
        assert!(at('○') < at('┤') && !line.contains('●'));
        assert_eq!(line.chars().count(), 60);
    }

    #[test]
    fn nothing_is_drawn_without_a_median_or_room() {
        assert_eq!(strip(&QuantileSet::default(), 80), None);
        let set = QuantileSet { p50_us: Some(1.0), max_us: Some(2.0), ..Default::default() };
        assert_eq!(strip(&set, 20), None);
    }
}
