//! Valid message bodies made from their shapes.

use bytes::{BufMut, BytesMut};

use crate::schema::{Field, Kind};

/// A small deterministic generator (xorshift64*), so that a failing seed can be replayed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, limit: u64) -> usize {
        (self.next() % limit) as usize
    }
}

/// A body of that shape. No nulls; one-byte fields are 0 or 1, since some are booleans; tagged fields are
/// never at their defaults, since those would not be written.
pub(super) fn body(shape: &[Field], version: i16, flexible: bool, random: &mut Random) -> BytesMut {
    let mut out = BytesMut::new();
    Generator { version, flexible, random }.fields(shape, &mut out);
    out
}

struct Generator<'a> {
    version: i16,
    flexible: bool,
    random: &'a mut Random,
}

impl Generator<'_> {
    fn fields(&mut self, shape: &[Field], out: &mut BytesMut) {
        let version = self.version;
        let (tagged, plain): (Vec<&Field>, Vec<&Field>) =
            shape.iter().filter(|field| field.exists_in(version)).partition(|field| field.tag.is_some());
        for field in plain {
            self.field(field.kind, 0, out);
        }
        if self.flexible {
            self.tags(&tagged, out);
        }
    }

    fn tags(&mut self, tagged: &[&Field], out: &mut BytesMut) {
        let chosen: Vec<_> = tagged.iter().filter(|_| self.random.below(2) == 1).collect();
        // One tag nobody knows, which the crate keeps and so must come back.
        let unknown = self.random.below(4) == 0;
        uvarint(out, (chosen.len() + usize::from(unknown)) as u32);
        for field in chosen {
            let mut value = BytesMut::new();
            self.field(field.kind, 1, &mut value);
            uvarint(out, field.tag.unwrap());
            uvarint(out, value.len() as u32);
            out.put_slice(&value);
        }
        if unknown {
            out.put_slice(&[0xe8, 0x07, 3, 1, 2, 3]);
        }
    }

    fn field(&mut self, kind: Kind, at_least: usize, out: &mut BytesMut) {
        match kind {
            Kind::Fixed(1) => out.put_u8(self.random.below(2).max(at_least) as u8),
            Kind::Fixed(size) => self.fixed(size, out),
            Kind::String => self.string(out),
            Kind::FixedArray(size) => {
                for _ in 0..self.count(at_least, out) {
                    self.fixed(size, out);
                }
            }
            Kind::StringArray => {
                for _ in 0..self.count(at_least, out) {
                    self.string(out);
                }
            }
            Kind::StructArray(fields) => {
                for _ in 0..self.count(at_least, out) {
                    self.fields(fields, out);
                }
            }
        }
    }

    /// Positive numbers, which no default is (save 0, which is one in 2^15 at best).
    fn fixed(&mut self, size: usize, out: &mut BytesMut) {
        let bytes = [self.random.next().to_be_bytes(), self.random.next().to_be_bytes()].concat();
        let start = out.len();
        out.put_slice(&bytes[..size]);
        out[start] &= 0x7f;
        out[start + size - 1] |= 1;
    }

    fn count(&mut self, at_least: usize, out: &mut BytesMut) -> usize {
        let count = self.random.below(3).max(at_least);
        if self.flexible {
            uvarint(out, count as u32 + 1)
        } else {
            out.put_i32(count as i32)
        }
        count
    }

    fn string(&mut self, out: &mut BytesMut) {
        let length = self.random.below(6);
        if self.flexible {
            uvarint(out, length as u32 + 1)
        } else {
            out.put_i16(length as i16)
        }
        for _ in 0..length {
            out.put_u8(b'a' + self.random.below(26) as u8);
        }
    }
}

fn uvarint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}
