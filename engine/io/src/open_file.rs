//! An open file and what all on-disk backends do with it alike: create, reserve, sync, cut, remove.
//!
//! Everything here that may wait for the device runs on tokio's blocking threads, so that a runtime is never
//! stalled. Locks travel into the blocking closure: dropping the future abandons the wait, not the exclusion.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::config::Preallocation;
use crate::dir::{fsync_directory, parent};
use crate::fault::{FaultKind, IoFault, IoOp};
use crate::reserve::{Taken, is_only_open_file, take_room};
use crate::slice::SliceSource;

/// How a backend opens its files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenHow {
    pub(crate) preallocation: Preallocation,
    /// For `open(2)`, besides reading and writing.
    pub(crate) flags: i32,
    /// Room begins and ends at multiples of this.
    pub(crate) align_bytes: u64,
}

impl OpenHow {
    /// Rounds up; lengths beyond what any file can have stay as they are, for the kernel to refuse.
    fn aligned(&self, len_bytes: u64) -> u64 {
        len_bytes.checked_next_multiple_of(self.align_bytes.max(1)).unwrap_or(len_bytes)
    }
}

impl From<Preallocation> for OpenHow {
    fn from(preallocation: Preallocation) -> OpenHow {
        OpenHow { preallocation, flags: 0, align_bytes: 1 }
    }
}

/// One open file, shared by its handle, its slices and the blocking calls in flight.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    path: Arc<Path>,
    /// Its name since it was renamed. Beside the old one, which others may still refer to.
    renamed: OnceLock<Arc<Path>>,
    how: OpenHow,
    /// Below this, writes find room and zero-filling is over.
    room_upto_bytes: AtomicU64,
    /// Held while the room changes: by reservations, truncation and writes that go beyond the room.
    room_change: Arc<Mutex<()>>,
    /// Held while syncing: the kernel reports a failed write-back once per open file, so that of two syncs at the
    /// same time one may succeed although it lost bytes.
    sync_turn: Arc<Mutex<()>>,
    /// The failed sync of a reservation. Its caller may be gone, and the kernel reports it to nobody else.
    lost: OnceLock<IoFault>,
}

impl SliceSource for OpenFile {
    fn file(&self) -> &File {
        &self.file
    }

    fn path(&self) -> &Path {
        OpenFile::path(self)
    }
}

impl OpenFile {
    fn new(file: File, path: Arc<Path>, how: OpenHow, len_bytes: u64) -> Arc<OpenFile> {
        let room_upto_bytes = AtomicU64::new(how.aligned(len_bytes));
        let (room_change, sync_turn) = (Arc::default(), Arc::default());
        let (renamed, lost) = (OnceLock::new(), OnceLock::new());
        Arc::new(OpenFile { file, path, renamed, how, room_upto_bytes, room_change, sync_turn, lost })
    }

    /// Creates the file with room for `reserve_bytes` and a durable directory entry.
    pub(crate) async fn create(
        path: &Path,
        how: OpenHow,
        reserve_bytes: u64,
    ) -> Result<Arc<OpenFile>, IoFault> {
        let path: Arc<Path> = path.into();
        let task_path = Arc::clone(&path);
        blocking(IoOp::Create, &path, move || create_blocking(task_path, how, reserve_bytes)).await
    }

    /// Opens an existing file for reading and writing and returns its length.
    pub(crate) async fn open(path: &Path, how: OpenHow) -> Result<(Arc<OpenFile>, u64), IoFault> {
        let path: Arc<Path> = path.into();
        let task_path = Arc::clone(&path);
        blocking(IoOp::Open, &path, move || {
            let fault = |error| IoFault::new(IoOp::Open, Arc::clone(&task_path), 0, error);
            let mut options = OpenOptions::new();
            let file =
                options.read(true).write(true).custom_flags(how.flags).open(&task_path).map_err(fault)?;
            let len_bytes = file.metadata().map_err(fault)?.len();
            Ok((OpenFile::new(file, task_path, how, len_bytes), len_bytes))
        })
        .await
    }

    /// The length of each file, by its name alone.
    pub(crate) async fn lengths(paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        let Some(first) = paths.first() else { return Ok(Vec::new()) };
        let first: Arc<Path> = first.as_path().into();
        let length = |path: &PathBuf| match fs::metadata(path) {
            Ok(found) => Ok(found.len()),
            Err(error) => Err(IoFault::new(IoOp::Open, &**path, 0, error)),
        };
        blocking(IoOp::Open, &first, move || paths.iter().map(length).collect()).await
    }

