//! Watches how much memory a parser asks for, so that a length which lies shows itself.

#![expect(
    unsafe_code,
    reason = "a global allocator is unsafe by its trait; this one only counts and delegates"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// A parser may ask for this much per byte of input (structs are larger in memory than on the wire) …
const MEMORY_PER_BYTE: usize = 64;
/// … and this much for errors and first allocations.
const MEMORY_BASE_BYTES: usize = 16 << 10;

thread_local! {
    static ASKED_BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call goes to `System` unchanged; the counter is a plain thread-local cell without a
// destructor, so touching it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        _ = ASKED_BYTES.try_with(|asked| asked.set(asked.get().saturating_add(layout.size())));
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs `work`, whose allocations on this thread, freed or not, must stay in proportion to `input_bytes`.
///
/// # Panics
/// When they do not.
pub fn bounded<T>(input_bytes: usize, work: impl FnOnce() -> T) -> T {
    let before = ASKED_BYTES.get();
    let result = work();
    let asked = ASKED_BYTES.get() - before;
    let allowed = MEMORY_BASE_BYTES + MEMORY_PER_BYTE * input_bytes;
    assert!(asked <= allowed, "{asked} bytes of memory for {input_bytes} bytes of input, {allowed} allowed");
    result
}
