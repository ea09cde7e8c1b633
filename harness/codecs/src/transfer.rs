//! Which codec moves records soonest over a link or disk of a given speed.
//!
//! After TurboBench's transfer sheet: compress, move what is left, decompress. With speeds per uncompressed byte,
//! `c` to compress and `d` to decompress, a ratio `r` and a link of `b` bytes per second, a byte takes
//! `1/c + 1/(r·b) + 1/d` when one step follows the other, and `max(1/c, 1/(r·b), 1/d)` when all three go on at once.

use serde::{Deserialize, Serialize};

/// How the three steps share the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// One after the other, the sum: how long one batch is under way.
    Serial,
    /// All at once on batches that follow each other, the slowest: how many bytes per second get through.
    Pipelined,
}

/// What a codec takes and gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capability {
    /// Uncompressed MB per second.
    pub compress_mb_per_s: f64,
    /// Uncompressed MB per second.
    pub decompress_mb_per_s: f64,
    /// Uncompressed by compressed.
    pub ratio: f64,
}

/// A range of link speeds over which one codec is the best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reign {
    /// Which one of those that were given.
    pub index: usize,
    /// From this speed of the link or disk on, in MB/s.
    pub from_mb_per_s: f64,
    /// Up to this one; `None`: however fast.
    pub to_mb_per_s: Option<f64>,
}

impl Capability {
    /// Seconds per uncompressed MB over a link of `link_mb_per_s`.
    pub fn seconds_per_mb(&self, link_mb_per_s: f64, overlap: Overlap) -> f64 {
        let steps = [
            1.0 / self.compress_mb_per_s,
            1.0 / (self.ratio * link_mb_per_s),
            1.0 / self.decompress_mb_per_s,
        ];
        match overlap {
            Overlap::Serial => steps.iter().sum(),
            Overlap::Pipelined => steps.into_iter().fold(0.0, f64::max),
        }
    }

    /// Seconds per uncompressed MB that no link can save.
    fn floor(&self, overlap: Overlap) -> f64 {
        self.seconds_per_mb(f64::INFINITY, overlap)
    }
}

/// The best codec for every speed of the link, from the slowest on; ranges join without gaps. Empty of nothing.
pub fn winners(codecs: &[Capability], overlap: Overlap) -> Vec<Reign> {
    let mut borders: Vec<f64> = crossings(codecs, overlap);
    borders.retain(|border| border.is_finite() && *border > 0.0);
    borders.sort_by(f64::total_cmp);
    let mut reigns: Vec<Reign> = Vec::new();
    for at in 0..=borders.len() {
        let from = at.checked_sub(1).and_then(|before| borders.get(before)).copied();
        let to = borders.get(at).copied();
        // The order of codecs does not change between borders, so any speed between them will do.
        let within = match (from, to) {
            (Some(from), Some(to)) => (from * to).sqrt(),
            (Some(from), None) => 2.0 * from,
            (None, Some(to)) => to / 2.0,
            (None, None) => 1.0,
        };
        let Some(index) = best(codecs, within, overlap) else { continue };
        match reigns.last_mut().filter(|last| last.index == index) {
            Some(last) => last.to_mb_per_s = to,
            None => reigns.push(Reign { index, from_mb_per_s: from.unwrap_or(0.0), to_mb_per_s: to }),
        }
    }
    reigns
}

/// Link speeds at which the order of two codecs may change.
fn crossings(codecs: &[Capability], overlap: Overlap) -> Vec<f64> {
    let mut found = Vec::new();
    for (index, a) in codecs.iter().enumerate() {
        for (other, b) in codecs.iter().enumerate() {
            match overlap {
                // floor_a + 1/(r_a·link) = floor_b + 1/(r_b·link)
                Overlap::Serial if other > index => {
                    let moved = 1.0 / a.ratio - 1.0 / b.ratio;
                    found.push(moved / (b.floor(overlap) - a.floor(overlap)));
                }
                Overlap::Serial => {}
                // floor_a = 1/(r_b·link), also for a codec with itself: where the link stops being its limit.
                Overlap::Pipelined => found.push(1.0 / (b.ratio * a.floor(overlap))),
            }
        }
    }
    found
}

