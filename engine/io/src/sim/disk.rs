//! Names and the files behind them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::dice::Dice;

use super::inode::Inode;

#[derive(Debug, Default)]
pub(super) struct Disk {
    names: BTreeMap<PathBuf, u64>,
    /// Names removed without a sync of the directory: a crash may bring them back.
    removed: BTreeMap<PathBuf, u64>,
    files: HashMap<u64, Entry>,
    next_id: u64,
}

#[derive(Debug, Default)]
struct Entry {
    inode: Inode,
    handles: usize,
    linked: bool,
}

impl Disk {
    pub(super) fn get(&self, path: &Path) -> Option<&Inode> {
        self.names.get(path).and_then(|id| self.inode(*id))
    }

    pub(super) fn get_mut(&mut self, path: &Path) -> Option<&mut Inode> {
        let id = *self.names.get(path)?;
        self.inode_mut(id)
    }

    pub(super) fn inode(&self, id: u64) -> Option<&Inode> {
        self.files.get(&id).map(|entry| &entry.inode)
    }

    pub(super) fn inode_mut(&mut self, id: u64) -> Option<&mut Inode> {
        self.files.get_mut(&id).map(|entry| &mut entry.inode)
    }

    /// Live bytes of all files that still hold space.
    pub(super) fn used_bytes(&self) -> u64 {
        let held = self.files.values().filter(|entry| entry.linked || entry.handles > 0);
        held.map(|entry| entry.inode.len_bytes()).sum()
    }

    /// Creates a file with one handle. Its name is durable at once; its length is not.
    pub(super) fn create(&mut self, path: &Path, len_bytes: u64) -> u64 {
        let mut inode = Inode::default();
        inode.extend_to(len_bytes);
        let id = self.insert(path.to_owned(), inode);
        self.open(path);
        id
    }

    fn insert(&mut self, path: PathBuf, inode: Inode) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.removed.remove(&path);
        self.names.insert(path, id);
        self.files.insert(id, Entry { inode, handles: 0, linked: true });
        id
    }

    /// Adds a handle to a file and returns its id and length.
    pub(super) fn open(&mut self, path: &Path) -> Option<(u64, u64)> {
        let id = *self.names.get(path)?;
        let entry = self.files.get_mut(&id)?;
        entry.handles += 1;
        Some((id, entry.inode.len_bytes()))
    }

    /// Drops a handle. An unlinked file stays in memory, since a crash may bring it back, but holds no space.
    pub(super) fn close(&mut self, id: u64) {
        if let Some(entry) = self.files.get_mut(&id) {
            entry.handles = entry.handles.saturating_sub(1);
        }
    }

    pub(super) fn unlink(&mut self, path: &Path) -> bool {
        let Some(id) = self.names.remove(path) else { return false };
        if let Some(entry) = self.files.get_mut(&id) {
            entry.linked = false;
        }
        self.removed.insert(path.to_owned(), id);
        true
    }

    /// What a machine finds after losing power.
    pub(super) fn crash_image(&self, dice: &mut Dice) -> Disk {
        let mut image = Disk::default();
        for (path, id) in &self.names {
            image.revive(path, self.inode(*id), dice);
        }
        for (path, id) in &self.removed {
            if dice.below(2) == 0 {
                image.revive(path, self.inode(*id), dice);
            }
        }
        image
    }

    fn revive(&mut self, path: &Path, inode: Option<&Inode>, dice: &mut Dice) {
        let bytes = inode.map(|inode| inode.crash_image(dice)).unwrap_or_default();
        self.insert(path.to_owned(), Inode::with_durable(bytes));
    }
}
