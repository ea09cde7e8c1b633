//! What a partition's directory holds, by one listing and without opening a segment: a log of 20,000 segments must
//! be ready at once, and needs no descriptor for those it only keeps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_io::{IoFault, SegmentStore};

use crate::layout::{
    self, CLEANED_SUFFIX, DELETED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SWAP_SUFFIX, TIME_INDEX_SUFFIX,
    TXN_INDEX_SUFFIX,
};

/// A segment as its names tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) base_offset: i64,
    pub(super) len_bytes: u64,
    /// Both index files are there. What is in them is seen when they are read.
    pub(super) indexed: bool,
    /// There is a transaction index.
    pub(super) aborted: bool,
}

/// Which files there are of one base offset.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    log: bool,
    index: bool,
    times: bool,
    aborted: bool,
}

/// The segments of a directory, and index files that belong to none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Oldest first.
    pub(super) segments: Vec<Found>,
    /// Left by a removal that was cut short. A later segment of that name must not find them.
    pub(super) orphans: Vec<PathBuf>,
}

/// Whether compaction or deletion left something half done.
pub(super) fn is_unfinished(names: &[String]) -> bool {
    let suffixes = [CLEANED_SUFFIX, DELETED_SUFFIX, SWAP_SUFFIX];
    let unfinished = |name: &String| name.rsplit_once('.').is_some_and(|(_, last)| suffixes.contains(&last));
    names.iter().any(unfinished)
}

impl Survey {
    /// Goes by the `names` of the entries of `dir`, and asks `store` for the segments' lengths.
    pub(super) async fn take<S: SegmentStore>(
        store: &S,
        dir: &Path,
        names: &[String],
    ) -> Result<Self, IoFault> {
        let kinds = by_base(names);
        let logs: Vec<(i64, Kinds)> = kinds.iter().filter(|(_, k)| k.log).map(|(b, k)| (*b, *k)).collect();
        let paths = logs.iter().map(|(base, _)| layout::segment_path(dir, *base, LOG_SUFFIX)).collect();
        let lengths = store.lengths(paths).await?;
        let found = logs.into_iter().zip(lengths);
        let segments = found.map(|((base_offset, k), len_bytes)| Found {
            base_offset,
            len_bytes,
            indexed: k.index && k.times,
            aborted: k.aborted,
        });
        let orphans = kinds.iter().filter(|(_, k)| !k.log).flat_map(|(base, kinds)| kinds.paths(dir, *base));
        Ok(Self { segments: segments.collect(), orphans: orphans.collect() })
    }
}

fn by_base(names: &[String]) -> BTreeMap<i64, Kinds> {
    let mut all = BTreeMap::<i64, Kinds>::new();
    for (base_offset, suffix) in names.iter().filter_map(|name| layout::parse_segment_name(name)) {
        let kinds = all.entry(base_offset).or_default();
        match suffix {
            LOG_SUFFIX => kinds.log = true,
            INDEX_SUFFIX => kinds.index = true,
            TIME_INDEX_SUFFIX => kinds.times = true,
            TXN_INDEX_SUFFIX => kinds.aborted = true,
            _ => {}
        }
    }
    all
}

impl Kinds {
    /// The index files among them.
    fn paths(self, dir: &Path, base_offset: i64) -> impl Iterator<Item = PathBuf> {
        let indexes =
            [(self.index, INDEX_SUFFIX), (self.times, TIME_INDEX_SUFFIX), (self.aborted, TXN_INDEX_SUFFIX)];
        let present = indexes.into_iter().filter(|(present, _)| *present);
        present.map(move |(_, suffix)| layout::segment_path(dir, base_offset, suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_io::{SimConfig, SimStore};

    #[tokio::test]
    async fn e32_a_survey_knows_lengths_indexes_and_orphans() {
        let (store, dir) = (SimStore::new(SimConfig::default()), Path::new("/t-0"));
        for (base, len_bytes) in [(0, 5), (7, 0), (90, 12)] {
            store.create(&layout::segment_path(dir, base, "log"), len_bytes).await.expect("create");
        }
        let name = |base: i64, suffix: &str| format!("{base:020}.{suffix}");
        let names = [
            name(0, "index"),
            name(0, "log"),
            name(0, "timeindex"),
            name(7, "log"),
            name(7, "snapshot"),
            name(7, "timeindex"),
            name(8, "snapshot"),
            name(9, "index"),
            name(9, "txnindex"),
            name(90, "log"),
            "leader-epoch-checkpoint".to_owned(),
        ];
        let survey = Survey::take(&store, dir, &names).await.expect("survey");
        let found =
            |base_offset, len_bytes, indexed| Found { base_offset, len_bytes, indexed, aborted: false };
        assert_eq!(survey.segments, [found(0, 5, true), found(7, 0, false), found(90, 12, false)]);
        assert_eq!(survey.orphans, [dir.join(name(9, "index")), dir.join(name(9, "txnindex"))]);
    }

    #[test]
    fn what_compaction_left_is_seen_by_its_name() {
        assert!(!is_unfinished(&["00000000000000000000.log".to_owned(), "partition.metadata".to_owned()]));
        for suffix in ["cleaned", "swap", "deleted"] {
            assert!(is_unfinished(&[format!("00000000000000000000.log.{suffix}")]), "{suffix}");
        }
    }
}
