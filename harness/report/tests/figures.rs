//! The page of a storage bench: offline, classes apart, failed rows with their reason, safe against its data.

use plimsoll_report::{
    Chart, CostPoint, FiguresPage, FiguresRow, FiguresTable, SyncCurve, echarts_option, figures_page, svg,
    sync_latency, throughput_against_cpu,
};
use plimsoll_results::Histogram;

const ECHARTS: &str = include_str!("../assets/echarts/echarts.min.js");

fn point(class: &str, group: &str, label: &str) -> CostPoint {
    CostPoint {
        class: class.to_owned(),
        group: group.to_owned(),
        label: label.to_owned(),
        engine: (0.4, 2e9),
        floor: (0.3, 3e9),
    }
}

fn costs() -> Chart {
    let points = [
        point("survives the process", "page-cache", "64 KiB"),
        point("survives loss of power", "page-cache", "64 KiB"),
        point("survives loss of power", "io_uring", "256 KiB"),
    ];
    throughput_against_cpu(&points, vec!["8 pairs".to_owned()])
}

fn page(remark: &str) -> String {
    let failed = FiguresRow {
        cells: vec!["mmap".to_owned(), "–".to_owned()],
        remark: Some(remark.to_owned()),
        good: false,
    };
    let table = FiguresTable {
        title: "Append".to_owned(),
        head: vec!["row".to_owned(), "MB/s".to_owned()],
        rows: vec![failed],
    };
    let page = FiguresPage { title: "A bench".to_owned(), tables: vec![table], ..FiguresPage::default() };
    figures_page(&page, &[costs()]).unwrap().replace(ECHARTS, "")
}

#[test]
fn a_failed_row_stands_in_its_table_with_the_reason_and_nothing_is_fetched() {
    let page = page("FAILED after 1 of 8 pairs: the disk is full");
    assert!(
        page.contains("<td colspan=\"2\" class=\"bad\">FAILED after 1 of 8 pairs: the disk is full</td>")
    );
    for word in ["http:", "https:", "src=", "href=", "@import", "url(", "<link"] {
        assert!(!page.contains(word), "the page has `{word}`");
    }
    assert!(!page.contains("{{") && !page.contains("{%"), "the template is filled in");
}

#[test]
fn a_reason_that_looks_like_markup_stays_text() {
    let page = page("</script><img src=x onerror=alert(1)>");
    assert!(!page.contains("<img"), "an error of the file system may hold any name");
}

#[test]
fn what_survives_something_else_has_a_panel_of_its_own_on_the_same_axes() {
    let chart = costs();
    let titles: Vec<&str> = chart.panels.iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(
        titles,
        ["payload per second; survives the process", "payload per second; survives loss of power"]
    );
    assert_eq!(chart.panels[0].y, chart.panels[1].y);
    assert_eq!(chart.panels[1].legend(), ["page-cache", "io_uring"]);
    assert_eq!(chart.panels[0].legend(), ["page-cache"], "a legend names what its panel shows");
    let option = echarts_option(&chart).to_string();
    assert!(option.contains("64 KiB") && svg(&chart).contains(">256 KiB</text>"), "points say what they are");
}

#[test]
fn syncs_of_two_batch_sizes_are_two_panels_and_a_backend_keeps_its_colour() {
    let mut histogram = Histogram::new();
    (1..=500u64).for_each(|n| histogram.record_ns(n * 10_000));
    let curve = |class, group| SyncCurve { class, group, name: group, histogram: &histogram };
    let chart = sync_latency(
        &[curve("64 KiB", "mmap"), curve("64 KiB", "io_uring"), curve("256 KiB", "io_uring")],
        Vec::new(),
    );
    assert_eq!(chart.panels.len(), 2);
    let color = |panel: usize| {
        let of = chart.panels[panel].series.iter().find(|line| line.name == "io_uring");
        of.map(|line| line.color)
    };
    assert!(color(0).is_some() && color(0) == color(1));
}
