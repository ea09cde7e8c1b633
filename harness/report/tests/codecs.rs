//! Charts of codecs: pictures as they are, and what they must show.
//!
//! `UPDATE_GOLDEN=1 cargo test -p plimsoll-report` accepts a change; look at the difference before you commit it.

use std::path::PathBuf;

use plimsoll_report::{
    Chart, CodecPoint, Color, FiguresPage, LinkReign, best_by_link, echarts_option, figures_page,
    ratio_against_speed, svg,
};

fn golden(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{name} changed; it is now:\n{actual}");
}

fn point(batch: &str, codec: &str, ratio: f64, compress: f64, decompress: f64) -> CodecPoint {
    CodecPoint {
        batch: batch.to_owned(),
        family: codec.split(':').next().unwrap().to_owned(),
        codec: codec.to_owned(),
        ratio,
        compress_bytes_per_s: compress * 1e6,
        decompress_bytes_per_s: decompress * 1e6,
        compress_front: codec != "gzip:6",
        decompress_front: codec != "gzip:6" && codec != "zstd:1",
    }
}

fn ratios() -> Chart {
    let points = [
        point("1 record", "none", 1.0, 4000.0, 5000.0),
        point("1 record", "gzip:6", 1.1, 20.0, 90.0),
        point("1 record", "lz4", 0.98, 300.0, 700.0),
        point("1 record", "zstd:1", 1.1, 40.0, 120.0),
        point("1 record", "zstd:3", 1.2, 35.0, 130.0),
        point("16 KiB", "none", 1.0, 8000.0, 9000.0),
        point("16 KiB", "gzip:6", 3.1, 95.0, 600.0),
        point("16 KiB", "lz4", 2.1, 700.0, 2600.0),
        point("16 KiB", "zstd:1", 3.0, 350.0, 900.0),
        point("16 KiB", "zstd:3", 3.2, 260.0, 950.0),
    ];
    ratio_against_speed("ratio-1", "flights.csv", &points, vec!["Medians of 41 rounds.".to_owned()])
}

fn strip() -> Chart {
    let reign = |batch: &str, codec: &str, from: f64, to: f64| LinkReign {
        batch: batch.to_owned(),
        family: codec.split(':').next().unwrap().to_owned(),
        codec: codec.to_owned(),
        from_bytes_per_s: from * 1e6,
        to_bytes_per_s: to * 1e6,
    };
    let reigns = [
        reign("1 record", "none", 0.0, f64::INFINITY),
        reign("16 KiB", "zstd:3", 0.0, 34.0),
        reign("16 KiB", "zstd:1", 34.0, 40.0),
        reign("16 KiB", "lz4", 40.0, 812.0),
        reign("16 KiB", "none", 812.0, f64::INFINITY),
    ];
    best_by_link("serial-1", "flights.csv", "one after the other", &reigns, Vec::new())
}

#[test]
fn pictures_are_the_same_bytes_every_time() {
    golden("codec-ratio.svg", &svg(&ratios()));
    golden("codec-strip.svg", &svg(&strip()));
}

#[test]
fn a_family_keeps_its_colour_in_every_chart_and_none_is_context() {
    let charts = [ratios(), strip()];
    let colors = |family: &str| {
        let lines = charts.iter().flat_map(|chart| &chart.panels).flat_map(|panel| &panel.series);
        lines.filter(|line| line.name == family).map(|line| line.color).collect::<Vec<_>>()
    };
    assert!(colors("zstd").iter().all(|color| *color == colors("zstd")[0]));
    assert!(colors("none").iter().all(|color| *color == Color::Grey));
}

#[test]
fn the_front_rises_to_the_slow_side_and_leaves_out_what_is_beaten() {
    let chart = ratios();
    let front = &chart.panels[1].series[0];
    assert_eq!((front.name.as_str(), front.points.len()), ("front to compress", 4));
    assert!(front.points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1));
    assert_eq!(chart.panels[0].y, chart.panels[1].y, "batch sizes are compared on the same axes");
}

#[test]
fn the_strip_names_its_bars_and_covers_every_speed_without_leaving_the_axis() {
    let chart = strip();
    let lines = || chart.panels[1].series.iter();
    let labels: Vec<&str> = lines().flat_map(|line| &line.labels).map(String::as_str).collect();
    assert_eq!(labels, ["none", "zstd:3", "", "lz4"], "a narrow bar has no room for its name");
    let ends: Vec<f64> = lines().flat_map(|line| &line.points).map(|(x, _)| *x).collect();
    assert!(ends.iter().all(|x| (chart.x.min..=chart.x.max).contains(x)), "{ends:?}");
    assert!(ends.contains(&chart.x.min) && ends.contains(&chart.x.max));
}

#[test]
fn axes_are_logarithmic_on_the_page_and_the_page_fetches_nothing() {
    let option = echarts_option(&ratios());
    assert_eq!((&option["xAxis"][0]["type"], &option["yAxis"][0]["type"]), (&"log".into(), &"value".into()));
    assert_eq!(echarts_option(&strip())["yAxis"][0]["show"], false);
    let page = figures_page(&FiguresPage::default(), &[ratios(), strip()]).unwrap();
    assert!(
        !page.contains("src=\"http") && !page.contains("Durability"),
        "no durability where nothing is stored"
    );
}
