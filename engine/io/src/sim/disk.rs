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
    /// Renames without a sync of the directory, oldest first: a crash may undo the latest ones.
    renamed: Vec<Renamed>,
    files: HashMap<u64, Entry>,
    next_id: u64,
}

#[derive(Clone, Debug)]
struct Renamed {
    from: PathBuf,
    to: PathBuf,
    id: u64,
    replaced: Option<u64>,
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

    pub(super) fn handles(&self, id: u64) -> usize {
        self.files.get(&id).map_or(0, |entry| entry.handles)
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.names.keys().cloned().collect()
    }

    /// Creates a file with one handle. Its name is durable at once, and with it the renames before; its length is not.
    pub(super) fn create(&mut self, path: &Path, len_bytes: u64) -> u64 {
        self.renamed.retain(|renamed| renamed.to.parent() != path.parent());
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

    /// Moves a name, in place of the file that had the new one. False if there is no such file.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> bool {
        let Some(id) = self.names.remove(from) else { return false };
        let replaced = self.names.insert(to.to_owned(), id);
        if let Some(entry) = replaced.and_then(|replaced| self.files.get_mut(&replaced)) {
            entry.linked = false;
        }
        self.removed.remove(to);
        self.renamed.push(Renamed { from: from.to_owned(), to: to.to_owned(), id, replaced });
        true
    }

    /// Makes removals and renames in `directory` final.
    pub(super) fn sync_names(&mut self, directory: &Path) {
        self.renamed.retain(|renamed| renamed.to.parent() != Some(directory));
        self.removed.retain(|path, _| path.parent() != Some(directory));
    }

    /// The names after a crash, which keeps the renames up to some point in time.
    fn names_after_crash(&self, dice: &mut Dice) -> BTreeMap<PathBuf, u64> {
        let mut names = self.names.clone();
        if self.renamed.is_empty() {
            return names;
        }
        let kept = dice.below(self.renamed.len() as u64 + 1) as usize;
        for Renamed { from, to, id, replaced } in self.renamed.iter().skip(kept).rev() {
            if names.remove(to).is_some() {
                names.insert(from.clone(), *id);
            }
            if let Some(replaced) = replaced {
                names.insert(to.clone(), *replaced);
            }
        }
        names
    }

    /// What a machine finds after losing power.
    pub(super) fn crash_image(&self, dice: &mut Dice) -> Disk {
        let mut image = Disk::default();
        for (path, id) in &self.names_after_crash(dice) {
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
