//! A page of tables, charts and remarks, whatever they are about.

use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use super::{ReportError, Shared, render};
use crate::chart::Chart;
use crate::figures::Figure;

/// A page of tables, charts and remarks.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FiguresPage {
    /// What was measured.
    pub title: String,
    /// How it ended: one word, and whether it is good.
    pub status: (String, bool),
    /// The verdict, a paragraph each.
    pub sentences: Vec<String>,
    /// What an acknowledged record survives; empty where nothing is stored.
    pub durability: String,
    /// What a reader should know before believing a figure.
    pub remarks: Vec<String>,
    /// Above the charts: what a reader came for.
    pub tables: Vec<FiguresTable>,
    /// Below the charts: what is looked up.
    pub details: Vec<FiguresTable>,
    /// Below the tables.
    pub notes: Vec<String>,
    /// Facts about the machine.
    pub machine: Vec<(String, String)>,
}

/// Rows that are meant to be compared.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FiguresTable {
    /// What they have in common.
    pub title: String,
    /// Names of the columns, with units.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<FiguresRow>,
}

/// A row of a page's table.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FiguresRow {
    /// As texts, in the order of the head.
    pub cells: Vec<String>,
    /// Why it is not whole.
    pub remark: Option<String>,
    /// Nothing failed.
    pub good: bool,
}

/// Makes one HTML file that refers to nothing outside itself.
pub fn figures_page(page: &FiguresPage, charts: &[Chart]) -> Result<String, ReportError> {
    page_of(page, &charts.iter().cloned().map(Figure::from).collect::<Vec<_>>())
}

/// The same with choices among charts.
pub(super) fn page_of(page: &FiguresPage, figures: &[Figure]) -> Result<String, ReportError> {
    let shared = Shared::of(figures)?;
    render("figures.html", context! { page => Serde(page), shared => Serde(&shared) })
}
