//! What an acknowledgement means. Printed next to every figure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The durability line: every table and chart carries it, because figures under different lines do not compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Durability {
    /// Acknowledgement asked for by the producer.
    pub acks: Acks,
    /// Replicas of each partition; 0 in a run that ended before anything here was known.
    pub rf: u16,
    /// `min.insync.replicas` of the topic.
    pub min_isr: u16,
    /// When the broker syncs, for example `never (the kernel decides)` or `every 1 message`.
    pub flush: Option<String>,
    /// `replicated` or `fsync`.
    pub durability: Option<DurabilityMode>,
    /// What an acknowledged record survives on a single machine.
    pub survives: Option<Survives>,
    /// Direct I/O; `false` is the page cache.
    pub direct: Option<bool>,
}

/// The producer's `acks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Acks {
    /// No answer at all.
    #[serde(rename = "0")]
    None,
    /// The leader has written it.
    #[default]
    #[serde(rename = "1")]
    Leader,
    /// Every in-sync replica has written it.
    #[serde(rename = "all")]
    All,
}

/// `plimsoll.durability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityMode {
    /// Acknowledged when written by the replicas that `acks` asks for.
    Replicated,
    /// Acknowledged when synced to the device.
    Fsync,
}

/// The worst event after which an acknowledged record is still there without another replica's help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Survives {
    /// Death of the broker process; not of the kernel.
    Process,
    /// A kernel crash; not a power loss of the device's cache.
    Kernel,
    /// Loss of power.
    Power,
}

impl Acks {
    /// The word used by Kafka's clients.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Leader => "1",
            Self::All => "all",
        }
    }
}

impl fmt::Display for Acks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Acks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "0" => Ok(Self::None),
            "1" => Ok(Self::Leader),
            "all" | "-1" => Ok(Self::All),
            other => Err(format!("acks must be 0, 1 or all, not `{other}`")),
        }
    }
}

impl DurabilityMode {
    /// The word in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replicated => "replicated",
            Self::Fsync => "fsync",
        }
    }
}

impl Survives {
    /// The word in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Kernel => "kernel",
            Self::Power => "power",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rf == 0 {
            return f.write_str("not known: the run ended before it was read");
        }
        let word = |text: Option<&str>| text.unwrap_or("unknown").to_owned();
        write!(
            f,
            "acks={}, rf {}, min.isr {}, flush {}, durability {}, survives {}, {}",
            self.acks,
            self.rf,
            self.min_isr,
            word(self.flush.as_deref()),
            word(self.durability.map(DurabilityMode::as_str)),
            word(self.survives.map(Survives::as_str)),
            match self.direct {
                Some(true) => "direct I/O",
                Some(false) => "cached I/O",
                None => "direct or cached unknown",
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_every_part_and_what_is_unknown() {
        let line = Durability { acks: Acks::All, rf: 3, min_isr: 2, ..Default::default() }.to_string();
        let expected = "acks=all, rf 3, min.isr 2, flush unknown, durability unknown, survives unknown, \
                        direct or cached unknown";
        assert_eq!(line, expected);
        assert!(Durability::default().to_string().starts_with("not known"));
    }

    #[test]
    fn acks_are_words_in_json_as_in_kafka() {
        for (acks, word) in [(Acks::None, "0"), (Acks::Leader, "1"), (Acks::All, "all")] {
            assert_eq!(serde_json::to_value(acks).unwrap(), word);
            assert_eq!(word.parse(), Ok(acks));
        }
        assert!("2".parse::<Acks>().unwrap_err().contains('2'));
    }
}
