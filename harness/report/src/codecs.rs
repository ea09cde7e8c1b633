//! What a comparison of codecs shows: ratio against speed with its Pareto front, and the best one by link speed.

use crate::chart::{Axis, Chart, Color, Dash, Mark, Marker, Panel, Scale, Series};

/// Heights by a time series' panel.
const RATIO_WEIGHT: f64 = 1.7;
const STRIP_WEIGHT: f64 = 0.34;
/// Links and disks that people have: from a slow one to more than a local disk gives.
const LINK_BYTES_PER_S: (f64, f64) = (1e6, 1e10);
/// A bar is named when it covers at least this factor of speed.
const LABELLED_FACTOR: f64 = 1.5;
/// Speeds of networks, for orientation.
const NETWORKS: [(f64, &str); 3] = [(12.5e6, "100 Mbit/s"), (125e6, "1 Gbit/s"), (1.25e9, "10 Gbit/s")];

/// One codec at one batch size.
#[derive(Debug, Clone, PartialEq)]
pub struct CodecPoint {
    /// Batch size in words: a panel of its own.
    pub batch: String,
    /// The codec without its level: what shares a colour.
    pub family: String,
    /// The codec with its level.
    pub codec: String,
    /// Uncompressed bytes by compressed ones.
    pub ratio: f64,
    /// Uncompressed bytes per second.
    pub compress_bytes_per_s: f64,
    /// Uncompressed bytes per second.
    pub decompress_bytes_per_s: f64,
    /// Nothing compresses better and faster.
    pub compress_front: bool,
    /// Nothing has a better ratio and decompresses faster.
    pub decompress_front: bool,
}

/// A range of link speeds over which one codec is the best.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkReign {
    /// Batch size in words: a row of its own.
    pub batch: String,
    /// The codec without its level: what shares a colour.
    pub family: String,
    /// The codec with its level.
    pub codec: String,
    /// Bytes per second, 0 for the slowest.
    pub from_bytes_per_s: f64,
    /// Bytes per second, infinite for the fastest.
    pub to_bytes_per_s: f64,
}

/// Ratio against speed, a panel per batch size: each codec is a dot where it compresses, joined with a ring where it
/// decompresses, and lines join those that no other one beats.
pub fn ratio_against_speed(id: &str, records: &str, points: &[CodecPoint], captions: Vec<String>) -> Chart {
    let speeds = points.iter().flat_map(|it| [it.compress_bytes_per_s, it.decompress_bytes_per_s]);
    let y = Axis::from_zero("ratio", Scale::Count, points.iter().map(|it| it.ratio));
    let families = families(points.iter().map(|it| it.family.as_str()));
    let panels = points.chunk_by(|a, b| a.batch == b.batch).map(|batch| {
        let title = batch.first().map_or_else(String::new, |it| format!("ratio; batches of {}", it.batch));
        let mut series = fronts(batch);
        series.extend(families.iter().flat_map(|(family, color)| family_series(batch, family, *color)));
        Panel::lines(title, y.clone(), series, RATIO_WEIGHT)
    });
    Chart {
        id: id.to_owned(),
        title: format!("Ratio against speed: {records}"),
        question: "Which codec should these records have? Up is smaller, right is faster. A dot says how fast a codec \
                   compresses, the ring beside it how fast it decompresses. The line joins the codecs that no other one \
                   beats in ratio and compression at once, the dashed one those that none beats in ratio and \
                   decompression. Small batches give a codec little to find."
            .to_owned(),
        captions,
        x: Axis::decades("uncompressed bytes per second on one thread", Scale::LogBytesPerS, speeds),
        panels: panels.collect(),
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: false,
    }
}

fn family_series(points: &[CodecPoint], family: &str, color: Color) -> Vec<Series> {
    let of = || points.iter().filter(|it| it.family == family);
    if of().next().is_none() {
        return Vec::new();
    }
    let joins = of().flat_map(|it| {
        [
            (it.compress_bytes_per_s, Some(it.ratio)),
            (it.decompress_bytes_per_s, Some(it.ratio)),
            (it.decompress_bytes_per_s, None),
        ]
    });
    let dots = of().map(|it| (it.compress_bytes_per_s, it.ratio)).collect();
    let rings = of().map(|it| (it.decompress_bytes_per_s, it.ratio)).collect();
    let labels = of().map(|it| it.codec.clone()).collect();
    vec![
        Series::points(family, color, Marker::Dot, dots).labelled(labels),
        Series::points(family, color, Marker::Ring, rings),
        Series::line(family, color, joins.collect()).dashed(Dash::Dotted).thin(),
    ]
}

