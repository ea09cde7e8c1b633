//! Index files beside their log: followed entry by entry while the log's batches go by.

use std::path::Path;

use plimsoll_io::IoFault;
use plimsoll_records::BatchHeader;

use super::{Finding, Remedy, Severity};
use crate::inspect::entries::{Entries, OffsetIndexEntry, TimeIndexEntry};

/// What was found of an index.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It fits the log.
    Fits,
    /// It fits, and is longer than its entries: it is still written to, or was when the broker died.
    Reserved,
    /// It does not fit, and why.
    Wrong(String),
}

/// Entries of one index, in step with the log.
#[derive(Debug)]
struct Follower<const N: usize> {
    entries: Entries<N>,
    next: Option<[u8; N]>,
    reserved: bool,
    wrong: Option<String>,
}

impl<const N: usize> Follower<N> {
    fn open(path: &Path) -> Result<Option<Self>, IoFault> {
        if !path.exists() {
            return Ok(None);
        }
        let entries = Entries::open(path)?;
        let wrong = (entries.surplus_bytes > 0)
            .then(|| format!("{} bytes are left behind its last whole entry", entries.surplus_bytes));
        let mut follower = Self { entries, next: None, reserved: false, wrong };
        follower.advance()?;
        Ok(Some(follower))
    }

    fn advance(&mut self) -> Result<(), IoFault> {
        self.next = self.entries.next()?;
        if self.next == Some([0; N]) {
            (self.next, self.reserved) = (None, true);
        }
        Ok(())
    }

    fn fail(&mut self, why: String) {
        self.wrong.get_or_insert(why);
        self.next = None;
    }

    fn verdict(self) -> Verdict {
        match (self.wrong, self.reserved) {
            (Some(why), _) => Verdict::Wrong(why),
            (None, true) => Verdict::Reserved,
            (None, false) => Verdict::Fits,
        }
    }
}

/// Both indexes of a segment.
#[derive(Debug)]
pub(crate) struct Indexes {
    base_offset: i64,
    offsets: Option<Follower<{ OffsetIndexEntry::BYTES }>>,
    times: Option<Follower<{ TimeIndexEntry::BYTES }>>,
}

impl Indexes {
    pub(crate) fn open(index: &Path, times: &Path, base_offset: i64) -> Result<Self, IoFault> {
        Ok(Self { base_offset, offsets: Follower::open(index)?, times: Follower::open(times)? })
    }

    /// A batch went by.
    pub(crate) fn pass(&mut self, header: &BatchHeader, at_bytes: u64) -> Result<(), IoFault> {
        if let Some(offsets) = &mut self.offsets {
            pass_offsets(offsets, self.base_offset, header, at_bytes)?;
        }
        if let Some(times) = &mut self.times {
            pass_times(times, self.base_offset, header)?;
        }
        Ok(())
    }

    /// The log ended at `end_offset`, `size_bytes` long. `None` stands for a file that is not there.
    pub(crate) fn finish(self, end_offset: i64, size_bytes: u64) -> [Option<Verdict>; 2] {
        let Self { base_offset, mut offsets, mut times } = self;
        if let Some((follower, bytes)) = offsets.as_mut().and_then(|f| f.next.map(|bytes| (f, bytes))) {
            let entry = OffsetIndexEntry::parse(&bytes, base_offset);
            follower.fail(format!("it points to byte {}, the log has {size_bytes}", entry.position));
        }
        if let Some((follower, bytes)) = times.as_mut().and_then(|f| f.next.map(|bytes| (f, bytes))) {
            let entry = TimeIndexEntry::parse(&bytes, base_offset);
            follower.fail(format!("it names offset {}, the log ends at {end_offset}", entry.offset));
        }
        [offsets.map(Follower::verdict), times.map(Follower::verdict)]
    }
}

fn pass_offsets(
    follower: &mut Follower<{ OffsetIndexEntry::BYTES }>,
    base_offset: i64,
    header: &BatchHeader,
    at_bytes: u64,
) -> Result<(), IoFault> {
    let Some(bytes) = follower.next else { return Ok(()) };
    let entry = OffsetIndexEntry::parse(&bytes, base_offset);
    match u64::try_from(entry.position) {
        Ok(position) if position > at_bytes => Ok(()),
        Ok(position) if position == at_bytes && entry.offset == header.last_offset() => follower.advance(),
        _ => {
            let (found, OffsetIndexEntry { offset, position }) = (header.last_offset(), entry);
            follower.fail(format!(
                "it says that a batch ending at offset {offset} begins at byte {position}; at byte {at_bytes} one ends at {found}"
            ));
            Ok(())
        }
    }
}

fn pass_times(
    follower: &mut Follower<{ TimeIndexEntry::BYTES }>,
    base_offset: i64,
    header: &BatchHeader,
) -> Result<(), IoFault> {
    let Some(bytes) = follower.next else { return Ok(()) };
    let TimeIndexEntry { timestamp, offset } = TimeIndexEntry::parse(&bytes, base_offset);
    if offset > header.last_offset() {
        return Ok(());
    }
    if offset == header.last_offset() && timestamp == header.max_timestamp {
        return follower.advance();
    }
    follower.fail(format!(
        "it says that offset {offset} has timestamp {timestamp}; the batch up to offset {} has {}",
        header.last_offset(),
        header.max_timestamp
    ));
    Ok(())
}

/// What to say of an index of a segment; the active one's may be absent or reserved.
pub(crate) fn judge(path: &Path, verdict: Option<&Verdict>, active: bool) -> Option<Finding> {
    const REBUILT: &str = "recovery rebuilds it from the log";
    let warning = |kind, problem: &str| {
        Some(Finding::new(Severity::Warning, kind, path, problem).mend(Remedy::Recover, REBUILT))
    };
    match verdict {
        Some(Verdict::Fits) => None,
        None if active => None,
        None => warning("absent-index", "a segment that is no longer written to has no index"),
        Some(Verdict::Reserved) if active => Some(
            Finding::new(Severity::Info, "reserved-index", path, "reserved space follows its entries")
                .advise("normal unless the broker was stopped cleanly; the next start cuts it"),
        ),
        Some(Verdict::Reserved) => warning("reserved-index", "reserved space follows its entries"),
        Some(Verdict::Wrong(why)) => Some(
            Finding::new(Severity::Error, "index-mismatch", path, why.clone()).mend(Remedy::Recover, REBUILT),
        ),
    }
}
