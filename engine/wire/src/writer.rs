//! Builds one outgoing frame: small fields are gathered in one buffer, bulk data passes by untouched.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::error::WireError;
use crate::frame::SIZE_PREFIX_BYTES;
use crate::part::{Part, Parts, Slice};

/// Bulk bytes shorter than this are copied into the head: a vector entry costs more than the copy.
const COPY_BELOW_BYTES: usize = 256;

#[derive(Debug)]
pub(crate) struct Writer<S> {
    /// Finished runs. The first is a placeholder for `first`, once that is set.
    parts: Parts<S>,
    parts_bytes: usize,
    /// The first run, kept writable for the size prefix.
    first: Option<BytesMut>,
    head: BytesMut,
    flexible: bool,
}

impl<S: Slice> Writer<S> {
    /// A writer for one frame; four bytes are kept free for its size.
    pub(crate) fn frame(capacity_bytes: usize, flexible: bool) -> Self {
        let mut head = BytesMut::with_capacity(SIZE_PREFIX_BYTES + capacity_bytes);
        head.put_i32(0);
        Self { parts: Vec::new(), parts_bytes: 0, first: None, head, flexible }
    }

    /// A writer for the bytes of one tagged field.
    fn tag() -> Self {
        Self { parts: Vec::new(), parts_bytes: 0, first: None, head: BytesMut::new(), flexible: true }
    }

    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// The buffer itself, for encoders of other crates.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.head
    }

    pub(crate) fn int8(&mut self, value: i8) {
        self.head.put_i8(value);
    }

    pub(crate) fn int16(&mut self, value: i16) {
        self.head.put_i16(value);
    }

    pub(crate) fn int32(&mut self, value: i32) {
        self.head.put_i32(value);
    }

    pub(crate) fn int64(&mut self, value: i64) {
        self.head.put_i64(value);
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.head.put_slice(value.as_bytes());
    }

    pub(crate) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.head.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.head.put_u8(value as u8);
    }

    fn compact_length(&mut self, field: &'static str, length: usize) -> Result<(), WireError> {
        let plus_one = u32::try_from(length).ok().and_then(|length| length.checked_add(1));
        self.uvarint(plus_one.ok_or(WireError::TooLong { field, size_bytes: length })?);
        Ok(())
    }

    fn wide_length(&mut self, field: &'static str, length: usize) -> Result<(), WireError> {
        if self.flexible {
            return self.compact_length(field, length);
        }
        self.int32(i32::try_from(length).map_err(|_| WireError::TooLong { field, size_bytes: length })?);
        Ok(())
    }

    pub(crate) fn nullable_string(
        &mut self,
        field: &'static str,
        value: Option<&str>,
    ) -> Result<(), WireError> {
        match value {
            Some(value) => self.string(field, value),
            None if self.flexible => {
                self.uvarint(0);
                Ok(())
            }
            None => {
                self.int16(-1);
                Ok(())
            }
        }
    }

    pub(crate) fn string(&mut self, field: &'static str, value: &str) -> Result<(), WireError> {
        if self.flexible {
            self.compact_length(field, value.len())?;
        } else {
            let too_long = |_| WireError::TooLong { field, size_bytes: value.len() };
            self.int16(i16::try_from(value.len()).map_err(too_long)?);
        }
        self.head.put_slice(value.as_bytes());
        Ok(())
    }

    /// A nullable string with an int16 length even in flexible versions (rule E4).
    pub(crate) fn int16_string(&mut self, field: &'static str, value: Option<&str>) -> Result<(), WireError> {
        let flexible = std::mem::replace(&mut self.flexible, false);
        let written = self.nullable_string(field, value);
        self.flexible = flexible;
        written
    }

    pub(crate) fn null_bytes(&mut self) {
        if self.flexible { self.uvarint(0) } else { self.int32(-1) }
    }

    /// A bytes field whose content is `content` in order; never null.
    pub(crate) fn bulk(
        &mut self,
        field: &'static str,
        content: impl IntoIterator<Item = Part<S>>,
        len_bytes: usize,
    ) -> Result<(), WireError> {
        self.wide_length(field, len_bytes)?;
        for part in content {
            self.part(part);
        }
        Ok(())
    }

    fn part(&mut self, part: Part<S>) {
        match part {
            Part::Bytes(bytes) if bytes.len() < COPY_BELOW_BYTES => self.head.put_slice(&bytes),
            part => {
                self.close_head();
                self.parts_bytes += part.len_bytes();
                self.parts.push(part);
            }
        }
    }

    fn close_head(&mut self) {
        if self.head.is_empty() {
            return;
        }
        let run = self.head.split();
        self.parts_bytes += run.len();
        if self.parts.is_empty() {
            self.parts.push(Part::Bytes(Bytes::new()));
            self.first = Some(run);
        } else {
            self.parts.push(Part::Bytes(run.freeze()));
        }
    }

    pub(crate) fn array<T>(
        &mut self,
        field: &'static str,
        elements: impl ExactSizeIterator<Item = T>,
        mut element: impl FnMut(&mut Self, T) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.wide_length(field, elements.len())?;
        for item in elements {
            element(self, item)?;
        }
        Ok(())
    }

    /// Ends a struct without tagged fields; nothing in versions that have none.
    pub(crate) fn end_struct(&mut self) {
        if self.flexible {
            self.no_tags();
        }
    }

    /// An empty tag section, whatever the version.
    pub(crate) fn no_tags(&mut self) {
        self.uvarint(0);
    }

    /// Ends a struct with the tagged fields that are present. Only for flexible versions.
    pub(crate) fn tags(&mut self, tags: Tags) -> Result<(), WireError> {
        debug_assert!(tags.fields.is_sorted_by_key(|(tag, _)| *tag), "tags go out in ascending order");
        self.uvarint(tags.fields.len() as u32);
        for (tag, value) in tags.fields {
            self.uvarint(tag);
            let too_long = |_| WireError::TooLong { field: "tagged_field", size_bytes: value.len() };
            self.uvarint(u32::try_from(value.len()).map_err(too_long)?);
            self.head.put_slice(&value);
        }
        Ok(())
    }

    /// Writes the size prefix and returns the frame.
    pub(crate) fn finish(mut self) -> Result<Parts<S>, WireError> {
        self.close_head();
        let size_bytes = self.parts_bytes.saturating_sub(SIZE_PREFIX_BYTES);
        let size =
            i32::try_from(size_bytes).map_err(|_| WireError::TooLong { field: "frame", size_bytes })?;
        if let (Some(mut first), Some(slot)) = (self.first, self.parts.first_mut()) {
            first.iter_mut().zip(size.to_be_bytes()).for_each(|(byte, size)| *byte = size);
            *slot = Part::Bytes(first.freeze());
        }
        Ok(self.parts)
    }
}

/// Tagged fields collected before their count goes out.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    fields: Vec<(u32, BytesMut)>,
}

impl Tags {
    /// Adds one field. Tags must be added in ascending order.
    pub(crate) fn add(
        &mut self,
        tag: u32,
        value: impl FnOnce(&mut Writer<crate::NoSlice>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let mut writer = Writer::tag();
        value(&mut writer)?;
        self.fields.push((tag, writer.head));
        Ok(())
    }
}
