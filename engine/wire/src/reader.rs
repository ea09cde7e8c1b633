//! A cursor over one frame. Every length is checked against what is left before memory is taken for it.

use bytes::{Buf, Bytes};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::error::WireError;

/// Array elements that one request may hold: a request for 100,000 topics passes, a flood of empty names
/// made to be 70 times as large in memory does not.
pub(crate) const REQUEST_MAX_ELEMENTS: usize = 1 << 18;

/// Array elements that one response may hold: metadata of a million replicas passes.
pub(crate) const RESPONSE_MAX_ELEMENTS: usize = 1 << 22;

/// Reads Kafka's primitive types; strings and bytes share the frame's memory.
#[derive(Debug)]
pub(crate) struct Reader {
    buf: Bytes,
    flexible: bool,
    elements: Budget,
}

/// Array elements that a message may still hold, over all of its arrays together.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: usize,
    limit: usize,
}

impl Reader {
    /// A reader over a message, or a part of it, with at most `max_elements` array elements.
    pub(crate) fn new(buf: Bytes, flexible: bool, max_elements: usize) -> Self {
        Self { buf, flexible, elements: Budget { left: max_elements, limit: max_elements } }
    }

    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    pub(crate) fn remaining(&self) -> usize {
        self.buf.len()
    }

    /// The bytes not read yet.
    pub(crate) fn rest(&self) -> &Bytes {
        &self.buf
    }

    pub(crate) fn take(&mut self, field: &'static str, len: usize) -> Result<Bytes, WireError> {
        self.need(field, len)?;
        Ok(self.buf.split_to(len))
    }

    pub(crate) fn skip(&mut self, field: &'static str, len: usize) -> Result<(), WireError> {
        self.need(field, len)?;
        self.buf.advance(len);
        Ok(())
    }

    fn need(&self, field: &'static str, needed_bytes: usize) -> Result<(), WireError> {
        let remaining_bytes = self.buf.len();
        if needed_bytes > remaining_bytes {
            return Err(WireError::Truncated { field, needed_bytes, remaining_bytes });
        }
        Ok(())
    }