fn fronts(points: &[CodecPoint]) -> Vec<Series> {
    let front = |on: fn(&CodecPoint) -> bool, speed: fn(&CodecPoint) -> f64| {
        let mut front: Vec<_> =
            points.iter().filter(|it| on(it)).map(|it| (speed(it), Some(it.ratio))).collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0));
        front
    };
    let compress = front(|it| it.compress_front, |it| it.compress_bytes_per_s);
    let decompress = front(|it| it.decompress_front, |it| it.decompress_bytes_per_s);
    vec![
        Series::line("front to compress", Color::Grey, compress).thin(),
        Series::line("front to decompress", Color::Grey, decompress).dashed(Dash::Dashed).thin(),
    ]
}

/// A strip per batch size: which codec is best at which speed of a link or disk. `how` says what the time counts.
pub fn best_by_link(
    id: &str,
    records: &str,
    how: &str,
    reigns: &[LinkReign],
    captions: Vec<String>,
) -> Chart {
    let families = families(reigns.iter().map(|it| it.family.as_str()));
    let panels = reigns.chunk_by(|a, b| a.batch == b.batch).map(|batch| {
        let title = batch.first().map_or_else(String::new, |it| format!("batches of {}", it.batch));
        let y = Axis::between("", Scale::Unread, 0.0, 1.0);
        let series = families.iter().flat_map(|(family, color)| reign_series(batch, family, *color));
        Panel::lines(title, y, series.collect(), STRIP_WEIGHT)
    });
    let (min, max) = LINK_BYTES_PER_S;
    let mark = |(at, name): (f64, &str)| Mark { at, label: name.to_owned(), labelled: true };
    Chart {
        id: id.to_owned(),
        title: format!("Best codec by link speed, {how}: {records}"),
        question: "Which codec moves these records soonest? Find the speed of your disk or network: the bar above it names \
                   the codec. Slow links want few bytes, fast ones a codec that does not hold them up."
            .to_owned(),
        captions,
        x: Axis::between("speed of the link or disk", Scale::LogBytesPerS, min, max),
        panels: panels.collect(),
        marks: NETWORKS.map(mark).to_vec(),
        bands: Vec::new(),
        y_toggle: false,
    }
}

/// Bars, and in the middle of each a point with the codec's name.
fn reign_series(reigns: &[LinkReign], family: &str, color: Color) -> Vec<Series> {
    const HEIGHT: f64 = 0.3;
    let (min, max) = LINK_BYTES_PER_S;
    let shown = |it: &LinkReign| (it.from_bytes_per_s.max(min), it.to_bytes_per_s.min(max));
    let visible = |it: &&LinkReign| {
        let (from, to) = shown(it);
        it.family == family && from < to
    };
    let of: Vec<&LinkReign> = reigns.iter().filter(visible).collect();
    if of.is_empty() {
        return Vec::new();
    }
    let bars = of.iter().flat_map(|it| {
        let (from, to) = shown(it);
        [(from, Some(HEIGHT)), (to, Some(HEIGHT)), (to, None)]
    });
    let middle = |it: &&LinkReign| {
        let (from, to) = shown(it);
        ((from * to).sqrt(), HEIGHT)
    };
    let middles = of.iter().map(middle).collect();
    // Names of narrow bars would lie on each other.
    let wide = |it: &LinkReign| shown(it).1 / shown(it).0 > LABELLED_FACTOR;
    let labels = of.iter().map(|it| if wide(it) { it.codec.clone() } else { String::new() }).collect();
    vec![
        Series::points(family, color, Marker::Dot, middles).labelled(labels),
        Series::line(family, color, bars.collect()).bar(),
    ]
}

/// Families in the order they come. Each has the same colour in every chart; `none` is context.
fn families<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(&'a str, Color)> {
    let color = |family| match family {
        "gzip" => Color::First,
        "snappy" => Color::Second,
        "lz4" => Color::Third,
        "zstd" => Color::Fourth,
        "none" => Color::Grey,
        _ => Color::Fifth,
    };
    let mut families: Vec<(&str, Color)> = Vec::new();
    for name in names {
        if families.iter().all(|(known, _)| *known != name) {
            families.push((name, color(name)));
        }
    }
    families
}
