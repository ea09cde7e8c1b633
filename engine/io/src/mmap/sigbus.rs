//! What happens when a mapped page cannot be had: name the file and the offset, then abort.
//!
//! The kernel reports a device error, a full disk or a file shortened by someone else as SIGBUS on the access
//! itself. There is no place to return an error to, and a store that failed once may be lost without trace, so the
//! process ends; recovery finds the valid end of the log. Signals for other addresses go to the handler before us.

use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::open_file::OpenFile;

/// Maps that can be named at once. Further ones abort with a message that lacks the name.
const SLOTS: usize = 8192;

/// A slot's `start` while it is being filled; no page starts there.
const CLAIMED: usize = 1;

static MAPS: [Slot; SLOTS] = [const { Slot::empty() }; SLOTS];

/// One registered map, readable from a signal handler: atomics only, no locks, no allocation.
struct Slot {
    start: AtomicUsize,
    len_bytes: AtomicUsize,
    /// Asked for its name when it is needed: files are renamed.
    file: AtomicPtr<OpenFile>,
}

impl Slot {
    const fn empty() -> Slot {
        Slot {
            start: AtomicUsize::new(0),
            len_bytes: AtomicUsize::new(0),
            file: AtomicPtr::new(ptr::null_mut()),
        }
    }

    fn try_claim(&self) -> bool {
        self.start.load(Ordering::Relaxed) == 0
            && self.start.compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// What the file is called now. Only loads: it may be asked for in a signal handler.
    fn name(&self) -> &[u8] {
        // SAFETY: the file lives as long as its registration, and the slot is only asked while it is registered.
        let file = unsafe { &*self.file.load(Ordering::Relaxed) };
        file.path().as_os_str().as_bytes()
    }

    fn contains(&self, address: usize) -> bool {
        let start = self.start.load(Ordering::Acquire);
        start > CLAIMED
            && address.checked_sub(start).is_some_and(|at| at < self.len_bytes.load(Ordering::Relaxed))
    }
}

/// Keeps a map's name known to the handler. Dropped before the map is removed.
#[derive(Debug)]
pub(super) struct Registration {
    slot: Option<usize>,
}

impl Registration {
    /// Registers a map of `file`, which must stay where it is in memory until the registration is dropped.
    pub(super) fn new(start: usize, len_bytes: usize, file: &OpenFile) -> Registration {
        let slot = MAPS.iter().position(Slot::try_claim);
        if let Some(slot) = slot.and_then(|index| MAPS.get(index)) {
            slot.file.store(ptr::from_ref(file).cast_mut(), Ordering::Relaxed);
            slot.len_bytes.store(len_bytes, Ordering::Relaxed);
            slot.start.store(start, Ordering::Release);
        }
        Registration { slot }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.and_then(|index| MAPS.get(index)) {
            slot.start.store(0, Ordering::Release);
        }
    }
}

static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the handler, once per process.
pub(super) fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // SAFETY: an all-zero sigaction is valid (default action, empty mask).
        let mut previous: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: only reads the current action into a valid place.
        unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &mut previous) };
        // The handler must find the previous action from its first signal on.
        PREVIOUS.get_or_init(|| previous);
        // SAFETY: as above.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = on_sigbus as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: `on_sigbus` has the three-argument form that SA_SIGINFO asks for, and does only what is
        // allowed in a signal handler: atomics, `write`, `sigaction`, `abort`.
        unsafe { libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) };
    });
}

extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to a handler installed with SA_SIGINFO, and SIGBUS sets the address.
    let address = unsafe { (*info).si_addr() } as usize;
    match MAPS.iter().find(|slot| slot.contains(address)) {
        Some(slot) => report_and_abort(slot, address),
        None => pass_on(signal, info, context),
    }
}

fn report_and_abort(slot: &Slot, address: usize) -> ! {
    let at_bytes = address - slot.start.load(Ordering::Relaxed);
    say(b"plimsoll: SIGBUS: mapped file ");
    say(slot.name());
    say(b" failed at byte ");
    let mut digits = [0; 20];
    say(decimal(at_bytes, &mut digits));
    say(b": the device failed, the disk is full or someone shortened the file. Aborting; restart to recover.\n");
    // SAFETY: `abort` may be called from a signal handler.
    unsafe { libc::abort() }
}

/// Gives the signal to whoever was there before.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(previous) = PREVIOUS.get() else { return };
    match previous.sa_sigaction {
        // Restoring it and returning repeats the access, which then ends the process in the ordinary way.
        // SAFETY: `previous` came from the kernel.
        libc::SIG_DFL | libc::SIG_IGN => unsafe {
            libc::sigaction(signal, previous, ptr::null_mut());
        },
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the kernel gave us this handler with SA_SIGINFO, so it has the three-argument form.
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without SA_SIGINFO a handler has the one-argument form.
            let handler: extern "C" fn(libc::c_int) = unsafe { mem::transmute(handler) };
            handler(signal);
        }
    }
}

fn say(text: &[u8]) {
    // SAFETY: the buffer is valid; `write` may be called from a handler, and there is no one to tell if it fails.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// Writes a number without the formatter, which may allocate.
fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preallocation;

    #[test]
    fn decimal_writes_zero_and_the_largest_number() {
        for number in [0, 7, 4096, usize::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }

    #[tokio::test]
    async fn a_slot_is_found_by_its_addresses_only_names_the_file_as_it_is_called_now_and_is_freed_by_drop() {
        let directory = tempfile::tempdir().unwrap();
        let [waiting, renamed] = ["next.prepared", "00.log"].map(|name| directory.path().join(name));
        let open = OpenFile::create(&waiting, Preallocation::None.into(), 0).await.unwrap();
        let start = 1 << 46;
        let registration = Registration::new(start, 8192, &open);
        let found = |address| MAPS.iter().find(|slot| slot.contains(address));
        assert!(found(start - 1).is_none() && found(start + 8192).is_none());
        assert_eq!(found(start).unwrap().name(), waiting.as_os_str().as_bytes());
        open.rename(&renamed).await.unwrap();
        assert_eq!(found(start + 8191).unwrap().name(), renamed.as_os_str().as_bytes());
        drop(registration);
        assert!(found(start).is_none());
    }
}
