//! Axes with fixed ends, so that figures meant to be compared get the same ones.

use serde::Serialize;

use crate::units;

/// What the numbers on an axis are, and from where to where it goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Axis {
    /// What is shown, with its unit if the ticks do not carry one.
    pub label: String,
    /// How values become places and texts.
    pub scale: Scale,
    /// Lower end.
    pub min: f64,
    /// Upper end.
    pub max: f64,
    /// With [`Scale::Rows`] what each row is, from the top.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
}

/// How values become places and texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// `log10(1 / (1 − share))`, shown as 50 %, 90 %, 99 %, 99.9 %, …
    Nines,
    /// Latency in microseconds, logarithmic.
    LogMicros,
    /// Time in microseconds, from zero: bars of it add up.
    Micros,
    /// Seconds since the run began.
    Seconds,
    /// Counts or rates.
    Count,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerS,
    /// Bytes per second, logarithmic.
    LogBytesPerS,
    /// Percent.
    Percent,
    /// Natural logarithm of a ratio, shown as what changed: `−5 %`, `+10 %`, `× 2`.
    LogRatio,
    /// One place per name: row 0 is the lowest.
    Rows,
    /// Nothing can be read off: what stands higher is not more.
    Unread,
}

impl Scale {
    /// Whether equal distances are equal factors.
    pub fn is_log(self) -> bool {
        matches!(self, Scale::LogMicros | Scale::LogBytesPerS)
    }
}

const STEPS_WANTED: f64 = 5.0;

impl Axis {
    /// Latencies in microseconds over whole decades.
    pub fn log_micros(label: &str, values: impl Iterator<Item = f64>) -> Self {
        Self::decades(label, Scale::LogMicros, values)
    }

