//! Our chart model: data and meaning, no drawing.

mod axis;
mod heat;

pub use axis::{Axis, Scale};
pub use heat::{Heat, HeatCell};

use serde::Serialize;

/// One figure: panels above one another that share the x axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// Short name, unique in a page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The question it answers, for a reader who sees such a picture for the first time.
    pub question: String,
    /// From where to where is measured, which loop, how many trials, and the durability line.
    pub captions: Vec<String>,
    /// The shared axis.
    pub x: Axis,
    /// Panels, from the top.
    pub panels: Vec<Panel>,
    /// Instants across all panels.
    pub marks: Vec<Mark>,
    /// Shaded spans across all panels.
    pub bands: Vec<Band>,
    /// The page may offer to switch y between log and linear.
    pub y_toggle: bool,
}

/// One coordinate system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Panel {
    /// What its values are.
    pub title: String,
    /// Its axis.
    pub y: Axis,
    /// Its lines.
    pub series: Vec<Series>,
    /// Counts under the lines.
    pub heat: Option<Heat>,
    /// Height relative to the other panels.
    pub weight: f64,
}

/// One line. Points are joined by straight lines and never smoothed; `None` interrupts it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Name in the legend. Lines with the same name are switched together and listed once.
    pub name: String,
    /// Ascending in x.
    pub points: Vec<(f64, Option<f64>)>,
    /// Colour.
    pub color: Color,
    /// Stroke: the second channel, for readers and printers without colour.
    pub dash: Dash,
    /// How wide it is drawn.
    pub width: Width,
    /// How each point is drawn besides.
    pub marker: Marker,
    /// What stands beside each point that is no gap; empty for nothing.
    pub labels: Vec<String>,
}

/// How wide a line is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Width {
    /// Context, for example single trials under the pooled line.
    Thin,
    /// A line.
    #[default]
    Normal,
    /// A bar from point to point.
    Bar,
    /// Broad and faint: a range around what is drawn over it.
    Wash,
}

/// A point of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Marker {
    /// None: the line says it all.
    #[default]
    None,
    /// ●
    Dot,
    /// ○
    Ring,
    /// ○ with lines across it
    Hatched,
    /// A small dot, for one of many.
    Speck,
}

/// Okabe–Ito colours by role; the page maps them to light and dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Color {
    /// First colour.
    First,
    /// Second colour.
    Second,
    /// Third colour.
    Third,
    /// Fourth colour.
    Fourth,
    /// Fifth colour.
    Fifth,
    /// Context.
    Grey,
}

/// Stroke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dash {
    /// ────
    Solid,
    /// ─ ─
    Dashed,
    /// ····, also for what is not to be relied on.
    Dotted,
    /// ─ · ─
    DashDot,
    /// ── ──
    LongDash,
}

impl Dash {
    /// Strokes that tell lines apart without colour, over and over.
    pub fn nth(n: usize) -> Self {
        const TELLING: [Dash; 4] = [Dash::Solid, Dash::Dashed, Dash::DashDot, Dash::LongDash];
        TELLING.get(n % TELLING.len()).copied().unwrap_or(Self::Solid)
    }
}

/// An instant with a reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// Where on x.
    pub at: f64,
    /// A few words.
    pub label: String,
    /// Drawn with its label; the others are in the table of events.
    pub labelled: bool,
}

/// A span with a reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Band {
    /// Begin on x.
    pub from: f64,
    /// End on x.
    pub to: f64,
    /// A few words.
    pub label: String,
}

impl Chart {
    /// True when it has something to draw.
    pub fn has_values(&self) -> bool {
        self.panels.iter().any(Panel::has_values)
    }

    /// Names of rows stand at its left, which takes more room than numbers.
    pub fn has_rows(&self) -> bool {
        self.panels.iter().any(|panel| panel.y.scale == Scale::Rows)
    }
}

impl Color {
    /// Index into the page's palette; grey has its own name there.
    pub fn css_variable(self) -> &'static str {
        match self {
            Self::First => "--c1",
            Self::Second => "--c2",
            Self::Third => "--c3",
            Self::Fourth => "--c4",
            Self::Fifth => "--c5",
            Self::Grey => "--cg",
        }
    }
}

impl Series {
    /// A solid line.
    pub fn line(name: impl Into<String>, color: Color, points: Vec<(f64, Option<f64>)>) -> Self {
        let (name, labels) = (name.into(), Vec::new());
        Self { name, points, color, dash: Dash::Solid, width: Width::Normal, marker: Marker::None, labels }
    }

    /// Single points that no line joins.
    pub fn points(name: impl Into<String>, color: Color, marker: Marker, points: Vec<(f64, f64)>) -> Self {
        let points = points.into_iter().flat_map(|(x, y)| [(x, Some(y)), (x, None)]).collect();
        Self { marker, ..Self::line(name, color, points) }
    }

    /// The same with another stroke.
    #[must_use]
    pub fn dashed(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }

    /// The same with a text beside each point.
    #[must_use]
    pub fn labelled(self, labels: Vec<String>) -> Self {
        Self { labels, ..self }
    }

    /// The same as context.
    #[must_use]
    pub fn thin(self) -> Self {
        Self { width: Width::Thin, ..self }
    }

    /// The same as a bar.
    #[must_use]
    pub fn bar(self) -> Self {
        Self { width: Width::Bar, ..self }
    }

    /// The same as a broad, faint range.
    #[must_use]
    pub fn wash(self) -> Self {
        Self { width: Width::Wash, ..self }
    }

    /// What lies over what: ranges under context under the lines that it is about.
    pub(crate) fn depth(&self) -> u8 {
        match self.width {
            Width::Wash => 0,
            Width::Thin => 1,
            Width::Normal | Width::Bar => 2,
        }
    }

    /// True when it has something to draw.
    pub fn has_values(&self) -> bool {
        self.points.iter().any(|(_, y)| y.is_some())
    }
}

impl Panel {
    /// A panel of lines and points.
    pub fn lines(title: impl Into<String>, y: Axis, series: Vec<Series>, weight: f64) -> Self {
        Self { title: title.into(), y, series, heat: None, weight }
    }

    /// True when it has something to draw.
    pub fn has_values(&self) -> bool {
        self.heat.is_some() || self.series.iter().any(Series::has_values)
    }

    /// Names in the legend, once each, in order.
    pub fn legend(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in &self.series {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        names
    }

    /// Room that a name takes in a legend, in pixels and generously.
    pub(crate) fn legend_width(name: &str) -> f64 {
        34.0 + 7.2 * name.chars().count() as f64
    }

    /// The legend broken into lines of at most `room` pixels.
    pub(crate) fn legend_lines(&self, room: f64) -> Vec<Vec<&str>> {
        let mut lines: Vec<(f64, Vec<&str>)> = vec![(0.0, Vec::new())];
        for name in self.legend() {
            let width = Self::legend_width(name);
            match lines.last_mut() {
                Some((used, names)) if names.is_empty() || *used + width <= room => {
                    *used += width;
                    names.push(name);
                }
                _ => lines.push((width, vec![name])),
            }
        }
        lines.into_iter().map(|(_, names)| names).collect()
    }
}
