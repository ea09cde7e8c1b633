//! One HTML file: styles, script, charts library and data inside, nothing fetched, works from `file://`.

mod view;

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;
use serde_json::Map;
use thiserror::Error;

use crate::chart::Chart;
use crate::data::ReportData;
use crate::echarts::echarts_option;
use crate::figures::{percentile_curve, time_series};
use crate::svg::svg;

const TEMPLATES: [(&str, &str); 4] = [
    ("base.html", include_str!("../../assets/base.html")),
    ("parts.html", include_str!("../../assets/parts.html")),
    ("page.html", include_str!("../../assets/page.html")),
    ("figures.html", include_str!("../../assets/figures.html")),
];
const STYLE: &str = include_str!("../../assets/page.css");
const SCRIPT: &str = include_str!("../../assets/page.js");
const ECHARTS: &str = include_str!("../../assets/echarts/echarts.min.js");
const ECHARTS_NOTICE: &str = include_str!("../../assets/echarts/NOTICE");

/// A page that could not be made: a defect of the template or of the data model, not of the run.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The template.
    #[error("the report's template failed: {0}")]
    Template(#[from] minijinja::Error),
    /// The data.
    #[error("the report's data cannot be embedded: {0}")]
    Json(#[from] serde_json::Error),
}

/// Makes the page. Under 3 MB for runs of hours; refers to nothing outside itself; without scripts it shows
/// the same charts as static pictures.
pub fn html(data: &ReportData) -> Result<String, ReportError> {
    let mut charts = vec![percentile_curve(data)];
    charts.extend(time_series(data));
    charts.retain(|chart| chart.panels.iter().any(|panel| !panel.series.is_empty()));
    let shared = Shared::of(&charts)?;
    render("page.html", context! { run => Serde(view::run(data)), shared => Serde(&shared) })
}

/// Fills in one of the templates.
pub(crate) fn render(name: &str, context: Value) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    for (name, template) in TEMPLATES {
        environment.add_template(name, template)?;
    }
    Ok(environment.get_template(name)?.render(context)?)
}

/// What every page holds: styles, scripts, the charts library with its notice, and the charts themselves.
#[derive(Serialize)]
pub(crate) struct Shared<'a> {
    figures: Vec<FigureView<'a>>,
    data: String,
    style: &'static str,
    script: &'static str,
    echarts: &'static str,
    notice: String,
}

impl<'a> Shared<'a> {
    pub(crate) fn of(charts: &'a [Chart]) -> Result<Self, ReportError> {
        let options: Map<String, serde_json::Value> =
            charts.iter().map(|chart| (chart.id.clone(), echarts_option(chart))).collect();
        Ok(Self {
            figures: charts.iter().map(|chart| FigureView::new(chart, &options)).collect(),
            data: for_script(&serde_json::to_string(&options)?),
            style: STYLE,
            script: SCRIPT,
            echarts: ECHARTS,
            notice: ECHARTS_NOTICE.trim().replace(" (https://www.apache.org/)", ""),
        })
    }
}

/// A chart as the template places it.
#[derive(Serialize)]
struct FigureView<'a> {
    id: &'a str,
    title: &'a str,
    question: &'a str,
    captions: &'a [String],
    y_toggle: bool,
    height_px: f64,
    svg: String,
}

impl<'a> FigureView<'a> {
    fn new(chart: &'a Chart, options: &Map<String, serde_json::Value>) -> Self {
        let height = options.get(&chart.id).and_then(|option| option["plimsoll"]["height_px"].as_f64());
        Self {
            id: &chart.id,
            title: &chart.title,
            question: &chart.question,
            captions: &chart.captions,
            y_toggle: chart.y_toggle,
            height_px: height.unwrap_or(400.0),
            svg: svg(chart),
        }
    }
}

/// Inside `<script>` only `</script` and `<!--` could end or hide the data; without `<` there is neither.
fn for_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_script_element() {
        let json = serde_json::to_string(&"</script><!-- \u{2028}").unwrap();
        let safe = for_script(&json);
        assert!(!safe.contains('<') && !safe.contains('\u{2028}'));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "</script><!-- \u{2028}");
    }
}
