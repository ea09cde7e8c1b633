//! Where the order of codecs through the broker is another one than the order of the codecs alone.

use plimsoll_report::units::three;
use plimsoll_results::stats::paired_ratio;
use serde::Serialize;

/// Confidence asked of intervals.
const CONFIDENCE: f64 = 0.95;

/// One codec's figures for a ranking; less is better in both.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    pub(super) codec: String,
    /// What the codec alone promises.
    pub(super) alone: f64,
    /// By block, through the broker.
    pub(super) blocks: Vec<Option<f64>>,
}

/// Both orders, from the best to the worst.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Ranking {
    /// What is ranked by, in words.
    pub(super) by: &'static str,
    pub(super) alone: Vec<String>,
    pub(super) through_broker: Vec<String>,
    /// Every two codecs whose order is another one.
    pub(super) swaps: Vec<Swap>,
}

/// Two codecs that change places.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Swap {
    /// Better through the broker.
    pub(super) better: String,
    /// Better alone.
    pub(super) worse: String,
    /// `better` by `worse` through the broker, estimated over blocks.
    pub(super) ratio: f64,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    /// The interval lies below 1: more than noise.
    pub(super) clear: bool,
}

/// Ranks codecs both ways; those without any trial are left out.
pub(super) fn ranking(by: &'static str, standings: &[Standing]) -> Ranking {
    let mut known: Vec<(&Standing, f64)> =
        standings.iter().filter_map(|it| Some((it, median(it.blocks.iter().flatten().copied())?))).collect();
    known.sort_by(|a, b| a.0.alone.total_cmp(&b.0.alone));
    let names = |known: &[(&Standing, f64)]| known.iter().map(|(it, _)| it.codec.clone()).collect();
    let alone = names(&known);
    let mut swaps = Vec::new();
    for (at, (ahead, ahead_cost)) in known.iter().enumerate() {
        let overtaking = known.iter().skip(at + 1).filter(|(_, cost)| cost < ahead_cost);
        swaps.extend(overtaking.filter_map(|(behind, _)| swap(behind, ahead)));
    }
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    Ranking { by, alone, through_broker: names(&known), swaps }
}

fn swap(better: &Standing, worse: &Standing) -> Option<Swap> {
    let (ratio, interval) = ratio(better, worse)?;
    let (low, high) = interval.unzip();
    let (better, worse) = (better.codec.clone(), worse.codec.clone());
    Some(Swap { better, worse, ratio, low, high, clear: high.is_some_and(|high| high < 1.0) })
}

/// `a` by `b` over the blocks that both have, with its interval.
pub(super) fn ratio(a: &Standing, b: &Standing) -> Option<(f64, Option<(f64, f64)>)> {
    let pairs: Vec<(f64, f64)> = b.blocks.iter().zip(&a.blocks).filter_map(|(b, a)| (*b).zip(*a)).collect();
    let estimate = paired_ratio(&pairs, CONFIDENCE).ok()?;
    Some((estimate.value, estimate.interval.map(|(low, high, _)| (low, high))))
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(lower, upper))
}

impl Ranking {
    /// Both orders and what differs, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("{}, best first: alone {}", self.by, self.alone.join(", ")),
            format!("{}, best first: through the broker {}", self.by, self.through_broker.join(", ")),
        ];
        if self.swaps.is_empty() {
            lines.push("  The two orders are the same.".to_owned());
        }
        lines.extend(self.swaps.iter().map(Swap::line));
        lines
    }
}

impl Swap {
    fn line(&self) -> String {
        let interval = self.low.zip(self.high);
        let interval = interval.map(|(low, high)| format!(" [{}, {}]", three(low), three(high)));
        format!(
            "  {} is ahead of {} through the broker ({} ×{}) and behind it alone{}",
            self.better,
            self.worse,
            three(self.ratio),
            interval.unwrap_or_default(),
            if self.clear { "." } else { "; the difference through the broker is not clear." }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(codec: &str, alone: f64, blocks: &[f64]) -> Standing {
        Standing { codec: codec.to_owned(), alone, blocks: blocks.iter().map(|cost| Some(*cost)).collect() }
    }

    #[test]
    fn what_changes_places_is_named_with_how_sure_that_is() {
        let none = standing("none", 10.0, &[5000.0, 5100.0, 5050.0, 5080.0, 5020.0, 5090.0]);
        let lz4 = standing("lz4", 500.0, &[4000.0, 4100.0, 4050.0, 4080.0, 4020.0, 4090.0]);
        let zstd = standing("zstd:1", 900.0, &[5000.0, 5200.0, 5000.0, 5090.0, 5100.0, 4990.0]);
        let ranking = ranking("CPU", &[zstd, none, lz4]);
        assert_eq!(ranking.alone, ["none", "lz4", "zstd:1"]);
        assert_eq!(ranking.through_broker[0], "lz4");
        let swaps: Vec<_> =
            ranking.swaps.iter().map(|it| (it.better.as_str(), it.worse.as_str(), it.clear)).collect();
        assert_eq!(swaps[0], ("lz4", "none", true));
        assert!((ranking.swaps[0].ratio - 0.8).abs() < 0.01 && ranking.swaps[0].low.is_some());
        assert!(swaps.iter().skip(1).all(|(_, _, clear)| !clear), "{swaps:?}");
        assert!(ranking.lines()[2].starts_with("  lz4 is ahead of none through the broker"));
    }

    #[test]
    fn equal_orders_have_no_swaps_and_a_codec_without_trials_is_left_out() {
        let (one, two) = (standing("none", 1.0, &[1.0]), standing("lz4", 2.0, &[2.0]));
        let mut lost = standing("gzip:6", 0.5, &[]);
        lost.blocks = vec![None];
        let ranking = ranking("CPU", &[one, two, lost]);
        assert_eq!((ranking.alone.len(), ranking.swaps.len()), (2, 0));
        assert_eq!(ranking.alone, ranking.through_broker);
    }
}
