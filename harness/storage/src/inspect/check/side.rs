//! The small files beside a partition's segments.

use std::path::{Path, PathBuf};

use plimsoll_io::IoFault;
use plimsoll_log::layout::{self, CLEANED_SUFFIX, DELETED_SUFFIX, SNAPSHOT_SUFFIX, SWAP_SUFFIX};

use super::segment::Walk;
use super::{Finding, Remedy, Severity};
use crate::inspect::{FileKind, files, side_text, snapshot};

/// What repair keeps of what it cut.
pub(crate) const CUT_SUFFIX: &str = "cut";

/// Looks for files that should not be there.
pub(crate) fn judge_names(dir: &Path, paths: &[PathBuf], findings: &mut Vec<Finding>) {
    let cleaned = ends_with(paths, CLEANED_SUFFIX);
    for path in paths.iter().filter(|path| path.is_file() && FileKind::of(path).is_none()) {
        let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
        let finding = |severity, kind, problem| Finding::new(severity, kind, path, problem);
        findings.push(match suffix {
            CLEANED_SUFFIX | DELETED_SUFFIX => {
                finding(Severity::Warning, "leftover", "compaction or deletion was interrupted")
                    .mend(Remedy::Remove, "recovery removes it")
            }
            SWAP_SUFFIX if cleaned => {
                finding(Severity::Warning, "unfinished-swap", "compaction was interrupted")
                    .mend(Remedy::Recover, "recovery removes it: what it was made from is still there")
            }
            SWAP_SUFFIX => finding(Severity::Warning, "unfinished-swap", "compaction was interrupted")
                .mend(Remedy::Recover, "recovery puts it in the place of the segments it was made from"),
            CUT_SUFFIX => finding(Severity::Info, "kept-cut", "kept by an earlier repair")
                .advise("remove it once nothing in it is needed"),
            "tmp" => {
                finding(Severity::Info, "leftover", "a write was interrupted").advise("nothing reads it")
            }
            _ => finding(Severity::Info, "unknown-file", "no file of a partition has this name")
                .advise("nothing reads it"),
        });
    }
    if !dir.join(layout::PARTITION_METADATA).exists() {
        let path = dir.join(layout::PARTITION_METADATA);
        findings.push(
            Finding::new(Severity::Warning, "no-topic-id", &path, "it is missing")
                .advise("the broker writes it at its next start, from the metadata"),
        );
    }
}

fn ends_with(paths: &[PathBuf], suffix: &str) -> bool {
    paths.iter().any(|path| path.extension().is_some_and(|found| found == suffix))
}

/// Compares snapshots, epochs and topic id with the log.
pub(crate) fn check(
    dir: &Path,
    paths: &[PathBuf],
    walk: &Walk,
    empty: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), IoFault> {
    for path in paths.iter().filter(|path| path.extension().is_some_and(|found| found == SNAPSHOT_SUFFIX)) {
        findings.extend(check_snapshot(path, walk.end_offset)?);
    }
    let epochs = dir.join(layout::EPOCH_CHECKPOINT);
    if epochs.exists() {
        findings.extend(check_epochs(&epochs, walk, empty)?);
    }
    if let Err(error) = plimsoll_log::read_topic_id(dir) {
        let path = dir.join(layout::PARTITION_METADATA);
        findings.push(
            Finding::new(Severity::Error, "topic-id", &path, error.to_string())
                .advise("restore it: with the wrong id the partition would be taken for another topic's"),
        );
    }
    Ok(())
}

fn check_snapshot(path: &Path, end_offset: i64) -> Result<Option<Finding>, IoFault> {
    let at_offset = files::base_offset(path).unwrap_or(i64::MAX);
    let problem = match snapshot::read(path)? {
        Err(problem) => problem,
        Ok(_) if at_offset > end_offset => format!("the log ends before it, at offset {end_offset}"),
        Ok(producers) => {
            let newest =
                producers.iter().filter_map(|producer| producer.last_batch).map(|b| b.last_offset).max();
            match newest.filter(|newest| *newest >= at_offset) {
                Some(newest) => {
                    format!("it knows of offset {newest}, though it says what was before {at_offset}")
                }
                None => return Ok(None),
            }
        }
    };
    Ok(Some(
        Finding::new(Severity::Error, "snapshot", path, problem)
            .mend(Remedy::Remove, "recovery rebuilds producer state from the log"),
    ))
}

fn check_epochs(path: &Path, walk: &Walk, empty: bool) -> Result<Option<Finding>, IoFault> {
    let text = side_text::read(path)?;
    let wrong = |kind, problem: String, remedy| {
        let advice = "recovery writes it anew from the batches' epochs";
        Some(Finding::new(Severity::Error, kind, path, problem).mend(remedy, advice))
    };
    let entries = match text.and_then(|text| side_text::entries(&text, side_text::epoch_line)) {
        Ok(entries) => entries,
        Err(problem) => return Ok(wrong("epoch-checkpoint", problem, Remedy::SetAside)),
    };
    if !entries.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1) {
        return Ok(wrong("epoch-checkpoint", "epochs or offsets do not rise".to_owned(), Remedy::SetAside));
    }
    if let Some((epoch, start)) = entries.last().filter(|last| last.1 > walk.end_offset && !empty) {
        let problem = format!("epoch {epoch} begins at offset {start}, the log ends at {}", walk.end_offset);
        return Ok(wrong("epoch-beyond-end", problem, Remedy::SetAside));
    }
    // The first epoch's start moves with the log start, and epochs without batches are nowhere in the log.
    let said = |offset: i64| entries.iter().rev().find(|entry| entry.1 <= offset).map(|entry| entry.0);
    let contradicted =
        walk.epochs.iter().find(|(epoch, start)| said(*start).is_some_and(|said| said != *epoch));
    Ok(contradicted.and_then(|(epoch, start)| {
        let said = said(*start).unwrap_or(-1);
        let problem =
            format!("it says that offset {start} is of epoch {said}; its batch is of epoch {epoch}");
        wrong("epoch-mismatch", problem, Remedy::SetAside)
    }))
}