    /// Unlinks the path.
    pub(crate) async fn remove(path: &Path) -> Result<(), IoFault> {
        let path: Arc<Path> = path.into();
        let task_path = Arc::clone(&path);
        blocking(IoOp::Remove, &path, move || {
            fs::remove_file(&task_path).map_err(|error| IoFault::new(IoOp::Remove, task_path, 0, error))
        })
        .await
    }

    /// Gives the file another name, once.
    pub(crate) async fn rename(self: &Arc<Self>, to: &Path) -> Result<(), IoFault> {
        if self.renamed.get().is_some() {
            return Err(self.refuse(IoOp::Rename, 0, FaultKind::Misuse, "the file was renamed already"));
        }
        let (this, to) = (Arc::clone(self), Arc::<Path>::from(to));
        blocking(IoOp::Rename, self.path(), move || {
            fs::rename(&this.path, &to).map_err(|error| this.fault(IoOp::Rename, 0, error))?;
            this.renamed.get_or_init(|| to);
            Ok(())
        })
        .await
    }

    /// Whether no other open file shows these bytes.
    pub(crate) async fn is_alone(self: &Arc<Self>) -> Result<bool, IoFault> {
        let this = Arc::clone(self);
        blocking(IoOp::Open, self.path(), move || {
            is_only_open_file(&this.file).map_err(|error| this.fault(IoOp::Open, 0, error))
        })
        .await
    }

    /// Whether the file may one day be written anew, so that nothing may send from it after its handles are gone.
    pub(crate) fn is_recyclable(&self) -> bool {
        self.how.preallocation == Preallocation::Recycle
    }

    /// Makes the names in a directory durable.
    pub(crate) async fn sync_directory(path: &Path) -> Result<(), IoFault> {
        let path: Arc<Path> = path.into();
        let task_path = Arc::clone(&path);
        blocking(IoOp::Sync, &path, move || fsync_directory(&task_path)).await
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Arc<Path> {
        self.renamed.get().unwrap_or(&self.path)
    }

    pub(crate) fn fault(&self, op: IoOp, at_bytes: u64, error: impl Into<io::Error>) -> IoFault {
        IoFault::new(op, Arc::clone(self.path()), at_bytes, error.into())
    }

    /// A fault that no system call reported.
    pub(crate) fn refuse(
        &self,
        op: IoOp,
        at_bytes: u64,
        kind: FaultKind,
        message: impl Into<String>,
    ) -> IoFault {
        IoFault::with_kind(op, Arc::clone(self.path()), at_bytes, kind, message)
    }

    /// The end of the room that reservations have made so far.
    pub(crate) fn room_upto_bytes(&self) -> u64 {
        self.room_upto_bytes.load(Ordering::Acquire)
    }

    /// Makes room up to `upto_bytes` in the file's manner. A fault of [`IoOp::Sync`] means that bytes written
    /// earlier may be lost; nothing on this file is reserved or synced after it.
    pub(crate) async fn reserve(self: &Arc<Self>, upto_bytes: u64) -> Result<(), IoFault> {
        if upto_bytes <= self.room_upto_bytes() {
            return Ok(());
        }
        let upto_bytes = self.how.aligned(upto_bytes);
        let guard = self.lock_room().await;
        let from_bytes = self.room_upto_bytes();
        if upto_bytes <= from_bytes {
            return Ok(());
        }
        self.check_lost(IoOp::Reserve)?;
        let this = Arc::clone(self);
        let (guard, taken) = blocking(IoOp::Reserve, self.path(), move || {
            let taken = take_room(&this.file, this.how.preallocation, from_bytes..upto_bytes);
            Ok((guard, taken.map_err(|error| this.fault(IoOp::Reserve, from_bytes, error))?))
        })
        .await?;
        if taken == Taken::Unsynced {
            return self.sync_room(guard, upto_bytes).await;
        }
        self.room_taken(upto_bytes);
        Ok(())
    }

    /// Syncs zeroes, and with them all that was written before. Bytes that are lost here were accepted already, so
    /// whatever the errno, even ENOSPC, this is no refusal that a caller may cut back from and try again.
    async fn sync_room(self: &Arc<Self>, guard: OwnedMutexGuard<()>, upto_bytes: u64) -> Result<(), IoFault> {
        // Waited for here: blocking threads that wait for each other's turns could use up all there are.
        let turn = self.lock_sync().await?;
        let this = Arc::clone(self);
        blocking(IoOp::Sync, self.path(), move || {
            let _guards = (guard, turn);
            let failed = |fault| IoFault { kind: FaultKind::DeviceError, ..fault };
            this.sync_data_blocking().map_err(|fault| this.lost.get_or_init(|| failed(fault)).clone())?;
            this.room_taken(upto_bytes);
            Ok(())
        })
        .await
    }

    /// Takes blocks for every hole below the room, changing no byte.
    pub(crate) async fn fill_holes(self: &Arc<Self>) -> Result<(), IoFault> {
        let guard = self.lock_room().await;
        let this = Arc::clone(self);
        blocking(IoOp::Reserve, self.path(), move || {
            let _guard = guard;
            let room = 0..this.room_upto_bytes();
            take_room(&this.file, Preallocation::Fallocate, room)
                .map(|_taken| ())
                .map_err(|error| this.fault(IoOp::Reserve, 0, error))
        })
        .await
    }

    /// Excludes reservations while a write goes beyond the room: zero-filling must not run over it.
    pub(crate) async fn lock_room(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.room_change).lock_owned().await
    }