/// The least time; of equal ones the codec that would be faster one step after the other.
fn best(codecs: &[Capability], link_mb_per_s: f64, overlap: Overlap) -> Option<usize> {
    let key = |codec: &Capability| {
        [overlap, Overlap::Serial].map(|overlap| codec.seconds_per_mb(link_mb_per_s, overlap))
    };
    let order = |a: &Capability, b: &Capability| {
        let ([a, a_tie], [b, b_tie]) = (key(a), key(b));
        a.total_cmp(&b).then(a_tie.total_cmp(&b_tie))
    };
    codecs.iter().enumerate().min_by(|(_, a), (_, b)| order(a, b)).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codec(compress: f64, decompress: f64, ratio: f64) -> Capability {
        Capability { compress_mb_per_s: compress, decompress_mb_per_s: decompress, ratio }
    }

    #[test]
    fn slow_links_want_ratio_and_fast_ones_want_speed() {
        let codecs = [codec(10_000.0, 10_000.0, 1.0), codec(500.0, 1000.0, 4.0)];
        // 0.0002 + 1/b = 0.003 + 0.25/b at b = 0.75/0.0028.
        let serial = winners(&codecs, Overlap::Serial);
        assert_eq!(serial.iter().map(|reign| reign.index).collect::<Vec<_>>(), [1, 0]);
        let border = serial[0].to_mb_per_s.unwrap();
        assert!((border - 0.75 / 0.0028).abs() < 1e-6, "{border}");
        assert_eq!((serial[0].from_mb_per_s, serial[1].from_mb_per_s), (0.0, border));
        // Side by side the codec pays until the bare link is as fast as it compresses.
        let pipelined = winners(&codecs, Overlap::Pipelined);
        assert_eq!(pipelined[0].to_mb_per_s, Some(500.0));
    }

    #[test]
    fn a_codec_that_gains_nothing_never_wins() {
        let codecs = [codec(10_000.0, 10_000.0, 1.0), codec(500.0, 1000.0, 1.0)];
        for overlap in [Overlap::Serial, Overlap::Pipelined] {
            let all = Reign { index: 0, from_mb_per_s: 0.0, to_mb_per_s: None };
            assert_eq!(winners(&codecs, overlap), [all]);
        }
        assert_eq!(winners(&[], Overlap::Serial), []);
    }

    proptest! {
        #[test]
        fn ranges_join_and_nobody_is_better_inside_them(
            codecs in prop::collection::vec((1.0f64..20_000.0, 1.0f64..20_000.0, 0.9f64..10.0), 1..12),
            link in 0.01f64..100_000.0,
        ) {
            let codecs: Vec<Capability> = codecs.into_iter().map(|(c, d, r)| codec(c, d, r)).collect();
            for overlap in [Overlap::Serial, Overlap::Pipelined] {
                let reigns = winners(&codecs, overlap);
                prop_assert_eq!((reigns[0].from_mb_per_s, reigns.last().unwrap().to_mb_per_s), (0.0, None));
                for pair in reigns.windows(2) {
                    prop_assert_eq!(pair[0].to_mb_per_s, Some(pair[1].from_mb_per_s));
                    prop_assert_ne!(pair[0].index, pair[1].index);
                }
                let inside = |reign: &&Reign| reign.from_mb_per_s <= link && reign.to_mb_per_s.is_none_or(|to| link < to);
                let winner = reigns.iter().find(inside).unwrap();
                let time = |codec: &Capability| codec.seconds_per_mb(link, overlap);
                let least = codecs.iter().map(time).fold(f64::INFINITY, f64::min);
                prop_assert!(time(&codecs[winner.index]) <= least * (1.0 + 1e-9));
            }
        }
    }
}
