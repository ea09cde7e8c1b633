//! What a comparison found, and what follows from it.

use plimsoll_codecs::{Capability, Overlap, Row, dominators, winners};
use plimsoll_report::units::{exact, three};
use plimsoll_results::Status;
use serde::Serialize;

use super::input::{Input, Source};

/// A row with what a reader of this row alone has to know.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    #[serde(flatten)]
    pub(super) row: Row,
    pub(super) source: Source,
    /// Why its figures say less than they seem to.
    pub(super) warnings: Vec<String>,
}

/// A range of link speeds and the codec that is best there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Best {
    pub(super) codec: String,
    pub(super) from_mb_per_s: f64,
    pub(super) to_mb_per_s: Option<f64>,
}

/// All codecs on one set of records at one batch size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    pub(super) rows: &'a [Told],
}

/// Everything that was compared.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) rows: Vec<Told>,
    /// Stopped before its end.
    pub(super) aborted: bool,
}

impl Compared {
    pub(super) fn add(&mut self, input: &Input, rows: Vec<Row>) {
        let told = |row: Row| Told { warnings: warnings(input, &row), source: input.source, row };
        self.rows.extend(rows.into_iter().map(told));
    }

    /// Rows that are meant to be compared with each other, in the order they came.
    pub(super) fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        let same = |a: &Told, b: &Told| a.row.corpus == b.row.corpus && a.row.batch == b.row.batch;
        self.rows.chunk_by(same).map(|rows| Group { rows })
    }

    pub(super) fn status(&self) -> Status {
        match (self.aborted, self.rows.is_empty()) {
            (true, _) => Status::Aborted,
            (false, true) => Status::Failed,
            (false, false) => Status::Ok,
        }
    }
}

impl<'a> Group<'a> {
    /// The first row: what all of them have in common stands in it.
    pub(super) fn head(self) -> Option<&'a Told> {
        self.rows.first()
    }

    /// `16 KiB batches of flights.csv`.
    pub(super) fn title(self) -> String {
        let Some(Told { row, source, .. }) = self.head() else { return String::new() };
        let sample = if *source == Source::Sample { " (sample)" } else { "" };
        format!("{}{sample}, batches of {}", row.corpus, row.batch)
    }

    /// `2,666 records in 17 batches of 157; medians of 41 rounds`.
    pub(super) fn basis(self) -> String {
        let Some(Told { row, .. }) = self.head() else { return String::new() };
        let sizes = row.sizes;
        let rounds = row.speed.rounds;
        format!(
            "{} records of {} bytes in {} batches of {}; medians of {rounds} {}, in brackets the quartiles",
            exact(sizes.records),
            three(sizes.payload_bytes as f64 / sizes.records as f64),
            exact(sizes.batches),
            three(row.batch_records),
            if rounds == 1 { "round" } else { "rounds" },
        )
    }

    /// For each row the codec that is at least as small and as fast, by the speed that is asked for.
    fn beaten_by(self, speed: fn(&Row) -> f64) -> Vec<Option<&'a str>> {
        let places: Vec<_> = self.rows.iter().map(|it| (speed(&it.row), it.row.sizes.ratio)).collect();
        let name = |index: usize| self.rows.get(index).map(|it| it.row.codec.as_str());
        dominators(&places).into_iter().map(|beaten_by| beaten_by.and_then(name)).collect()
    }

    /// For each row, whether it is on the Pareto front of compression and of decompression, in words.
    pub(super) fn standings(self) -> Vec<String> {
        let compress = self.beaten_by(|row| row.speed.compress_mb_per_s);
        let decompress = self.beaten_by(|row| row.speed.decompress_mb_per_s);
        let words = |both| match both {
            (None, None) => "front".to_owned(),
            (None, Some(by)) => format!("front to compress; {by} beats it to decompress"),
            (Some(by), None) => format!("{by} beats it to compress; front to decompress"),
            (Some(by), Some(and)) if by == and => format!("{by} beats it"),
            (Some(by), Some(and)) => format!("{by} beats it to compress, {and} to decompress"),
        };
        compress.into_iter().zip(decompress).map(words).collect()
    }

    /// The best codec by the speed of a link or disk.
    pub(super) fn best_by_link(self, overlap: Overlap) -> Vec<Best> {
        let capability = |it: &Told| Capability {
            compress_mb_per_s: it.row.speed.compress_mb_per_s,
            decompress_mb_per_s: it.row.speed.decompress_mb_per_s,
            ratio: it.row.sizes.ratio,
        };
        let codecs: Vec<Capability> = self.rows.iter().map(capability).collect();
        let best = winners(&codecs, overlap).into_iter().filter_map(|reign| {
            let codec = self.rows.get(reign.index)?.row.codec.clone();
            Some(Best { codec, from_mb_per_s: reign.from_mb_per_s, to_mb_per_s: reign.to_mb_per_s })
        });
        best.collect()
    }
}

/// `zstd:3 up to 34.1 MB/s, lz4 up to 812 MB/s, then none`.
pub(super) fn in_words(best: &[Best]) -> String {
    let part = |best: &Best| match best.to_mb_per_s {
        Some(to) => format!("{} up to {} MB/s", best.codec, three(to)),
        None if best.from_mb_per_s > 0.0 => format!("then {}", best.codec),
        None => format!("{} at any speed", best.codec),
    };
    best.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn warnings(input: &Input, row: &Row) -> Vec<String> {
    let mut warnings = Vec::new();
    if !row.batches_suffice {
        let filled = row.sizes.uncompressed_bytes as f64 / row.batch_bytes as f64;
        warnings.push(format!(
            "the records fill {} batches of this size and not eight: caches and codecs see less than they would; take \
             more data",
            three(filled)
        ));
    }
    if !input.ranks_codecs {
        warnings.push(
            "these records repeat each other more than real traffic does: do not rank codecs by them"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(codec: &str, from_mb_per_s: f64, to_mb_per_s: Option<f64>) -> Best {
        Best { codec: codec.to_owned(), from_mb_per_s, to_mb_per_s }
    }

    #[test]
    fn the_strip_is_said_in_one_line() {
        let strip =
            [best("zstd:3", 0.0, Some(34.12)), best("lz4", 34.12, Some(812.4)), best("none", 812.4, None)];
        assert_eq!(in_words(&strip), "zstd:3 up to 34.1 MB/s, lz4 up to 812 MB/s, then none");
        assert_eq!(in_words(&[best("none", 0.0, None)]), "none at any speed");
    }
}