    /// Whole decades around positive values: from the decade below the least to the one above the greatest.
    pub fn decades(label: &str, scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0 && value.is_finite());
        let (low, high) = positive.fold((f64::MAX, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if high > 0.0 { (low, high) } else { (1.0, 1000.0) };
        let (min, max) = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
        let max = if max > min { max } else { min * 10.0 };
        Self::between(label, scale, min, max)
    }

    /// From one value to another.
    pub fn between(label: &str, scale: Scale, min: f64, max: f64) -> Self {
        Self { label: label.to_owned(), scale, min, max, rows: Vec::new() }
    }

    /// One row per name, the first at the top; see [`Axis::row`].
    pub fn rows(names: Vec<String>) -> Self {
        let max = names.len() as f64 - 0.5;
        Self { rows: names, ..Self::between("", Scale::Rows, -0.5, max) }
    }

    /// Where the row of that index from the top is.
    pub fn row(&self, from_top: usize) -> f64 {
        self.rows.len() as f64 - 1.0 - from_top as f64
    }

    /// Around ratios of 1, given as their logarithms: the same factor to both sides, with room for texts.
    pub fn log_ratio(label: &str, values: impl Iterator<Item = f64>) -> Self {
        const LEAST: f64 = 0.02;
        let reach = values.filter(|value| value.is_finite()).fold(LEAST, |far, value| far.max(value.abs()));
        Self::between(label, Scale::LogRatio, -1.25 * reach, 1.25 * reach)
    }

    /// From zero to a round number above the greatest value: bars and areas of rates lie when cut off.
    pub fn from_zero(label: &str, scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let high = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let step = round_step(high.max(f64::MIN_POSITIVE) / STEPS_WANTED);
        let max = if high > 0.0 { (high / step).ceil() * step } else { 1.0 };
        Self::between(label, scale, 0.0, max)
    }

    /// The percentile axis, up to the last of `nines`.
    pub fn nines(label: &str, last: f64) -> Self {
        // 99 % computed from a percentage is a hair below two nines.
        Self::between(label, Scale::Nines, 0.0, ((last * 1e9).round() / 1e9).max(1.0))
    }

    /// Distance of ticks on a linear axis.
    pub fn step(&self) -> f64 {
        round_step((self.max - self.min) / STEPS_WANTED)
    }

    /// Where ticks stand.
    pub fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Nines => {
                let whole = (1..=self.max.floor() as u32).map(f64::from);
                [0.0, 2f64.log10()].into_iter().chain(whole).collect()
            }
            scale if scale.is_log() => {
                let decades = self.min.log10().round() as i32..=self.max.log10().round() as i32;
                decades.map(|exponent| 10f64.powi(exponent)).collect()
            }
            Scale::LogRatio => ratio_ticks(self),
            Scale::Rows => (0..self.rows.len()).map(|row| row as f64).collect(),
            Scale::Unread => Vec::new(),
            _ => {
                let step = self.step();
                let count = ((self.max - self.min) / step + 1e-9).floor() as u32;
                (0..=count).map(|n| self.min + f64::from(n) * step).collect()
            }
        }
    }

    /// The text of a value on this axis.
    pub fn text(&self, value: f64) -> String {
        match self.scale {
            Scale::Nines => nines_text(value),
            Scale::Micros if value == 0.0 => "0".to_owned(),
            Scale::Micros | Scale::LogMicros => plain(&units::duration_us(value)),
            Scale::Seconds => format!("{} s", trimmed(value)),
            Scale::Count => plain(&units::count(value)),
            Scale::Bytes => plain(&units::bytes(value)),
            Scale::BytesPerS | Scale::LogBytesPerS => plain(&units::bytes(value)) + "/s",
            Scale::Percent => format!("{} %", trimmed(value)),
            Scale::LogRatio => change(value.exp()),
            Scale::Rows => self.row_name(value).unwrap_or_default().to_owned(),
            Scale::Unread => String::new(),
        }
    }

    fn row_name(&self, place: f64) -> Option<&str> {
        let from_top = self.rows.len().checked_sub(1)?.checked_sub(place.round() as usize)?;
        self.rows.get(from_top).map(String::as_str)
    }

    /// Place of a value between 0 (lower end) and 1 (upper end).
    pub fn place(&self, value: f64) -> f64 {
        if self.scale.is_log() {
            return (value / self.min).log10() / (self.max / self.min).log10();
        }
        (value - self.min) / (self.max - self.min)
    }
}

/// Round changes to both sides of none, the widest first, as many as have room.
fn ratio_ticks(axis: &Axis) -> Vec<f64> {
    const ROUND: [(f64, f64); 13] = [
        (0.01, 100.0),
        (0.02, 50.0),
        (0.05, 20.0),
        (0.1, 10.0),
        (0.2, 5.0),
        (0.5, 2.0),
        (0.7, 1.5),
        (0.8, 1.2),
        (0.9, 1.1),
        (0.95, 1.05),
        (0.98, 1.02),
        (0.99, 1.01),
        (0.995, 1.005),
    ];
    const ROOM: f64 = 0.07;
    let mut ticks = vec![0.0];
    for ratio in ROUND.iter().flat_map(|(less, more)| [*less, *more]) {
        let place = axis.place(ratio.ln());
        let free = ticks.iter().all(|tick| (axis.place(*tick) - place).abs() >= ROOM);
        if (0.0..=1.0).contains(&place) && free {
            ticks.push(ratio.ln());
        }
    }
    ticks.sort_by(f64::total_cmp);
    ticks
}

