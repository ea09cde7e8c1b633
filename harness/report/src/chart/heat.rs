//! Counts over a grid of time and value, coloured by their order of magnitude.

use serde::Serialize;

/// A grid of counts, drawn under the lines of its panel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heat {
    /// What is counted, for the legend.
    pub unit: String,
    /// Begin and end of each column on x.
    pub columns: Vec<(f64, f64)>,
    /// Borders of the rows on y, ascending, one more than there are rows.
    pub borders: Vec<f64>,
    /// Cells that are not empty, by column and row.
    pub cells: Vec<HeatCell>,
    /// Least count of each level, ascending from 1; a level is a colour. At most [`Heat::LEVELS_MAX`].
    pub levels: Vec<u64>,
}

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HeatCell {
    /// Index into the columns.
    pub column: usize,
    /// Index of the border below it.
    pub row: usize,
    /// How many.
    pub count: u64,
}

impl Heat {
    /// More colours than this are not told apart.
    pub const LEVELS_MAX: usize = 6;

    /// Levels of equal factors from 1 to `most`; fewer when there are not as many different counts.
    pub fn levels_up_to(most: u64) -> Vec<u64> {
        let factor = (most.max(1) as f64).powf(1.0 / Self::LEVELS_MAX as f64);
        let mut levels: Vec<u64> =
            (0..Self::LEVELS_MAX).map(|level| factor.powi(level as i32).round() as u64).collect();
        levels.dedup();
        levels
    }

    /// The level of a count.
    pub fn level(&self, count: u64) -> usize {
        self.levels.iter().rposition(|least| count >= *least).unwrap_or(0)
    }

    /// The place of a level in the palette, whose last colour is the strongest.
    pub fn shade(&self, level: usize) -> usize {
        let last = self.levels.len().saturating_sub(1).max(1);
        level * (Self::LEVELS_MAX - 1) / last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heat(most: u64) -> Heat {
        let levels = Heat::levels_up_to(most);
        Heat { unit: String::new(), columns: Vec::new(), borders: Vec::new(), cells: Vec::new(), levels }
    }

    #[test]
    fn levels_are_orders_of_magnitude_and_the_last_one_is_strongest() {
        let heat = heat(1_000_000);
        assert_eq!(heat.levels, [1, 10, 100, 1_000, 10_000, 100_000]);
        assert_eq!([1, 9, 10, 5_000_000].map(|count| heat.level(count)), [0, 0, 1, 5]);
        assert_eq!((heat.shade(0), heat.shade(5)), (0, 5));
    }

    #[test]
    fn few_different_counts_have_few_levels() {
        assert_eq!(heat(0).levels, [1]);
        let few = heat(3);
        assert_eq!(few.levels, [1, 2]);
        assert_eq!((few.shade(0), few.shade(1)), (0, 5));
    }
}