    /// Notes that a write took room by itself. The caller holds [`OpenFile::lock_room`].
    pub(crate) fn room_taken(&self, upto_bytes: u64) {
        self.room_upto_bytes.fetch_max(upto_bytes, Ordering::AcqRel);
    }

    /// Notes that what lies behind `len_bytes` is about to go. The caller holds [`OpenFile::lock_room`].
    pub(crate) fn room_given_up(&self, len_bytes: u64) {
        self.room_upto_bytes.fetch_min(len_bytes, Ordering::AcqRel);
    }

    /// Cuts or extends the file.
    pub(crate) async fn truncate(self: &Arc<Self>, len_bytes: u64) -> Result<(), IoFault> {
        let guard = self.lock_room().await;
        self.truncate_locked(guard, len_bytes).await
    }

    /// As [`OpenFile::truncate`], for a caller that holds [`OpenFile::lock_room`] already.
    pub(crate) async fn truncate_locked(
        self: &Arc<Self>,
        guard: OwnedMutexGuard<()>,
        len_bytes: u64,
    ) -> Result<(), IoFault> {
        let this = Arc::clone(self);
        blocking(IoOp::Truncate, self.path(), move || {
            let _guard = guard;
            this.file.set_len(len_bytes).map_err(|error| this.fault(IoOp::Truncate, len_bytes, error))?;
            this.room_upto_bytes.store(this.how.aligned(len_bytes), Ordering::Release);
            Ok(())
        })
        .await
    }

    /// Waits for the sync under way, if any, and refuses another after one of a reservation failed.
    pub(crate) async fn lock_sync(&self) -> Result<OwnedMutexGuard<()>, IoFault> {
        let turn = Arc::clone(&self.sync_turn).lock_owned().await;
        self.check_lost(IoOp::Sync)?;
        Ok(turn)
    }

    /// Notes that accepted bytes may be lost: no sync of this file succeeds any more.
    pub(crate) fn lose(&self, fault: IoFault) {
        tracing::error!(%fault, "write-back failed");
        self.lost.get_or_init(|| IoFault { kind: FaultKind::DeviceError, ..fault });
    }

    fn check_lost(&self, op: IoOp) -> Result<(), IoFault> {
        self.lost.get().map_or(Ok(()), |fault| Err(fault.poisoned(op)))
    }

    /// `fdatasync` on a blocking thread.
    pub(crate) async fn sync_data(self: &Arc<Self>) -> Result<(), IoFault> {
        let turn = self.lock_sync().await?;
        let this = Arc::clone(self);
        blocking(IoOp::Sync, self.path(), move || {
            let _turn = turn;
            this.sync_data_blocking()
        })
        .await
    }

    /// `fdatasync`, once: the standard library's would retry an interrupted one. The caller has the turn.
    pub(crate) fn sync_data_blocking(&self) -> Result<(), IoFault> {
        rustix::fs::fdatasync(&self.file).map_err(|errno| self.fault(IoOp::Sync, 0, errno))
    }

    /// Refuses a read that ends behind the file before memory is taken for it.
    pub(crate) fn check_within(&self, end_bytes: u64) -> Result<(), IoFault> {
        let len_bytes = self.file.metadata().map_err(|error| self.fault(IoOp::Read, end_bytes, error))?.len();
        if end_bytes <= len_bytes { Ok(()) } else { Err(self.end_of_file(len_bytes, end_bytes)) }
    }

    /// The fault of a read that wanted bytes up to `end_bytes` and found the file's end at `at_bytes`.
    pub(crate) fn end_of_file(&self, at_bytes: u64, end_bytes: u64) -> IoFault {
        let text = format!("the file ends before byte {end_bytes}, up to which it was to be read");
        self.refuse(IoOp::Read, at_bytes, FaultKind::EndOfFile, text)
    }
}

