//! Zig-zag variable-length integers as records use them: at most 5 bytes for 32 bits, 10 for 64.

use thiserror::Error;

/// Why a variable-length integer could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VarintError {
    /// The input ended before the last byte of the number.
    #[error("the input ends inside a variable-length integer")]
    Truncated,
    /// More bytes or more bits than the type holds.
    #[error("a variable-length integer is longer than its type")]
    TooLong,
}

/// Reads a 32-bit zig-zag integer from the front of `input` and moves `input` past it.
///
/// On error `input` is left where it was.
pub fn read_varint(input: &mut &[u8]) -> Result<i32, VarintError> {
    let raw = read_unsigned(input, 32)? as u32;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads a 64-bit zig-zag integer from the front of `input` and moves `input` past it.
///
/// On error `input` is left where it was.
pub fn read_varlong(input: &mut &[u8]) -> Result<i64, VarintError> {
    let raw = read_unsigned(input, 64)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[inline]
fn read_unsigned(input: &mut &[u8], bits: u32) -> Result<u64, VarintError> {
    // Lengths and deltas nearly always fit one byte.
    if let Some((&first, rest)) = input.split_first()
        && first < 0x80
    {
        *input = rest;
        return Ok(u64::from(first));
    }
    let mut accumulator = Accumulator::new(bits);
    for (index, &byte) in input.iter().enumerate() {
        if let Some(value) = accumulator.push(byte)? {
            *input = input.get(index + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(VarintError::Truncated)
}

/// Collects the seven-bit groups of one number, byte by byte, for readers without a contiguous slice.
#[derive(Debug)]
pub(crate) struct Accumulator {
    value: u64,
    shift: u32,
    bits: u32,
}

impl Accumulator {
    pub(crate) fn new(bits: u32) -> Self {
        Self { value: 0, shift: 0, bits }
    }

    /// Takes one byte; `Some` is the finished (still zig-zag encoded) number.
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<u64>, VarintError> {
        let group = u64::from(byte & 0x7f);
        let room = self.bits.saturating_sub(self.shift);
        if room == 0 || (room < 7 && group >> room != 0) {
            return Err(VarintError::TooLong);
        }
        self.value |= group << self.shift;
        self.shift += 7;
        if byte & 0x80 != 0 { self.check_more() } else { Ok(Some(self.value)) }
    }

    fn check_more(&self) -> Result<Option<u64>, VarintError> {
        if self.shift >= self.bits { Err(VarintError::TooLong) } else { Ok(None) }
    }
}

/// Undoes zig-zag for 32 bits.
pub(crate) fn unzigzag32(raw: u64) -> i32 {
    let raw = raw as u32;
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

/// Undoes zig-zag for 64 bits.
pub(crate) fn unzigzag64(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

/// Appends a 32-bit integer in zig-zag form.
pub fn write_varint(out: &mut Vec<u8>, value: i32) {
    write_unsigned(out, u64::from((value << 1 ^ value >> 31) as u32));
}

/// Appends a 64-bit integer in zig-zag form.
pub fn write_varlong(out: &mut Vec<u8>, value: i64) {
    write_unsigned(out, (value << 1 ^ value >> 63) as u64);
}

#[inline]
fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`write_varint`] writes for `value`: 1 to 5.
pub fn varint_len(value: i32) -> usize {
    unsigned_len(u64::from((value << 1 ^ value >> 31) as u32))
}

/// How many bytes [`write_varlong`] writes for `value`: 1 to 10.
pub fn varlong_len(value: i64) -> usize {
    unsigned_len((value << 1 ^ value >> 63) as u64)
}

fn unsigned_len(value: u64) -> usize {
    // ceil(bits / 7) with at least one group.
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_encodings() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut out = Vec::new();
            write_varint(&mut out, value);
            assert_eq!(out, bytes);
            assert_eq!(varint_len(value), bytes.len());
            assert_eq!(read_varint(&mut &out[..]), Ok(value));
        }
    }

    #[test]
    fn sixty_four_bit_extremes() {
        for value in [i64::MIN, i64::MAX, 0, -1, 1 << 40] {
            let mut out = Vec::new();
            write_varlong(&mut out, value);
            assert_eq!(varlong_len(value), out.len());
            let mut input = &out[..];
            assert_eq!(read_varlong(&mut input), Ok(value));
            assert!(input.is_empty());
        }
    }

    #[test]
    fn overlong_and_truncated_are_errors_and_leave_the_input() {
        let cases: [(&[u8], VarintError); 5] = [
            (&[], VarintError::Truncated),
            (&[0x80], VarintError::Truncated),
            (&[0x80; 5], VarintError::TooLong),
            (&[0xff, 0xff, 0xff, 0xff, 0x10], VarintError::TooLong),
            (&[0xff; 11], VarintError::TooLong),
        ];
        for (bytes, error) in cases {
            let mut input = bytes;
            assert_eq!(read_varint(&mut input), Err(error), "{bytes:?}");
            assert_eq!(input, bytes);
        }
        assert_eq!(read_varlong(&mut &[0x80; 10][..]), Err(VarintError::TooLong));
    }
}
