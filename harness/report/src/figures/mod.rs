//! Which charts a result gets, each in a file of its own.

mod captions;
mod cost;
mod forest;
mod heat_map;
mod hockey_stick;
mod instants;
mod percentiles;
mod shift;
mod stages;
mod time;

pub(crate) use self::captions::durability as durability_of;
pub use self::cost::cost_bars;
pub(crate) use self::cost::facts as cost_facts;
pub use self::forest::forests;
pub use self::heat_map::heat_maps;
pub use self::hockey_stick::hockey_stick;
pub(crate) use self::hockey_stick::lines_against_load;
pub use self::percentiles::percentile_curve;
pub use self::shift::shift_function;
pub use self::stages::stage_waterfalls;
pub(crate) use self::stages::{side, words};
pub use self::time::time_series;
use crate::chart::{Chart, Color, Dash};

/// Charts of one kind of which a reader looks at one at a time: the trials of a run, say. They share their axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// What this one is, for example `trial 3`.
    pub name: String,
    /// The chart.
    pub chart: Chart,
}

/// A place on a page: one chart, or a choice among several.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What can be chosen; a single one is shown without a choice.
    pub choices: Vec<Choice>,
}

impl From<Chart> for Figure {
    fn from(chart: Chart) -> Self {
        Self { choices: vec![Choice { name: String::new(), chart }] }
    }
}

impl Figure {
    /// A choice, without those that have nothing to draw. `None` when nothing is left.
    pub fn of(choices: Vec<Choice>) -> Option<Self> {
        let choices: Vec<_> = choices.into_iter().filter(|choice| choice.chart.has_values()).collect();
        (!choices.is_empty()).then_some(Self { choices })
    }
}

/// Colour and stroke of the arms of a chart, so that they differ without colour too; the 21st and later ones share grey.
fn strokes() -> impl Iterator<Item = (Color, Dash)> {
    const COLORS: [Color; 5] = [Color::First, Color::Second, Color::Third, Color::Fourth, Color::Fifth];
    let told = (0..4).flat_map(|round| {
        COLORS.into_iter().enumerate().map(move |(index, color)| (color, Dash::nth(index + round)))
    });
    told.chain(std::iter::repeat((Color::Grey, Dash::Dotted)))
}
