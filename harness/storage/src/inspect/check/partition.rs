//! One partition's directory.

use std::path::{Path, PathBuf};

use plimsoll_io::IoFault;
use plimsoll_log::layout::{self, LOG_SUFFIX};

use super::segment::{Segment, Walk};
use super::{Finding, PartitionReport, Remedy, Severity, is_metadata, side};
use crate::inspect::files;

/// Checks the directory.
pub(crate) fn check(
    dir: &Path,
    progress: &mut dyn FnMut(u64),
    findings: &mut Vec<Finding>,
) -> Result<PartitionReport, IoFault> {
    let before = findings.len();
    let paths = files::list(dir)?;
    side::judge_names(dir, &paths, findings);
    let swapping = findings.iter().skip(before).any(|finding| finding.kind == "unfinished-swap");
    let segments = segments(&paths);
    let mut walk = Walk { last_epoch: -1, ..Walk::default() };
    if swapping {
        // Until recovery has finished what compaction began, segments may be there twice or not at all.
        walk.end_offset = segments.last().map_or(0, |last| last.base_offset);
    } else {
        walk_segments(&segments, &mut walk, progress, findings)?;
        side::check(dir, &paths, &walk, segments.is_empty(), findings)?;
    }
    if is_metadata(dir) {
        findings.iter_mut().skip(before).for_each(spare);
    }
    Ok(PartitionReport {
        dir: dir.to_owned(),
        segments: segments.len(),
        batches: walk.batches,
        bytes: walk.bytes,
        start_offset: segments.first().map_or(0, |first| first.base_offset),
        end_offset: walk.end_offset,
    })
}

fn segments(paths: &[PathBuf]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = paths
        .iter()
        .filter_map(|path| match layout::parse_segment_name(path.file_name()?.to_str()?) {
            Some((base_offset, LOG_SUFFIX)) => {
                Some(Segment { path: path.clone(), base_offset, active: false })
            }
            _ => None,
        })
        .collect();
    if let Some(last) = segments.last_mut() {
        last.active = true;
    }
    segments
}

fn walk_segments(
    segments: &[Segment],
    walk: &mut Walk,
    progress: &mut dyn FnMut(u64),
    findings: &mut Vec<Finding>,
) -> Result<(), IoFault> {
    let mut broken = false;
    let mut was_sealed = true;
    for (i, segment) in segments.iter().enumerate() {
        if !broken && i > 0 {
            let finding = continues(segment, walk, was_sealed);
            let overlaps = segment.base_offset < walk.end_offset;
            let hole = finding.as_ref().is_some_and(|finding| finding.severity == Severity::Error);
            findings.extend(finding);
            broken |= hole && !overlaps;
            if hole {
                continue;
            }
        } else if broken {
            findings.push(
                Finding::new(Severity::Error, "behind-a-cut", &segment.path, "the log is cut before it")
                    .mend(Remedy::SetAside, "recovery removes it; repair moves it aside"),
            );
            continue;
        }
        let outcome = walk.read(segment, progress, findings)?;
        (broken, was_sealed) = (outcome.broken, outcome.was_sealed);
    }
    Ok(())
}

/// Whether the segment begins where the log ended.
fn continues(segment: &Segment, walk: &Walk, was_sealed: bool) -> Option<Finding> {
    let (base_offset, end_offset) = (segment.base_offset, walk.end_offset);
    let finding = |severity, kind, problem: String| {
        Finding::new(severity, kind, &segment.path, problem).at(0, base_offset)
    };
    if base_offset < end_offset {
        let problem = format!("it begins inside the segment before it, which ends at offset {end_offset}");
        return Some(
            finding(Severity::Error, "overlap", problem)
                .mend(Remedy::SetAside, "recovery removes it; repair moves it aside"),
        );
    }
    let problem = || format!("offsets {end_offset} to {} are in no segment", base_offset - 1);
    match base_offset == end_offset {
        true => None,
        false if was_sealed => Some(
            finding(Severity::Warning, "gap", problem())
                .advise("normal after compaction; on other topics a segment is missing"),
        ),
        false => Some(
            finding(Severity::Error, "gap", problem())
                .mend(Remedy::SetAside, "recovery removes what lies behind a gap; repair moves it aside"),
        ),
    }
}

/// Commands that were answered must not be cut silently: the broker refuses such a log, and so does repair.
fn spare(finding: &mut Finding) {
    if finding.remedy.take().is_some() {
        finding.advice = "the metadata log is never cut by repair: restore it, or start the broker, which says what is lost";
    }
}
