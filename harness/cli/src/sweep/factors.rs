//! Factors to points. Pure.

use std::collections::BTreeMap;

use plimsoll_load::workload::{Matrix, MatrixDesign};
use plimsoll_results::Factor;

/// Short names of what people vary, with the keys they stand for. `backend` and `target` mean more than one key.
const NAMES: [(&str, &str); 13] = [
    ("backend", "backend"),
    ("target", "target"),
    ("codec", "produce.codec"),
    ("acks", "produce.acks"),
    ("rf", "topic.replication"),
    ("min_isr", "topic.min_insync"),
    ("batch", "produce.batch_bytes"),
    ("linger", "produce.linger"),
    ("size", "payload.size"),
    ("rate", "load.rate"),
    ("partitions", "topic.partitions"),
    ("producers", "produce.workers"),
    ("durability", "plimsoll.durability"),
];
/// In keys of settings that say what an acknowledgement means: to vary one of them is to want points that promise
/// different things.
const PROMISES: [&str; 6] = ["acks", "replication", "min_insync", "min.insync", "durability", "flush"];
/// The name of the point with every first value.
pub(super) const BASE: &str = "base";

/// What varies, and how it is combined.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) factors: Vec<Factor>,
    pub(super) cross: bool,
    exclude: Vec<BTreeMap<String, String>>,
}

/// A value for every factor, in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    /// Factor and value.
    pub(super) values: Vec<(String, String)>,
    /// The values that are not the base's, or `base`.
    pub(super) name: String,
}

impl Layout {
    /// What the command line says over what the file says.
    pub(super) fn of(vary: &[String], cross: bool, matrix: Option<Matrix>) -> Result<Self, String> {
        let matrix = matrix.unwrap_or_default();
        let cross = cross || matrix.design == MatrixDesign::Full;
        let named = vary.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
        let kept = matrix.factors.into_iter().map(|(name, values)| Factor { name, values });
        let kept = kept.filter(|factor| named.iter().all(|other| key(&other.name) != key(&factor.name)));
        let factors: Vec<Factor> = kept.chain(named.iter().cloned()).collect();
        factors.iter().try_for_each(check)?;
        for (at, factor) in factors.iter().enumerate() {
            if factors.iter().skip(at + 1).any(|other| key(&other.name) == key(&factor.name)) {
                return Err(format!("`{}` is varied twice: give all its values at once", factor.name));
            }
        }
        if factors.is_empty() {
            return Err("nothing varies: add --vary KEY=A,B or a [matrix] in the workload file".to_owned());
        }
        Ok(Self { factors, cross, exclude: matrix.exclude })
    }

    /// The points, the base first.
    pub(super) fn points(&self) -> Result<Vec<Point>, String> {
        let base: Vec<usize> = vec![0; self.factors.len()];
        let all = if self.cross { self.combinations() } else { self.around(&base) };
        let points: Vec<Point> = all.iter().map(|chosen| self.point(chosen)).collect();
        let kept: Vec<Point> = points.into_iter().filter(|point| !self.is_excluded(point)).collect();
        match kept.first() {
            Some(first) if first.name == BASE => Ok(kept),
            _ => Err("the base itself, the first value of every factor, is excluded".to_owned()),
        }
    }

    /// The base, and each factor's other values with everything else as in the base.
    fn around(&self, base: &[usize]) -> Vec<Vec<usize>> {
        let mut points = vec![base.to_vec()];
        for (at, factor) in self.factors.iter().enumerate() {
            for value in 1..factor.values.len() {
                let mut point = base.to_vec();
                if let Some(chosen) = point.get_mut(at) {
                    *chosen = value;
                }
                points.push(point);
            }
        }
        points
    }

    /// Every combination; the last factor changes fastest.
    fn combinations(&self) -> Vec<Vec<usize>> {
        self.factors.iter().fold(vec![Vec::new()], |points, factor| {
            let with = |point: &Vec<usize>, value| point.iter().copied().chain([value]).collect();
            points
                .iter()
                .flat_map(|point| (0..factor.values.len()).map(move |value| with(point, value)))
                .collect()
        })
    }

    fn point(&self, chosen: &[usize]) -> Point {
        let chosen = || self.factors.iter().zip(chosen);
        let value =
            |(factor, at): (&Factor, &usize)| Some((factor.name.clone(), factor.values.get(*at)?.clone()));
        let differs = chosen().filter(|(_, at)| **at > 0).filter_map(value);
        let name: Vec<String> = differs.map(|(name, value)| format!("{name}={value}")).collect();
        let name = if name.is_empty() { BASE.to_owned() } else { name.join(" ") };
        Point { values: chosen().filter_map(value).collect(), name }
    }

    fn is_excluded(&self, point: &Point) -> bool {
        let has = |(name, value): (&String, &String)| point.values.contains(&(name.clone(), value.clone()));
        self.exclude.iter().any(|exclusion| !exclusion.is_empty() && exclusion.iter().all(has))
    }
}

impl Point {
    /// `backend=mmap,codec=lz4`: stable over sweeps with the same factors.
    pub(super) fn key(&self) -> String {
        let words: Vec<String> = self.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        words.join(",")
    }

