//! The page: offline, small, whole, and safe against its own data.

mod support;

use plimsoll_report::{ReportData, comparison_page, find_page, html, runs_page, sweep_page};
use plimsoll_results::{Event, RunDocument, Warning};
use sha2::{Digest, Sha256};

const ECHARTS: &str = include_str!("../assets/echarts/echarts.min.js");
const ECHARTS_SHA256: &str = "b66b25aeb4df84e33199dc21694014d336d222cbd9deb0e5a7c14bd6aa0d0fd0";

/// The page without the vendored library, which a hash pins instead.
fn ours(page: &str) -> String {
    assert!(page.contains(ECHARTS), "the library is inside the page, unchanged");
    page.replace(ECHARTS, "")
}

#[test]
fn the_vendored_library_is_the_one_we_name() {
    let digest: String = Sha256::digest(ECHARTS).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, ECHARTS_SHA256);
    assert!(!ECHARTS.contains("</script"));
}

#[test]
fn c2_no_external_url_anywhere() {
    let page = html(&support::synthetic(2)).unwrap();
    loads_nothing(&page);
}

fn loads_nothing(page: &str) {
    let ours = ours(page).to_lowercase();
    for word in ["http:", "https:", "src=", "href=", "@import", "url(", "fetch(", "xmlhttp", "<link", "//cdn"]
    {
        assert!(!ours.contains(word), "the page has `{word}`");
    }
    assert!(ours.contains("default-src 'none'"), "the browser is told to load nothing");
}

#[test]
fn c2_under_three_megabytes_with_many_trials_and_a_tenth_to_spare() {
    for page in [html(&support::synthetic(50)).unwrap(), comparison_page(&support::compared(25)).unwrap()] {
        assert!(page.len() < 2_700_000, "{} bytes", page.len());
    }
}

#[test]
fn c2_every_kind_of_page_loads_nothing_and_says_its_durability() {
    let runs = runs_page(support::rising(&[10_000.0, 40_000.0, 90_000.0])).unwrap();
    let comparison = comparison_page(&support::compared(8)).unwrap();
    let sweep = sweep_page(&support::swept()).unwrap();
    let search = find_page(&support::found()).unwrap();
    for page in [&runs, &comparison, &sweep, &search] {
        loads_nothing(page);
        assert!(page.contains("acks=1, rf 1") && page.contains("<noscript><svg"));
        assert!(!page.contains("{{") && !page.contains("{%"), "the template is filled in");
    }
    assert!(runs.contains("Latency against load") && runs.contains("Side by side"));
    for text in
        ["REGRESSED", "IMPROVED", "EQUIVALENT", "broker CPU per record", "response p99", "Seed of the order"]
    {
        assert!(comparison.contains(text), "no `{text}`");
    }
    for text in ["What each setting does", "Latency against load", "codec=lz4", "The base is rate="] {
        assert!(sweep.contains(text), "no `{text}`");
    }
    for text in ["hold p99=10ms", "holds 100 k/s", "What was tried", "not 10ms"] {
        assert!(search.contains(text), "no `{text}`");
    }
}

#[test]
fn runs_under_different_durability_say_so_before_any_figure() {
    let mut runs = support::rising(&[10_000.0, 40_000.0]);
    runs[1].document.durability.acks = plimsoll_results::Acks::All;
    let page = runs_page(runs).unwrap();
    let (warning, figure) = (page.find("DURABILITY IS NOT EQUAL").unwrap(), page.find("<figure>").unwrap());
    assert!(warning < figure);
}

#[test]
fn direct_beside_cached_is_no_difference_in_durability() {
    let mut runs = support::rising(&[10_000.0, 40_000.0]);
    runs[1].document.durability.direct = Some(true);
    let page = runs_page(runs).unwrap();
    assert!(!page.contains("NOT EQUAL") && page.contains("durability of 40.0 k"), "each has its line");
}

#[test]
fn trials_are_chosen_among_and_one_needs_no_choice() {
    let several = html(&support::synthetic(3)).unwrap();
    assert_eq!(several.matches("<select data-choose=").count(), 2, "over time, and as a heat map");
    assert!(several.contains("<option value=\"heat-3\">trial 3</option>"));
    assert!(!html(&support::synthetic(1)).unwrap().contains("<select data-choose="));
}

#[test]
fn it_shows_what_every_figure_must_print() {
    let page = html(&support::synthetic(1)).unwrap();
    let durability = "acks=1, rf 1, min.isr 1, flush never (the kernel decides), durability replicated, survives process, cached I&#x2f;O";
    let figures = page.matches("<figure>").count();
    assert!(figures >= 2);
    assert!(page.matches(durability).count() > figures, "the durability line stands at every figure");
    for text in [
        "open loop, from the intended send time",
        "1 trial",
        "600,000",
        "ratio as sent",
        "AMD EPYC",
        "<noscript><svg",
    ] {
        assert!(page.contains(text), "no `{text}`");
    }
    assert!(!page.contains("{{") && !page.contains("{%"), "the template is filled in");
}

#[test]
fn hostile_text_stays_text() {
    let mut data = support::synthetic(1);
    let hostile = "</script><img src=x onerror=alert(1)>";
    data.document.warnings.push(Warning::new("x", hostile, hostile));
    data.document.workload = Some(hostile.to_owned());
    data.lock = Some(hostile.to_owned());
    data.events.push(Event {
        at_ms: 5_000.0,
        kind: "fault".into(),
        message: hostile.into(),
        ..Default::default()
    });
    let page = html(&data).unwrap();
    assert!(!ours(&page).contains("<img"));
    assert_eq!(page.matches("</script>").count(), 3);
}

#[test]
fn a_run_that_never_began_still_has_a_page() {
    let data = ReportData {
        name: "x".to_owned(),
        document: RunDocument::unfinished("x"),
        machine: None,
        events: Vec::new(),
        lock: None,
        trials: Vec::new(),
    };
    let page = html(&data).unwrap();
    assert!(page.contains("aborted") && page.contains("ended before its summary"));
    assert_eq!(page.matches("<figure>").count(), 0);
}
