//! One segment, batch by batch, by the rules by which recovery takes or cuts them.

use std::path::PathBuf;

use plimsoll_io::IoFault;
use plimsoll_log::layout::{self, INDEX_SUFFIX, TIME_INDEX_SUFFIX};
use plimsoll_records::BatchHeader;

use super::indexes::{self, Indexes, Verdict};
use super::transactions::Transactions;
use super::{Finding, Remedy, Severity};
use crate::inspect::batches::{Batches, Found, Stored};

/// Where the log stands, over all segments so far.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) end_offset: i64,
    pub(crate) last_epoch: i32,
    /// Epochs as the batches tell them: each with its first offset.
    pub(crate) epochs: Vec<(i32, i64)>,
    pub(crate) transactions: Transactions,
    pub(crate) batches: u64,
    pub(crate) bytes: u64,
}

/// A segment file, and whether it is the last.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) base_offset: i64,
    pub(crate) active: bool,
}

/// What is known once a segment was read.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Both indexes are there and fit, so that the segment was sealed as it is.
    pub(crate) was_sealed: bool,
    /// The log is cut here: what follows does not continue it.
    pub(crate) broken: bool,
}

impl Walk {
    /// Reads the segment.
    pub(crate) fn read(
        &mut self,
        segment: &Segment,
        progress: &mut dyn FnMut(u64),
        findings: &mut Vec<Finding>,
    ) -> Result<Outcome, IoFault> {
        let dir = segment.path.parent().unwrap_or(&segment.path);
        let paths = [INDEX_SUFFIX, TIME_INDEX_SUFFIX]
            .map(|suffix| layout::segment_path(dir, segment.base_offset, suffix));
        let mut indexes = Indexes::open(&paths[0], &paths[1], segment.base_offset)?;
        let mut batches = Batches::open(&segment.path, u64::MAX)?;
        let problem = self.read_batches(segment, &mut batches, &mut indexes, progress)?;
        let mut broken = false;
        if let Some(problem) = problem {
            let finding = self.judge_end(segment, &mut batches, problem)?;
            broken = finding.severity == Severity::Error;
            findings.push(finding);
        }
        let verdicts = indexes.finish(self.end_offset, batches.position());
        let was_sealed = verdicts.iter().all(|verdict| matches!(verdict, Some(Verdict::Fits)));
        for (path, verdict) in paths.iter().zip(&verdicts).filter(|_| !broken) {
            findings.extend(indexes::judge(path, verdict.as_ref(), segment.active));
        }
        findings.extend(self.transactions.finish(dir, segment.base_offset)?.filter(|_| !broken));
        Ok(Outcome { was_sealed, broken })
    }

    /// Up to the end, or to the first batch that recovery would not take, and why; the walk then stands before it.
    fn read_batches(
        &mut self,
        segment: &Segment,
        batches: &mut Batches,
        indexes: &mut Indexes,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<String>, IoFault> {
        self.end_offset = self.end_offset.max(segment.base_offset);
        loop {
            let (header, at_bytes) = match batches.next()? {
                Found::Batch(stored) => {
                    if let Err(problem) = self.check(segment, &stored) {
                        let at_bytes = stored.at_bytes;
                        batches.seek(at_bytes);
                        return Ok(Some(problem));
                    }
                    self.transactions.pass(&stored);
                    (stored.header, stored.at_bytes)
                }
                Found::End => return Ok(None),
                Found::Bad(problem) => return Ok(Some(problem)),
            };
            indexes.pass(&header, at_bytes)?;
            self.note(&header);
            progress(header.size_bytes() as u64);
        }
    }

    fn check(&self, segment: &Segment, stored: &Stored<'_>) -> Result<(), String> {
        let header = &stored.header;
        if header.base_offset < self.end_offset {
            return Err(format!(
                "a batch at offset {} follows offset {}",
                header.base_offset, self.end_offset
            ));
        }
        if header.last_offset().saturating_sub(segment.base_offset) > i64::from(i32::MAX) {
            return Err(format!("offset {} is too far from the segment's first", header.last_offset()));
        }
        if (0..self.last_epoch).contains(&header.leader_epoch) {
            return Err(format!(
                "a batch of epoch {} follows epoch {}",
                header.leader_epoch, self.last_epoch
            ));
        }
        match stored.is_valid() {
            true => Ok(()),
            false => Err("the CRC of the batch does not match its contents".to_owned()),
        }
    }

    fn note(&mut self, header: &BatchHeader) {
        self.end_offset = header.next_offset();
        self.last_epoch = self.last_epoch.max(header.leader_epoch);
        self.batches += 1;
        self.bytes += header.size_bytes() as u64;
        if header.leader_epoch >= 0 && self.epochs.last().is_none_or(|last| last.0 < header.leader_epoch) {
            self.epochs.push((header.leader_epoch, header.base_offset));
        }
    }

    /// What lies behind the last good batch.
    fn judge_end(
        &self,
        segment: &Segment,
        batches: &mut Batches,
        problem: String,
    ) -> Result<Finding, IoFault> {
        let (at_bytes, path) = (batches.position(), &segment.path);
        let left_bytes = batches.limit() - at_bytes;
        let here = |severity, kind, problem: String| {
            Finding::new(severity, kind, path, problem).at(at_bytes, self.end_offset)
        };
        if batches.only_zeroes_left()? {
            let problem = format!("{left_bytes} bytes of reserved space follow the last batch");
            return Ok(match segment.active {
                true => here(Severity::Info, "padding", problem)
                    .advise("normal unless the broker was stopped cleanly; the next start cuts it"),
                false => {
                    here(Severity::Warning, "padding", problem).mend(Remedy::Recover, "recovery cuts it")
                }
            });
        }
        let more = whole_batches_follow(batches, at_bytes)?;
        let problem = format!("{problem}; {left_bytes} bytes are behind it");
        Ok(match (more, segment.active) {
            (false, true) => here(Severity::Error, "torn-tail", problem)
                .mend(Remedy::Cut { at_bytes }, "a crash left it; recovery cuts it, and so does repair"),
            _ => here(Severity::Error, "corrupt-batch", problem).mend(
                Remedy::Cut { at_bytes },
                "whole batches follow: copy the partition from a replica if there is one; repair cuts here as recovery does, \
                 and keeps what it cuts",
            ),
        })
    }
}

/// Whether a valid batch follows the bad one, going by its length.
fn whole_batches_follow(batches: &mut Batches, at_bytes: u64) -> Result<bool, IoFault> {
    batches.seek(at_bytes);
    let bad = matches!(batches.next()?, Found::Batch(_));
    let follows = bad && matches!(batches.next()?, Found::Batch(stored) if stored.is_valid());
    batches.seek(at_bytes);
    Ok(follows)
}