    /// What it was told that an acknowledgement means.
    pub(super) fn promise(&self) -> Vec<&(String, String)> {
        let says = |(name, _): &&(String, String)| PROMISES.iter().any(|word| key(name).contains(word));
        self.values.iter().filter(says).collect()
    }

    /// Settings as `compare --arm` takes them.
    pub(super) fn settings(&self) -> Vec<String> {
        self.values.iter().map(|(name, value)| format!("{}={value}", key(name))).collect()
    }
}

/// `codec=none,lz4` as a factor.
fn parse(text: &str) -> Result<Factor, String> {
    let Some((name, values)) = text.split_once('=') else {
        return Err(format!(
            "`--vary {text}`: no `=`; write a setting and its values, such as codec=none,lz4"
        ));
    };
    let values = values.split(',').map(|value| value.trim().to_owned()).collect();
    Ok(Factor { name: name.trim().to_owned(), values })
}

fn check(factor: &Factor) -> Result<(), String> {
    let Factor { name, values } = factor;
    if values.is_empty() || values.iter().any(String::is_empty) {
        return Err(format!(
            "`{name}` has an empty value: separate values by commas, such as codec=none,lz4"
        ));
    }
    let twice =
        values.iter().enumerate().find(|(at, value)| values.iter().skip(at + 1).any(|other| other == *value));
    if let Some((_, value)) = twice {
        return Err(format!(
            "`{name}` has the value {value} twice: a point is measured in every block anyway"
        ));
    }
    let known = |name: &str| NAMES.iter().any(|(short, _)| *short == name);
    match near(name) {
        // Words without a dot that are neither short names nor keys of a broker are slips.
        Some(near) if !name.contains('.') && !known(name) => {
            Err(format!("`{name}` is no setting; did you mean `{near}`?"))
        }
        _ => Ok(()),
    }
}

/// The short name that was probably meant.
fn near(name: &str) -> Option<&'static str> {
    let names = NAMES.iter().map(|(short, _)| (strsim::damerau_levenshtein(name, short), *short));
    names.min().filter(|(distance, short)| *distance <= 2.min(short.len() / 2)).map(|(_, short)| short)
}

/// The key that a name stands for.
fn key(name: &str) -> &str {
    NAMES.iter().find(|(short, _)| *short == name).map_or(name, |(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(vary: &[&str], cross: bool) -> Result<Layout, String> {
        let vary: Vec<String> = vary.iter().map(|text| (*text).to_owned()).collect();
        Layout::of(&vary, cross, None)
    }

    fn names(vary: &[&str], cross: bool) -> Vec<String> {
        let points = layout(vary, cross).and_then(|layout| layout.points()).expect("points");
        points.into_iter().map(|point| point.name).collect()
    }

    const TWO: [&str; 2] = ["codec=none,lz4,zstd:3", "acks=1,all"];

    #[test]
    fn one_factor_at_a_time_differs_from_the_base() {
        assert_eq!(names(&TWO, false), ["base", "codec=lz4", "codec=zstd:3", "acks=all"]);
        let points = layout(&TWO, false).and_then(|layout| layout.points()).expect("points");
        assert_eq!(points[1].key(), "codec=lz4,acks=1");
        assert_eq!(points[3].settings(), ["produce.codec=none", "produce.acks=all"]);
    }

    #[test]
    fn a_cross_holds_every_combination_once_and_the_base_first() {
        let all = names(&TWO, true);
        assert_eq!(all.len(), 6);
        assert_eq!((all[0].as_str(), all[5].as_str()), ("base", "codec=zstd:3 acks=all"));
    }

    #[test]
    fn the_command_line_takes_the_place_of_the_files_values() {
        let factors = [("acks", vec!["1", "all"]), ("codec", vec!["none", "gzip"])];
        let text = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
        let factors = factors.map(|(name, values)| (name.to_owned(), text(values)));
        let exclude = vec![BTreeMap::from([("acks".to_owned(), "all".to_owned())])];
        let matrix = Matrix { design: MatrixDesign::Full, exclude, factors: BTreeMap::from(factors) };
        let vary = ["produce.codec=none,lz4".to_owned()];
        let layout = Layout::of(&vary, false, Some(matrix)).expect("a layout");
        let names: Vec<String> =
            layout.points().expect("points").into_iter().map(|point| point.name).collect();
        assert_eq!(names, ["base", "produce.codec=lz4"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_may_have_been() {
        for (vary, hint) in [
            (vec![], "nothing varies"),
            (vec!["codec"], "no `=`"),
            (vec!["codec=none,"], "empty value"),
            (vec!["codec=lz4,lz4"], "lz4 twice"),
            (vec!["codec=none,lz4", "produce.codec=gzip,none"], "varied twice"),
            (vec!["codecs=none,lz4"], "did you mean `codec`"),
            (vec!["partition=1,2"], "did you mean `partitions`"),
        ] {
            let error = layout(&vary, false).expect_err("refused");
            assert!(error.contains(hint), "{vary:?}: {error}");
        }
    }
}
