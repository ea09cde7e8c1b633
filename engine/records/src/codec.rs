//! Names, numbers and levels of the codecs.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The codec number a batch carries in its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodecId {
    /// 0: records as they are.
    None,
    /// 1: gzip (RFC 1952).
    Gzip,
    /// 2: snappy, raw or in xerial framing.
    Snappy,
    /// 3: LZ4 frame with independent blocks.
    Lz4,
    /// 4: Zstandard (RFC 8878).
    Zstd,
}

impl CodecId {
    /// All of them, in the order of their numbers.
    pub const ALL: [CodecId; 5] =
        [CodecId::None, CodecId::Gzip, CodecId::Snappy, CodecId::Lz4, CodecId::Zstd];

    /// The codec with this number; `None` if no codec has it.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// The number in the attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The name in configuration and results.
    pub fn name(self) -> &'static str {
        match self {
            CodecId::None => "none",
            CodecId::Gzip => "gzip",
            CodecId::Snappy => "snappy",
            CodecId::Lz4 => "lz4",
            CodecId::Zstd => "zstd",
        }
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A codec with its level, as a producer chooses it.
///
/// Written `none`, `gzip:6`, `snappy`, `lz4`, `zstd:3`; `gzip` and `zstd` alone mean Kafka's default levels.
/// Snappy has no levels. LZ4 has them in Kafka, but the LZ4 encoder here knows only its fast one, so that a
/// level is refused instead of ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// No compression.
    None,
    /// Gzip.
    Gzip {
        /// 1 (fast) to 9 (small).
        level: u8,
    },
    /// Snappy in xerial framing.
    Snappy,
    /// LZ4 frame, independent 64 KiB blocks.
    Lz4,
    /// Zstandard.
    Zstd {
        /// −131072 (fast) to 22 (small).
        level: i32,
    },
}

const GZIP_LEVEL: u8 = 6;
const ZSTD_LEVEL: i32 = 3;
const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = -131_072..=22;

impl Codec {
    /// Gzip at level 6, what Kafka's producer uses unless told.
    pub const GZIP: Codec = Codec::Gzip { level: GZIP_LEVEL };
    /// Zstandard at level 3, what Kafka's producer uses unless told.
    pub const ZSTD: Codec = Codec::Zstd { level: ZSTD_LEVEL };

    /// The codec without its level.
    pub fn id(self) -> CodecId {
        match self {
            Codec::None => CodecId::None,
            Codec::Gzip { .. } => CodecId::Gzip,
            Codec::Snappy => CodecId::Snappy,
            Codec::Lz4 => CodecId::Lz4,
            Codec::Zstd { .. } => CodecId::Zstd,
        }
    }

    /// The codec at its default level.
    pub fn with_default_level(id: CodecId) -> Self {
        match id {
            CodecId::None => Codec::None,
            CodecId::Gzip => Codec::GZIP,
            CodecId::Snappy => Codec::Snappy,
            CodecId::Lz4 => Codec::Lz4,
            CodecId::Zstd => Codec::ZSTD,
        }
    }

    fn with_level(id: CodecId, level: i32) -> Result<Self, ParseCodecError> {
        match id {
            CodecId::Gzip if (1..=9).contains(&level) => Ok(Codec::Gzip { level: level as u8 }),
            CodecId::Gzip => Err(ParseCodecError::LevelOutOfRange { codec: id, level, min: 1, max: 9 }),
            CodecId::Zstd if ZSTD_LEVELS.contains(&level) => Ok(Codec::Zstd { level }),
            CodecId::Zstd => Err(ParseCodecError::LevelOutOfRange {
                codec: id,
                level,
                min: *ZSTD_LEVELS.start(),
                max: *ZSTD_LEVELS.end(),
            }),
            CodecId::None | CodecId::Snappy | CodecId::Lz4 => Err(ParseCodecError::NoLevels { codec: id }),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Codec::Gzip { level } => f.pad(&format!("gzip:{level}")),
            Codec::Zstd { level } => f.pad(&format!("zstd:{level}")),
            Codec::None | Codec::Snappy | Codec::Lz4 => f.pad(self.id().name()),
        }
    }
}

/// Why a codec's name was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseCodecError {
    /// No codec of this name.
    #[error("unknown codec `{0}`: use none, gzip[:1-9], snappy, lz4 or zstd[:level]")]
    UnknownName(String),
    /// The part after the colon is no number.
    #[error("`{0}` is not a compression level: use a whole number, as in gzip:6 or zstd:3")]
    LevelNotANumber(String),
    /// The codec has no such level.
    #[error("{codec} has levels {min} to {max}, not {level}")]
    LevelOutOfRange {
        /// The codec asked for.
        codec: CodecId,
        /// The level asked for.
        level: i32,
        /// The lowest level it has.
        min: i32,
        /// The highest level it has.
        max: i32,
    },
    /// The codec, or our encoder for it, has no levels.
    #[error("{codec} has no levels here: write `{codec}` alone")]
    NoLevels {
        /// The codec asked for.
        codec: CodecId,
    },
}

impl FromStr for Codec {
    type Err = ParseCodecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let id = CodecId::ALL
            .into_iter()
            .find(|id| id.name() == name)
            .ok_or_else(|| ParseCodecError::UnknownName(text.to_owned()))?;
        match level {
            None => Ok(Self::with_default_level(id)),
            Some(level) => {
                let level = level.parse().map_err(|_| ParseCodecError::LevelNotANumber(level.to_owned()))?;
                Self::with_level(id, level)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in ["none", "gzip:1", "gzip:9", "snappy", "lz4", "zstd:-5", "zstd:22"] {
            assert_eq!(text.parse::<Codec>().unwrap().to_string(), text);
        }
        assert_eq!("gzip".parse(), Ok(Codec::GZIP));
        assert_eq!("zstd".parse(), Ok(Codec::Zstd { level: 3 }));
    }

    #[test]
    fn wrong_names_and_levels_say_what_to_do() {
        for (text, part) in [
            ("brotli", "unknown codec `brotli`"),
            ("gzip:0", "levels 1 to 9"),
            ("zstd:23", "to 22, not 23"),
            ("zstd:fast", "not a compression level"),
            ("lz4:9", "lz4 has no levels here"),
            ("snappy:1", "write `snappy` alone"),
            ("GZIP", "unknown codec"),
        ] {
            let message = text.parse::<Codec>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn numbers_are_kafkas() {
        assert_eq!(CodecId::ALL.map(CodecId::id), [0, 1, 2, 3, 4]);
        assert_eq!(CodecId::from_id(5), None);
    }
}
