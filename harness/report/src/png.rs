//! A chart as PNG: its SVG file, drawn with the fonts of this system.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use thiserror::Error;

use crate::chart::Chart;
use crate::svg::svg_file;

/// Pixels for each unit of the SVG: sharp on screens of double density.
const SCALE: f32 = 2.0;
/// Families that people have, by how well they read in a chart.
const FAMILIES: [&str; 5] = ["DejaVu Sans", "Noto Sans", "Liberation Sans", "Arial", "Helvetica"];

/// A picture that could not be drawn.
#[derive(Debug, Error)]
pub enum PngError {
    /// A chart without texts would say nothing.
    #[error(
        "no font is installed, which texts of a .png need; install one (fonts-dejavu, say) or draw an .svg"
    )]
    NoFont,
    /// The library refused our SVG.
    #[error("the chart cannot be drawn: {0}")]
    Svg(#[from] resvg::usvg::Error),
    /// Too large for memory, or not encodable.
    #[error("the chart of {width} × {height} pixels cannot be encoded")]
    Encode {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

/// A PNG of the chart, twice as many pixels as the SVG has units. Letters differ with the fonts of the system.
///
/// # Errors
/// [`PngError`]: most likely no font is installed.
pub fn png_file(chart: &Chart) -> Result<Vec<u8>, PngError> {
    let mut options = Options::default();
    choose_font(options.fontdb_mut())?;
    let tree = Tree::from_str(&svg_file(chart), &options)?;
    let (width, height) = (tree.size().width() * SCALE, tree.size().height() * SCALE);
    let (width, height) = (width.ceil() as u32, height.ceil() as u32);
    let refused = || PngError::Encode { width, height };
    let mut picture = Pixmap::new(width, height).ok_or_else(refused)?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut picture.as_mut());
    picture.encode_png().map_err(|_| refused())
}

/// Generic families stand for fonts that are rarely there; ours stand for one that is.
fn choose_font(fonts: &mut fontdb::Database) -> Result<(), PngError> {
    fonts.load_system_fonts();
    let families: Vec<String> =
        fonts.faces().flat_map(|face| &face.families).map(|(name, _)| name.clone()).collect();
    let known = FAMILIES.into_iter().find(|name| families.iter().any(|family| family == name));
    let family = known.map(str::to_owned).or(families.into_iter().next()).ok_or(PngError::NoFont)?;
    fonts.set_sans_serif_family(family.clone());
    fonts.set_serif_family(family);
    Ok(())
}