/// A ratio as what changed: percent while that is readable, then a factor.
fn change(ratio: f64) -> String {
    match ratio {
        _ if (ratio - 1.0).abs() < 1e-9 => "no change".to_owned(),
        _ if ratio >= 1.995 => format!("× {}", trimmed(ratio)),
        _ if ratio < 0.495 => format!("÷ {}", trimmed(1.0 / ratio)),
        _ if ratio > 1.0 => format!("+{} %", trimmed(100.0 * (ratio - 1.0))),
        _ => format!("−{} %", trimmed(100.0 * (1.0 - ratio))),
    }
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// 1 → `90 %`, 2 → `99 %`, 3 → `99.9 %`.
fn nines_text(nines: f64) -> String {
    let share = 100.0 * (1.0 - 10f64.powf(-nines));
    let decimals = (nines - 2.0).ceil().max(0.0) as usize;
    format!("{share:.decimals$} %")
}

fn trimmed(value: f64) -> String {
    plain(&units::three(value))
}

/// Ticks are round: `1.00 ms` is `1 ms` there.
fn plain(text: &str) -> String {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    if unit.is_empty() { number.to_owned() } else { format!("{number} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_axis_holds_whole_decades() {
        let axis = Axis::log_micros("", [310.0, 0.0, 4_200.0].into_iter());
        assert_eq!((axis.min, axis.max), (100.0, 10_000.0));
        let texts: Vec<_> = axis.ticks().into_iter().map(|tick| axis.text(tick)).collect();
        assert_eq!(texts, ["100 µs", "1 ms", "10 ms"]);
        assert!((axis.place(1000.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn speeds_have_decades_too_and_an_unread_axis_has_no_ticks() {
        let axis = Axis::decades("", Scale::LogBytesPerS, [25e6, 7e9].into_iter());
        let texts: Vec<_> = axis.ticks().into_iter().map(|tick| axis.text(tick)).collect();
        assert_eq!(texts, ["10 MB/s", "100 MB/s", "1 GB/s", "10 GB/s"]);
        assert!(Axis::from_zero("", Scale::Unread, [1.0].into_iter()).ticks().is_empty());
    }

    #[test]
    fn a_single_decade_value_still_gets_an_axis() {
        let axis = Axis::log_micros("", [100.0].into_iter());
        assert_eq!((axis.min, axis.max), (100.0, 1000.0));
        assert!(Axis::log_micros("", std::iter::empty()).max > 0.0);
    }

    #[test]
    fn the_percentile_axis_reads_as_people_say_it() {
        let axis = Axis::nines("", 4.2);
        let texts: Vec<_> = axis.ticks().into_iter().map(|tick| axis.text(tick)).collect();
        assert_eq!(texts, ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }

    #[test]
    fn ratios_read_as_changes_and_ticks_have_room() {
        let texts = |far: f64| {
            let axis = Axis::log_ratio("", [far.ln()].into_iter());
            axis.ticks().into_iter().map(|tick| axis.text(tick)).collect::<Vec<_>>()
        };
        assert_eq!(texts(1.09), ["−10 %", "−5 %", "−2 %", "no change", "+2 %", "+5 %", "+10 %"]);
        assert_eq!(texts(0.5), ["−50 %", "−30 %", "−20 %", "no change", "+20 %", "+50 %", "× 2"]);
        assert!(texts(12.0).contains(&"÷ 10".to_owned()));
    }

    #[test]
    fn rows_are_named_from_the_top() {
        let axis = Axis::rows(vec!["first".to_owned(), "second".to_owned()]);
        assert_eq!((axis.row(0), axis.text(axis.row(0)).as_str()), (1.0, "first"));
        assert_eq!(axis.ticks(), [0.0, 1.0]);
        assert_eq!(axis.text(7.0), "");
    }

    #[test]
    fn rates_begin_at_zero_and_end_round() {
        let axis = Axis::from_zero("", Scale::Count, [19_800.0].into_iter());
        assert_eq!((axis.min, axis.max), (0.0, 20_000.0));
        let texts: Vec<_> = axis.ticks().into_iter().map(|tick| axis.text(tick)).collect();
        assert_eq!(texts, ["0", "5 k", "10 k", "15 k", "20 k"]);
        assert_eq!(Axis::from_zero("", Scale::Count, std::iter::empty()).max, 1.0);
    }
}
