//! Zstandard (RFC 8878) with reused contexts.
//!
//! Small frames that say their size are inflated in one call, the fast way. Others stream through the window
//! with at most 8 MiB of history. Frames that ask for more history (levels above 19) are inflated in one call
//! into a window that grows up to the budget, so that a frame's claim never makes memory be taken.

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, compress_bound, get_error_name,
    get_frame_content_size,
};

use super::{Decode, Trouble, at_least};

const PIECE_BYTES: usize = 128 << 10;
const ONE_CALL_MAX_BYTES: usize = 1 << 20;
const HISTORY_LOG_MAX: u32 = 23;
const DST_TOO_SMALL: &str = "Destination buffer is too small";

pub(super) struct Encoder {
    level: i32,
    context: CCtx<'static>,
    scratch: Vec<u8>,
}

impl Encoder {
    /// The kept encoder, set to this level.
    pub(super) fn reuse(slot: &mut Option<Self>, level: i32) -> Result<&mut Self, String> {
        if slot.as_ref().is_none_or(|encoder| encoder.level != level) {
            let mut context = CCtx::try_create().ok_or("no memory for a context")?;
            context.set_parameter(CParameter::CompressionLevel(level)).map_err(name_owned)?;
            let scratch = Vec::new();
            return Ok(slot.insert(Self { level, context, scratch }));
        }
        slot.as_mut().ok_or_else(String::new)
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        self.scratch.clear();
        self.scratch.reserve(compress_bound(input.len()));
        // A context that failed is not used again as it is.
        self.context.reset(ResetDirective::SessionOnly).map_err(name_owned)?;
        self.context.compress2(&mut self.scratch, input).map_err(name_owned)?;
        out.extend_from_slice(&self.scratch);
        Ok(())
    }
}

fn name_owned(code: usize) -> String {
    get_error_name(code).to_owned()
}

pub(super) struct Decoder {
    context: DCtx<'static>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Fresh,
    Streaming { between_frames: bool },
    Done,
}

impl Decoder {
    /// The kept decoder, or a new one in its place.
    pub(super) fn reuse(slot: &mut Option<Self>) -> Result<&mut Self, Trouble> {
        if slot.is_none() {
            let mut context = DCtx::try_create().ok_or(Trouble::Malformed("no memory for a context"))?;
            context
                .set_parameter(DParameter::WindowLogMax(HISTORY_LOG_MAX))
                .map_err(|code| Trouble::Malformed(get_error_name(code)))?;
            *slot = Some(Self { context, state: State::Fresh });
        }
        slot.as_mut().ok_or(Trouble::Malformed("no context"))
    }
}

impl Decode for Decoder {
    fn begin(&mut self) {
        self.state = State::Fresh;
        // An earlier stream may have ended in the middle or in an error. Resetting a session cannot fail; if
        // it did, the context would refuse the next stream.
        let _ = self.context.reset(ResetDirective::SessionOnly);
    }

    fn next(
        &mut self,
        input: &mut &[u8],
        window: &mut Vec<u8>,
        budget_bytes: usize,
    ) -> Result<Option<usize>, Trouble> {
        if self.state == State::Fresh
            && let Some(made) = self.first(input, window, budget_bytes)?
        {
            return Ok(Some(made));
        }
        if self.state == State::Done {
            return Ok(None);
        }
        self.stream(input, window)
    }
}

impl Decoder {
    /// Inflates everything in one call where that is the better way; else prepares to stream.
    fn first(
        &mut self,
        input: &mut &[u8],
        window: &mut Vec<u8>,
        budget_bytes: usize,
    ) -> Result<Option<usize>, Trouble> {
        let size = get_frame_content_size(input).map_err(|_| Trouble::Malformed("no zstd frame header"))?;
        let size = size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        if size.is_some_and(|size| size > budget_bytes) {
            return Err(Trouble::Budget);
        }
        if let Some(size) = size.filter(|&size| size <= ONE_CALL_MAX_BYTES) {
            at_least(window, size);
            match self.context.decompress(&mut window[..size], input) {
                Ok(made) => return Ok(Some(self.finish(input, made))),
                // More frames follow the first: stream them.
                Err(code) if get_error_name(code) == DST_TOO_SMALL => {}
                Err(code) => return Err(Trouble::Malformed(get_error_name(code))),
            }
        } else if history_bytes(input, size).is_none_or(|bytes| bytes > 1 << HISTORY_LOG_MAX) {
            let made = self.grow(input, window, size, budget_bytes)?;
            return Ok(Some(self.finish(input, made)));
        }
        self.state = State::Streaming { between_frames: true };
        Ok(None)
    }

    fn finish(&mut self, input: &mut &[u8], made: usize) -> usize {
        self.state = State::Done;
        *input = &[];
        made
    }

    /// Inflates in one call, into a window that grows until the output fits or the budget is spent.
    fn grow(
        &mut self,
        input: &[u8],
        window: &mut Vec<u8>,
        size: Option<usize>,
        budget_bytes: usize,
    ) -> Result<usize, Trouble> {
        let mut room = size.unwrap_or(ONE_CALL_MAX_BYTES).min(budget_bytes);
        loop {
            // The old contents are of no use: let them go first.
            *window = Vec::new();
            at_least(window, room);
            match self.context.decompress(&mut window[..room], input) {
                Ok(made) => return Ok(made),
                Err(code) if get_error_name(code) != DST_TOO_SMALL => {
                    return Err(Trouble::Malformed(get_error_name(code)));
                }
                Err(_) if room == budget_bytes => return Err(Trouble::Budget),
                Err(_) => room = room.saturating_mul(4).min(budget_bytes),
            }
        }
    }

    fn stream(&mut self, input: &mut &[u8], window: &mut Vec<u8>) -> Result<Option<usize>, Trouble> {
        if input.is_empty() && self.state == (State::Streaming { between_frames: true }) {
            return Ok(None);
        }
        at_least(window, PIECE_BYTES);
        let mut source = InBuffer { src: input, pos: 0 };
        let mut piece = OutBuffer::around(&mut window[..PIECE_BYTES]);
        let hint = self
            .context
            .decompress_stream(&mut piece, &mut source)
            .map_err(|code| Trouble::Malformed(get_error_name(code)))?;
        let (taken, made) = (source.pos, piece.pos());
        *input = input.get(taken..).unwrap_or_default();
        if taken == 0 && made == 0 && hint != 0 {
            return Err(Trouble::Truncated);
        }
        self.state = State::Streaming { between_frames: hint == 0 };
        Ok(Some(made))
    }
}

/// How much history the first frame asks a streaming decoder to keep; `None` if its header is cut off.
fn history_bytes(frame: &[u8], content_size: Option<usize>) -> Option<u64> {
    const SINGLE_SEGMENT: u8 = 1 << 5;
    let descriptor = *frame.get(4)?;
    if descriptor & SINGLE_SEGMENT != 0 {
        return content_size.map(|size| size as u64);
    }
    let window = *frame.get(5)?;
    let base = 1u64 << (10 + (window >> 3));
    Some(base + base / 8 * u64::from(window & 7))
}
