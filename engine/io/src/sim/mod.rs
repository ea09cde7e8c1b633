//! Files in memory that know the difference between written and durable.
//!
//! Every file has its live bytes, which reads see, and its durable bytes, which [`SimStore::crash`] keeps. What
//! lies between them is a list of changes; a crash keeps a seeded subset of their sectors, as a disk may.

mod disk;
mod inode;

use std::future::Future;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::config::{Backend, Preallocation};
use crate::dice::Dice;
use crate::fault::{FaultKind, IoFault, IoOp};
use crate::file::{Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::slice::Records;

use disk::Disk;
use inode::Inode;

/// How the double behaves.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Decides completion order.
    pub seed: u64,
    /// What files ask of their callers; alignment above 1 makes them look like a direct backend.
    pub limits: IoLimits,
    /// Most bytes that all files together may hold, 1 GiB by default; more is [`FaultKind::NoSpace`].
    pub capacity_bytes: u64,
    /// What the store says of itself; files lengthen alike in every manner.
    pub preallocation: Preallocation,
    /// Lets operations wait a random number of turns before they act, so that they overtake each other.
    pub reorder: bool,
}

impl Default for SimConfig {
    fn default() -> SimConfig {
        let limits = IoLimits { align_bytes: 1, bufs_max: 1024, in_flight_max: 1 };
        let preallocation = Preallocation::default();
        SimConfig { seed: 0, limits, capacity_bytes: 1 << 30, preallocation, reorder: false }
    }
}

/// An in-memory disk. Clones share it.
#[derive(Clone, Debug)]
pub struct SimStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: SimConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    disk: Disk,
    dice: Dice,
}

impl SimStore {
    /// An empty disk.
    pub fn new(config: SimConfig) -> SimStore {
        SimStore::with_disk(config, Disk::default())
    }

    fn with_disk(config: SimConfig, disk: Disk) -> SimStore {
        let dice = Dice::new(config.seed);
        SimStore { shared: Arc::new(Shared { config, state: Mutex::new(State { disk, dice }) }) }
    }

    /// The disk as a machine would find it after losing power now: every durable byte, and of the changes since
    /// then a subset of 512-byte sectors chosen by `seed`. This disk goes on unchanged.
    pub fn crash(&self, seed: u64) -> SimStore {
        let image = self.shared.locked().disk.crash_image(&mut Dice::new(seed));
        SimStore::with_disk(self.shared.config.clone(), image)
    }

    /// The durable bytes alone: the least that a crash may leave.
    pub fn durable_bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.shared.locked().disk.get(path).map(|inode| inode.durable().to_vec())
    }

    /// The live bytes, as a reader sees them.
    pub fn live_bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.shared.locked().disk.get(path).map(|inode| inode.live().to_vec())
    }

    /// The names of all files, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.shared.locked().disk.paths()
    }

    fn file(&self, path: Arc<Path>, id: u64) -> SimFile {
        SimFile { shared: Arc::clone(&self.shared), path, renamed: OnceLock::new(), id }
    }

    /// Changes stored bytes behind everybody's back, live and durable alike, as a decaying disk does.
    /// Returns false if the file is missing or shorter.
    pub fn corrupt(&self, path: &Path, at_bytes: u64, bytes: &[u8]) -> bool {
        self.shared.locked().disk.get_mut(path).is_some_and(|inode| inode.overwrite(at_bytes, bytes))
    }
}

impl Default for SimStore {
    fn default() -> SimStore {
        SimStore::new(SimConfig::default())
    }
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a few turns where the configuration asks for disorder.
    async fn turns(&self) {
        let turns = if self.config.reorder { self.locked().dice.below(4) } else { 0 };
        for _ in 0..turns {
            NextTurn { waited: false }.await;
        }
    }
}

impl SegmentStore for SimStore {
    type File = SimFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<SimFile, IoFault> {
        self.shared.turns().await;
        let path: Arc<Path> = path.into();
        let mut state = self.shared.locked();
        if state.disk.get(&path).is_some() {
            let text = "the file exists already";
            return Err(IoFault::with_kind(IoOp::Create, path, 0, FaultKind::AlreadyExists, text));
        }
        check_capacity(&self.shared.config, &state.disk, IoOp::Create, &path, reserve_bytes)?;
        let id = state.disk.create(&path, reserve_bytes);
        drop(state);
        Ok(self.file(path, id))
    }

    async fn open(&self, path: &Path) -> Result<(SimFile, u64), IoFault> {
        self.shared.turns().await;
        let path: Arc<Path> = path.into();
        let mut state = self.shared.locked();
        let Some((id, len_bytes)) = state.disk.open(&path) else {
            return Err(no_such_file(IoOp::Open, path));
        };
        drop(state);
        Ok((self.file(path, id), len_bytes))
    }

    async fn lengths(&self, paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        self.shared.turns().await;
        let state = self.shared.locked();
        let length = |path: PathBuf| match state.disk.get(&path) {
            Some(inode) => Ok(inode.len_bytes()),
            None => Err(no_such_file(IoOp::Open, path.into())),
        };
        paths.into_iter().map(length).collect()
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        self.shared.turns().await;
        if self.shared.locked().disk.unlink(path) {
            return Ok(());
        }
        Err(no_such_file(IoOp::Remove, path.into()))
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        self.shared.turns().await;
        self.shared.locked().disk.sync_names(path);
        Ok(())
    }

    fn backend(&self) -> Backend {
        Backend::Sim
    }

    fn preallocation(&self) -> Preallocation {
        self.shared.config.preallocation
    }
}

