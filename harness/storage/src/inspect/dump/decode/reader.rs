//! Kafka's primitive types, taken from the front of a value that anybody may have written.

/// What is left of a value. Every method answers `None` where the bytes end or lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn i8(&mut self) -> Option<i8> {
        self.take().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(slice)
    }

    pub(crate) fn string(&mut self) -> Option<String> {
        self.nullable_string()?
    }

    pub(crate) fn nullable_string(&mut self) -> Option<Option<String>> {
        let len = self.i16()?;
        self.text(usize::try_from(len).ok().or((len == -1).then_some(usize::MAX))?)
    }

    /// `usize::MAX` means null.
    fn text(&mut self, len: usize) -> Option<Option<String>> {
        if len == usize::MAX {
            return Some(None);
        }
        String::from_utf8(self.slice(len)?.to_vec()).ok().map(Some)
    }

    pub(crate) fn bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Some(None),
            len => self.slice(usize::try_from(len).ok()?).map(Some),
        }
    }

    /// An array of `item`s; `None` inside for null.
    pub(crate) fn array<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Option<Vec<T>>> {
        match self.i32()? {
            -1 => Some(None),
            count => self.items(usize::try_from(count).ok()?, item).map(Some),
        }
    }

    /// Nothing is reserved for a count: the items have to come first.
    fn items<T>(&mut self, count: usize, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        for _ in 0..count {
            // An item without bytes would let a count fill memory.
            let before = self.0.len();
            items.push(item(self)?);
            if self.0.len() == before {
                return None;
            }
        }
        Some(items)
    }

    pub(crate) fn unsigned_varint(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take::<1>()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A compact length: one more than it is, 0 for null.
    fn compact_len(&mut self) -> Option<usize> {
        let len = self.unsigned_varint()?;
        Some(len.checked_sub(1).map_or(usize::MAX, |len| len as usize))
    }

    pub(crate) fn compact_string(&mut self) -> Option<String> {
        let len = self.compact_len()?;
        self.text(len)?
    }

    pub(crate) fn compact_array<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Option<Vec<T>>> {
        match self.compact_len()? {
            usize::MAX => Some(None),
            count => self.items(count, item).map(Some),
        }
    }

    /// Tagged fields: `found` sees the number and the bytes of each.
    pub(crate) fn tags(&mut self, mut found: impl FnMut(u32, Reader<'a>)) -> Option<()> {
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let len = self.unsigned_varint()? as usize;
            found(tag, Reader(self.slice(len)?));
        }
        Some(())
    }
}