    fn chunk<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let truncated = WireError::Truncated { field, needed_bytes: N, remaining_bytes: self.buf.len() };
        let chunk = *self.buf.first_chunk::<N>().ok_or(truncated)?;
        self.buf.advance(N);
        Ok(chunk)
    }

    pub(crate) fn int8(&mut self, field: &'static str) -> Result<i8, WireError> {
        self.chunk(field).map(i8::from_be_bytes)
    }

    pub(crate) fn int16(&mut self, field: &'static str) -> Result<i16, WireError> {
        self.chunk(field).map(i16::from_be_bytes)
    }

    pub(crate) fn int32(&mut self, field: &'static str) -> Result<i32, WireError> {
        self.chunk(field).map(i32::from_be_bytes)
    }

    pub(crate) fn int64(&mut self, field: &'static str) -> Result<i64, WireError> {
        self.chunk(field).map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self, field: &'static str) -> Result<Uuid, WireError> {
        self.chunk(field).map(Uuid::from_bytes)
    }

    /// An unsigned varint of at most five bytes and 32 bits.
    pub(crate) fn uvarint(&mut self, field: &'static str) -> Result<u32, WireError> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.chunk(field)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let length = i64::try_from(value).unwrap_or(i64::MAX);
                return u32::try_from(value).map_err(|_| WireError::InvalidLength { field, length });
            }
        }
        Err(WireError::InvalidLength { field, length: i64::MAX })
    }

    /// A length or count: `None` for null. Compact ones stand on the wire plus one.
    fn length(&mut self, field: &'static str, wide: bool) -> Result<Option<usize>, WireError> {
        if self.flexible {
            return Ok(self.uvarint(field)?.checked_sub(1).map(|length| length as usize));
        }
        let length = if wide { self.int32(field)? } else { i32::from(self.int16(field)?) };
        match length {
            -1 => Ok(None),
            _ => usize::try_from(length)
                .map(Some)
                .map_err(|_| WireError::InvalidLength { field, length: length.into() }),
        }
    }

    pub(crate) fn nullable_string(&mut self, field: &'static str) -> Result<Option<StrBytes>, WireError> {
        let length = self.length(field, false)?;
        self.utf8(field, length)
    }

    pub(crate) fn string(&mut self, field: &'static str) -> Result<StrBytes, WireError> {
        self.nullable_string(field)?.ok_or(null(field))
    }

    /// A nullable string with an int16 length even in flexible versions (rule E4).
    pub(crate) fn int16_string(&mut self, field: &'static str) -> Result<Option<StrBytes>, WireError> {
        let flexible = std::mem::replace(&mut self.flexible, false);
        let string = self.nullable_string(field);
        self.flexible = flexible;
        string
    }

    fn utf8(&mut self, field: &'static str, length: Option<usize>) -> Result<Option<StrBytes>, WireError> {
        let Some(length) = length else { return Ok(None) };
        let bytes = self.take(field, length)?;
        StrBytes::from_utf8(bytes).map(Some).map_err(|_| WireError::NotUtf8 { field })
    }

    pub(crate) fn nullable_bytes(&mut self, field: &'static str) -> Result<Option<Bytes>, WireError> {
        match self.length(field, true)? {
            Some(length) => self.take(field, length).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn skip_string(&mut self, field: &'static str) -> Result<(), WireError> {
        let length = self.length(field, false)?.unwrap_or(0);
        self.skip(field, length)
    }

    /// The element count of an array, `None` for null, checked against `element_min_bytes` each and taken off
    /// what the message may hold.
    pub(crate) fn count(
        &mut self,
        field: &'static str,
        element_min_bytes: usize,
    ) -> Result<Option<usize>, WireError> {
        let Some(count) = self.length(field, true)? else { return Ok(None) };
        let remaining_bytes = self.remaining();
        if count.saturating_mul(element_min_bytes) > remaining_bytes {
            return Err(WireError::LyingCount { field, count, remaining_bytes });
        }
        let Budget { left, limit } = self.elements;
        self.elements.left = left.checked_sub(count).ok_or(WireError::TooManyElements { field, limit })?;
        Ok(Some(count))
    }

    pub(crate) fn nullable_array<T>(
        &mut self,
        field: &'static str,
        element_min_bytes: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<Vec<T>>, WireError> {
        let Some(count) = self.count(field, element_min_bytes)? else { return Ok(None) };
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    pub(crate) fn array<T>(
        &mut self,
        field: &'static str,
        element_min_bytes: usize,
        element: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        self.nullable_array(field, element_min_bytes, element)?.ok_or(null(field))
    }

    /// The tagged fields at the end of a struct; nothing in versions without them. `known` gets each tag
    /// with a reader over exactly its bytes and returns whether it knew the tag; unknown ones are skipped.
    pub(crate) fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint("tagged_fields")? {
            let tag = self.uvarint("tag")?;
            let size = self.uvarint("tag_size")? as usize;
            let buf = self.take("tagged_field", size)?;
            let mut value = Reader { buf, flexible: true, elements: self.elements };
            if known(tag, &mut value)? && value.remaining() > 0 {
                return Err(WireError::TrailingBytes { extra_bytes: value.remaining() });
            }
            self.elements = value.elements;
        }
        Ok(())
    }

    pub(crate) fn skip_tags(&mut self) -> Result<(), WireError> {
        let flexible = std::mem::replace(&mut self.flexible, true);
        let skipped = self.tags(|_, _| Ok(false));
        self.flexible = flexible;
        skipped
    }

    /// Like [`Reader::skip_tags`], but only where the version has tagged fields.
    pub(crate) fn end_struct(&mut self) -> Result<(), WireError> {
        self.tags(|_, _| Ok(false))
    }

    /// Fails if anything is left.
    pub(crate) fn expect_end(&self) -> Result<(), WireError> {
        match self.remaining() {
            0 => Ok(()),
            extra_bytes => Err(WireError::TrailingBytes { extra_bytes }),
        }
    }
}

fn null(field: &'static str) -> WireError {
    WireError::InvalidLength { field, length: -1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &'static [u8], flexible: bool) -> Reader {
        Reader::new(Bytes::from_static(bytes), flexible, 1000)
    }

    #[test]
    fn varints_end_within_five_bytes_and_32_bits() {
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f], true).uvarint("x"), Ok(u32::MAX));
        assert!(reader(&[0xff, 0xff, 0xff, 0xff, 0x1f], true).uvarint("x").is_err());
        assert!(reader(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], true).uvarint("x").is_err());
        assert!(reader(&[0x80], true).uvarint("x").is_err());
    }

    #[test]
    fn null_and_empty_are_told_apart_in_both_encodings() {
        assert_eq!(reader(&[0xff, 0xff], false).nullable_string("s"), Ok(None));
        assert_eq!(reader(&[0, 0], false).nullable_string("s"), Ok(Some(StrBytes::new())));
        assert_eq!(reader(&[0], true).nullable_string("s"), Ok(None));
        assert_eq!(reader(&[1], true).nullable_string("s"), Ok(Some(StrBytes::new())));
        assert_eq!(reader(&[0], true).string("s"), Err(WireError::InvalidLength { field: "s", length: -1 }));
        let below_null = WireError::InvalidLength { field: "s", length: -2 };
        assert_eq!(reader(&[0xff, 0xfe], false).nullable_string("s"), Err(below_null));
    }

    #[test]
    fn a_count_that_cannot_fit_takes_no_memory() {
        let mut lying = reader(&[0x3b, 0x9a, 0xca, 0x00, 0, 0, 0, 0], false);
        let error = WireError::LyingCount { field: "topics", count: 1_000_000_000, remaining_bytes: 4 };
        assert_eq!(lying.array("topics", 2, |reader| reader.int16("x")), Err(error));
    }

    #[test]
    fn a_known_tag_must_use_all_of_its_bytes() {
        let mut tags = reader(&[1, 0, 3, 0, 7, 9], true);
        let read = tags.tags(|_, value| value.int16("x").map(|_| true));
        assert_eq!(read, Err(WireError::TrailingBytes { extra_bytes: 1 }));
        assert_eq!(reader(&[1, 0, 3, 0, 7, 9], true).end_struct(), Ok(()));
    }

    #[test]
    fn text_must_be_utf8() {
        assert_eq!(reader(&[2, 0xff], true).string("s"), Err(WireError::NotUtf8 { field: "s" }));
    }
}
