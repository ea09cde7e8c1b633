//! The walk over a control message that proves its lengths before it is decoded.

use bytes::Bytes;

use crate::error::WireError;
use crate::reader::Reader;
use crate::schema::{Field, Kind};

/// Walks `body` as `fields` in `version` and returns how many bytes they take. Takes no memory.
///
/// After success every string and array in the message is really there, in the place where a decoder of
/// the same shape looks for it, and there are at most `max_elements` array elements.
pub(crate) fn walk(
    body: &Bytes,
    fields: &'static [Field],
    version: i16,
    flexible: bool,
    max_elements: usize,
) -> Result<usize, WireError> {
    let mut reader = Reader::new(body.clone(), flexible, max_elements);
    Walk { version, flexible }.fields(&mut reader, fields)?;
    Ok(body.len() - reader.remaining())
}

#[derive(Clone, Copy)]
struct Walk {
    version: i16,
    flexible: bool,
}

impl Walk {
    fn fields(self, reader: &mut Reader, fields: &'static [Field]) -> Result<(), WireError> {
        let version = self.version;
        for field in fields.iter().filter(|field| field.tag.is_none() && field.exists_in(version)) {
            self.field(reader, field)?;
        }
        reader.tags(|tag, value| match tagged(fields, tag) {
            // A known tag outside its versions is left to the decoder, which refuses it unread.
            Some(field) if field.exists_in(self.version) => self.field(value, field).map(|()| true),
            _ => Ok(false),
        })
    }

    fn field(self, reader: &mut Reader, field: &'static Field) -> Result<(), WireError> {
        match field.kind {
            Kind::Fixed(size) => reader.skip(field.name, size),
            Kind::String => reader.skip_string(field.name),
            Kind::FixedArray(size) => {
                let count = count(reader, field.name, size)?;
                reader.skip(field.name, count * size)
            }
            Kind::StringArray => {
                for _ in 0..count(reader, field.name, if self.flexible { 1 } else { 2 })? {
                    reader.skip_string(field.name)?;
                }
                Ok(())
            }
            Kind::StructArray(fields) => {
                for _ in 0..count(reader, field.name, 1)? {
                    self.fields(reader, fields)?;
                }
                Ok(())
            }
        }
    }
}

fn count(reader: &mut Reader, field: &'static str, min: usize) -> Result<usize, WireError> {
    Ok(reader.count(field, min)?.unwrap_or(0))
}

fn tagged(fields: &'static [Field], tag: u32) -> Option<&'static Field> {
    fields.iter().find(|field| field.tag == Some(tag))
}