/// A file of a [`SimStore`].
#[derive(Debug)]
pub struct SimFile {
    shared: Arc<Shared>,
    path: Arc<Path>,
    renamed: OnceLock<Arc<Path>>,
    id: u64,
}

impl SimFile {
    /// Runs `change` on the file. It exists as long as a handle does.
    fn with_inode<T>(
        &self,
        op: IoOp,
        at_bytes: u64,
        change: impl FnOnce(&mut Inode) -> Result<T, IoFault>,
    ) -> Result<T, IoFault> {
        let mut state = self.shared.locked();
        match state.disk.inode_mut(self.id) {
            Some(inode) => change(inode),
            None => Err(self.fault(op, at_bytes, FaultKind::NotFound, "the file's memory is gone")),
        }
    }

    fn fault(&self, op: IoOp, at_bytes: u64, kind: FaultKind, message: impl Into<String>) -> IoFault {
        IoFault::with_kind(op, self.path(), at_bytes, kind, message)
    }

    /// Refuses what would make the file longer than the disk has room for.
    fn check_room(&self, op: IoOp, upto_bytes: u64) -> Result<(), IoFault> {
        let state = self.shared.locked();
        let len_bytes = state.disk.inode(self.id).map_or(0, Inode::len_bytes);
        let more_bytes = upto_bytes.saturating_sub(len_bytes);
        check_capacity(&self.shared.config, &state.disk, op, self.path(), more_bytes)
    }

    fn write(&self, at_bytes: u64, bufs: &WriteBufs) -> Result<(), IoFault> {
        bufs.check(&self.shared.config.limits, at_bytes)
            .map_err(|text| self.fault(IoOp::Write, at_bytes, FaultKind::Misuse, text))?;
        self.check_room(IoOp::Write, at_bytes.saturating_add(bufs.len_bytes() as u64))?;
        let mut bytes = Vec::with_capacity(bufs.len_bytes());
        bufs.for_each(|piece| bytes.extend_from_slice(piece));
        self.with_inode(IoOp::Write, at_bytes, |inode| {
            inode.write(at_bytes, bytes);
            Ok(())
        })
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        self.with_inode(IoOp::Read, range.start, |inode| {
            inode.read(&range).ok_or_else(|| {
                let text = format!("the file ends at byte {}, before {}", inode.len_bytes(), range.end);
                self.fault(IoOp::Read, range.start, FaultKind::EndOfFile, text)
            })
        })
    }
}

impl SegmentFile for SimFile {
    fn limits(&self) -> IoLimits {
        self.shared.config.limits
    }

    fn path(&self) -> &Path {
        self.renamed.get().unwrap_or(&self.path)
    }

    async fn rename(&self, to: &Path) -> Result<(), IoFault> {
        self.shared.turns().await;
        if self.renamed.get().is_some() {
            return Err(self.fault(IoOp::Rename, 0, FaultKind::Misuse, "the file was renamed already"));
        }
        if !self.shared.locked().disk.rename(&self.path, to) {
            return Err(self.fault(IoOp::Rename, 0, FaultKind::NotFound, "there is no such file"));
        }
        self.renamed.get_or_init(|| to.into());
        Ok(())
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        Ok(self.shared.locked().disk.handles(self.id) == 1)
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        self.shared.turns().await;
        self.check_room(IoOp::Reserve, upto_bytes)?;
        self.with_inode(IoOp::Reserve, upto_bytes, |inode| {
            inode.extend_to(upto_bytes);
            Ok(())
        })
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        self.shared.turns().await;
        let result = self.write(at_bytes, &bufs);
        self.shared.turns().await;
        Done { bufs, result }
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        self.shared.turns().await;
        self.read(range)
    }

    /// A copy taken now, unless the configuration poses as a direct backend, which has no slices.
    /// Everything is in memory.
    async fn prefetch(&self, _range: Range<u64>) -> Result<(), IoFault> {
        Ok(())
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        if self.shared.config.limits.align_bytes > 1 {
            return None;
        }
        self.read(range).ok().map(Records::Bytes)
    }

    async fn sync(&self) -> Result<(), IoFault> {
        let completed = self.with_inode(IoOp::Sync, 0, |inode| Ok(inode.changes()))?;
        self.shared.turns().await;
        self.with_inode(IoOp::Sync, 0, |inode| {
            inode.make_durable(completed);
            Ok(())
        })
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.shared.turns().await;
        self.check_room(IoOp::Truncate, len_bytes)?;
        self.with_inode(IoOp::Truncate, len_bytes, |inode| {
            inode.set_len(len_bytes);
            Ok(())
        })
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.shared.locked().disk.close(self.id);
    }
}

fn no_such_file(op: IoOp, path: Arc<Path>) -> IoFault {
    IoFault::with_kind(op, path, 0, FaultKind::NotFound, "there is no such file")
}

fn check_capacity(
    config: &SimConfig,
    disk: &Disk,
    op: IoOp,
    path: &Path,
    more_bytes: u64,
) -> Result<(), IoFault> {
    let total_bytes = disk.used_bytes().saturating_add(more_bytes);
    if total_bytes > config.capacity_bytes {
        let error = std::io::Error::from_raw_os_error(libc::ENOSPC);
        return Err(IoFault::new(op, path, 0, error));
    }
    Ok(())
}

/// Gives way once to whatever else the runtime has to do.
struct NextTurn {
    waited: bool,
}

impl Future for NextTurn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.waited {
            return Poll::Ready(());
        }
        self.waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