fn create_blocking(path: Arc<Path>, how: OpenHow, reserve_bytes: u64) -> Result<Arc<OpenFile>, IoFault> {
    let fault = |error| IoFault::new(IoOp::Create, Arc::clone(&path), 0, error);
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create_new(true).custom_flags(how.flags).open(&path).map_err(fault)?;
    let room =
        take_room(&file, how.preallocation, 0..how.aligned(reserve_bytes)).and_then(|taken| match taken {
            Taken::Settled => Ok(()),
            // Nothing but zeroes is in the file yet, so that this failure loses nothing that anyone wrote.
            Taken::Unsynced => Ok(rustix::fs::fdatasync(&file)?),
        });
    if let Err(first) = room.map_err(fault).and_then(|()| fsync_directory(parent(&path))) {
        // Nobody knows the file yet, so what failed is its creation and it must not stay behind.
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "could not remove a file whose creation failed");
        }
        return Err(first);
    }
    Ok(OpenFile::new(file, path, how, reserve_bytes))
}

/// Runs `work` on one of tokio's blocking threads. Dropping the future lets the work finish unobserved.
pub(crate) async fn blocking<T: Send + 'static>(
    op: IoOp,
    path: &Arc<Path>,
    work: impl FnOnce() -> Result<T, IoFault> + Send + 'static,
) -> Result<T, IoFault> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(IoFault::new(op, Arc::clone(path), 0, io::Error::other(error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where memory is asked for: `/proc` has no offsets beyond 2 GiB.
    const LOW_ADDRESS: usize = 1 << 30;

    /// A page of this process's memory, as it is seen through `/proc`.
    fn low_page() -> *mut u8 {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous map, which replaces none since the address is only a wish.
        let page = unsafe { libc::mmap(LOW_ADDRESS as *mut libc::c_void, 4096, access, flags, -1, 0) };
        assert_eq!(page as usize, LOW_ADDRESS, "this test needs that address");
        page.cast()
    }

    /// A regular file that takes writes, has no `fallocate` and fails every `fdatasync`.
    fn unsyncable(room_upto_bytes: u64) -> Arc<OpenFile> {
        let path: Arc<Path> = Path::new("/proc/self/mem").into();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        OpenFile::new(file, path, Preallocation::ZeroFill.into(), room_upto_bytes)
    }

    #[tokio::test]
    async fn zero_filled_room_is_initialised_on_the_device_and_a_write_into_it_leaves_the_length() {
        let directory = crate::testing::directory();
        let (first, second) = (1 << 20, 2 << 20);
        for (manner, initialised) in [(Preallocation::ZeroFill, true), (Preallocation::Fallocate, false)] {
            let path = directory.path().join(manner.to_string());
            let open = OpenFile::create(&path, manner.into(), first).await.unwrap();
            open.reserve(second).await.unwrap();
            open.sync_data().await.unwrap();
            // What is only in the cache would look like data.
            crate::drop_cached(&path).unwrap();
            let data = rustix::fs::seek(open.file(), rustix::fs::SeekFrom::Data(0));
            assert_eq!(data.is_ok(), initialised, "{manner}: unwritten extents are holes");
            std::os::unix::fs::FileExt::write_all_at(open.file(), &[7; 4096], 4096).unwrap();
            open.sync_data().await.unwrap();
            assert_eq!(open.file().metadata().unwrap().len(), second, "{manner}");
        }
    }

    #[tokio::test]
    async fn a_failed_sync_of_a_reservation_is_poison_and_neither_it_nor_a_later_sync_is_tried_again() {
        let page = low_page();
        // SAFETY: the page is this test's own, and nothing refers to it.
        unsafe { page.write_bytes(7, 4096) };
        let start_bytes = page as u64;
        let open = unsyncable(start_bytes);
        let first = open.reserve(start_bytes + 8).await.unwrap_err();
        assert_eq!((first.op, first.kind), (IoOp::Sync, FaultKind::DeviceError), "{first}");
        assert_eq!(first.errno(), Some(libc::EINVAL));
        assert!(first.is_poison());
        assert_eq!(open.room_upto_bytes(), start_bytes);
        let again = open.reserve(start_bytes + 16).await.unwrap_err();
        assert_eq!((again.op, again.kind), (IoOp::Reserve, FaultKind::Poisoned), "{again}");
        assert_eq!(open.sync_data().await.unwrap_err().kind, FaultKind::Poisoned);
        // SAFETY: as above; the writes through the file are over.
        let bytes = unsafe { std::slice::from_raw_parts(page, 16) };
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7]);
    }
}
