//! Values a little ahead of their use.

use crate::payload::PayloadStream;

/// Draws values some records ahead of their use. A pool of real size does not fit a cache, and looking at
/// several values at once lets their misses overlap: twice the records per second from a 64 MiB pool.
#[derive(Debug)]
pub(super) struct Ahead {
    pub(super) stream: PayloadStream,
    drawn: [(u32, u32); AHEAD],
    at: usize,
    /// Keeps the early looks from being thought useless.
    looked: u8,
}

/// Values drawn at once: enough misses to fill the core's buffers, few enough to stay in its first cache.
const AHEAD: usize = 32;
const CACHE_LINE_BYTES: usize = 64;

impl Ahead {
    pub(super) fn new(stream: PayloadStream) -> Ahead {
        Ahead { stream, drawn: [(0, 0); AHEAD], at: AHEAD, looked: 0 }
    }

    /// Index and checksum of the next value.
    pub(super) fn next(&mut self) -> (u32, u32) {
        if self.at == AHEAD {
            self.draw();
        }
        let next = self.drawn.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        next
    }

    fn draw(&mut self) {
        for drawn in &mut self.drawn {
            drawn.0 = self.stream.next();
        }
        for drawn in &mut self.drawn {
            drawn.1 = self.stream.sum(drawn.0);
            // The second line and the last too; the core fetches what lies between in a longer value by itself.
            let value = self.stream.record(drawn.0);
            let line = |at: usize| value.get(at).copied().unwrap_or_default();
            self.looked ^= line(0) ^ line(CACHE_LINE_BYTES) ^ value.last().copied().unwrap_or_default();
        }
        std::hint::black_box(self.looked);
        self.at = 0;
    }
}
