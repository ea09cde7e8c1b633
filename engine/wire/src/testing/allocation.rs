//! Watches how much memory one piece of code asks for.

#![expect(
    unsafe_code,
    reason = "a global allocator is unsafe by its trait; this one only counts and delegates"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

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

/// Runs `work` and returns its result with the bytes it asked the allocator for on this thread, in all.
pub(super) fn counting<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ASKED_BYTES.get();
    let result = work();
    (result, ASKED_BYTES.get() - before)
}

#[test]
fn the_counter_counts() {
    let (kept, asked) = counting(|| vec![0u8; 4096]);
    assert_eq!(kept.len(), 4096);
    assert!((4096..8192).contains(&asked), "{asked}");
}
