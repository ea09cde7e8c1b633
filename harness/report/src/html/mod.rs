//! One HTML file: styles, script, charts library and data inside, nothing fetched, works from `file://`.

mod comparison;
mod figures_page;
mod find;
mod runs;
mod sweep;
mod view;

use minijinja::value::Serde;
use minijinja::{Environment, HtmlEscape, Value, context};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use thiserror::Error;

pub use self::comparison::comparison_page;
pub use self::figures_page::{FiguresPage, FiguresRow, FiguresTable, figures_page};
pub use self::find::find_page;
pub use self::runs::runs_page;
pub use self::sweep::sweep_page;
use crate::data::ReportData;
use crate::echarts::echarts_option;
use crate::figures::{Choice, Figure, cost_bars, heat_maps, percentile_curve, stage_waterfalls, time_series};
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

/// Makes the page of one run. Under 3 MB for runs of hours; refers to nothing outside itself; without scripts it shows
/// the same charts as static pictures.
pub fn html(run: &ReportData) -> Result<String, ReportError> {
    let runs = std::slice::from_ref(run);
    let shared = Shared::of(&figures(runs))?;
    render("page.html", context! { run => Serde(view::run(run)), shared => Serde(&shared) })
}

/// What every page of runs shows of them.
fn figures(runs: &[ReportData]) -> Vec<Figure> {
    let figures = [
        Some(Figure::from(percentile_curve(runs))),
        Figure::of(stage_waterfalls(runs)),
        cost_bars(runs).map(Figure::from),
        Figure::of(time_series(runs)),
        Figure::of(heat_maps(runs)),
    ];
    figures.into_iter().flatten().collect()
}

/// What repeats the order of the trials, and where they are.
fn seed_note(seed: u64, id: &str) -> String {
    format!("Seed of the order: {seed}. {id}")
}

/// Fills in one of the templates.
pub(crate) fn render(name: &str, context: Value) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.add_filter("code", code);
    for (name, template) in TEMPLATES {
        environment.add_template(name, template)?;
    }
    Ok(environment.get_template(name)?.render(context)?)
}

/// A text in which `` `commands` `` are shown as such; all of it is escaped.
fn code(text: &str) -> Value {
    let escaped = HtmlEscape(text).to_string();
    let mut parts: Vec<&str> = escaped.split('`').collect();
    // A backtick without its second one is only a character.
    let odd = if parts.len().is_multiple_of(2) { parts.pop() } else { None };
    let mut html = String::new();
    for (index, part) in parts.iter().enumerate() {
        html += &if index % 2 == 1 { format!("<code>{part}</code>") } else { (*part).to_owned() };
    }
    html.extend(odd.map(|rest| format!("`{rest}")));
    Value::from_safe_string(html)
}

/// What every page holds: styles, scripts, the charts library with its notice, and the charts themselves.
#[derive(Serialize)]
pub(crate) struct Shared {
    figures: Vec<FigureView>,
    data: String,
    style: &'static str,
    script: &'static str,
    echarts: &'static str,
    notice: String,
}

impl Shared {
    /// Leaves out what has nothing to draw.
    pub(crate) fn of(figures: &[Figure]) -> Result<Self, ReportError> {
        let drawn = || figures.iter().filter(|figure| figure.choices.iter().any(|it| it.chart.has_values()));
        let options: Map<String, Json> = drawn().flat_map(options).collect();
        Ok(Self {
            figures: drawn().filter_map(|figure| FigureView::new(figure, &options)).collect(),
            data: for_script(&serde_json::to_string(&options)?),
            style: STYLE,
            script: SCRIPT,
            echarts: ECHARTS,
            notice: ECHARTS_NOTICE.trim().replace(" (https://www.apache.org/)", ""),
        })
    }
}

/// The charts of a figure, which share their axes: the first one whole, of each other what is not as in the first. The
/// page's script puts them together again.
fn options(figure: &Figure) -> Vec<(String, Json)> {
    let mut charts = figure.choices.iter().map(|choice| &choice.chart);
    let Some(first) = charts.next().map(|chart| (chart.id.clone(), echarts_option(chart))) else {
        return Vec::new();
    };
    let others = charts.map(|chart| {
        let mut option = echarts_option(chart);
        if let Some(parts) = option.as_object_mut() {
            parts.retain(|name, part| first.1.get(name) != Some(&*part));
        }
        (chart.id.clone(), option)
    });
    let others: Vec<_> = others.collect();
    std::iter::once(first).chain(others).collect()
}

/// A figure as the template places it: what its first choice shows, until another one is chosen.
#[derive(Serialize)]
struct FigureView {
    id: String,
    title: String,
    question: String,
    captions: Vec<String>,
    y_toggle: bool,
    height_px: f64,
    choices: Vec<(String, String)>,
    svg: String,
}

impl FigureView {
    fn new(figure: &Figure, options: &Map<String, Json>) -> Option<Self> {
        let chart = &figure.choices.first()?.chart;
        let height_of = |choice: &Choice| options.get(&choice.chart.id)?["plimsoll"]["height_px"].as_f64();
        let mut height_px = figure.choices.iter().filter_map(height_of).fold(0.0, f64::max);
        if height_px == 0.0 {
            height_px = 400.0;
        }
        let choices = figure.choices.iter().map(|choice| (choice.chart.id.clone(), choice.name.clone()));
        Some(Self {
            id: chart.id.clone(),
            title: chart.title.clone(),
            question: chart.question.clone(),
            captions: chart.captions.clone(),
            y_toggle: chart.y_toggle,
            height_px,
            choices: if figure.choices.len() > 1 { choices.collect() } else { Vec::new() },
            svg: svg(chart),
        })
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
    fn commands_in_texts_are_code_and_everything_is_escaped() {
        assert_eq!(code("use `a <b>` here").to_string(), "use <code>a &lt;b&gt;</code> here");
        assert_eq!(code("a ` alone").to_string(), "a ` alone");
    }

    #[test]
    fn of_another_choice_only_what_is_different_is_stored_and_nothing_is_lost() {
        use crate::chart::{Axis, Chart, Color, Panel, Scale, Series};
        let chart = |id: &str, top: f64| {
            let axis = || Axis::between("time", Scale::Seconds, 0.0, 9.0);
            let line = Series::line("p50", Color::First, vec![(1.0, Some(top))]);
            let panels = vec![Panel::lines("latency", axis(), vec![line], 1.0)];
            let (title, question, captions) = Default::default();
            let (marks, bands, y_toggle) = Default::default();
            Chart { id: id.to_owned(), title, question, captions, x: axis(), panels, marks, bands, y_toggle }
        };
        let charts = [chart("time-1", 1.0), chart("time-2", 2.0)];
        let choices = charts.iter().map(|chart| Choice { name: chart.id.clone(), chart: chart.clone() });
        let stored = options(&Figure { choices: choices.collect() });
        let keys = |at: usize| stored[at].1.as_object().unwrap().keys().collect::<Vec<_>>();
        assert_eq!(keys(1), ["series"]);
        let mut whole = stored[0].1.clone();
        whole.as_object_mut().unwrap().extend(stored[1].1.as_object().unwrap().clone());
        assert_eq!((stored[0].1.clone(), whole), (echarts_option(&charts[0]), echarts_option(&charts[1])));
    }

    #[test]
    fn data_cannot_end_its_script_element() {
        let json = serde_json::to_string(&"</script><!-- \u{2028}").unwrap();
        let safe = for_script(&json);
        assert!(!safe.contains('<') && !safe.contains('\u{2028}'));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "</script><!-- \u{2028}");
    }
}
