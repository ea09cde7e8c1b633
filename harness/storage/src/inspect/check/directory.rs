//! What lies beside the partitions of a log directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_io::IoFault;
use plimsoll_log::{MetaProperties, layout};

use super::{CheckReport, Finding, Remedy, Severity};
use crate::inspect::side_text;

/// A directory that is no partition's.
pub(crate) fn judge_name(path: &Path, findings: &mut Vec<Finding>) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (kind, problem, advice) = match name {
        _ if name.ends_with("-delete") => {
            ("deleted", "a partition on its way out", "the broker removes it at its next start")
        }
        _ if name.ends_with("-stray") => (
            "stray",
            "a partition that the metadata did not know",
            "nothing reads it; remove it once it is not needed",
        ),
        _ if name.ends_with("-future") => {
            ("future", "a partition that was being moved here", "nothing reads it")
        }
        _ => ("unknown-directory", "no partition has this name", "nothing reads it"),
    };
    findings.push(Finding::new(Severity::Info, kind, path, problem).advise(advice));
}

/// Checks the directory's own files, given where each partition's log ends.
pub(crate) fn check(dir: &Path, ends: &[(PathBuf, i64)], findings: &mut Vec<Finding>) -> Result<(), IoFault> {
    let meta = dir.join(layout::META_PROPERTIES);
    match MetaProperties::read(dir) {
        Ok(Some(_)) => {}
        Ok(None) => findings.push(
            Finding::new(Severity::Warning, "no-meta-properties", &meta, "it is missing")
                .advise("whose directory this is cannot be told; a broker formats only empty directories"),
        ),
        Err(error) => findings.push(
            Finding::new(Severity::Error, "meta-properties", &meta, error.to_string())
                .advise("restore it: it says whose directory this is"),
        ),
    }
    let marker = dir.join(layout::CLEAN_SHUTDOWN);
    let (problem, advice) = match marker.exists() {
        true => ("the last stop was clean", "the next start scans nothing"),
        false => ("there is no mark of a clean stop", "the next start scans what was not flushed"),
    };
    findings.push(Finding::new(Severity::Info, "clean-shutdown", &marker, problem).advise(advice));
    let ends: BTreeMap<&str, i64> =
        ends.iter().filter_map(|(path, end)| Some((path.file_name()?.to_str()?, *end))).collect();
    for name in
        [layout::RECOVERY_POINT_CHECKPOINT, layout::HIGH_WATERMARK_CHECKPOINT, layout::LOG_START_CHECKPOINT]
    {
        check_offsets(&dir.join(name), &ends, findings)?;
    }
    Ok(())
}

fn check_offsets(
    path: &Path,
    ends: &BTreeMap<&str, i64>,
    findings: &mut Vec<Finding>,
) -> Result<(), IoFault> {
    if !path.exists() {
        return Ok(());
    }
    let text = side_text::read(path)?;
    let entries = match text.and_then(|text| side_text::entries(&text, side_text::offset_line)) {
        Ok(entries) => entries,
        Err(problem) => {
            findings.push(
                Finding::new(Severity::Error, "checkpoint", path, problem)
                    .mend(Remedy::SetAside, "without it the broker scans more, or derives it anew"),
            );
            return Ok(());
        }
    };
    for (topic, partition, offset) in entries {
        let partition = format!("{topic}-{partition}");
        let Some(end_offset) = ends.get(&*partition).copied().filter(|end| *end < offset) else { continue };
        let problem = format!("{partition} has {offset}, its log ends at {end_offset}");
        let finding = Finding::new(Severity::Error, "beyond-end", path, problem);
        findings.push(match path.ends_with(layout::LOG_START_CHECKPOINT) {
            true => finding
                .advise("everything below was deleted, and the end was lost; the log goes on at its start"),
            false => finding.mend(
                Remedy::LowerCheckpoint { partition, to_offset: end_offset },
                "records that were there are lost; a replica may have them",
            ),
        });
    }
    Ok(())
}

/// Directories of one broker belong to one node and have ids of their own.
pub(crate) fn compare(dirs: &[PathBuf], report: &mut CheckReport) {
    let known = |dir: &PathBuf| MetaProperties::read(dir).ok().flatten().map(|meta| (dir.clone(), meta));
    let metas: Vec<_> = dirs.iter().filter_map(known).collect();
    for (i, (dir, meta)) in metas.iter().enumerate() {
        for (other, before) in metas.iter().take(i) {
            let problem = match () {
                () if meta.directory_id == before.directory_id => "the same directory id",
                () if meta.cluster_id != before.cluster_id => "another cluster id",
                () if meta.node_id != before.node_id => "another node id",
                () => continue,
            };
            let problem = format!("{problem}, compared with {}", other.display());
            let path = dir.join(layout::META_PROPERTIES);
            report.findings.push(
                Finding::new(Severity::Error, "id-mismatch", &path, problem)
                    .advise("these are not the directories of one broker"),
            );
        }
    }
    let mut topics = BTreeMap::new();
    for partition in &report.partitions {
        let name =
            partition.dir.file_name().and_then(|name| name.to_str()).and_then(layout::parse_partition_dir);
        let (Some((topic, _)), Ok(Some(id))) = (name, plimsoll_log::read_topic_id(&partition.dir)) else {
            continue;
        };
        let first = *topics.entry(topic.to_owned()).or_insert(id);
        if first != id {
            let path = partition.dir.join(layout::PARTITION_METADATA);
            report.findings.push(
                Finding::new(
                    Severity::Error,
                    "id-mismatch",
                    &path,
                    "another id than that of the topic's other partitions",
                )
                .advise("it is left from an earlier topic of this name; move the directory away"),
            );
        }
    }
}
