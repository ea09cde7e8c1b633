//! One line of stages: on which side of the wire the mean response time goes by, and with what.

use plimsoll_results::{Stage, Stages};

use crate::figures::{side, words};
use crate::units::duration_us;

/// What one side takes of the mean response time.
struct Part {
    name: &'static str,
    mean_us: f64,
    /// Its longest stage; `None` where there is nothing to tell apart.
    longest: Option<(Stage, f64)>,
}

/// Parts of the mean response time, the largest first, what nobody accounts for last: `client 232 µs (linger), wire 118 µs,
/// broker 58.0 µs (append), unaccounted 12.0 µs`. In brackets a side's longest stage; with less room only the times, with
/// still less the shares. `None` where nobody counted stages.
pub(super) fn parts(stages: &Stages, room: usize) -> Option<String> {
    let whole_us = stages.response_mean_us.filter(|us| *us > 0.0)?;
    let mut parts = by_side(stages);
    parts.sort_by(|a, b| b.mean_us.total_cmp(&a.mean_us));
    let rest = |mean_us| Part { name: "unaccounted", mean_us, longest: None };
    parts.extend(stages.unaccounted_mean_us.map(rest));
    let told = |how: &dyn Fn(&Part) -> String| parts.iter().map(how).collect::<Vec<_>>().join(", ");
    let share = |part: &Part| format!("{} {:.0} %", part.name, 100.0 * part.mean_us / whole_us);
    let forms = [
        format!("mean: {}", told(&Part::with_longest)),
        format!("mean: {}", told(&Part::time)),
        told(&share),
    ];
    forms.iter().find(|text| text.chars().count() <= room).or(forms.last()).cloned()
}

fn by_side(stages: &Stages) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (stage, time) in stages.of_response() {
        let alone = stage == Stage::Wire;
        let name = if alone { "wire" } else { side(stage) };
        let longest = (!alone).then_some((stage, time.mean_us));
        match parts.iter_mut().find(|part| part.name == name) {
            Some(part) => {
                part.mean_us += time.mean_us;
                part.longest = part.longest.filter(|(_, us)| *us >= time.mean_us).or(longest);
            }
            None => parts.push(Part { name, mean_us: time.mean_us, longest }),
        }
    }
    parts
}

impl Part {
    fn time(&self) -> String {
        format!("{} {}", self.name, duration_us(self.mean_us))
    }

    fn with_longest(&self) -> String {
        let longest = self.longest.map(|(stage, _)| format!(" ({})", words(stage)));
        self.time() + &longest.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_results::StageTime;

    fn stages() -> Stages {
        let time = |mean_us: f64| Some(StageTime { mean_us, ..StageTime::default() });
        Stages {
            enqueue: time(2.0),
            linger: time(30.0),
            wire: time(40.0),
            parse: time(3.0),
            flush: time(500.0),
            fetch_wait: time(9_000.0),
            response_mean_us: Some(580.0),
            unaccounted_mean_us: Some(5.0),
            ..Stages::default()
        }
    }

    #[test]
    fn the_largest_part_comes_first_with_its_longest_stage_and_the_unaccounted_last() {
        let line = |room| parts(&stages(), room).unwrap();
        let whole = "mean: broker 503 µs (flush), wire 40.0 µs, client 32.0 µs (linger), unaccounted 5.00 µs";
        assert_eq!(line(88), whole, "what comes after the answer is in no response");
        assert_eq!(line(80), "mean: broker 503 µs, wire 40.0 µs, client 32.0 µs, unaccounted 5.00 µs");
        for room in [60, 10] {
            assert_eq!(line(room), "broker 87 %, wire 7 %, client 6 %, unaccounted 1 %");
        }
    }

    #[test]
    fn of_a_broker_that_tells_nothing_the_client_and_the_rest_are_told() {
        let time = Some(StageTime { mean_us: 100.0, ..StageTime::default() });
        let (response_mean_us, unaccounted_mean_us) = (Some(400.0), Some(300.0));
        let known = Stages { linger: time, response_mean_us, unaccounted_mean_us, ..Stages::default() };
        assert_eq!(parts(&known, 88).unwrap(), "mean: client 100 µs (linger), unaccounted 300 µs");
        assert_eq!(parts(&Stages::default(), 88), None);
    }
}
