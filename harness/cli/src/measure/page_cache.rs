//! The target's segment files: what the page cache holds of them, before readers of a backlog begin and afterwards, and
//! how many were rolled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plimsoll_io::{cached_bytes, drop_cached, load_cached};
use plimsoll_load::workload::{PageCache, Workload};
use plimsoll_results::DataFiles;

/// A cache that holds at least so much of the files is warm, in percent.
const WARM_PCT: f64 = 95.0;
/// And one that holds at most so much is cold: the broker goes on writing.
const COLD_PCT: f64 = 5.0;

/// Watches the files of one trial. Without data directories of ours nothing is known of them.
#[derive(Debug)]
pub(super) struct Files {
    dirs: Vec<PathBuf>,
    topics: Vec<String>,
    mode: PageCache,
    /// Segments when measuring began.
    first: BTreeSet<PathBuf>,
    found: DataFiles,
    remarks: Vec<String>,
}

impl Files {
    pub(super) fn new(workload: &Workload, dirs: Vec<PathBuf>) -> Self {
        let mode = workload.consume.page_cache;
        let found = DataFiles { page_cache: mode.as_str().to_owned(), ..DataFiles::default() };
        let topics = workload.topic_names();
        Self { dirs, topics, mode, first: BTreeSet::new(), found, remarks: Vec::new() }
    }

    /// Brings the cache into the state that was asked for, and sees whether it is.
    pub(super) fn prepare(&mut self) {
        let segments = self.segments();
        let asked: fn(&Path) -> Result<(), plimsoll_io::IoFault> = match self.mode {
            PageCache::AsIs => |_| Ok(()),
            PageCache::Warm => load_cached,
            PageCache::Cold => drop_cached,
        };
        let failed = segments.iter().find_map(|path| asked(path).err());
        self.remarks.extend(failed.map(|fault| format!("page cache: {fault}")));
        self.found.resident_pct_before = resident_pct(&segments);
        self.remarks.extend(broken(self.mode, self.found.resident_pct_before));
    }

    pub(super) fn measuring_begins(&mut self) {
        self.first = self.segments();
        if self.found.resident_pct_before.is_none() {
            self.found.resident_pct_before = resident_pct(&self.first);
        }
    }

    pub(super) fn measuring_ended(&mut self) {
        let last = self.segments();
        self.found.resident_pct_after = resident_pct(&last);
        self.found.segments_rolled =
            (!self.dirs.is_empty()).then(|| last.difference(&self.first).count() as u64);
    }

    /// What was found, and what the reader should know of it.
    pub(super) fn end(mut self, workload: &Workload) -> (DataFiles, Vec<String>) {
        if rolls_matter(workload) && self.found.segments_rolled == Some(0) {
            self.remarks.push(
                "no segment was rolled while it was measured: what rolling and retention cost is not in the figures"
                    .to_owned(),
            );
        }
        (self.found, self.remarks)
    }

    /// Every segment of the measured topics.
    fn segments(&self) -> BTreeSet<PathBuf> {
        let ours = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
            name.is_some_and(|(topic, _)| self.topics.iter().any(|ours| ours == topic))
        };
        let partitions = self.dirs.iter().flat_map(|dir| entries(dir)).filter(ours);
        let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
        partitions.flat_map(|partition| entries(&partition)).filter(is_log).collect()
    }
}

/// A directory that went away holds nothing.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Part of the files' bytes in the cache; `None` without bytes, or where the kernel cannot tell.
fn resident_pct(segments: &BTreeSet<PathBuf>) -> Option<f64> {
    let (mut cached, mut all) = (0, 0);
    for path in segments {
        // A segment that retention has just deleted is no longer asked about.
        let Ok(found) = cached_bytes(path) else { continue };
        let (resident, length) = found?;
        cached += resident;
        all += length;
    }
    (all > 0).then(|| cached as f64 / all as f64 * 100.0)
}

/// Where the cache is not as it was asked for.
fn broken(mode: PageCache, resident_pct: Option<f64>) -> Option<String> {
    let held = match (mode, resident_pct) {
        (PageCache::AsIs, _) => return None,
        (_, None) => return Some(format!("page cache: whether it is {} is not known here", mode.as_str())),
        (PageCache::Warm, Some(pct)) => (pct < WARM_PCT).then_some(pct),
        (PageCache::Cold, Some(pct)) => (pct > COLD_PCT).then_some(pct),
    };
    held.map(|pct| {
        format!("page cache: {} was asked for, but it holds {pct:.0} % of the files", mode.as_str())
    })
}

/// The workload says something about segments, so that they are part of what is measured.
fn rolls_matter(workload: &Workload) -> bool {
    let words = |key: &String| ["segment.", "retention."].iter().any(|word| key.contains(word));
    workload.topic.config.keys().chain(workload.chosen().1.config.keys()).any(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(sets: &[&str]) -> Workload {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Workload::parse("w.toml", "schema = \"workload/1\"\n", &sets).expect("a workload")
    }

    fn files(sets: &[&str]) -> (tempfile::TempDir, Workload, Files) {
        // Beside the sources, since the directory for temporary files may be one in memory.
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory");
        let workload = workload(&[&["topic.name=\"t\""], sets].concat());
        for (partition, name) in
            [("t-0", "00.log"), ("t-1", "00.log"), ("t-1", "00.index"), ("u-0", "00.log")]
        {
            std::fs::create_dir_all(dir.path().join(partition)).expect("made");
            std::fs::write(dir.path().join(partition).join(name), vec![7; 1 << 20]).expect("written");
        }
        let files = Files::new(&workload, vec![dir.path().to_owned()]);
        (dir, workload, files)
    }

    #[test]
    fn b7_the_page_cache_is_as_asked_for_or_it_is_said() {
        for (mode, holds) in [("warm", 95.0..=100.0), ("cold", 0.0..=5.0)] {
            let set = format!("consume.page_cache={mode}");
            let (_dir, workload, mut files) = files(&["consume.mode=replay", &set]);
            files.prepare();
            let (found, remarks) = files.end(&workload);
            assert_eq!(found.page_cache, mode);
            let as_asked = found.resident_pct_before.is_some_and(|pct| holds.contains(&pct));
            assert!(as_asked == remarks.is_empty(), "{found:?} {remarks:?}");
        }
        assert_eq!(broken(PageCache::AsIs, Some(50.0)), None);
        assert!(
            broken(PageCache::Cold, Some(40.0))
                .expect("told")
                .contains("cold was asked for, but it holds 40 %")
        );
        assert!(broken(PageCache::Warm, None).expect("told").contains("not known"));
    }

    #[test]
    fn b7_segments_of_the_measured_topics_are_counted_and_none_is_remarked_upon_where_it_matters() {
        let (dir, quiet, mut files) = files(&[]);
        files.measuring_begins();
        std::fs::write(dir.path().join("t-1/01.log"), b"new").expect("written");
        std::fs::write(dir.path().join("u-0/01.log"), b"new").expect("written");
        files.measuring_ended();
        let (found, remarks) = files.end(&quiet);
        assert_eq!((found.segments_rolled, remarks.len()), (Some(1), 0));
        let rolling = workload(&["topic.config.\"segment.bytes\"=1048576"]);
        let none = |workload: &Workload| {
            let mut files = Files::new(workload, vec![dir.path().to_owned()]);
            files.measuring_begins();
            files.measuring_ended();
            files.end(workload).1.len()
        };
        assert_eq!((none(&rolling), none(&quiet)), (1, 0));
        assert_eq!(
            Files::new(&quiet, Vec::new()).end(&quiet).0.segments_rolled,
            None,
            "somebody else's files"
        );
    }
}
