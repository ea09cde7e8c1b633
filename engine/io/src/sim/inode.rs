//! One file's bytes: live, durable, and the changes between.

use std::ops::Range;

use bytes::Bytes;

use crate::dice::Dice;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Changes that are not durable yet, oldest first.
    pending: Vec<Change>,
    /// How many changes were ever made, pending ones included.
    changes: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Inode {
    pub(super) fn with_durable(bytes: Vec<u8>) -> Inode {
        Inode { live: bytes.clone(), durable: bytes, pending: Vec::new(), changes: 0 }
    }

    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(super) fn durable(&self) -> &[u8] {
        &self.durable
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.live.len() as u64
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn read(&self, range: &Range<u64>) -> Option<Bytes> {
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        self.live.get(range).map(Bytes::copy_from_slice)
    }

    pub(super) fn write(&mut self, at_bytes: u64, bytes: Vec<u8>) {
        self.change(Change::Write { at: at_bytes as usize, bytes });
    }

    pub(super) fn set_len(&mut self, len_bytes: u64) {
        self.change(Change::SetLen(len_bytes as usize));
    }

    pub(super) fn extend_to(&mut self, len_bytes: u64) {
        if len_bytes > self.len_bytes() {
            self.set_len(len_bytes);
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.pending.push(change);
        self.changes += 1;
    }

    /// Makes the first `upto` changes of the file's life durable.
    pub(super) fn make_durable(&mut self, upto: u64) {
        let durable_before = self.changes - self.pending.len() as u64;
        let count = upto.saturating_sub(durable_before).min(self.pending.len() as u64) as usize;
        for change in self.pending.drain(..count) {
            apply(&mut self.durable, &change);
        }
    }

    /// Overwrites live and durable bytes without a trace. False if the file is shorter.
    pub(super) fn overwrite(&mut self, at_bytes: u64, bytes: &[u8]) -> bool {
        let at = at_bytes as usize;
        let Some(live) = self.live.get_mut(at..at.saturating_add(bytes.len())) else { return false };
        live.copy_from_slice(bytes);
        if let Some(durable) = self.durable.get_mut(at..at + bytes.len()) {
            durable.copy_from_slice(bytes);
        }
        true
    }

    /// The bytes after a crash: all durable ones and some sectors of the pending changes.
    pub(super) fn crash_image(&self, dice: &mut Dice) -> Vec<u8> {
        let mut image = self.durable.clone();
        // A third of the crashes lose everything, a third cut at one point in time, a third keep any subset.
        match dice.below(3) {
            0 => {}
            1 => {
                let kept = dice.below(self.pending.len() as u64 + 1) as usize;
                self.pending.iter().take(kept).for_each(|change| apply(&mut image, change));
                self.pending.get(kept).into_iter().for_each(|change| tear(&mut image, change, dice));
            }
            _ => self.pending.iter().for_each(|change| tear(&mut image, change, dice)),
        }
        image
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::SetLen(len) => bytes.resize(*len, 0),
        Change::Write { at, bytes: new } => put(bytes, *at, new),
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    let end = at + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(new);
    }
}

/// Applies some sectors of a change, or a change of length by the toss of a coin.
fn tear(image: &mut Vec<u8>, change: &Change, dice: &mut Dice) {
    match change {
        Change::SetLen(_) if dice.below(2) == 0 => apply(image, change),
        Change::SetLen(_) => {}
        Change::Write { at, bytes } => {
            let mut at = *at;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let sector = SECTOR_BYTES - at % SECTOR_BYTES;
                let (piece, behind) = rest.split_at(sector.min(rest.len()));
                if dice.below(2) == 0 {
                    put(image, at, piece);
                }
                at += piece.len();
                rest = behind;
            }
        }
    }
}
